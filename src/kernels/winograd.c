#include <string.h>

#include "alloc.h"
#include "conv.h"
#include "unroll.h"
#include "vector.h"

/* 3 x 3 convolutions with 36 multiplications for 4 x 4 outputs in place of 144: F(4x4, 3x3) of Lavin and Gray, "Fast
 * Algorithms for Convolutional Neural Networks", 2015. Tiles of the input, 6 x 6, overlapping by two pixels, are
 * transformed; then come 36 products, one for each point of the transform, [tiles, in] times [in, out]; what they give
 * is transformed back. The weight gradient is F(3x3, 4x4) with the same transform of the input: 36 products [in, tiles]
 * times [tiles, out].
 * The points of the transform (vector_winograd.inc.h) are chosen for a small error, an idea of Barabasz and others,
 * "Error Analysis and Improving the Accuracy of Winograd Convolution for DNNs", 2020. */

enum {
    side = 4,
    points = 36,
    lanes = 16,
    few_tiles = 8,         /* for a thread */
    most = 1 << 20,        /* of a size, so that no product of sizes overflows */
    most_weights = 1 << 16 /* in * out: packed weights are four times as large as weights */
};
/* Floats of a band's transforms: a part of L2. Each band of dw loads and stores all sums, so these are longer. */
static const int64_t band_budget = 128 << 10, dw_band_budget = 160 << 10;

/* A pass over the tiles of all images. */
typedef struct winograd_pass {
    firn__crew crew;
    firn__conv_args v;
    int64_t tiles_h, tiles_w;    /* of an image */
    int64_t rows;                /* of tiles in a band; bands go on from image to image */
    int64_t groups;              /* of output channels, which a part of `forward` has one of */
    int64_t in_apart, out_apart; /* floats from point to point */
    int64_t pixel;               /* floats of one that stands for those outside */
    const float *in, *packed, *dy;
    float *out;
    const firn__epilogue_args *epilogue;
    float *workers; /* of each: a pixel of zeros, one for waste, the transforms of the input and of the output */
    float *chunks;  /* of dw: [chunks][9][in][out] */
} winograd_pass;

bool firn__conv_is_winograd(const firn__conv_args *v)
{
    return v->kh == 3 && v->kw == 3 && v->stride == 1 && v->dilation == 1 && v->groups == 1 && v->c >= 16 && v->c <= most &&
           v->o >= 16 && v->o <= most && v->c * v->o <= most_weights && v->oh >= 4 && v->oh <= most && v->ow >= 4 &&
           v->ow <= most;
}

static int64_t packed_columns(const firn_ctx *ctx, int64_t columns)
{
    return firn__tile_packed_columns(ctx->kernels->tiles, columns);
}

/* An odd number of cache lines, so that the points of a tile do not evict each other. */
static int64_t apart(int64_t tiles, int64_t channels) { return (firn__ceil_div(tiles * channels, lanes) | 1) * lanes; }

static winograd_pass plan(firn__crew crew, const firn__conv_args *v, bool dw)
{
    winograd_pass p = {
        .crew = crew, .v = *v, .tiles_h = firn__ceil_div(v->oh, side), .tiles_w = firn__ceil_div(v->ow, side)};
    int64_t rows = (dw ? firn__ceil_div(v->n, firn__conv_chunks(v)) : v->n) * p.tiles_h;
    int64_t fit = (dw ? dw_band_budget : band_budget) / (points * p.tiles_w * (v->c + v->o));
    if (rows < 1) rows = 1;
    if (fit < 1) fit = 1;
    p.rows = firn__ceil_div(rows, firn__ceil_div(rows, fit));
    /* Fewer images may make longer bands, and fewer chunks, of more. */
    const int64_t room = firn__min(v->n > 1 ? v->n * p.tiles_h : p.tiles_h, fit) * p.tiles_w;
    p.in_apart = apart(room, v->c);
    p.out_apart = apart(room, v->o);
    p.pixel = firn__ceil_div(v->c > v->o ? v->c : v->o, lanes) * lanes;
    return p;
}

