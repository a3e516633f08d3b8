/* bench_vector: what the vector kernels move, beside memcpy on the same number of bytes.
 *   bench_vector [--json] [--isa NAME] [--threads N] [--rounds N] [--only SUBSTRING]
 * A line a kernel: GB/s (read and written, once each), and the median of its share of memcpy in the same round. Images
 * are those of the reference job: 128 of 24x24x32. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vector.h"

enum { N = 128, C = 32, H = 24, HW = H * H, PER = HW * C, ALL = N * PER, CLASSES = 10, MOST_ROUNDS = 101 };

static float *x, *y, *z, *u;
static unsigned char *bytes;
static double scratch[1 << 16];
static firn__crew crew;
static int rounds = 9;
static bool json;

static void run_memcpy(void) { memcpy(y, x, sizeof *x * ALL); }
static void run_scale_u8(void) { firn__vector_scale(crew, ALL, &(firn__scale_args){bytes, FIRN_U8, 1.0f / 255, y}); }
static void run_add(void) { firn__vector_combine(crew, ALL, &(firn__combine_args){x, z, 1, 1, y}); }
static void run_relu(void) { firn__vector_relu(crew, N, &(firn__relu_args){PER, x, y, bytes}); }
static void run_relu_bits(void) { firn__vector_relu(crew, N, &(firn__relu_args){PER, x, NULL, bytes}); }
static void run_relu_grad(void) { firn__vector_relu_grad(crew, N, &(firn__relu_grad_args){PER, bytes, x, y}); }
static firn__pool_args pool(const float *from, float *to)
{
    return (firn__pool_args){.c = C,
                             .h = H,
                             .w = H,
                             .oh = H / 2,
                             .ow = H / 2,
                             .kh = 2,
                             .kw = 2,
                             .stride = 2,
                             .x = from,
                             .y = to,
                             .where = bytes};
}
static void run_max_pool(void)
{
    const firn__pool_args a = pool(x, y);
    firn__vector_max_pool(crew, N, &a);
}
static void run_max_pool_grad(void)
{
    const firn__pool_args a = pool(x, y);
    firn__vector_max_pool_grad(crew, N, &a);
}
static void run_avg_pool(void)
{
    const firn__pool_args a = pool(x, y);
    firn__vector_avg_pool(crew, N, &a);
}
static void run_dropout(void) { firn__vector_dropout(crew, ALL, &(firn__dropout_args){x, y, 0.5f, 42}); }
static void run_flatten(void) { firn__vector_transpose(crew, N, &(firn__transpose_args){HW, C, FIRN_F32, x, y}); }
static void run_exp(void) { firn__vector_math(crew, ALL, &(firn__math_args){FIRN__EXP, x, y}); }
static void run_tanh(void) { firn__vector_math(crew, ALL, &(firn__math_args){FIRN__TANH, x, y}); }
static void run_softmax(void) { firn__vector_softmax(crew, ALL / CLASSES, &(firn__softmax_args){CLASSES, x, y}); }
static void run_affine(void) { firn__vector_affine(crew, N * HW, &(firn__affine_args){C, x, NULL, z, z + C, y}); }
static void run_statistics(void) { firn__vector_norm_statistics(crew, N * HW, C, x, scratch); }
static void run_norm_sums(void) { firn__vector_norm_products(crew, N * HW, C, x, y, z, scratch); }
static void run_norm_grad(void) { firn__vector_norm_grad(crew, N * HW, &(firn__norm_grad_args){C, x, y, z, z, z, z, y}); }
static void run_bias_grad(void) { firn__vector_column_sums(crew, N * HW, C, x, scratch, y); }
static void run_sum_squares(void) { firn__vector_sum_of_squares(crew, ALL, x, NULL); }
static void run_sgd(void) { firn__vector_sgd(crew, ALL, &(firn__sgd_args){y, x, z, 1, 1e-6f, 0, 0.9f, false}); }
static void run_adam(void)
{
    firn__vector_adam(crew, ALL, &(firn__adam_args){y, x, z, u, 1, 0, 1, 0.9f, 0.999f, 1e-8f, 1e-6f, 1});
}
static void run_adadelta(void)
{
    firn__vector_adadelta(crew, ALL, &(firn__adadelta_args){y, x, z, u, 1, 0, 1e-6f, 0.95f, 1e-7f});
}
static size_t packed;
static void run_pack(void) { packed = firn__vector_pack(crew.ctx, ALL, x, bytes); }
static void run_unpack(void) { firn__vector_unpack(crew.ctx, ALL, bytes, y); }

static const struct {
    const char *name;
    void (*run)(void);
    double moved; /* bytes an element of ALL */
} kernels[] = {
    {"scale u8", run_scale_u8, 5},
    {"add", run_add, 12},
    {"relu, bits kept", run_relu, 8.125},
    {"relu bits", run_relu_bits, 4.125},
    {"relu grad", run_relu_grad, 8.125},
    {"max_pool 2x2", run_max_pool, 5.0625},
    {"max_pool 2x2 grad", run_max_pool_grad, 5.0625},
    {"avg_pool 2x2", run_avg_pool, 5},
    {"dropout", run_dropout, 8},
    {"transpose", run_flatten, 8},
    {"exp", run_exp, 8},
    {"tanh", run_tanh, 8},
    {"softmax of 10", run_softmax, 8},
    {"affine", run_affine, 8},
    {"norm statistics", run_statistics, 4},
    {"norm products", run_norm_sums, 8},
    {"norm grad", run_norm_grad, 12},
    {"bias grad", run_bias_grad, 4},
    {"sum of squares", run_sum_squares, 4},
    {"sgd, momentum", run_sgd, 20},
    {"adam", run_adam, 28},
    {"adadelta", run_adadelta, 28},
    {"pack, half zeros", run_pack, 6.125},
    {"unpack", run_unpack, 6.125},
};

