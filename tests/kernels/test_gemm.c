/* Matrix products: against double, and on every instruction set against the bits of their definition. */
#include <math.h>
#include <string.h>

#include "definition.h"
#include "guarded.h"
#include "support.h"
#include "table.h"

enum { most_sets = 4, most_threads = 8, shapes = TEST_SHAPES(2500) };
static firn_ctx *contexts[most_sets];
static int set_count;
static uint64_t seed = 20;

static int64_t below(int64_t n) { return (int64_t)(test_random(&seed) % (uint64_t)n); }
static bool coin(void) { return below(2) == 0; }

static float *guarded_numbers(int64_t count)
{
    float *p = guarded_get((size_t)count * sizeof *p);
    test_fill(p, (size_t)count, test_random(&seed), -2, 2);
    return p;
}

static int open_contexts(void **state)
{
    (void)state;
    for (const char *const *isa = test_isas(); *isa != NULL; isa++) contexts[set_count++] = test_ctx(NULL, 1, *isa);
    return 0;
}

static int close_contexts(void **state)
{
    (void)state;
    for (int i = 0; i < set_count; i++) firn_ctx_destroy(contexts[i]);
    return 0;
}

/* A matrix of rows x columns with up to two floats between its rows, at times at a distance that vexes caches. */
static float *random_matrix(int64_t rows, int64_t columns, int64_t *ld)
{
    *ld = columns + below(3);
    if (below(8) == 0 && rows * 512 < 100000 && columns <= 512) *ld = 512;
    return guarded_numbers(rows > 0 && columns > 0 ? (rows - 1) * *ld + columns : 0);
}

static firn__epilogue_args random_epilogue(int64_t n)
{
    firn__epilogue_args e = {.relu = coin()};
    if (coin()) e.bias = guarded_numbers(n);
    if (coin()) e.scale = guarded_numbers(n), e.shift = guarded_numbers(n);
    return e;
}

static firn__gemm_args random_product(int64_t m, int64_t n, int64_t k)
{
    firn__gemm_args g = {.m = m, .n = n, .k = k, .a_transposed = coin(), .b_transposed = coin(), .accumulate = coin()};
    g.a = g.a_transposed ? random_matrix(k, m, &g.lda) : random_matrix(m, k, &g.lda);
    g.b = g.b_transposed ? random_matrix(n, k, &g.ldb) : random_matrix(k, n, &g.ldb);
    g.c = random_matrix(m, n, &g.ldc);
    g.epilogue = random_epilogue(n);
    return g;
}

/* c: what was in C before; g->c: the result. Within the rounding of a chain of k, and of the epilogue. */
static void assert_product(const firn__gemm_args *g, const float *c)
{
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            double sum = g->accumulate ? (double)c[i * g->ldc + j] : 0, size = fabs(sum);
            for (int64_t p = 0; p < g->k; p++) {
                const double term = (double)g->a[g->a_transposed ? p * g->lda + i : i * g->lda + p] *
                                    (double)g->b[g->b_transposed ? j * g->ldb + p : p * g->ldb + j];
                sum += term, size += fabs(term);
            }
            const firn__epilogue_args *e = &g->epilogue;
            if (e->bias) sum += (double)e->bias[j], size += fabs((double)e->bias[j]);
            if (e->scale)
                sum = sum * (double)e->scale[j] + (double)e->shift[j],
                size = size * fabs((double)e->scale[j]) + fabs((double)e->shift[j]);
            if (e->relu && sum < 0) sum = 0;
            assert_close(g->c[i * g->ldc + j], sum, 0, size * (double)(g->k + 4) * 6e-8);
        }
}

/* The product of g by one context into a copy of before; packed: B is packed first. */
static float *product_by(firn__crew crew, firn__gemm_args g, const float *before, size_t floats, bool packed)
{
    float *c = guarded_get(floats * sizeof *c);
    if (floats > 0) memcpy(c, before, floats * sizeof *c);
    g.c = c;
    if (packed) {
        float *b = guarded_get(firn__gemm_packed_bytes(crew.ctx, g.n, g.k));
        firn__gemm_pack_b(crew, g.n, g.k, g.b, g.ldb, g.b_transposed, b);
        g.b_packed = b;
        g.b = NULL;
    }
    firn__gemm(crew, &g);
    return c;
}

/* What the bits must be: the definition's, but for few columns and A by rows, which are other sums (kernels.h). */
static float *defined_product(firn__gemm_args g, const float *before, size_t floats)
{
    if (g.n <= 12 && !g.a_transposed) return product_by((firn__crew){contexts[0], -1}, g, before, floats, false);
    float *c = guarded_get(floats * sizeof *c);
    if (floats > 0) memcpy(c, before, floats * sizeof *c);
    g.c = c;
    define_product(&g);
    return c;
}

