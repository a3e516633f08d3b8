#include "conv.h"

#include "alloc.h"

/* The weight of tap (th, tw) of a correlation from channel i of group g to channel j of it:
 * weight[first + th * tap_h + tw * tap_w + i * in + j * out + g * group]. */
typedef struct weight_view {
    int64_t first, tap_h, tap_w, in, out, group;
} weight_view;

/* Forward and the input gradient are one thing, a correlation: forward of x with the weights; the gradient of dy with
 * the weights turned around, once for each phase of the stride. */
typedef struct correlation {
    firn__axis h, w;
    weight_view view;
    int64_t in_channels, out_channels, groups, in_group, out_group; /* channels, in all and of a group */
    bool depthwise;
    int64_t images, in_image, out_image;   /* floats from image to image */
    int64_t out_first, out_row, out_pixel; /* floats before the first output, from row to row, pixel to pixel */
    const float *in, *packed;
    float *out;
    const firn__epilogue_args *epilogue;
} correlation;

/* Rows of the matrix that the weights of a group are packed as: taps, then input channels. */
static int64_t depth_of(const correlation *c) { return c->h.taps * c->w.taps * c->in_group; }

/* Floats of all packed weights. */
static bool packed_floats(const firn__tiles *tiles, const correlation *c, size_t *out)
{
    const int64_t columns = c->depthwise ? 1 : firn__tile_packed_columns(tiles, c->out_group);
    size_t floats;
    return firn__mul((size_t)columns, (size_t)depth_of(c), &floats) && firn__mul(floats, (size_t)c->groups, out);
}

static correlation forward_of(const firn__conv_args *v)
{
    const int64_t taps = v->kh * v->kw, cg = v->c / v->groups;
    return (correlation){.h = firn__conv_axis_h(v),
                         .w = firn__conv_axis_w(v),
                         .view = {0, v->kw, 1, taps, cg * taps, v->o / v->groups * cg * taps},
                         .in_channels = v->c,
                         .out_channels = v->o,
                         .groups = v->groups,
                         .in_group = cg,
                         .out_group = v->o / v->groups,
                         .depthwise = firn__conv_is_depthwise(v),
                         .images = v->n,
                         .in_image = v->h * v->w * v->c,
                         .out_image = v->oh * v->ow * v->o,
                         .out_row = v->ow * v->o,
                         .out_pixel = v->o};
}

/* ---- the input gradient's phases: pixels phase, phase + stride ... of dx see every step-th tap only ---- */

/* The taps k of an axis that reach pixel `phase`: from *last down by *by. */
static firn__axis phase_of(const firn__axis *a, int64_t phase, int64_t *last, int64_t *by)
{
    int64_t p = a->stride, q = a->step; /* greatest common divisor in p */
    while (q != 0) {
        const int64_t r = p % q;
        p = q, q = r;
    }
    *by = a->stride / p;
    firn__axis out = {.out = phase < a->in ? firn__ceil_div(a->in - phase, a->stride) : 0,
                      .in = a->out,
                      .stride = 1,
                      .step = a->step / p};
    for (*last = a->taps - 1; *last >= 0; --*last) {
        const int64_t offset = phase - a->origin - *last * a->step;
        if (offset % a->stride != 0) continue;
        out.taps = *last / *by + 1;
        out.origin = offset / a->stride;
        break;
    }
    return out;
}

static correlation dx_phase(const firn__conv_args *v, int64_t phase)
{
    const firn__axis h = firn__conv_axis_h(v), w = firn__conv_axis_w(v);
    const int64_t ph = phase / v->stride, pw = phase % v->stride, taps = v->kh * v->kw, cg = v->c / v->groups;
    int64_t last_h, by_h, last_w, by_w;
    correlation c = {.h = phase_of(&h, ph, &last_h, &by_h),
                     .w = phase_of(&w, pw, &last_w, &by_w),
                     .in_channels = v->o,
                     .out_channels = v->c,
                     .groups = v->groups,
                     .in_group = v->o / v->groups,
                     .out_group = cg,
                     .depthwise = firn__conv_is_depthwise(v),
                     .images = v->n,
                     .in_image = v->oh * v->ow * v->o,
                     .out_image = v->h * v->w * v->c,
                     .out_first = (ph * v->w + pw) * v->c,
                     .out_row = v->stride * v->w * v->c,
                     .out_pixel = v->stride * v->c};
    const int64_t group = v->o / v->groups * cg * taps;
    c.view = (weight_view){last_h * v->kw + last_w, -by_h * v->kw, -by_w, cg * taps, taps, group};
    return c;
}

