#include <string.h>

#include "alloc.h"
#include "conv.h"

/* The weight gradient: for each kernel row, A is x read by columns (rows of the tile: taps and channels, k: pixels), B
 * is dy. Each chunk of images adds up in a buffer of its own: dw as [kh, kw, c of the group, o], then four sums for db. */
typedef struct dw_job {
    firn__crew crew;
    const firn__tiles *tiles;
    const firn__conv_args *v;
    firn__axis h, w;
    firn__band band;
    const float *x, *dy;
    float *dw, *db;
    float *chunks_of_dw; /* [chunks][chunk_floats] */
    int64_t chunks, chunk_floats;
    float *bands; /* [workers][worker_floats] */
    int64_t worker_floats;
} dw_job;

static int64_t depth_of_dw(const firn__conv_args *v) { return v->kh * v->kw * (v->c / v->groups); }

/* Columns of a group that no tile's full width covers: dy must be copied for them, for a tile reads all its width. */
static bool columns_are_odd(const firn__tiles *tiles, const firn__conv_args *v)
{
    const int64_t group = v->o / v->groups;
    return !firn__conv_is_depthwise(v) && firn__tile_packed_columns(tiles, group) != group;
}

/* Also the largest band that dy is copied for. */
static firn__band dw_band(const firn__tiles *tiles, const firn__conv_args *v, int64_t *dy_floats)
{
    const firn__axis h = firn__conv_axis_h(v), w = firn__conv_axis_w(v);
    firn__band band = firn__band_plan(&h, &w, v->c);
    *dy_floats = 0;
    if (columns_are_odd(tiles, v)) {
        const int64_t fit = ((int64_t)48 << 10) / (v->ow * tiles->panel);
        if (fit < band.rows) band.rows = fit < 1 ? 1 : fit;
        *dy_floats = band.rows * v->ow * tiles->panel;
    }
    return band;
}

size_t firn__conv_dw_scratch_bytes(firn__crew crew, const firn__conv_args *v)
{
    const firn__tiles *tiles = crew.ctx->kernels->tiles;
    int64_t dy_floats;
    const firn__band band = dw_band(tiles, v, &dy_floats);
    size_t floats, workers;
    if (!firn__mul((size_t)(depth_of_dw(v) + 4), (size_t)v->o, &floats)) return 0;
    if (!firn__mul(floats, (size_t)firn__conv_chunks(v), &floats)) return 0;
    if (!firn__mul((size_t)(band.floats + dy_floats), (size_t)firn__crew_size(crew), &workers)) return 0;
    if (!firn__add(floats, workers, &floats) || !firn__mul(floats, sizeof(float), &floats)) return 0;
    return firn__round_up(floats, 64, &floats) ? floats : 0;
}

/* What one band of one image adds. */
typedef struct dw_band_rows {
    firn__rows rows;    /* of x */
    const float *dy;    /* image */
    int64_t begin, end; /* output rows */
    bool resume;
    float *chunk;
} dw_band_rows;

/* Output rows of the band in which kernel row kh is inside: outputs and taps change places. */
static void rows_inside(const firn__axis *a, int64_t kh, const dw_band_rows *r, int64_t *begin, int64_t *end)
{
    const firn__axis of_tap = {.in = a->in, .taps = r->end, .stride = a->step, .step = a->stride, .origin = a->origin};
    firn__axis_inside(&of_tap, kh, begin, end);
    if (*begin < r->begin) *begin = firn__min(r->begin, *end);
}

/* dw of kernel row kh, for columns that t already describes: b is dy from the band's first row on. */
static void dw_kernel_row(const dw_job *job, const dw_band_rows *r, firn__tile *t, const firn__tile_set *set, int64_t kh,
                          int64_t channel)
{
    const firn__conv_args *v = job->v;
    const bool depthwise = firn__conv_is_depthwise(v);
    const int64_t cg = depthwise ? 1 : v->c / v->groups;
    int64_t begin, end;
    rows_inside(&job->h, kh, r, &begin, &end);
    firn__tile k = *t;
    k.segments = end - begin;
    k.b += (begin - r->begin) * v->ow * k.ldb;
    const int64_t row = begin < end ? begin * job->h.stride + kh * job->h.step + job->h.origin - r->rows.first : 0;
    k.a = r->rows.at + row * job->band.pitch + (job->band.left + job->w.origin) * v->c + channel;
    k.c += kh * v->kw * cg * k.ldc;
    if (depthwise) {
        k.a_row = job->w.step * v->c;
        firn__tile_run(set, &k, v->kw);
    } else if (job->w.step == 1 && v->groups == 1) {
        firn__tile_run(set, &k, v->kw * cg);
    } else {
        for (int64_t kw = 0; kw < v->kw; kw++, k.a += job->w.step * v->c, k.c += cg * k.ldc) firn__tile_run(set, &k, cg);
    }
}

