/* The initialisers: each has the mean, the spread and the bounds of its formula, for weights of both kinds. */
#include <math.h>
#include <string.h>

#include "support.h"

typedef struct expected {
    firn_init init;
    double deviation, bound; /* bound 0: normal */
} expected;

static void assert_spread(firn_model *m, const char *name, firn_shape shape, const expected *e)
{
    const firn_tensor *t = firn_param(m, name, shape, e->init);
    assert_non_null(t);
    const float *x = firn_data(t);
    const int64_t count = firn_shape_count(shape);
    double sum = 0, squares = 0, most = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        most = fmax(most, fabs((double)x[i]));
    }
    assert_close(sum / (double)count, 0, 0, 0.05 * e->deviation);
    assert_close(sqrt(squares / (double)count), e->deviation, 0.03, 0);
    if (e->bound > 0)
        assert_close(most, e->bound, 0.01, 0);
    else
        assert_true(most > 3 * e->deviation && most < 6 * e->deviation);
}

static expected uniform(firn_init_kind kind, float value, double bound)
{
    return (expected){{kind, value}, bound / sqrt(3), bound};
}

static expected normal(firn_init_kind kind, float value, double deviation)
{
    return (expected){{kind, value}, deviation, 0};
}

static void assert_all_kinds(firn_shape shape, double fan_in, double fan_out)
{
    const expected all[] = {
        uniform(FIRN_INIT_DEFAULT, 0, 1 / sqrt(fan_in)),
        uniform(FIRN_INIT_UNIFORM, 0.25f, 0.25),
        normal(FIRN_INIT_NORMAL, 0.25f, 0.25),
        uniform(FIRN_INIT_KAIMING_UNIFORM, 0, sqrt(6 / fan_in)),
        normal(FIRN_INIT_KAIMING_NORMAL, 0, sqrt(2 / fan_in)),
        uniform(FIRN_INIT_GLOROT_UNIFORM, 0, sqrt(6 / (fan_in + fan_out))),
        normal(FIRN_INIT_GLOROT_NORMAL, 0, sqrt(2 / (fan_in + fan_out))),
    };
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) assert_spread(firn_model_create(ctx), "w", shape, &all[i]);
    firn_ctx_destroy(ctx);
}

static void weights_have_the_spread_of_their_formula(void **state)
{
    (void)state;
    assert_all_kinds(FIRN_SHAPE(50, 200), 200, 50);
    assert_all_kinds(FIRN_SHAPE(40, 30, 3, 3), 30 * 9, 40 * 9);
}

static void assert_constant(firn_model *m, const char *name, firn_shape shape, firn_init_kind kind, float value)
{
    const firn_tensor *t = firn_param(m, name, shape, (firn_init){.kind = kind});
    assert_non_null(t);
    for (int64_t i = 0; i < firn_shape_count(shape); i++) assert_true(firn_data(t)[i] == value);
}

static void zero_one_and_the_default_of_vectors_are_constant(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    assert_constant(m, "zero", FIRN_SHAPE(5, 3), FIRN_INIT_ZERO, 0);
    assert_constant(m, "one", FIRN_SHAPE(5, 3), FIRN_INIT_ONE, 1);
    assert_constant(m, "vector", FIRN_SHAPE(5), FIRN_INIT_DEFAULT, 0);
    assert_constant(m, "scalar", FIRN_SCALAR, FIRN_INIT_DEFAULT, 0);
    firn_ctx_destroy(ctx);
}

static const float *values_of(uint64_t seed, const char *name, firn_ctx **ctx)
{
    assert_int_equal(firn_ctx_create(ctx, &(firn_ctx_options){.threads = 1, .seed = seed}), FIRN_OK);
    firn_model *m = firn_model_create(*ctx);
    return firn_data(firn_param(m, name, FIRN_SHAPE(4, 4), (firn_init){0}));
}

/* Seed 0 is FIRN_DEFAULT_SEED. */
static void values_are_a_function_of_seed_and_name(void **state)
{
    (void)state;
    firn_ctx *ctx[4];
    const float *w = values_of(FIRN_DEFAULT_SEED, "w", &ctx[0]), *same = values_of(0, "w", &ctx[1]),
                *other_seed = values_of(2, "w", &ctx[2]), *other_name = values_of(FIRN_DEFAULT_SEED, "v", &ctx[3]);
    assert_bits_equal(same, w, 16);
    assert_true(memcmp(other_seed, w, 16 * sizeof *w) != 0);
    assert_true(memcmp(other_name, w, 16 * sizeof *w) != 0);
    for (int i = 0; i < 4; i++) firn_ctx_destroy(ctx[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_have_the_spread_of_their_formula),
        cmocka_unit_test(zero_one_and_the_default_of_vectors_are_constant),
        cmocka_unit_test(values_are_a_function_of_seed_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