static void try_product(int64_t m, int64_t n, int64_t k)
{
    firn__gemm_args g = random_product(m, n, k);
    const float *before = g.c;
    const size_t floats = m > 0 && n > 0 ? (size_t)((m - 1) * g.ldc + n) : 0;
    const bool packed = !g.a_transposed && coin();
    g.c = defined_product(g, before, floats);
    assert_product(&g, before);
    for (int i = 0; i < set_count; i++)
        assert_bits_equal(product_by((firn__crew){contexts[i], -1}, g, before, floats, packed), g.c, floats);
    guarded_take_back();
}

static void products_are_those_in_double_and_the_defined_bits_on_every_instruction_set(void **state)
{
    (void)state;
    for (int i = 0; i < shapes; i++) {
        if (i % 50 == 0)
            try_product(1 + below(150), 1 + below(200), 1 + below(300));
        else if (i % 50 == 1)
            try_product(1 + below(20), 1 + below(40), 400 + below(1000));
        else
            try_product(1 + below(coin() ? 8 : 40), 1 + below(coin() ? 12 : 140), 1 + below(40));
    }
}

static void empty_products_leave_zero_or_what_was_there(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) try_product(below(3), below(20), i % 2 == 0 ? 0 : below(3));
}

/* ---- products with many zeros ---- */

/* What can go wrong if a zero is left out: an infinity or NaN that it should meet, a sum of -0 that it should mend. */
enum special { plain_numbers, negative_zeros, not_finite, vanishing, specials };

static firn__gemm_args product_with_zeros(enum special special)
{
    static const float out_of_range[] = {INFINITY, -INFINITY, NAN};
    const bool zeros_in_b = coin();
    const int64_t wide = 64 * (1 + below(3)), other = 32 + below(120);
    const int64_t k = 1000000 / (wide * other) + 1 + below(70);
    firn__gemm_args g = {
        .m = zeros_in_b ? wide : other, .n = zeros_in_b ? other : wide, .k = k, .a_transposed = zeros_in_b};
    g.b_transposed = !zeros_in_b && coin();
    g.a = g.a_transposed ? random_matrix(k, g.m, &g.lda) : random_matrix(g.m, k, &g.lda);
    g.b = g.b_transposed ? random_matrix(g.n, k, &g.ldb) : random_matrix(k, g.n, &g.ldb);
    g.c = random_matrix(g.m, g.n, &g.ldc);
    float *with = (float *)(zeros_in_b ? g.b : g.a), *without = (float *)(zeros_in_b ? g.a : g.b);
    const int64_t with_count = zeros_in_b ? (k - 1) * g.ldb + g.n : (g.m - 1) * g.lda + k;
    const int64_t without_count = zeros_in_b       ? (k - 1) * g.lda + g.m
                                  : g.b_transposed ? (g.n - 1) * g.ldb + k
                                                   : (k - 1) * g.ldb + g.n;
    const int64_t kept = below(30);
    for (int64_t i = 0; i < with_count; i++) {
        if (special == vanishing) with[i] *= below(3) ? 1e-30f : 1e-20f;
        if (below(100) >= kept) with[i] = special == negative_zeros && coin() ? -0.0f : 0.0f;
    }
    for (int64_t i = 0; special == vanishing && i < without_count; i++) without[i] *= 1e-20f;
    const int64_t ld = zeros_in_b ? g.lda : g.ldb, columns = zeros_in_b ? g.m : g.b_transposed ? k : g.n;
    for (int64_t i = 0; special == not_finite && i < 3; i++)
        without[below((without_count - columns) / ld + 1) * ld + below(columns)] = out_of_range[below(3)];
    if (!zeros_in_b) g.epilogue = random_epilogue(g.n);
    return g;
}

static void assert_same(const float *c, const float *plain, const firn__gemm_args *g)
{
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            const int64_t at = i * g->ldc + j;
            if (!isnan(plain[at]))
                assert_bits_equal(c + at, plain + at, 1);
            else
                assert_true(isnan(c[at]));
        }
}

