#include "vector.h"

#include "alloc.h"
#include "table.h"

/* A thread is worth waking for so many elements. */
static const int64_t elements_per_part = 16384;

/* ---- one function per kernel: the items split evenly, at multiples of 64 where an item is an element ---- */
typedef struct vector_job {
    const void *args;
    const firn__vector_kernels *kernels;
    int64_t count, parts, multiple;
} vector_job;

static int64_t part_start(const vector_job *j, int64_t part)
{
    const int64_t units = (j->count + j->multiple - 1) / j->multiple, start = units * part / j->parts * j->multiple;
    return start < j->count ? start : j->count;
}

static vector_job plan_job(firn__crew crew, int64_t count, int64_t work, const void *args)
{
    const int64_t threads = firn__crew_size(crew), items = work > 0 ? elements_per_part / work : count;
    const int64_t most = count / (items > 0 ? items : 1), parts = most < threads ? most : threads;
    return (vector_job){args, crew.ctx->kernels->vector, count, parts > 0 ? parts : 1, work <= 4 ? 64 : 1};
}

#define FIRN_X(name, type, work)                                                                                           \
    static void run_##name(void *arg, int64_t part, int worker)                                                            \
    {                                                                                                                      \
        (void)worker;                                                                                                      \
        const vector_job *j = arg;                                                                                         \
        j->kernels->name(j->args, part_start(j, part), part_start(j, part + 1));                                           \
    }                                                                                                                      \
    void firn__vector_##name(firn__crew crew, int64_t count, const firn__##type##_args *a)                                 \
    {                                                                                                                      \
        vector_job j = plan_job(crew, count, (work), a);                                                                   \
        firn__parallel(crew, j.parts, run_##name, &j);                                                                     \
    }
FIRN__VECTOR_MAP(FIRN_X)
#undef FIRN_X

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
    const int64_t even = (n + CHUNKS - 1) / CHUNKS, chunk = even > SMALLEST ? even : SMALLEST,
                  count = (n + chunk - 1) / chunk;
    firn__vector_sum_squares(crew, count, &(firn__sum_squares_args){n, chunk, x, minus, partial});
    for (int64_t i = 0; i < count; i++) sum += partial[i];
    return sum;
}

static int64_t norm_chunks(int64_t rows) { return (rows + FIRN__NORM_ROWS - 1) / FIRN__NORM_ROWS; }

size_t firn__vector_norm_bytes(int64_t rows, int64_t columns)
{
    size_t bytes;
    if (rows < 0 || columns < 0 || !firn__mul((size_t)norm_chunks(rows), (size_t)columns, &bytes)) return 0;
    return firn__mul(bytes, 2 * sizeof(float), &bytes) ? bytes : 0;
}

/* Chunks of means and squares are merged two at a time (Chan, Golub, LeVeque 1979). */
void firn__vector_norm_statistics(firn__crew crew, int64_t rows, int64_t columns, const float *x, float *scratch,
                                  double *mean, double *squares)
{
    const int64_t chunks = norm_chunks(rows);
    firn__vector_norm_moments(crew, chunks,
                              &(firn__norm_sums_args){.rows = rows, .columns = columns, .x = x, .partial = scratch});
    for (int64_t c = 0; c < columns; c++) mean[c] = squares[c] = 0;
    for (int64_t k = 0; k < chunks; k++) {
        const float *mean_k = scratch + k * 2 * columns, *squares_k = mean_k + columns;
        const double before = (double)(k * FIRN__NORM_ROWS);
        const double more = (double)(k + 1 < chunks ? FIRN__NORM_ROWS : rows - k * FIRN__NORM_ROWS), all = before + more;
        const double share = more / all, weight = before * share;
        for (int64_t c = 0; c < columns; c++) {
            const double apart = (double)mean_k[c] - mean[c];
            mean[c] += apart * share;
            squares[c] += (double)squares_k[c] + apart * apart * weight;
        }
    }
}

void firn__vector_norm_products(firn__crew crew, int64_t rows, int64_t columns, const float *x, const float *dy,
                                const float *mean, float *scratch, double *sum_dy, double *sum_dy_x)
{
    const int64_t chunks = norm_chunks(rows);
    firn__vector_norm_sums(crew, chunks, &(firn__norm_sums_args){rows, columns, x, dy, mean, scratch});
    for (int64_t c = 0; c < columns; c++) sum_dy[c] = sum_dy_x[c] = 0;
    for (int64_t k = 0; k < chunks; k++) {
        for (int64_t c = 0; c < columns; c++) {
            sum_dy[c] += (double)scratch[k * 2 * columns + c];
            sum_dy_x[c] += (double)scratch[(k * 2 + 1) * columns + c];
        }
    }
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
