#include <math.h>
#include <string.h>

#include "table.h"
#include "unroll.h"
#include "vector.h"

/* Products with a matrix that has many zeros, as what comes out of relu, max pooling and dropout has: its zeros are left
 * out, block by block of 64 x 64 that stay in L1.
 * The bits are those of the whole chain, which is why nobody needs to know. A term 0 * b is +0 or -0 if b is finite, and
 * adding it changes nothing but a sum of -0; every sum begins with +0, so that only one whose last terms vanished below
 * the smallest number can end as -0: such a one is computed again, whole. Blocks where b is not finite are left whole. */

enum { block = 64, samples = 8 };
static const double sparse_flops = 1e5;
/* Where the dense tiles become faster. For a few rows it is the reading of B that takes the time. */
enum { few_rows = 8 };
static const double most_density = 0.4, most_density_of_few = 0.8;

typedef struct sparse_job {
    const firn__gemm_args *g;
    firn_ctx *ctx;
    int64_t columns, row_parts; /* of a part, where A has the zeros */
} sparse_job;

static uint64_t first_bits(int64_t n) { return n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1; }

static float b_at(const sparse_job *job, int64_t p, int64_t j)
{
    const firn__gemm_args *g = job->g;
    const int64_t panel = job->ctx->kernels->tiles->panel;
    if (g->b_packed) return g->b_packed[j / panel * panel * g->k + p * panel + j % panel];
    return g->b[g->b_transposed ? j * g->ldb + p : p * g->ldb + j];
}

static float whole_chain(const sparse_job *job, int64_t i, int64_t j)
{
    const firn__gemm_args *g = job->g;
    float sum = 0;
    for (int64_t p = 0; p < g->k; p++)
        sum = fmaf(g->a[g->a_transposed ? p * g->lda + i : i * g->lda + p], b_at(job, p, j), sum);
    return sum;
}

/* C from row i, column j on, as it lies at c: what is -0 is computed again. */
static void mend(const sparse_job *job, int64_t i, int64_t rows, int64_t j, int64_t columns, float *c, int64_t row,
                 int64_t column)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t q = 0; q < columns; q++) {
            float *at = c + r * row + q * column;
            if (*at == 0 && signbit(*at)) *at = whole_chain(job, i + r, j + q);
        }
}

static void prefetch(const float *x, int64_t rows, int64_t ld)
{
    for (int64_t i = 0; i < rows; i++, x += ld)
        for (int64_t j = 0; j < block; j += 16) PREFETCH(x + j);
}

/* ---- A has the zeros: rows and columns of C are shared out ---- */

/* Rows k..k+depth-1 of 64 columns of B, 16 by 16: in place if B is packed, else in buffer. */
static void block_of_b(const firn__gemm_args *g, const firn__tiles *tiles, int64_t k, int64_t depth, int64_t j,
                       float *buffer, const float **b)
{
    const int64_t panel = tiles->panel;
    for (int64_t q = 0, column = j; q < 4; q++, column += 16)
        b[q] = g->b_packed ? g->b_packed + column / panel * panel * g->k + k * panel + column % panel : buffer + q * 16;
    if (g->b_packed) return;
    if (!g->b_transposed) {
        tiles->copy(depth, block, block, g->b + k * g->ldb + j, g->ldb, buffer, block);
        return;
    }
    tiles->transpose(block, depth, block, g->b + j * g->ldb + k, g->ldb, buffer, block);
    if (k + block < g->k) prefetch(g->b + j * g->ldb + k + block, block, g->ldb);
}

static void sparse_a(void *arg, int64_t part, int worker)
{
    const sparse_job *job = arg;
    const firn__gemm_args *g = job->g;
    const firn__tiles *tiles = job->ctx->kernels->tiles;
    const firn__vector_kernels *vector = job->ctx->kernels->vector;
    const int64_t parts = firn__ceil_div(g->n, job->columns), row_part = part / parts;
    const int64_t begin = part % parts * job->columns, end = firn__min(begin + job->columns, g->n);
    const int64_t first = g->m * row_part / job->row_parts, last = g->m * (row_part + 1) / job->row_parts;
    float *b = firn__workspace(job->ctx, worker);
    for (int64_t k = 0; k < g->k; k += block) {
        const int64_t depth = firn__min(block, g->k - k);
        bool whole = false, is_last = k + depth == g->k;
        firn__sparse_args s = {.a_row = g->lda,
                               .a_k = 1,
                               .vectors = (int)(end - begin) / 16,
                               .ldb = g->b_packed ? tiles->panel : block,
                               .ldc = g->ldc,
                               .resume = k > 0};
        for (int64_t j = begin, q = 0; j < end; j += block, q++) {
            block_of_b(g, tiles, k, depth, j, b + q * block * block, &s.b[4 * q]);
            whole = whole || (!g->b_packed && !vector->all_finite(depth, s.b[4 * q], block));
        }
        for (int64_t i = first; i < last; i += block) {
            uint64_t masks[block];
            const int64_t rows = firn__min(block, last - i);
            const float *a = g->a + i * g->lda + k;
            vector->nonzero(rows, depth, a, g->lda, masks);
            for (int64_t r = 0; whole && r < rows; r++) masks[r] = first_bits(depth);
            if (!is_last) prefetch(a + block, rows, g->lda);
            s.masks = masks, s.a = a, s.c = g->c + i * g->ldc + begin;
            if (vector->sparse_rows(&s, rows) && is_last) mend(job, i, rows, begin, end - begin, s.c, g->ldc, 1);
        }
    }
    vector->finish(&g->epilogue, begin, last - first, end - begin, g->c + first * g->ldc + begin, g->ldc);
}