static void zeros_left_out_do_not_show_in_a_bit(void **state)
{
    (void)state;
    int negative_zeros_seen = 0;
    for (int t = 1; t < 4; t++) {
        firn_ctx *by_threads = test_ctx(NULL, t, NULL);
        for (int i = 0; i < 60; i++) {
            firn__gemm_args g = product_with_zeros((enum special)(i % specials));
            const size_t floats = (size_t)((g.m - 1) * g.ldc + g.n);
            const float *plain = defined_product(g, g.c, floats);
            const bool packed = !g.a_transposed && coin();
            for (size_t at = 0; at < floats; at++) negative_zeros_seen += plain[at] == 0 && signbit(plain[at]);
            for (int s = 0; s <= set_count; s++) {
                const firn__crew crew = {s < set_count ? contexts[s] : by_threads, -1};
                const bool finite = i % specials != not_finite || !g.a_transposed; /* else it is left to the tiles */
                assert_int_equal(firn__gemm_sparse(crew, &g), finite);
                assert_same(product_by(crew, g, g.c, floats, packed), plain, &g);
            }
            guarded_take_back();
        }
        firn_ctx_destroy(by_threads);
    }
    assert_true(negative_zeros_seen > 100);
}

static void relu_keeps_nan_and_minus_zero(void **state)
{
    (void)state;
    enum { n = 37 };
    const float odd[] = {NAN, -0.0f, 0.0f, -1, 1, -INFINITY, INFINITY};
    const float one = 1;
    float b[n], c[n], want[n];
    for (int i = 0; i < n; i++) want[i] = b[i] = odd[i % 7];
    for (int i = 0; i < n; i++)
        if (want[i] < 0) want[i] = 0;
    for (int i = 0; i < set_count; i++) {
        for (int j = 0; j < n; j++) c[j] = -0.0f;
        const firn__gemm_args g = {.m = 1,
                                   .n = n,
                                   .k = 1,
                                   .a = &one,
                                   .lda = 1,
                                   .b = b,
                                   .ldb = n,
                                   .c = c,
                                   .ldc = n,
                                   .accumulate = true,
                                   .epilogue = {.relu = true}};
        firn__gemm((firn__crew){contexts[i], -1}, &g);
        for (int j = 0; j < n; j++) {
            if (isnan(want[j]))
                assert_true(isnan(c[j]));
            else
                assert_bits_equal(&c[j], &want[j], 1);
        }
    }
}

static void products_do_not_depend_on_threads(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{40, 300, 70}, {300, 33, 50}, {129, 10, 700},
                                       {7, 260, 520}, {64, 64, 64},  {100, 95, 90}};
    firn_ctx *by_threads[most_threads];
    for (int t = 0; t < most_threads; t++) by_threads[t] = test_ctx(NULL, t + 1, NULL);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int form = 0; form < 4; form++) {
            const firn__gemm_args g = random_product(sizes[s][0], sizes[s][1], sizes[s][2]);
            const size_t floats = (size_t)((g.m - 1) * g.ldc + g.n);
            const float *alone = product_by((firn__crew){contexts[0], -1}, g, g.c, floats, false);
            for (int t = 0; t < most_threads / 2; t++) {
                const int first = form % 2 * (most_threads / 2);
                firn_ctx *ctx = by_threads[first + t];
                assert_bits_equal(product_by((firn__crew){ctx, -1}, g, g.c, floats, false), alone, floats);
            }
            assert_bits_equal(product_by((firn__crew){by_threads[2], 1}, g, g.c, floats, false), alone, floats);
            guarded_take_back();
        }
    for (int t = 0; t < most_threads; t++) firn_ctx_destroy(by_threads[t]);
}

static void sizes_that_do_not_fit_are_zero(void **state)
{
    (void)state;
    for (int i = 0; i < set_count; i++) {
        assert_int_equal(firn__gemm_packed_bytes(contexts[i], INT64_MAX, 2), 0);
        assert_int_equal(firn__gemm_packed_bytes(contexts[i], (int64_t)1 << 40, (int64_t)1 << 40), 0);
        assert_int_equal(firn__gemm_packed_bytes(contexts[i], 10, 7) % 64, 0);
        assert_true(firn__gemm_packed_bytes(contexts[i], 10, 7) >= 10 * 7 * sizeof(float));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_in_double_and_the_defined_bits_on_every_instruction_set),
        cmocka_unit_test(empty_products_leave_zero_or_what_was_there),
        cmocka_unit_test(zeros_left_out_do_not_show_in_a_bit),
        cmocka_unit_test(relu_keeps_nan_and_minus_zero),
        cmocka_unit_test(products_do_not_depend_on_threads),
        cmocka_unit_test(sizes_that_do_not_fit_are_zero),
    };
    return cmocka_run_group_tests(tests, open_contexts, close_contexts);
}