static int64_t worker_floats(const winograd_pass *p) { return 2 * p->pixel + points * (p->in_apart + p->out_apart); }

size_t firn__winograd_scratch_bytes(firn__crew crew, const firn__conv_args *v, bool with_dx, bool with_dw)
{
    const firn__conv_args t = firn__conv_turned(v);
    const winograd_pass forward = plan(crew, v, false), dx = plan(crew, &t, false), dw = plan(crew, v, true);
    const int64_t threads = firn__crew_size(crew);
    int64_t floats = threads * worker_floats(&forward);
    if (with_dx && threads * worker_floats(&dx) > floats) floats = threads * worker_floats(&dx);
    const int64_t of_dw =
        threads * (worker_floats(&dw) + points * v->c * v->o) + firn__conv_chunks(v) * 9 * v->c * v->o + lanes;
    if (with_dw && of_dw > floats) floats = of_dw;
    floats = firn__ceil_div(floats, lanes) * lanes;
    return (uint64_t)floats > SIZE_MAX / sizeof(float) ? 0 : (size_t)floats * sizeof(float);
}

/* ---- weights: point by point, each in panels ---- */

size_t firn__winograd_packed_floats(const firn_ctx *ctx, const firn__conv_args *v, bool dx)
{
    return (size_t)(points * (dx ? v->o * packed_columns(ctx, v->c) : v->c * packed_columns(ctx, v->o)));
}

typedef struct pack_job {
    const firn_ctx *ctx;
    firn__conv_args v;
    const float *weight;
    int64_t in, out; /* floats from channel to channel */
    bool turn;
    float *packed;
} pack_job;

static void pack_points(void *arg, int64_t part, int worker)
{
    (void)worker;
    const pack_job *job = arg;
    const firn__tiles *tiles = job->ctx->kernels->tiles;
    const int64_t first = part * tiles->panel, columns = firn__min(tiles->panel, job->v.o - first);
    const int64_t width = firn__tile_set_for(tiles, columns)->width;
    const int64_t apart_u = job->v.c * packed_columns(job->ctx, job->v.o);
    for (int64_t c = 0; c < job->v.c; c++)
        for (int64_t j = 0; j < width; j += lanes) {
            float g[9][lanes], *at[9];
            const int64_t there = firn__min(lanes, columns - j);
            const float *weight = job->weight + c * job->in + (first + j) * job->out;
            tiles->transpose(there, 9, lanes, weight, job->out, g[0], lanes);
            for (int i = 0; i < 9; i++) at[i] = g[job->turn ? 8 - i : i];
            job->ctx->kernels->vector->winograd_points(3, at, firn__min(lanes, width - j),
                                                       job->packed + first * job->v.c + c * width + j, apart_u);
        }
}

void firn__winograd_pack(firn__crew crew, const firn__conv_args *v, const float *weight, bool dx, float *packed)
{
    pack_job job = {.ctx = crew.ctx, .v = *v, .weight = weight, .in = 9, .out = 9 * v->c, .packed = packed};
    if (dx) job.v = firn__conv_turned(v), job.in = 9 * v->c, job.out = 9, job.turn = true;
    firn__parallel(crew, firn__ceil_div(job.v.o, crew.ctx->kernels->tiles->panel), pack_points, &job);
}

/* ---- tiles ---- */

/* The size x size pixels from y, x on of an image h x w; `outside` for those that are not in it. The rows below, which
 * the next row of tiles needs, are fetched ahead: with several rows at a time the processor does not do it by itself. */
