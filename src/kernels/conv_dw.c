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
    float *bands; /* [workers][band.floats] */
} dw_job;

static int64_t depth_of_dw(const firn__conv_args *v) { return v->kh * v->kw * (v->c / v->groups); }

size_t firn__conv_dw_scratch_bytes(firn__crew crew, const firn__conv_args *v)
{
    const firn__axis h = firn__conv_axis_h(v), w = firn__conv_axis_w(v);
    size_t floats, workers;
    if (!firn__mul((size_t)(depth_of_dw(v) + 4), (size_t)v->o, &floats)) return 0;
    if (!firn__mul(floats, (size_t)firn__conv_chunks(v), &floats)) return 0;
    if (!firn__mul((size_t)firn__band_plan(&h, &w, v->c).floats, (size_t)firn__crew_size(crew), &workers)) return 0;
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

/* dw of kernel row kh, of group g. */
static void dw_kernel_row(const dw_job *job, const dw_band_rows *r, int64_t kh, int64_t g)
{
    const firn__conv_args *v = job->v;
    const bool depthwise = firn__conv_is_depthwise(v), one_run = job->w.step == 1 && v->groups == 1;
    const int64_t cg = v->c / v->groups, group = v->o / v->groups, height = one_run ? v->kw * cg : cg;
    int64_t begin, end;
    rows_inside(&job->h, kh, r, &begin, &end);
    const int64_t row = begin < end ? begin * job->h.stride + kh * job->h.step + job->h.origin - r->rows.first : 0;
    const float *a = r->rows.at + row * job->band.pitch + (job->band.left + job->w.origin) * v->c + g * cg;
    firn__tile t = {.a_row = depthwise ? job->w.step * v->c : 1,
                    .a_k = v->stride * v->c,
                    .a_segment = v->stride * job->band.pitch,
                    .segments = end - begin,
                    .taps = 1,
                    .k = v->ow,
                    .ldb = v->o,
                    .ldc = v->o,
                    .resume = r->resume};
    for (int64_t kw = 0; kw < (one_run || depthwise ? 1 : v->kw); kw++) {
        t.a = a + kw * job->w.step * v->c;
        t.b = r->dy + begin * v->ow * v->o + g * group;
        t.c = r->chunk + (kh * v->kw + kw) * cg * v->o + g * group;
        if (depthwise) {
            t.columns = firn__min(16, v->o - g);
            firn__tile_run(&job->tiles->depthwise, &t, v->kw);
        } else
            firn__tile_run_columns(job->tiles, firn__tile_set_best(job->tiles, height, group), &t, height, group, 0, 0);
    }
}

static void dw_of_chunk(void *arg, int64_t part, int worker)
{
    const dw_job *job = arg;
    const firn__conv_args *v = job->v;
    const int64_t first = v->n * part / job->chunks, last = v->n * (part + 1) / job->chunks;
    float *chunk = job->chunks_of_dw + part * job->chunk_floats, *sums = chunk + depth_of_dw(v) * v->o;
    float *buffer = job->bands + firn__conv_scratch_of(job->crew, worker) * job->band.floats;
    memset(sums, 0, (size_t)(4 * v->o) * sizeof *sums);
    if (first == last) memset(chunk, 0, (size_t)(depth_of_dw(v) * v->o) * sizeof *chunk);
    for (int64_t n = first; n < last; n++) {
        dw_band_rows r = {.dy = job->dy + n * v->oh * v->ow * v->o, .chunk = chunk};
        for (; job->dw != NULL && r.begin < v->oh; r.begin = r.end) {
            r.end = firn__min(r.begin + job->band.rows, v->oh);
            r.resume = n > first || r.begin > 0;
            r.rows = firn__band_fill(job->tiles, &job->band, &job->h, &job->w, v->c, job->x + n * v->h * v->w * v->c,
                                     r.begin, r.end, buffer);
            for (int64_t g = 0; g < v->groups; g += firn__conv_is_depthwise(v) ? 16 : 1)
                for (int64_t kh = 0; kh < v->kh; kh++) dw_kernel_row(job, &r, kh, g);
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
    dw_job job = {.crew = crew,
                  .tiles = tiles,
                  .v = v,
                  .h = firn__conv_axis_h(v),
                  .w = firn__conv_axis_w(v),
                  .x = x,
                  .dy = dy,
                  .dw = dw,
                  .db = db,
                  .chunks_of_dw = scratch,
                  .chunks = firn__conv_chunks(v),
                  .chunk_floats = (depth_of_dw(v) + 4) * v->o};
    job.bands = job.chunks_of_dw + job.chunks * job.chunk_floats;
    job.band = firn__band_plan(&job.h, &job.w, v->c);
    firn__parallel(crew, job.chunks, dw_of_chunk, &job);
    if (dw != NULL) firn__conv_sum_dw(crew, v, scratch, job.chunk_floats, dw);
    if (db != NULL) finish_db(&job);
}
