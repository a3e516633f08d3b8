#include <math.h>

#include "alloc.h"
#include "table.h"
#include "vector.h"

/* Blocks. A panel of B of block_k rows streams through L1, a group of panels is packed at a time into L2, where a block
 * of A lives too. Both fit a workspace, A's part behind B's: tiles of A are padded to whole vectors, which at worst
 * doubles it. */
enum {
    block_k = 512,
    block_rows = 256,
    group_columns = 128, /* a multiple of every tile's width */
    strip = 16,          /* rows of B that are packed at a time, so that each page is visited once */
    b_floats = block_k * group_columns
};
_Static_assert((2 * block_rows + 64) * block_k + b_floats <= (int)(FIRN__WORKSPACE_BYTES / sizeof(float)), "workspace");
static const int64_t small_a = 4096;    /* floats of A that stay in L1 as they are */
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

/* How the tiles of a block read A: in place or a copy, row r at a + r * row; or tile by tile, tile i at a + i * tile. */
typedef struct a_view {
    const float *a;
    int64_t row, k, tile;
} a_view;

static bool rows_alias(int64_t ld) { return ld % 512 == 0; } /* 2 KiB apart: all in a few sets of L1 */

static int64_t whole_lanes(const firn__tiles *tiles, int64_t n) { return firn__ceil_div(n, tiles->lanes) * tiles->lanes; }

/* A read by columns: tile by tile, [tile][k][row], in the order in which it is read. */
static a_view pack_transposed_a(const firn__tiles *tiles, int64_t count, const float *a, int64_t lda, int64_t rows,
                                int64_t kc, float *to)
{
    const int64_t pitch = whole_lanes(tiles, firn__ceil_div(rows, count));
    for (int64_t i = 0; i < count; i++) {
        const int64_t begin = rows * i / count, end = rows * (i + 1) / count;
        tiles->copy(kc, end - begin, pitch, a + begin, lda, to + i * kc * pitch, pitch);
    }
    return (a_view){to, 1, pitch, kc * pitch};
}

static a_view view_a(const gemm_job *job, int64_t count, int64_t row, int64_t rows, int64_t k0, int64_t kc, bool reused,
                     float *buffer)
{
    const firn__gemm_args *g = job->g;
    if (g->a_transposed) {
        const float *a = g->a + k0 * g->lda + row;
        if (reused && (rows * kc > small_a || rows_alias(g->lda)))
            return pack_transposed_a(job->tiles, count, a, g->lda, rows, kc, buffer);
        return (a_view){a, 1, g->lda, 0};
    }
    const float *a = g->a + row * g->lda + k0;
    if (reused && rows > 4 && rows_alias(g->lda)) {
        const int64_t pitch = whole_lanes(job->tiles, kc) + 16;
        job->tiles->copy(rows, kc, pitch - 16, a, g->lda, buffer, pitch);
        return (a_view){buffer, pitch, 1, 0};
    }
    return (a_view){a, g->lda, 1, 0};
}

/* Packs `columns` columns of k rows, panel by panel. */
static void pack_b(const firn__tiles *tiles, int64_t columns, int64_t k, const float *b, int64_t ldb, bool transposed,
                   float *to)
{
    for (int64_t p = 0; p < k; p += transposed ? k : strip)
        for (int64_t j = 0; j < columns; j += tiles->panel) {
            const int64_t n = firn__min(tiles->panel, columns - j), width = firn__tile_set_for(tiles, n)->width;
            if (transposed)
                tiles->transpose(n, k, width, b + j * ldb, ldb, to + j * k, width);
            else
                tiles->copy(firn__min(strip, k - p), n, width, b + p * ldb + j, ldb, to + j * k + p * width, width);
        }
}

/* Where the tiles of a group of columns find B. */
typedef struct b_view {
    const float *b; /* of the group's first column */
    bool in_place;  /* else in panels of k rows */
    int64_t k;
} b_view;

