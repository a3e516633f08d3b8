#include "alloc.h"
#include "ref.h"
#include "table.h"

/* Blocks. A panel of B of block_k rows lives in L1 or streams from L2; a block of A lives in L2. Both fit a workspace:
 * A's part begins behind B's. */
enum {
    block_k = 512,
    most_columns = 128, /* the widest tile */
    b_floats = block_k * most_columns,
    a_floats = (int)(FIRN__WORKSPACE_BYTES / sizeof(float)) - b_floats,
    pitch_slack = 32 /* see copy_rows_of_a */
};
static const double serial_flops = 4e5; /* less is not worth waking a thread */

typedef struct gemm_job {
    const firn__gemm_args *g;
    const firn__tiles *tiles;
    int64_t row_parts, column_parts;
    firn_ctx *ctx;
} gemm_job;

/* The part of C that one thread computes. */
typedef struct gemm_range {
    int64_t row, rows, column, columns;
} gemm_range;

/* How the tiles of a block read A: in place, or a copy. By tile: tile i begins at a + first_row(i) * by_tile. */
typedef struct a_view {
    const float *a;
    int64_t row, k;
    int64_t by_tile_rows; /* nonzero: packed tile by tile, rows of a tile together */
} a_view;

static bool rows_alias(int64_t ld) { return ld % 512 == 0; } /* 2 KiB apart: all in a few sets of L1 */

/* A read by columns: tile by tile, [tile][k][row], in the order in which it is read. */
static a_view pack_transposed_a(const firn__tile_set *set, const float *a, int64_t lda, int64_t rows, int64_t kc, float *to)
{
    const int64_t count = firn__ceil_div(rows, set->max_rows);
    for (int64_t i = 0; i < count; i++) {
        const int64_t begin = rows * i / count, mr = rows * (i + 1) / count - begin;
        float *d = to + begin * kc;
        for (int64_t p = 0; p < kc; p++, d += mr) {
            const float *s = a + p * lda + begin;
            for (int64_t r = 0; r < mr; r++) d[r] = s[r];
        }
    }
    return (a_view){to, 1, 0, 1};
}

static a_view view_a(const gemm_job *job, const firn__tile_set *set, int64_t row, int64_t rows, int64_t k0, int64_t kc,
                     int64_t panels, float *buffer)
{
    const firn__gemm_args *g = job->g;
    if (g->a_transposed) {
        const float *a = g->a + k0 * g->lda + row;
        if (panels > 1) return pack_transposed_a(set, a, g->lda, rows, kc, buffer);
        return (a_view){a, 1, g->lda, 0};
    }
    const float *a = g->a + row * g->lda + k0;
    if (panels > 1 && rows > 4 && rows_alias(g->lda)) {
        const int64_t pitch = firn__ceil_div(kc, 16) * 16 + 16;
        job->tiles->copy(rows, kc, firn__ceil_div(kc, job->tiles->lanes) * job->tiles->lanes, a, g->lda, buffer, pitch);
        return (a_view){buffer, pitch, 1, 0};
    }
    return (a_view){a, g->lda, 1, 0};
}

/* Points t at kc rows of B from column j, packed if they are not yet. */
static void view_b(const gemm_job *job, const firn__tile_set *set, int64_t j, int64_t k0, int64_t kc, bool reused,
                   float *buffer, firn__tile *t)
{
    const firn__gemm_args *g = job->g;
    const int64_t panel = job->tiles->panel, columns = t->columns;
    if (g->b_packed != NULL) {
        t->ldb = firn__min(set->width, panel);
        t->b = g->b_packed + j * g->k + k0 * t->ldb;
        t->b_panel = panel * g->k;
        return;
    }
    t->b_panel = panel;
    if (!g->b_transposed && !reused && columns == set->width) {
        t->b = g->b + k0 * g->ldb + j;
        t->ldb = g->ldb;
        return;
    }
    if (g->b_transposed)
        job->tiles->transpose(columns, kc, set->width, g->b + j * g->ldb + k0, g->ldb, buffer, set->width);
    else
        job->tiles->copy(kc, columns, set->width, g->b + k0 * g->ldb + j, g->ldb, buffer, set->width);
    t->b = buffer;
    t->ldb = set->width;
}

