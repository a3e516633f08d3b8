#include "alloc.h"
#include "table.h"
#include "vector.h"

/* Blocks: the rows of a panel of B that are multiplied at a time, and what they are multiplied with for a tile, fit L1. */
enum { block_k = 256, block_rows = 256, rows_ahead = 16 };
_Static_assert(block_k * 64 + block_rows * block_rows <= (int)(FIRN__WORKSPACE_BYTES / sizeof(float)),
               "a panel of B and the transpose of C");
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

/* Packs `columns` columns, at most a panel, of k rows. */
static void pack_panel(const firn__tiles *tiles, int64_t columns, int64_t k, const float *b, int64_t ldb, bool transposed,
                       float *to)
{
    const int64_t width = firn__tile_set_for(tiles, columns)->width;
    if (transposed)
        tiles->transpose(columns, k, width, b, ldb, to, width);
    else
        tiles->copy(k, columns, width, b, ldb, to, width);
}

/* Where tiles find a panel of B: packed before, in place, or packed now. */
static void view_b(const gemm_job *job, firn__tile *t, int64_t j, int64_t width, int64_t k0, float *buffer)
{
    const firn__gemm_args *g = job->g;
    t->ldb = firn__min(width, job->tiles->panel);
    t->b_panel = job->tiles->panel * (g->b_packed ? g->k : 1);
    t->pack = NULL;
    t->padded = g->b_packed || g->b_transposed;
    if (g->b_packed != NULL) {
        t->b = g->b_packed + j * g->k + k0 * t->ldb;
    } else if (!g->b_transposed) {
        t->b = g->b + k0 * g->ldb + j;
        t->ldb = g->ldb;
        if (width <= job->tiles->panel) t->pack = buffer;
    } else {
        pack_panel(job->tiles, t->columns, t->k, g->b + j * g->ldb + k0, g->ldb, true, buffer);
        t->b = buffer;
    }
}

/* Rows of C from row on, for one block of k. With tiles of a panel's width the first one packs for the others what it
 * reads of B; wider ones, for a few rows, use more registers. */
static void gemm_block(const gemm_job *job, const gemm_range *r, int64_t row, int64_t rows, int64_t k0, int64_t kc,
                       float *buffer)
{
    const firn__gemm_args *g = job->g;
    const firn__tiles *tiles = job->tiles;
    const firn__tile_set *widest = firn__tile_set_for(tiles, r->columns);
    if (rows <= widest->max_rows && (g->b_packed || !g->b_transposed))
        widest = firn__tile_set_best(tiles, rows, r->columns);
    const int64_t count = firn__ceil_div(rows, widest->max_rows), end = r->column + r->columns;
    firn__tile t = {.a_row = g->a_transposed ? 1 : g->lda,
                    .a_k = g->a_transposed ? g->lda : 1,
                    .segments = 1,
                    .taps = 1,
                    .k = kc,
                    .ldc = g->ldc,
                    .resume = g->accumulate || k0 > 0,
                    .epilogue = k0 + kc == g->k ? &g->epilogue : NULL};
    const float *a = g->a_transposed ? g->a + k0 * g->lda + row : g->a + row * g->lda + k0;
    for (int64_t j = r->column, width; j < end; j += width) {
        const firn__tile_set *set = end - j >= widest->width ? widest : firn__tile_set_for(tiles, end - j);
        width = set->width;
        t.columns = firn__min(width, end - j);
        t.column = j;
        view_b(job, &t, j, width, k0, buffer);
        if (count == 1) t.pack = NULL;                         /* read once */
        t.ahead = t.pack != NULL ? width : rows_ahead * t.ldb; /* the next panel, or the next rows of this one */
        for (int64_t i = 0; i < count; i++) {
            const int64_t first = rows * i / count, height = rows * (i + 1) / count - first;
            t.a = a + first * t.a_row;
            t.c = g->c + (row + first) * g->ldc + j;
            set->of_rows[height - 1](&t);
            if (t.pack != NULL) t.b = t.pack, t.ldb = width, t.padded = true, t.pack = NULL;
            t.ahead = 0; /* it is in the cache now */
        }
    }
}

static void gemm_rows(const gemm_job *job, const gemm_range *r, int64_t row, int64_t rows, float *buffer)
{
    const int64_t k = job->g->k, k_blocks = k > 0 ? firn__ceil_div(k, block_k) : 1;
    for (int64_t kb = 0; kb < k_blocks; kb++) {
        const int64_t k0 = k * kb / k_blocks, kc = k * (kb + 1) / k_blocks - k0;
        gemm_block(job, r, row, rows, k0, kc, buffer);
    }
}