static int64_t phases_of(const firn__conv_args *v, bool dx) { return dx ? (int64_t)v->stride * v->stride : 1; }

static correlation correlation_of(const firn__conv_args *v, bool dx, int64_t phase)
{
    return dx ? dx_phase(v, phase) : forward_of(v);
}

/* ---- packing ---- */

typedef struct conv_pack_job {
    const firn__tiles *tiles;
    const correlation *c;
    const float *weight;
    float *packed;
} conv_pack_job;

/* Panel by panel, or tap by tap for depthwise: columns first..first+columns-1 of group g, width apart. */
static void pack_columns(const conv_pack_job *job, int64_t g, int64_t first, int64_t columns, int64_t width, float *to)
{
    const correlation *c = job->c;
    const weight_view *w = &c->view;
    const float *of_group = job->weight + w->first + g * w->group + first * w->out;
    for (int64_t th = 0; th < c->h.taps; th++)
        for (int64_t tw = 0; tw < c->w.taps; tw++)
            for (int64_t i = 0; i < c->in_group; i++, to += width) {
                const float *from = of_group + th * w->tap_h + tw * w->tap_w + i * w->in;
                for (int64_t j = 0; j < columns; j++) to[j] = from[j * w->out];
                for (int64_t j = columns; j < width; j++) to[j] = 0;
            }
}

static void pack_conv_panel(void *arg, int64_t part, int worker)
{
    (void)worker;
    const conv_pack_job *job = arg;
    const correlation *c = job->c;
    const firn__tiles *tiles = job->tiles;
    const int64_t group = c->out_group, panels = firn__ceil_div(group, tiles->panel);
    const int64_t g = part / panels, j = part % panels * tiles->panel, columns = firn__min(tiles->panel, group - j);
    float *to = job->packed + (g * firn__tile_packed_columns(tiles, group) + j) * depth_of(c);
    pack_columns(job, g, j, columns, firn__tile_set_for(tiles, columns)->width, to);
}

static void pack_correlation(firn__crew crew, const correlation *c, const float *weight, float *packed)
{
    conv_pack_job job = {crew.ctx->kernels->tiles, c, weight, packed};
    if (c->depthwise) { /* all channels are columns */
        correlation all = *c;
        all.in_group = 1;
        all.view.out = all.view.group;
        job.c = &all;
        pack_columns(&job, 0, 0, c->out_channels, c->out_channels, packed);
    } else
        firn__parallel(crew, c->groups * firn__ceil_div(c->out_group, job.tiles->panel), pack_conv_panel, &job);
}

size_t firn__conv_packed_bytes(const firn_ctx *ctx, const firn__conv_args *v, bool dx)
{
    const firn__tiles *tiles = ctx->kernels->tiles;
    size_t floats = 0, more, bytes;
    if (!firn__mul((size_t)(v->c / v->groups * v->kh * v->kw), (size_t)v->o, &more) || more > INT64_MAX) return 0;
    if (firn__conv_is_winograd(v))
        floats = firn__winograd_packed_floats(ctx, v, dx);
    else
        for (int64_t phase = 0; phase < phases_of(v, dx); phase++) {
            const correlation c = correlation_of(v, dx, phase);
            if (!packed_floats(tiles, &c, &more) || !firn__add(floats, more, &floats)) return 0;
        }
    return firn__mul(floats, sizeof(float), &bytes) && firn__round_up(bytes, 64, &bytes) ? bytes : 0;
}