static inline void tile_pixels(int size, float *image, int64_t h, int64_t w, int64_t c, int64_t y, int64_t x,
                               float *outside, float **at)
{
    const bool inside = y >= 0 && y + size <= h && x >= 0 && x + size <= w;
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            const bool in = inside || (y + i >= 0 && y + i < h && x + j >= 0 && x + j < w);
            at[i * size + j] = in ? image + ((y + i) * w + x + j) * c : outside;
        }
    const int64_t left = x < 0 ? 0 : x, right = firn__min(x + side, w);
    for (int64_t i = y + size < 0 ? 0 : y + size; i < firn__min(y + size + side, h); i++)
        for (int64_t j = left * c; j < right * c; j += lanes) PREFETCH(image + i * w * c + j);
}

/* The tiles of rows begin..end-1 into points of `to`; pixels outside are zeros. */
static void input_of_band(const winograd_pass *p, int64_t begin, int64_t end, float *zeros, float *to)
{
    const firn__conv_args *v = &p->v;
    for (int64_t row = begin; row < end; row++) {
        float *at[36], *image = (float *)p->in + row / p->tiles_h * v->h * v->w * v->c;
        for (int64_t j = 0; j < p->tiles_w; j++, to += v->c) {
            tile_pixels(6, image, v->h, v->w, v->c, row % p->tiles_h * side - v->pad, j * side - v->pad, zeros, at);
            p->crew.ctx->kernels->vector->winograd_points(6, at, v->c, to, p->in_apart);
        }
    }
}

static void gradient_of_band(const winograd_pass *p, int64_t begin, int64_t end, float *zeros, float *to)
{
    const firn__conv_args *v = &p->v;
    for (int64_t row = begin; row < end; row++) {
        float *at[16], *image = (float *)p->dy + row / p->tiles_h * v->oh * v->ow * v->o;
        for (int64_t j = 0; j < p->tiles_w; j++, to += v->o) {
            tile_pixels(4, image, v->oh, v->ow, v->o, row % p->tiles_h * side, j * side, zeros, at);
            p->crew.ctx->kernels->vector->winograd_points(4, at, v->o, to, p->out_apart);
        }
    }
}

static void output_of_band(const winograd_pass *p, int64_t begin, int64_t end, int64_t first, int64_t last,
                           const float *from, float *waste)
{
    const firn__conv_args *v = &p->v;
    for (int64_t row = begin; row < end; row++) {
        float *at[16], *image = p->out + row / p->tiles_h * v->oh * v->ow * v->o;
        for (int64_t j = 0; j < p->tiles_w; j++, from += v->o) {
            tile_pixels(4, image, v->oh, v->ow, v->o, row % p->tiles_h * side, j * side, waste, at);
            p->crew.ctx->kernels->vector->winograd_pixels(4, from, p->out_apart, first, last, p->epilogue, at);
        }
    }
}

/* ---- products ---- */

static void forward_band(void *arg, int64_t part, int worker)
{
    const winograd_pass *p = arg;
    const firn__conv_args *v = &p->v;
    const int64_t rows = v->n * p->tiles_h, bands = firn__ceil_div(rows, p->rows), band = part / p->groups;
    const int64_t begin = rows * band / bands, end = rows * (band + 1) / bands;
    const firn__tiles *tiles = p->crew.ctx->kernels->tiles;
    const int64_t panel = tiles->panel, panels = firn__ceil_div(v->o, panel), group = part % p->groups;
    const int64_t first = panels * group / p->groups * panel,
                  last = firn__min(panels * (group + 1) / p->groups * panel, v->o);
    float *zeros = p->workers + firn__conv_scratch_of(p->crew, worker) * worker_floats(p), *waste = zeros + p->pixel,
          *from = waste + p->pixel;
    float *to = from + points * p->in_apart;
    memset(zeros, 0, (size_t)v->c * sizeof *zeros);
    input_of_band(p, begin, end, zeros, from);
    const firn__tile_set *best = firn__tile_set_best(tiles, (end - begin) * p->tiles_w, last - first);
    const int64_t packed_apart = v->c * packed_columns(p->crew.ctx, v->o);
    firn__tile t = {.a_row = v->c, .a_k = 1, .segments = 1, .taps = 1, .k = v->c, .ldc = v->o};
    for (int64_t q = 0; q < points; q++) {
        t.a = from + q * p->in_apart;
        t.b = p->packed + q * packed_apart + first * v->c;
        t.c = to + q * p->out_apart + first;
        firn__tile_run_columns(tiles, best, &t, (end - begin) * p->tiles_w, last - first, v->c, 0);
    }
    output_of_band(p, begin, end, first, last, to, waste);
}

