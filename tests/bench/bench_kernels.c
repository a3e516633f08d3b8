/* bench_kernels: what the kernels reach of this machine's fused multiply-adds.
 *   bench_kernels [--json] [--isa NAME] [--threads N] [--rounds N] [--only SUBSTRING]
 * A line a shape and instruction set: GFLOP/s, and the share of the peak, which is measured in the same rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels.h"
#include "peak.h"

enum { most_rounds = 101 };
static int rounds = 7, threads = 1;
static bool json, first_row = true;
static const char *only = "";

/* On one thread the processor's time: what other processes take does not count. */
static double seconds(void)
{
    if (threads == 1) return (double)clock() / CLOCKS_PER_SEC;
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static float *numbers(size_t count)
{
    float *p = aligned_alloc(64, (count * sizeof *p + 127) / 64 * 64);
    if (p == NULL) exit(1);
    for (size_t i = 0; i < count; i++) p[i] = (float)((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f;
    return p;
}

/* One thing to measure. */
typedef struct bench {
    firn__crew crew;
    firn__gemm_args gemm;
    firn__conv_args conv;
    firn__epilogue_args epilogue;
    float *x, *packed, *packed_dx, *y, *dw, *db;
    void *scratch;
    void (*run)(struct bench *b);
} bench;

/* Seconds a call: as many calls as take two milliseconds. */
static double time_of(bench *b, int calls)
{
    const double start = seconds();
    for (int i = 0; i < calls; i++) b->run(b);
    return (seconds() - start) / calls;
}

/* Median share of the peak, each round beside a measurement of the peak. */
static double report(bench *b, const char *name, double flops)
{
    const char *isa = firn_ctx_isa(b->crew.ctx);
    double share[most_rounds], rate[most_rounds];
    const double once = time_of(b, 1);
    const int calls = once > 2e-3 ? 1 : (int)(2e-3 / (once + 1e-9)) + 1;
    for (int i = 0; i < rounds; i++) {
        const double before = peak_flops(isa), spent = time_of(b, calls), after = peak_flops(isa);
        rate[i] = flops / spent;
        share[i] = rate[i] / (threads * 0.5 * (before + after));
    }
    qsort(share, (size_t)rounds, sizeof *share, by_value);
    qsort(rate, (size_t)rounds, sizeof *rate, by_value);
    if (json)
        printf("%s\n  {\"name\": \"%s\", \"isa\": \"%s\", \"gflops\": %.2f, \"peak\": %.4f}", first_row ? "" : ",", name,
               isa, rate[rounds / 2] * 1e-9, share[rounds / 2]);
    else
        printf("%-44s %-7s %8.1f GFLOP/s %6.1f %%\n", name, isa, rate[rounds / 2] * 1e-9, 100 * share[rounds / 2]);
    fflush(stdout);
    first_row = false;
    return share[rounds / 2];
}

static void run_gemm(bench *b) { firn__gemm(b->crew, &b->gemm); }
static void run_forward(bench *b)
{
    firn__conv_forward(b->crew, &b->conv, b->x, b->packed, b->y, &b->epilogue, b->scratch);
}
static void run_dx(bench *b) { firn__conv_dx(b->crew, &b->conv, b->y, b->packed_dx, b->x, b->scratch); }
static void run_dw(bench *b) { firn__conv_dw(b->crew, &b->conv, b->x, b->y, b->dw, b->db, b->scratch); }

typedef enum form { NN, NT, TN, PACKED, FORMS } form;
static const char *const form_names[FORMS] = {"NN", "NT", "TN", "packed"};

static double bench_gemm(firn_ctx *ctx, form f, int64_t m, int64_t n, int64_t k)
{
    char name[64];
    snprintf(name, sizeof name, "gemm %s %dx%dx%d", form_names[f], (int)m, (int)n, (int)k);
    if (strstr(name, only) == NULL) return 0;
    float *a = numbers((size_t)(m * k)), *b = numbers((size_t)(n * k)), *c = numbers((size_t)(m * n)), *packed = NULL;
    bench it = {.crew = {ctx, -1}, .run = run_gemm};
    it.gemm = (firn__gemm_args){.m = m,
                                .n = n,
                                .k = k,
                                .a = a,
                                .lda = f == TN ? m : k,
                                .a_transposed = f == TN,
                                .b = b,
                                .ldb = f == NT || f == PACKED ? k : n,
                                .b_transposed = f == NT || f == PACKED,
                                .c = c,
                                .ldc = n};
    if (f == PACKED) {
        packed = numbers(firn__gemm_packed_bytes(ctx, n, k) / sizeof *packed);
        firn__gemm_pack_b(it.crew, n, k, b, k, true, packed);
        it.gemm.b_packed = packed;
    }
    const double share = report(&it, name, 2.0 * (double)m * (double)n * (double)k);
    free(a), free(b), free(c), free(packed);
    return share;
}

/* Sum of logarithms without a logarithm: the geometric mean by repeated square roots would hide more than it shows,
 * so multiply and take the root by bisection. */
static double geometric_mean(const double *v, int count)
{
    double low = 0, high = 2;
    for (int step = 0; step < 60; step++) {
        const double middle = 0.5 * (low + high);
        double product = 1;
        for (int i = 0; i < count; i++) product *= v[i] / middle;
        if (product > 1)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void bench_gemms(firn_ctx *ctx)
{
    static const int64_t ms[] = {32, 64, 128, 256}, sizes[] = {64, 128, 256, 512, 1024};
    for (form f = NN; f < FORMS; f++) {
        double share[100];
        int count = 0;
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 5; j++)
                for (int l = 0; l < 5; l++) {
                    const double s = bench_gemm(ctx, f, ms[i], sizes[j], sizes[l]);
                    if (s > 0) share[count++] = s;
                }
        if (count > 0 && !json)
            printf("geometric mean of %s: %.1f %%\n", form_names[f], 100 * geometric_mean(share, count));
    }
    static const int64_t outputs[] = {5, 10};
    for (form f = NN; f < FORMS; f++)
        for (int o = 0; o < 2; o++)
            for (int i = 0; i < 4; i++)
                bench_gemm(ctx, f, ms[i], outputs[o], 128), bench_gemm(ctx, f, ms[i], outputs[o], 512);
    for (int o = 0; o < 2; o++) bench_gemm(ctx, NN, 128, 512, outputs[o]), bench_gemm(ctx, TN, outputs[o], 512, 128);
    static const int64_t few[] = {1, 2, 4, 8, 16};
    for (form f = NN; f < FORMS; f++)
        for (int i = 0; i < 5; i++) bench_gemm(ctx, f, few[i], 512, 512);
}

static void bench_conv(firn_ctx *ctx, int64_t n, int64_t c, int64_t size, int64_t o, int64_t k, int stride, int pad,
                       int groups)
{
    const int64_t out = (size + 2 * pad - k) / stride + 1;
    bench it = {.crew = {ctx, -1},
                .conv = {.n = n,
                         .c = c,
                         .h = size,
                         .w = size,
                         .o = o,
                         .kh = k,
                         .kw = k,
                         .oh = out,
                         .ow = out,
                         .stride = stride,
                         .pad = pad,
                         .dilation = 1,
                         .groups = groups}};
    const firn__conv_args *v = &it.conv;
    char name[96];
    it.x = numbers((size_t)(n * c * size * size));
    it.y = numbers((size_t)(n * o * out * out));
    it.dw = numbers((size_t)(o * c / groups * k * k));
    it.db = numbers((size_t)o);
    it.packed = numbers(firn__conv_packed_bytes(ctx, v, false) / sizeof(float));
    it.packed_dx = numbers(firn__conv_packed_bytes(ctx, v, true) / sizeof(float));
    it.scratch = numbers(firn__conv_scratch_bytes(it.crew, v, true, true) / sizeof(float));
    float *bias = numbers((size_t)o);
    it.epilogue = (firn__epilogue_args){.bias = bias, .relu = true};
    firn__conv_pack(it.crew, v, it.dw, false, it.packed);
    firn__conv_pack(it.crew, v, it.dw, true, it.packed_dx);
    const double flops = 2.0 * (double)(n * out * out * o) * (double)(c / groups * k * k);
    static const struct {
        const char *name;
        void (*run)(bench *b);
    } passes[] = {{"forward", run_forward}, {"dx", run_dx}, {"dw", run_dw}};
    for (int p = 0; p < 3; p++) {
        snprintf(name, sizeof name, "conv %s %dx%dx%d->%d k%d s%d p%d g%d", passes[p].name, (int)c, (int)size, (int)size,
                 (int)o, (int)k, stride, pad, groups);
        it.run = passes[p].run;
        if (strstr(name, only) != NULL) report(&it, name, flops);
    }
    free(it.x), free(it.y), free(it.dw), free(it.db), free(it.packed), free(it.packed_dx), free(it.scratch), free(bias);
}

static void bench_convs(firn_ctx *ctx)
{
    bench_conv(ctx, 128, 32, 26, 32, 3, 1, 0, 1); /* the reference job's second layer */
    bench_conv(ctx, 128, 1, 28, 32, 3, 1, 0, 1);  /* and its first */
    bench_conv(ctx, 128, 16, 28, 16, 3, 1, 1, 1); /* the residual net's stages */
    bench_conv(ctx, 128, 32, 14, 32, 3, 1, 1, 1);
    bench_conv(ctx, 128, 64, 7, 64, 3, 1, 1, 1);
    bench_conv(ctx, 128, 1, 28, 16, 3, 1, 1, 1);
    bench_conv(ctx, 128, 16, 28, 32, 3, 2, 1, 1);
    bench_conv(ctx, 128, 16, 28, 32, 1, 2, 0, 1);
    bench_conv(ctx, 64, 1, 28, 6, 5, 1, 2, 1); /* LeNet-5 */
    bench_conv(ctx, 64, 6, 14, 16, 5, 1, 0, 1);
    bench_conv(ctx, 64, 64, 14, 64, 3, 1, 1, 64); /* depthwise */
    bench_conv(ctx, 64, 64, 14, 64, 3, 1, 1, 4);
}

int main(int argc, char **argv)
{
    const char *isas[] = {"avx512", "avx2", "neon"};
    const char *isa = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc)
            isa = argv[++i];
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = atoi(argv[++i]);
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else
            return fprintf(stderr,
                           "usage: bench_kernels [--json] [--isa NAME] [--threads N] [--rounds N] [--only SUBSTRING]\n"),
                   2;
    }
    if (rounds < 1 || rounds > most_rounds || threads < 1) return 2;
    if (json) printf("[");
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        firn_ctx *ctx;
        const firn_ctx_options how = {.isa = isas[i], .threads = threads};
        if ((isa != NULL && strcmp(isa, isas[i]) != 0) || firn_ctx_create(&ctx, &how) != FIRN_OK) continue;
        bench_gemms(ctx);
        bench_convs(ctx);
        firn_ctx_destroy(ctx);
    }
    if (json) printf("\n]\n");
    return 0;
}