void firn__conv_pack(firn__crew crew, const firn__conv_args *v, const float *weight, bool dx, float *packed)
{
    if (firn__conv_is_winograd(v)) {
        firn__winograd_pack(crew, v, weight, dx, packed);
        return;
    }
    for (int64_t phase = 0; phase < phases_of(v, dx); phase++) {
        const correlation c = correlation_of(v, dx, phase);
        size_t floats;
        pack_correlation(crew, &c, weight, packed);
        (void)packed_floats(crew.ctx->kernels->tiles, &c, &floats);
        packed += floats;
    }
}

/* ---- running ---- */

typedef struct conv_job {
    firn__crew crew;
    const firn__tiles *tiles;
    const correlation *c;
    firn__band band;
    int64_t bands; /* of an image */
    const firn__tile_set *best;
    int64_t columns; /* packed, of a group */
    float *scratch;
} conv_job;

/* One row of output: first: its first pixel and tap of the input; the weights of the kernel rows from begin on. */
static void correlate_depthwise(const firn__tiles *tiles, const correlation *c, firn__tile *t, const float *first,
                                int64_t begin, float *out)
{
    t->a_k = c->w.step * c->in_channels;
    t->k = c->w.taps;
    t->ldb = c->out_channels;
    for (int64_t j = 0; j < c->out_channels; j += 16) {
        t->a = first + j;
        t->b = c->packed + begin * c->w.taps * t->ldb + j;
        t->c = out + j;
        t->column = j;
        t->columns = firn__min(16, c->out_channels - j);
        firn__tile_run(&tiles->depthwise, t, c->w.out);
    }
}

static void correlate_groups(const conv_job *job, firn__tile *t, const float *first, int64_t begin, float *out)
{
    const correlation *c = job->c;
    const firn__tiles *tiles = job->tiles;
    const int64_t in_group = c->in_group, out_group = c->out_group, columns = job->columns;
    const bool one_run = c->w.step == 1 && c->groups == 1; /* the taps of a row lie side by side */
    t->a_k = 1;
    t->a_tap = c->w.step * c->in_channels;
    t->taps = one_run ? 1 : c->w.taps;
    t->k = one_run ? c->w.taps * in_group : in_group;
    if (t->a_row == 1 && t->taps == 1 && out_group <= FIRN__FEW_COLUMNS) { /* one channel: so do pixels */
        firn__tile turned = {.a = c->packed + begin * t->k * columns,
                             .a_row = 1,
                             .a_k = columns,
                             .a_segment = t->k * columns,
                             .segments = t->segments,
                             .taps = 1,
                             .k = t->k,
                             .b = first,
                             .ldb = 1,
                             .b_segment = t->a_segment - t->k,
                             .c = out,
                             .ldc = t->ldc,
                             .epilogue = t->epilogue,
                             .turned = true};
        firn__tile_run_columns(tiles, firn__tile_set_for(tiles, c->w.out), &turned, out_group, c->w.out, 0, 0);
        return;
    }
    for (int64_t g = 0; g < c->groups; g++) {
        t->a = first + g * in_group;
        t->b = c->packed + g * columns * depth_of(c);
        t->column = g * out_group;
        t->c = out + t->column;
        firn__tile_run_columns(tiles, job->best, t, c->w.out, out_group, depth_of(c), begin * c->w.taps * in_group);
    }
}

/* One row of output, from rows of input that can be read as if there were zeros on the sides. */
static void correlate_row(const conv_job *job, firn__tile *t, firn__rows rows, int64_t i, float *out)
{
    const correlation *c = job->c;
    int64_t begin, end;
    firn__axis_inside(&c->h, i, &begin, &end);
    const int64_t row = begin < end ? i * c->h.stride + begin * c->h.step + c->h.origin - rows.first : 0;
    const float *first = rows.at + row * job->band.pitch + (job->band.left + c->w.origin) * c->in_channels;
    t->segments = end - begin;
    if (c->depthwise)
        correlate_depthwise(job->tiles, c, t, first, begin, out);
    else
        correlate_groups(job, t, first, begin, out);
}