void firn__winograd_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                            const firn__epilogue_args *epilogue, void *scratch)
{
    winograd_pass p = plan(crew, v, false);
    const int64_t rows = v->n * p.tiles_h, threads = firn__crew_size(crew);
    const int64_t panels = firn__ceil_div(v->o, crew.ctx->kernels->tiles->panel);
    p.in = x, p.packed = packed, p.out = y, p.epilogue = epilogue, p.workers = scratch;
    p.groups = 1;
    if (rows * p.tiles_w < few_tiles * threads && panels >= threads) /* each reads its share of the weights alone */
        p.groups = threads;
    else if (rows <= threads * p.rows) /* so that all have something to do */
        p.rows = firn__ceil_div(rows, threads);
    if (rows > 0) firn__parallel(crew, firn__ceil_div(rows, p.rows) * p.groups, forward_band, &p);
}

/* ---- the weight gradient ---- */

static void points_of_chunk(void *arg, int64_t part, int worker)
{
    const winograd_pass *p = arg;
    const firn__conv_args *v = &p->v;
    const int64_t chunks = firn__conv_chunks(v), size = v->c * v->o;
    const int64_t first = v->n * part / chunks * p->tiles_h, last = v->n * (part + 1) / chunks * p->tiles_h;
    float *zeros = p->workers + firn__conv_scratch_of(p->crew, worker) * (worker_floats(p) + points * size),
          *sums = zeros + worker_floats(p);
    float *in = zeros + 2 * p->pixel, *out = in + points * p->in_apart;
    const firn__tiles *tiles = p->crew.ctx->kernels->tiles;
    const firn__tile_set *best = firn__tile_set_best(tiles, v->c, v->o);
    memset(zeros, 0, (size_t)p->pixel * sizeof *zeros);
    if (first == last) memset(sums, 0, (size_t)(points * size) * sizeof *sums);
    firn__tile t = {.a_row = 1, .a_k = v->c, .segments = 1, .taps = 1, .ldb = v->o, .ldc = v->o};
    for (int64_t begin = first, end; begin < last; begin = end) {
        end = firn__min(begin + p->rows, last);
        input_of_band(p, begin, end, zeros, in);
        gradient_of_band(p, begin, end, zeros, out);
        t.k = (end - begin) * p->tiles_w;
        t.resume = begin > first;
        for (int64_t q = 0; q < points; q++) {
            t.a = in + q * p->in_apart;
            t.b = out + q * p->out_apart;
            t.c = sums + q * size;
            firn__tile_run_columns(tiles, best, &t, v->c, v->o, 0, 0);
        }
    }
    float *of_chunk[9];
    for (int i = 0; i < 9; i++) of_chunk[i] = p->chunks + (part * 9 + i) * size;
    p->crew.ctx->kernels->vector->winograd_pixels(3, sums, size, 0, size, NULL, of_chunk);
}

void firn__winograd_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw, void *scratch)
{
    winograd_pass p = plan(crew, v, true);
    p.in = x, p.dy = dy;
    p.chunks = scratch;
    p.workers = p.chunks + firn__ceil_div(firn__conv_chunks(v) * 9 * v->c * v->o, lanes) * lanes;
    firn__parallel(crew, firn__conv_chunks(v), points_of_chunk, &p);
    firn__conv_sum_dw(crew, v, p.chunks, 9 * v->c * v->o, dw);
}