static b_view view_b(const gemm_job *job, int64_t j, int64_t columns, int64_t k0, int64_t kc, bool reused, float *buffer)
{
    const firn__gemm_args *g = job->g;
    if (g->b_packed != NULL) return (b_view){g->b_packed + j * g->k, false, g->k};
    const float *b = g->b_transposed ? g->b + j * g->ldb + k0 : g->b + k0 * g->ldb + j;
    if (!g->b_transposed && !reused && firn__tile_packed_columns(job->tiles, columns) == columns)
        return (b_view){b, true, kc};
    pack_b(job->tiles, columns, kc, b, g->ldb, g->b_transposed, buffer);
    return (b_view){buffer, false, kc};
}

/* Rows of C from row on, for one block of k. */
static void gemm_block(const gemm_job *job, const gemm_range *r, int64_t row, int64_t rows, int64_t k0, int64_t kc,
                       float *buffer)
{
    const firn__gemm_args *g = job->g;
    const firn__tiles *tiles = job->tiles;
    const firn__tile_set *widest = firn__tile_set_best(tiles, rows, r->columns);
    const int64_t count = firn__ceil_div(rows, widest->max_rows), end = r->column + r->columns;
    const a_view a = view_a(job, count, row, rows, k0, kc, r->columns > widest->width, buffer + b_floats);
    firn__tile t = {.a_row = a.row,
                    .a_k = a.k,
                    .segments = 1,
                    .taps = 1,
                    .k = kc,
                    .ldc = g->ldc,
                    .resume = g->accumulate || k0 > 0,
                    .epilogue = k0 + kc == g->k ? &g->epilogue : NULL};
    for (int64_t group = r->column; group < end; group += group_columns) {
        const int64_t group_end = firn__min(group + group_columns, end);
        const b_view b = view_b(job, group, group_end - group, k0, kc, count > 2, buffer);
        for (int64_t j = group, width; j < group_end; j += width) {
            const firn__tile_set *set = group_end - j >= widest->width ? widest : firn__tile_set_for(tiles, group_end - j);
            width = set->width;
            t.ldb = b.in_place ? g->ldb : firn__min(width, tiles->panel);
            t.b_panel = b.in_place ? tiles->panel : tiles->panel * b.k;
            t.b = b.in_place ? b.b + (j - group) : b.b + (j - group) * b.k + (g->b_packed ? k0 * t.ldb : 0);
            t.columns = firn__min(width, group_end - j);
            t.column = j;
            for (int64_t i = 0; i < count; i++) {
                const int64_t first = rows * i / count;
                t.a = a.a + (a.tile ? i * a.tile : first * a.row);
                t.c = g->c + (row + first) * g->ldc + j;
                set->of_rows[rows * (i + 1) / count - first - 1](&t);
            }
        }
    }
}

/* Few columns, and A read by columns: lanes of rows use the registers better, and A needs no packing. */
static bool gemm_narrow(const gemm_job *job, int64_t row, int64_t rows, float *buffer)
{
    const firn__gemm_args *g = job->g;
    const int64_t width = firn__tile_packed_columns(job->tiles, g->n);
    if (!g->a_transposed || g->n > FIRN__NARROW_COLUMNS || rows < job->tiles->lanes || g->k * width > b_floats)
        return false;
    firn__tile t = {.a = g->a + row,
                    .segments = 1,
                    .a_k = g->lda,
                    .k = g->k,
                    .b = g->b_transposed ? buffer : g->b,
                    .ldb = g->b_transposed ? width : g->ldb,
                    .c = g->c + row * g->ldc,
                    .ldc = g->ldc,
                    .resume = g->accumulate,
                    .epilogue = &g->epilogue};
    if (g->b_transposed) pack_b(job->tiles, g->n, g->k, g->b, g->ldb, true, buffer);
    firn__tile_run_narrow(job->tiles, &t, rows, g->n);
    return true;
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
    if (gemm_narrow(job, r.row, r.rows, buffer)) return;

    const int64_t k_blocks = g->k > 0 ? firn__ceil_div(g->k, block_k) : 1;
    for (int64_t kb = 0; kb < k_blocks; kb++) {
        const int64_t k0 = g->k * kb / k_blocks, kc = g->k * (kb + 1) / k_blocks - k0;
        const int64_t row_blocks = firn__ceil_div(r.rows, block_rows);
        for (int64_t rb = 0; rb < row_blocks; rb++) {
            const int64_t begin = r.rows * rb / row_blocks, end = r.rows * (rb + 1) / row_blocks;
            gemm_block(job, &r, r.row + begin, end - begin, k0, kc, buffer);
        }
    }
}