static double seconds(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static double time_of(void (*run)(void))
{
    const double start = seconds();
    run();
    return seconds() - start;
}
static int by_value(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

static void *memory(size_t size)
{
    void *p = aligned_alloc(64, size / 64 * 64 + 64);
    if (p == NULL) exit(1);
    memset(p, 0, size);
    return p;
}

int main(int argc, char **argv)
{
    firn_ctx_options how = {.threads = 1};
    const char *only = "";
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--isa") == 0)
            how.isa = value, i++;
        else if (strcmp(argv[i], "--threads") == 0)
            how.threads = atoi(value), i++;
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = atoi(value), i++;
        else if (strcmp(argv[i], "--only") == 0)
            only = value, i++;
        else
            return fprintf(stderr, "bench_vector [--json] [--isa NAME] [--threads N] [--rounds N] [--only SUBSTRING]\n"), 2;
    }
    if (rounds < 1 || rounds > MOST_ROUNDS || firn_ctx_create(&crew.ctx, &how) != FIRN_OK) return 2;
    crew.worker = -1;
    x = memory(sizeof *x * ALL), y = memory(sizeof *x * ALL), z = memory(sizeof *x * ALL), u = memory(sizeof *x * ALL);
    bytes = memory(firn__vector_pack_bound(ALL));
    for (int i = 0; i < ALL; i++) x[i] = (float)((unsigned)i * 2654435761u >> 16 & 1) * (float)(i % 1000) * 1e-3f;
    bool first = true;
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
        if (strstr(kernels[k].name, only) == NULL) continue;
        double rate[MOST_ROUNDS], share[MOST_ROUNDS];
        kernels[k].run();
        for (int i = 0; i < rounds; i++) {
            const double copied = 8.0 * ALL / time_of(run_memcpy);
            rate[i] = kernels[k].moved * ALL / time_of(kernels[k].run);
            share[i] = rate[i] / copied;
        }
        qsort(rate, (size_t)rounds, sizeof *rate, by_value);
        qsort(share, (size_t)rounds, sizeof *share, by_value);
        if (json)
            printf("%s\n  {\"name\": \"%s\", \"isa\": \"%s\", \"threads\": %d, \"gbytes\": %.2f, \"of_memcpy\": %.3f}",
                   first ? "[" : ",", kernels[k].name, firn_ctx_isa(crew.ctx), how.threads, rate[rounds / 2] * 1e-9,
                   share[rounds / 2]);
        else
            printf("%-20s %-7s %7.1f GB/s %6.0f %% of memcpy %8.3f ms\n", kernels[k].name, firn_ctx_isa(crew.ctx),
                   rate[rounds / 2] * 1e-9, 100 * share[rounds / 2], kernels[k].moved * ALL / rate[rounds / 2] * 1e3);
        first = false;
    }
    if (json) printf("%s]\n", first ? "[" : "\n");
    free(x), free(y), free(z), free(u), free(bytes);
    firn_ctx_destroy(crew.ctx);
    return 0;
}