/* Rows of C from row on, for one block of k. */
static void gemm_block(const gemm_job *job, const gemm_range *r, int64_t row, int64_t rows, int64_t k0, int64_t kc,
                       float *buffer)
{
    const firn__gemm_args *g = job->g;
    const firn__tiles *tiles = job->tiles;
    const firn__tile_set *widest = firn__tile_set_best(tiles, rows, r->columns);
    const int64_t count = firn__ceil_div(rows, widest->max_rows), end = r->column + r->columns;
    const a_view a = view_a(job, widest, row, rows, k0, kc, firn__ceil_div(r->columns, widest->width), buffer + b_floats);
    const bool last = k0 + kc == g->k;
    for (int64_t j = r->column, width; j < end; j += width) {
        const firn__tile_set *set = end - j >= widest->width ? widest : firn__tile_set_for(tiles, end - j);
        width = set->width;
        firn__tile t = {.a_row = a.row,
                        .a_k = a.k,
                        .segments = 1,
                        .taps = 1,
                        .k = kc,
                        .ldc = g->ldc,
                        .columns = firn__min(width, end - j),
                        .resume = g->accumulate || k0 > 0,
                        .epilogue = last ? &g->epilogue : NULL,
                        .column = j};
        view_b(job, set, j, k0, kc, count > 2, buffer, &t);
        for (int64_t i = 0; i < count; i++) {
            const int64_t begin = rows * i / count, mr = rows * (i + 1) / count - begin;
            t.a = a.a + begin * (a.by_tile_rows ? kc : a.row);
            if (a.by_tile_rows) t.a_k = mr;
            t.c = g->c + (row + begin) * g->ldc + j;
            set->of_rows[mr - 1](&t);
        }
    }
}

static void gemm_part(void *arg, int64_t part, int worker)
{
    const gemm_job *job = arg;
    const firn__gemm_args *g = job->g;
    const int64_t panel = job->tiles->panel, panels = firn__ceil_div(g->n, panel);
    const int64_t i = part / job->column_parts, j = part % job->column_parts;
    gemm_range r = {.row = g->m * i / job->row_parts, .column = panels * j / job->column_parts * panel};
    r.rows = g->m * (i + 1) / job->row_parts - r.row;
    r.columns = firn__min(panels * (j + 1) / job->column_parts * panel, g->n) - r.column;
    if (r.rows == 0 || r.columns == 0) return;

    float *buffer = firn__workspace(job->ctx, worker);
    const int64_t k_blocks = g->k > 0 ? firn__ceil_div(g->k, block_k) : 1;
    for (int64_t kb = 0; kb < k_blocks; kb++) {
        const int64_t k0 = g->k * kb / k_blocks, kc = g->k * (kb + 1) / k_blocks - k0;
        const int64_t row_blocks = firn__ceil_div(r.rows, a_floats / (kc + pitch_slack));
        for (int64_t rb = 0; rb < row_blocks; rb++) {
            const int64_t begin = r.rows * rb / row_blocks, end = r.rows * (rb + 1) / row_blocks;
            gemm_block(job, &r, r.row + begin, end - begin, k0, kc, buffer);
        }
    }
}

void firn__gemm(firn__crew crew, const firn__gemm_args *g)
{
    const firn__tiles *tiles = crew.ctx->kernels->tiles;
    if (tiles == NULL) {
        firn__ref_gemm(crew, g);
        return;
    }
    gemm_job job = {.g = g, .tiles = tiles, .row_parts = 1, .column_parts = 1, .ctx = crew.ctx};
    if (2.0 * (double)g->m * (double)g->n * (double)g->k >= serial_flops) {
        const int threads = firn__crew_size(crew);
        if (g->n / tiles->panel >= threads)
            job.column_parts = threads;
        else
            job.row_parts = threads;
    }
    firn__parallel(crew, job.row_parts * job.column_parts, gemm_part, &job);
}

size_t firn__gemm_packed_bytes(const firn_ctx *ctx, int64_t n, int64_t k)
{
    const firn__tiles *tiles = ctx->kernels->tiles;
    size_t bytes;
    if (n > INT64_MAX / 2) return 0;
    if (!firn__mul((size_t)(tiles ? firn__tile_packed_columns(tiles, n) : n), (size_t)k, &bytes)) return 0;
    if (!firn__mul(bytes, sizeof(float), &bytes)) return 0;
    return firn__round_up(bytes, 64, &bytes) ? bytes : 0;
}

typedef struct pack_job {
    const firn__tiles *tiles;
    int64_t n, k, ldb;
    const float *b;
    bool b_transposed;
    float *packed;
} pack_job;

static void pack_panel(void *arg, int64_t part, int worker)
{
    (void)worker;
    const pack_job *p = arg;
    const int64_t j = part * p->tiles->panel, columns = firn__min(p->tiles->panel, p->n - j);
    const int64_t width = firn__tile_set_for(p->tiles, columns)->width;
    float *to = p->packed + j * p->k;
    if (p->b_transposed)
        p->tiles->transpose(columns, p->k, width, p->b + j * p->ldb, p->ldb, to, width);
    else
        p->tiles->copy(p->k, columns, width, p->b + j, p->ldb, to, width);
}

void firn__gemm_pack_b(firn__crew crew, int64_t n, int64_t k, const float *b, int64_t ldb, bool b_transposed, float *packed)
{
    pack_job job = {.tiles = crew.ctx->kernels->tiles,
                    .n = n,
                    .k = k,
                    .ldb = ldb,
                    .b = b,
                    .b_transposed = b_transposed,
                    .packed = packed};
    if (job.tiles == NULL)
        firn__ref_gemm_pack_b(n, k, b, ldb, b_transposed, packed);
    else
        firn__parallel(crew, firn__ceil_div(n, job.tiles->panel), pack_panel, &job);
}