/* Few columns, and A read by columns: tiles of the transpose of C, B by A, use the registers better, for their lanes are
 * rows. The same chains. */
static bool gemm_few(const gemm_job *job, const gemm_range *r)
{
    const firn__gemm_args *g = job->g;
    if (!g->a_transposed || g->n > FIRN__FEW_COLUMNS || r->rows < 16 || g->accumulate) return false;
    firn__tile t = {.a = g->b,
                    .a_row = g->b_transposed ? g->ldb : 1,
                    .a_k = g->b_transposed ? 1 : g->ldb,
                    .segments = 1,
                    .taps = 1,
                    .k = g->k,
                    .b = g->a + r->row,
                    .ldb = g->lda,
                    .c = g->c + r->row * g->ldc,
                    .ldc = g->ldc,
                    .turned = true,
                    .epilogue = &g->epilogue};
    firn__tile_run_columns(job->tiles, firn__tile_set_for(job->tiles, r->rows), &t, g->n, r->rows, 0, 0);
    return true;
}

/* B stored by its columns must be turned to be packed. Where it is much larger than A, A is turned in its place, and the
 * transpose of C computed: the same chains. */
static bool gemm_turned(const gemm_job *job, const gemm_range *r, float *buffer)
{
    const firn__gemm_args *g = job->g;
    const firn__tiles *tiles = job->tiles;
    if (!g->b_transposed || g->b_packed || g->a_transposed || r->rows < 2 || r->rows > block_rows ||
        r->rows * (g->k + r->columns) > r->columns * g->k)
        return false;
    float *turned = buffer, *c = g->c + r->row * g->ldc + r->column;
    buffer += block_rows * block_rows;
    for (int64_t begin = 0; begin < r->columns; begin += block_rows) {
        const int64_t columns = firn__min(block_rows, r->columns - begin);
        firn__gemm_args t = {.m = columns, .n = r->rows, .k = g->k, .lda = g->ldb, .ldb = g->lda, .ldc = r->rows};
        t.a = g->b + (r->column + begin) * g->ldb;
        t.b = g->a + r->row * g->lda;
        t.b_transposed = true;
        t.c = turned;
        t.accumulate = g->accumulate;
        if (g->accumulate) tiles->transpose(r->rows, columns, r->rows, c + begin, g->ldc, turned, r->rows);
        const gemm_job of_turned = {.g = &t, .tiles = tiles, .ctx = job->ctx};
        gemm_rows(&of_turned, &(gemm_range){0, columns, 0, r->rows}, 0, columns, buffer);
        tiles->transpose(columns, r->rows, columns, turned, r->rows, c + begin, g->ldc);
    }
    job->ctx->kernels->vector->finish(&g->epilogue, r->column, r->rows, r->columns, c, g->ldc);
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
    if (gemm_few(job, &r) || gemm_turned(job, &r, buffer)) return;
    const int64_t row_blocks = firn__ceil_div(r.rows, block_rows);
    for (int64_t rb = 0; rb < row_blocks; rb++) {
        const int64_t begin = r.rows * rb / row_blocks, end = r.rows * (rb + 1) / row_blocks;
        gemm_rows(job, &r, r.row + begin, end - begin, buffer);
    }
}

/* Few columns, and both matrices by rows of k: no chain over k, whose numbers lie the wrong way, but 16 of them. This is
 * another sum, so nothing may decide for it but n, k and a_transposed. */
static bool is_dot(int64_t n, int64_t k)
{
    return n <= FIRN__FEW_COLUMNS && k <= (int64_t)(FIRN__WORKSPACE_BYTES / sizeof(float)) / FIRN__FEW_COLUMNS;
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
    crew.ctx->kernels->vector->finish(&g->epilogue, 0, g->m, g->n, g->c, g->ldc);
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

static void pack_part(void *arg, int64_t part, int worker)
{
    (void)worker;
    const pack_job *p = arg;
    const int64_t j = part * p->tiles->panel;
    pack_panel(p->tiles, firn__min(p->tiles->panel, p->n - j), p->k, p->b + (p->b_transposed ? j * p->ldb : j), p->ldb,
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
        firn__parallel(crew, firn__ceil_div(n, job.tiles->panel), pack_part, &job);
    if (n % 64 == 0) packed[n * k] = crew.ctx->kernels->vector->all_finite(n / 64 * k, packed, 64); /* for sparse.c */
}