static void dw_of_band(const dw_job *job, const dw_band_rows *r, float *copy)
{
    const firn__conv_args *v = job->v;
    const firn__tiles *tiles = job->tiles;
    const bool depthwise = firn__conv_is_depthwise(v);
    const int64_t groups = depthwise ? 1 : v->groups, group = v->o / groups, cg = v->c / groups;
    const int64_t height = job->w.step == 1 && groups == 1 ? v->kw * cg : cg;
    const firn__tile_set *widest = depthwise ? &tiles->depthwise : firn__tile_set_best(tiles, height, group);
    const float *dy = r->dy + r->begin * v->ow * v->o;
    firn__tile t = {.a_row = 1,
                    .a_k = v->stride * v->c,
                    .a_segment = v->stride * job->band.pitch,
                    .taps = 1,
                    .k = v->ow,
                    .b_panel = tiles->panel,
                    .ldc = v->o,
                    .resume = r->resume};
    for (int64_t g = 0; g < groups; g++)
        for (int64_t j = 0, width; j < group; j += width) {
            const firn__tile_set *set =
                depthwise || group - j >= widest->width ? widest : firn__tile_set_for(tiles, group - j);
            const int64_t column = g * group + j;
            width = set->width;
            t.columns = firn__min(width, group - j);
            t.b = dy + column;
            t.ldb = v->o;
            t.c = r->chunk + column;
            if (t.columns < width && !depthwise) {
                tiles->copy((r->end - r->begin) * v->ow, t.columns, width, t.b, v->o, copy, width);
                t.b = copy;
                t.ldb = width;
            }
            for (int64_t kh = 0; kh < v->kh; kh++) dw_kernel_row(job, r, &t, set, kh, depthwise ? j : g * cg);
        }
}

static void dw_of_chunk(void *arg, int64_t part, int worker)
{
    const dw_job *job = arg;
    const firn__conv_args *v = job->v;
    const int64_t first = v->n * part / job->chunks, last = v->n * (part + 1) / job->chunks;
    float *chunk = job->chunks_of_dw + part * job->chunk_floats, *sums = chunk + depth_of_dw(v) * v->o;
    float *buffer = job->bands + firn__conv_scratch_of(job->crew, worker) * job->worker_floats;
    memset(sums, 0, (size_t)(4 * v->o) * sizeof *sums);
    if (first == last) memset(chunk, 0, (size_t)(depth_of_dw(v) * v->o) * sizeof *chunk);
    for (int64_t n = first; n < last; n++) {
        dw_band_rows r = {.dy = job->dy + n * v->oh * v->ow * v->o, .chunk = chunk};
        for (; job->dw != NULL && r.begin < v->oh; r.begin = r.end) {
            r.end = firn__min(r.begin + job->band.rows, v->oh);
            r.resume = n > first || r.begin > 0;
            r.rows = firn__band_fill(job->tiles, &job->band, &job->h, &job->w, v->c, job->x + n * v->h * v->w * v->c,
                                     r.begin, r.end, buffer);
            dw_of_band(job, &r, buffer + job->band.floats);
        }
        if (job->db != NULL) job->tiles->sum_rows(v->oh * v->ow, v->o, r.dy, sums);
    }
}

typedef struct dw_sum {
    const firn__tiles *tiles;
    const firn__conv_args *v;
    float *chunks;
    int64_t chunk_floats;
    float *dw;
} dw_sum;

/* For channel c of the groups: [taps, o] of each chunk, turned into o, taps. */
static void sum_of_channel(void *arg, int64_t c, int worker)
{
    (void)worker;
    const dw_sum *s = arg;
    const firn__conv_args *v = s->v;
    const int64_t taps = v->kh * v->kw, cg = v->c / v->groups, chunks = firn__conv_chunks(v);
    for (int64_t t = 0; t < taps; t++) {
        float *sum = s->chunks + (t * cg + c) * v->o;
        for (int64_t i = 1; i < chunks; i++)
            for (int64_t o = 0; o < v->o; o++) sum[o] += sum[i * s->chunk_floats + o];
    }
    s->tiles->transpose(taps, v->o, taps, s->chunks + c * v->o, cg * v->o, s->dw + c * taps, cg * taps);
}

void firn__conv_sum_dw(firn__crew crew, const firn__conv_args *v, float *chunks, int64_t chunk_floats, float *dw)
{
    dw_sum s = {crew.ctx->kernels->tiles, v, chunks, chunk_floats, dw};
    firn__parallel(crew, v->c / v->groups, sum_of_channel, &s);
}

static void finish_db(const dw_job *job)
{
    const int64_t o_count = job->v->o;
    for (int64_t i = 0; i < job->chunks; i++) {
        const float *s = job->chunks_of_dw + i * job->chunk_floats + depth_of_dw(job->v) * o_count;
        for (int64_t o = 0; o < o_count; o++) {
            const float sum = (s[o] + s[o_count + o]) + (s[2 * o_count + o] + s[3 * o_count + o]);
            job->db[o] = i == 0 ? sum : job->db[o] + sum;
        }
    }
}

void firn__conv_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db,
                   void *scratch)
{
    const firn__tiles *tiles = crew.ctx->kernels->tiles;
    if (firn__conv_is_winograd(v) && dw != NULL) {
        firn__winograd_dw(crew, v, x, dy, dw, scratch);
        dw = NULL;
    }
    if (dw == NULL && db == NULL) return;
    int64_t dy_floats;
    dw_job job = {.crew = crew,
                  .tiles = tiles,
                  .v = v,
                  .h = firn__conv_axis_h(v),
                  .w = firn__conv_axis_w(v),
                  .band = dw_band(tiles, v, &dy_floats),
                  .x = x,
                  .dy = dy,
                  .dw = dw,
                  .db = db,
                  .chunks_of_dw = scratch,
                  .chunks = firn__conv_chunks(v),
                  .chunk_floats = (depth_of_dw(v) + 4) * v->o};
    job.bands = job.chunks_of_dw + job.chunks * job.chunk_floats;
    job.worker_floats = job.band.floats + dy_floats;
    firn__parallel(crew, job.chunks, dw_of_chunk, &job);
    if (dw != NULL) firn__conv_sum_dw(crew, v, scratch, job.chunk_floats, dw);
    if (db != NULL) finish_db(&job);
}
