#include "vector.h"

#include <string.h>

#include "alloc.h"
#include "table.h"

/* A thread is worth waking for so many elements. */
static const int64_t elements_per_part = 2048;

/* ---- one function per kernel: the items split evenly, at multiples of 64 where an item is an element ---- */
typedef struct vector_job {
    const void *args;
    const firn__kernels *kernels;
    int64_t count, parts, multiple;
} vector_job;

static int64_t part_start(const vector_job *j, int64_t part)
{
    return firn__min(firn__ceil_div(j->count, j->multiple) * part / j->parts * j->multiple, j->count);
}

static vector_job plan_job(firn__crew crew, int64_t count, int64_t work, const void *args)
{
    const int64_t threads = firn__crew_size(crew), items = work > 0 ? elements_per_part / work : count;
    const int64_t parts = firn__min(count / (items > 0 ? items : 1), threads);
    return (vector_job){args, crew.ctx->kernels, count, parts > 0 ? parts : 1, work <= 4 ? 64 : 1};
}

#define FIRN_X(name, type, work)                                                                                           \
    static void run_##name(void *arg, int64_t part, int worker)                                                            \
    {                                                                                                                      \
        (void)worker;                                                                                                      \
        const vector_job *j = arg;                                                                                         \
        j->kernels->vector->name(j->args, part_start(j, part), part_start(j, part + 1));                                   \
    }                                                                                                                      \
    void firn__vector_##name(firn__crew crew, int64_t count, const firn__##type##_args *a)                                 \
    {                                                                                                                      \
        vector_job j = plan_job(crew, count, (work), a);                                                                   \
        firn__parallel(crew, j.parts, run_##name, &j);                                                                     \
    }
FIRN__VECTOR_MAP(FIRN_X)
#undef FIRN_X

static void turn(const firn__tiles *tiles, const firn__transpose_args *a, const unsigned char *x, unsigned char *y)
{
    const int64_t rows = a->rows, columns = a->columns;
    if (a->dtype != FIRN_U8) {
        tiles->transpose(rows, columns, rows, (const float *)(const void *)x, columns, (float *)(void *)y, rows);
        return;
    }
    for (int64_t c = 0; c < columns; c++)
        for (int64_t r = 0; r < rows; r++) y[c * rows + r] = x[r * columns + c];
}

static void transpose_part(void *arg, int64_t part, int worker)
{
    (void)worker;
    const vector_job *j = arg;
    const firn__transpose_args *a = j->args;
    const int64_t bytes = a->rows * a->columns * (a->dtype == FIRN_U8 ? 1 : 4);
    for (int64_t i = part_start(j, part); i < part_start(j, part + 1); i++)
        turn(j->kernels->tiles, a, (const unsigned char *)a->x + i * bytes, (unsigned char *)a->y + i * bytes);
}

void firn__vector_transpose(firn__crew crew, int64_t count, const firn__transpose_args *a)
{
    vector_job j = plan_job(crew, count, a->rows * a->columns, a);
    firn__parallel(crew, j.parts, transpose_part, &j);
}

int64_t firn__vector_where_bytes(const firn__pool_args *v)
{
    const int64_t outputs = v->oh * v->ow, window = v->kh * v->kw;
    if (window > 65536) return 0;
    if (v->kh != 2 || v->kw != 2 || v->stride != 2) return outputs * v->c * (window > 256 ? 2 : 1);
    return outputs * ((v->c + 7) / 8 * 2);
}

/* ---- sums: chunks fixed by the shape, added in order ---- */
double firn__vector_sum_of_squares(firn__crew crew, int64_t n, const float *x, const float *minus)
{
    enum { CHUNKS = 64, SMALLEST = 4096 };
    double partial[CHUNKS], sum = 0;
    const int64_t even = firn__ceil_div(n, CHUNKS), chunk = even > SMALLEST ? even : SMALLEST;
    const int64_t count = firn__ceil_div(n, chunk);
    firn__vector_sum_squares(crew, count, &(firn__sum_squares_args){n, chunk, x, minus, partial});
    for (int64_t i = 0; i < count; i++) sum += partial[i];
    return sum;
}

static int64_t norm_chunks(int64_t rows) { return firn__ceil_div(rows, FIRN__NORM_ROWS); }

/* The scratch of the functions below: [2][columns] doubles, then the chunks' floats. */
size_t firn__vector_norm_bytes(int64_t rows, int64_t columns)
{
    size_t each, all;
    if (rows < 0 || columns < 0 || !firn__mul((size_t)norm_chunks(rows), 2 * sizeof(float), &each)) return 0;
    return firn__add(each, 2 * sizeof(double), &each) && firn__mul(each, (size_t)columns, &all) ? all : 0;
}
static float *norm_partial(void *scratch, int64_t columns) { return (float *)((double *)scratch + 2 * columns); }

/* Chunks' means and squares are merged two at a time (Chan, Golub, LeVeque 1979). */
const double *firn__vector_norm_statistics(firn__crew crew, int64_t rows, int64_t columns, const float *x, void *scratch)
{
    const int64_t chunks = norm_chunks(rows);
    const firn__norm_sums_args a = {.rows = rows, .columns = columns, .x = x, .partial = norm_partial(scratch, columns)};
    double *mean = scratch, *squares = mean + columns;
    firn__vector_norm_moments(crew, chunks, &a);
    memset(mean, 0, 2 * (size_t)columns * sizeof *mean);
    for (int64_t k = 0; k < chunks; k++) {
        const float *mean_k = a.partial + k * 2 * columns, *squares_k = mean_k + columns;
        const double before = (double)(k * FIRN__NORM_ROWS);
        const double more = (double)(k + 1 < chunks ? FIRN__NORM_ROWS : rows - k * FIRN__NORM_ROWS), all = before + more;
        for (int64_t c = 0; c < columns; c++) {
            const double apart = (double)mean_k[c] - mean[c];
            mean[c] += apart * (more / all);
            squares[c] += (double)squares_k[c] + apart * apart * (before * more / all);
        }
    }
    return mean;
}

const double *firn__vector_norm_products(firn__crew crew, int64_t rows, int64_t columns, const float *dy, const float *x,
                                         const float *mean, void *scratch)
{
    const int64_t chunks = norm_chunks(rows);
    const firn__norm_sums_args a = {rows, columns, x, dy, mean, norm_partial(scratch, columns)};
    double *sums = scratch;
    firn__vector_norm_sums(crew, chunks, &a);
    memset(sums, 0, 2 * (size_t)columns * sizeof *sums);
    for (int64_t k = 0; k < chunks; k++)
        for (int64_t c = 0; c < (x != NULL ? 2 : 1) * columns; c++) sums[c] += (double)a.partial[k * 2 * columns + c];
    return sums;
}

void firn__vector_column_sums(firn__crew crew, int64_t rows, int64_t columns, const float *dy, void *scratch, float *sums)
{
    const double *found = firn__vector_norm_products(crew, rows, columns, dy, NULL, NULL, scratch);
    for (int64_t c = 0; c < columns; c++) sums[c] = (float)found[c];
}

size_t firn__vector_pack_bound(int64_t n) { return (size_t)((n + 15) / 16 * 2 + n * 4); }
size_t firn__vector_pack(const firn_ctx *ctx, int64_t n, const float *x, void *packed)
{
    return ctx->kernels->vector->pack(n, x, packed);
}
size_t firn__vector_unpack(const firn_ctx *ctx, int64_t n, const void *packed, float *x)
{
    return ctx->kernels->vector->unpack(n, packed, x);
}