static void correlate_band(void *arg, int64_t part, int worker)
{
    const conv_job *job = arg;
    const correlation *c = job->c;
    const int64_t image = part / job->bands, b = part % job->bands;
    const int64_t begin = c->h.out * b / job->bands, end = c->h.out * (b + 1) / job->bands;
    const firn__rows rows =
        firn__band_fill(job->tiles, &job->band, &c->h, &c->w, c->in_channels, c->in + image * c->in_image, begin, end,
                        job->scratch + firn__conv_scratch_of(job->crew, worker) * job->band.floats);
    firn__tile t = {.a_row = c->w.stride * c->in_channels,
                    .a_segment = c->h.step * job->band.pitch,
                    .ldc = c->out_pixel,
                    .epilogue = c->epilogue};
    for (int64_t i = begin; i < end; i++) correlate_row(job, &t, rows, i, c->out + image * c->out_image + i * c->out_row);
}

static void correlate(firn__crew crew, const correlation *c, float *scratch)
{
    if (c->h.out <= 0 || c->w.out <= 0) return;
    conv_job job = {.crew = crew,
                    .tiles = crew.ctx->kernels->tiles,
                    .c = c,
                    .band = firn__band_plan(&c->h, &c->w, c->in_channels),
                    .best = firn__tile_set_best(crew.ctx->kernels->tiles, c->w.out, c->out_group),
                    .columns = firn__tile_packed_columns(crew.ctx->kernels->tiles, c->out_group),
                    .scratch = scratch};
    job.bands = firn__ceil_div(c->h.out, job.band.rows);
    const int64_t threads = firn__crew_size(crew);
    if (c->images * job.bands < threads) job.bands = firn__min(firn__ceil_div(threads, c->images), c->h.out);
    firn__parallel(crew, c->images * job.bands, correlate_band, &job);
}

static void correlate_phases(firn__crew crew, const firn__conv_args *v, bool dx, const float *in, const float *packed,
                             float *out, const firn__epilogue_args *epilogue, void *scratch)
{
    if (firn__conv_is_winograd(v)) {
        const firn__conv_args turned = firn__conv_turned(v);
        firn__winograd_forward(crew, dx ? &turned : v, in, packed, out, epilogue, scratch);
        return;
    }
    for (int64_t phase = 0; phase < phases_of(v, dx); phase++) {
        correlation c = correlation_of(v, dx, phase);
        size_t floats;
        c.in = in, c.packed = packed, c.out = out + c.out_first, c.epilogue = epilogue;
        correlate(crew, &c, scratch);
        (void)packed_floats(crew.ctx->kernels->tiles, &c, &floats);
        packed += floats;
    }
}

void firn__conv_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                        const firn__epilogue_args *epilogue, void *scratch)
{
    correlate_phases(crew, v, false, x, packed, y, epilogue, scratch);
}

void firn__conv_dx(firn__crew crew, const firn__conv_args *v, const float *dy, const float *packed, float *dx,
                   void *scratch)
{
    correlate_phases(crew, v, true, dy, packed, dx, NULL, scratch);
}

size_t firn__conv_scratch_bytes(firn__crew crew, const firn__conv_args *v, bool with_dx, bool with_dw)
{
    int64_t floats = 0;
    for (int dx = 0; dx <= (with_dx ? 1 : 0); dx++)
        for (int64_t phase = 0; phase < phases_of(v, dx); phase++) {
            const correlation c = correlation_of(v, dx, phase);
            const int64_t more = firn__band_plan(&c.h, &c.w, c.in_channels).floats;
            if (more > floats) floats = more;
        }
    size_t bytes, dw = with_dw ? firn__conv_dw_scratch_bytes(crew, v) : 64;
    if (dw == 0) return 0;
    if (firn__conv_is_winograd(v)) {
        bytes = firn__winograd_scratch_bytes(crew, v, with_dx, with_dw);
        return bytes == 0 || bytes > dw ? bytes : dw;
    }
    if (!firn__mul((size_t)floats, sizeof(float), &bytes)) return 0;
    if (!firn__mul(bytes, (size_t)firn__crew_size(crew), &bytes) || !firn__round_up(bytes, 64, &bytes)) return 0;
    return bytes > dw ? bytes : dw;
}