/* ---- B has the zeros, and A is read by columns: the transpose of C, 64 columns of C at a time ---- */

/* Bit i of masks[j] becomes bit j of masks[i]: quarters are swapped, then quarters of quarters. */
static void transpose_bits(uint64_t masks[64])
{
    uint64_t low = 0xffffffff;
    for (int half = 32; half > 0; half /= 2, low ^= low << half)
        for (int i = 0; i < 64; i = (i + half + 1) & ~half) {
            const uint64_t swap = (masks[i] >> half ^ masks[i + half]) & low;
            masks[i] ^= swap << half;
            masks[i + half] ^= swap;
        }
}

static void sparse_b(void *arg, int64_t part, int worker)
{
    const sparse_job *job = arg;
    const firn__gemm_args *g = job->g;
    const firn__tiles *tiles = job->ctx->kernels->tiles;
    const firn__vector_kernels *vector = job->ctx->kernels->vector;
    const int64_t first = part * block, columns = firn__min(block, g->n - first);
    float *b = firn__workspace(job->ctx, worker), *turned = b + block * block; /* [columns][m] */
    for (int64_t k = 0; k < g->k; k += block) {
        uint64_t masks[block] = {0};
        const int64_t depth = firn__min(block, g->k - k);
        tiles->copy(depth, columns, block, g->b + k * g->ldb + first, g->ldb, b, block);
        if (first + block < g->n) prefetch(g->b + k * g->ldb + first + block, depth, g->ldb);
        vector->nonzero(depth, columns, b, block, masks);
        transpose_bits(masks);
        for (int64_t i = 0, wide; i < g->m; i += wide) {
            wide = firn__min(2 * block, g->m - i);
            firn__sparse_args s = {.masks = masks,
                                   .a = b,
                                   .a_row = 1,
                                   .a_k = block,
                                   .vectors = (int)wide / 16,
                                   .ldb = g->lda,
                                   .c = turned + i,
                                   .ldc = g->m,
                                   .resume = k > 0};
            for (int q = 0; q < s.vectors; q++) s.b[q] = g->a + k * g->lda + i + 16 * q;
            if (vector->sparse_rows(&s, columns) && k + depth == g->k) mend(job, i, wide, first, columns, s.c, 1, g->m);
        }
    }
    tiles->transpose(columns, g->m, columns, turned, g->m, g->c + first, g->ldc);
}

/* ---- which products ---- */

/* By a sample: blocks of a row each, along the diagonal. */
static bool has_zeros(const firn_ctx *ctx, const float *x, int64_t rows, int64_t columns, int64_t ld)
{
    int64_t count = 0, seen = 0;
    for (int64_t s = 0; s < samples; s++) {
        const int64_t column = columns * s / samples, width = firn__min(block, columns - column);
        uint64_t mask;
        ctx->kernels->vector->nonzero(1, width, x + rows * s / samples * ld + column, ld, &mask);
        for (; mask != 0; mask &= mask - 1) count++;
        seen += width;
    }
    return (double)count < (rows < few_rows ? most_density_of_few : most_density) * (double)seen;
}

static bool is_sparse_a(const firn_ctx *ctx, const firn__gemm_args *g)
{
    if (g->a_transposed || g->n % block != 0 || (g->b_packed ? g->b_packed[g->n * g->k] == 0 : g->m < block / 2))
        return false;
    return has_zeros(ctx, g->a, g->m, g->k, g->lda);
}

static bool is_sparse_b(const firn_ctx *ctx, const firn__gemm_args *g)
{
    const firn__epilogue_args *e = &g->epilogue;
    if (!g->a_transposed || g->b_transposed || g->b_packed || g->m % block != 0 || e->bias || e->scale || e->relu)
        return false;
    if ((size_t)g->m > FIRN__WORKSPACE_BYTES / sizeof(float) / block - block || g->k < block / 4) return false;
    if (!has_zeros(ctx, g->b, g->k, g->n, g->ldb)) return false;
    for (int64_t i = 0; i < g->m; i += block)
        if (!ctx->kernels->vector->all_finite(g->k, g->a + i, g->lda)) return false;
    return true;
}

bool firn__gemm_sparse(firn__crew crew, const firn__gemm_args *g)
{
    if (g->accumulate || 2.0 * (double)g->m * (double)g->n * (double)g->k < sparse_flops) return false;
    sparse_job job = {.g = g, .ctx = crew.ctx};
    if (is_sparse_a(crew.ctx, g)) {
        const int64_t threads = firn__crew_size(crew), groups = g->n / block;
        job.columns = groups >= 2 * threads ? 2 * block : block; /* so that zeros are looked for half as often */
        job.row_parts = firn__ceil_div(threads, groups);
        firn__parallel(crew, firn__ceil_div(g->n, job.columns) * job.row_parts, sparse_a, &job);
    } else if (is_sparse_b(crew.ctx, g))
        firn__parallel(crew, firn__ceil_div(g->n, block), sparse_b, &job);
    else
        return false;
    return true;
}