/* Few columns, and both matrices by rows of k: no chain over k, whose numbers lie the wrong way, but 16 of them. This is
 * another sum, so nothing may decide for it but n, k and a_transposed. */
static bool is_dot(int64_t n, int64_t k)
{
    return n <= FIRN__NARROW_COLUMNS && k <= (int64_t)(FIRN__WORKSPACE_BYTES / sizeof(float)) / FIRN__NARROW_COLUMNS;
}

static void gemm_dot(firn__crew crew, const firn__gemm_args *g)
{
    firn__narrow_args v = {g->n, g->k, g->a, g->lda, g->b, g->ldb, g->c, g->ldc, g->accumulate};
    if (g->b_packed)
        v.b = g->b_packed, v.ldb = g->k;
    else if (!g->b_transposed) {
        float *turned = firn__workspace(crew.ctx, crew.worker > 0 ? crew.worker : 0);
        crew.ctx->kernels->tiles->transpose(g->k, g->n, g->k, g->b, g->ldb, turned, g->k);
        v.b = turned, v.ldb = g->k;
    }
    firn__vector_narrow(crew, g->m, &v);
    const firn__epilogue_args *e = &g->epilogue;
    for (int64_t i = 0; i < g->m && (e->bias || e->scale || e->relu); i++)
        for (int64_t j = 0; j < g->n; j++) {
            float *c = &g->c[i * g->ldc + j];
            if (e->bias) *c += e->bias[j];
            if (e->scale) *c = fmaf(*c, e->scale[j], e->shift[j]);
            if (e->relu && *c < 0) *c = 0;
        }
}

void firn__gemm(firn__crew crew, const firn__gemm_args *g)
{
    const firn__tiles *tiles = crew.ctx->kernels->tiles;
    if (!g->a_transposed && is_dot(g->n, g->k)) {
        gemm_dot(crew, g);
        return;
    }
    if (crew.worker < 0 && 2.0 * (double)g->m * (double)g->n * (double)g->k < serial_flops) crew.worker = 0;
    if (firn__gemm_sparse(crew, g)) return;
    gemm_job job = {.g = g, .tiles = tiles, .row_parts = 1, .column_parts = 1, .ctx = crew.ctx};
    const int threads = firn__crew_size(crew);
    if (g->n / tiles->panel >= threads)
        job.column_parts = threads;
    else
        job.row_parts = threads;
    firn__parallel(crew, job.row_parts * job.column_parts, gemm_part, &job);
}

size_t firn__gemm_packed_bytes(const firn_ctx *ctx, int64_t n, int64_t k)
{
    const firn__tiles *tiles = ctx->kernels->tiles;
    size_t bytes;
    if (n > INT64_MAX / 2) return 0;
    if (!firn__mul((size_t)(is_dot(n, k) ? n : firn__tile_packed_columns(tiles, n)), (size_t)k, &bytes)) return 0;
    if (!firn__add(bytes, 1, &bytes) || !firn__mul(bytes, sizeof(float), &bytes)) return 0;
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
    const int64_t j = part * p->tiles->panel;
    pack_b(p->tiles, firn__min(p->tiles->panel, p->n - j), p->k, p->b + (p->b_transposed ? j * p->ldb : j), p->ldb,
           p->b_transposed, p->packed + j * p->k);
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
    if (is_dot(n, k) && b_transposed)
        job.tiles->copy(n, k, k, b, ldb, packed, k);
    else if (is_dot(n, k))
        job.tiles->transpose(k, n, k, b, ldb, packed, k);
    else
        firn__parallel(crew, firn__ceil_div(n, job.tiles->panel), pack_panel, &job);
    if (n % 64 == 0) packed[n * k] = crew.ctx->kernels->vector->all_finite(n / 64 * k, packed, 64); /* for sparse.c */
}
