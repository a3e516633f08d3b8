/* Every vector kernel, on every instruction set, over random shapes; pointers of any alignment, forbidden memory behind
 * every buffer. */
#include "vector_try.h"

enum { SHAPES = 2000 };

#define FIRN_X(name, type, work)                                                                                           \
    static void name##_agrees(void **state)                                                                                \
    {                                                                                                                      \
        (void)state;                                                                                                       \
        for (uint64_t k = 1; k <= SHAPES; k++) {                                                                           \
            try_seed = k;                                                                                                  \
            try_##name();                                                                                                  \
            guarded_take_back();                                                                                           \
        }                                                                                                                  \
    }
FIRN__VECTOR_MAP(FIRN_X)
FIRN_X(transpose, , )
FIRN_X(pack, , )
#undef FIRN_X

/* Large enough to be split, on 1 to 4 threads. */
static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    enum { N = 100000, COLUMNS = 50, PER = N / COLUMNS };
    static float x[N], y[4][N], z[4][N];
    static unsigned char bits[4][N / 8];
    static double scratch[4][N / 20], sum[4];
    test_fill(x, N, 1, -2, 2);
    for (int t = 0; t < 4; t++) {
        firn_ctx *ctx = test_ctx(NULL, t + 1, NULL);
        const firn__crew crew = {ctx, -1};
        firn__vector_transpose(crew, COLUMNS, &(firn__transpose_args){PER / COLUMNS, COLUMNS, FIRN_F32, x, z[t]});
        firn__vector_scale(crew, N, &(firn__scale_args){z[t], FIRN_F32, 0.1f, y[t]});
        firn__vector_dropout(crew, N, &(firn__dropout_args){y[t], y[t], 0.3f, 7});
        firn__vector_relu(crew, COLUMNS, &(firn__relu_args){PER, x, z[t], bits[t]});
        firn__vector_softmax(crew, PER, &(firn__softmax_args){COLUMNS, z[t], z[t]});
        sum[t] = firn__vector_sum_of_squares(crew, N, z[t], x);
        firn__vector_norm_statistics(crew, PER, COLUMNS, x, scratch[t]);
        assert_memory_equal(y[t], y[0], sizeof y[0]);
        assert_memory_equal(z[t], z[0], sizeof z[0]);
        assert_memory_equal(bits[t], bits[0], sizeof bits[0]);
        assert_memory_equal(scratch[t], scratch[0], (size_t)2 * COLUMNS * sizeof(double));
        assert_true(sum[t] == sum[0]);
        firn_ctx_destroy(ctx);
    }
}

static void nan_survives_relu_and_wins_in_max_pool(void **state)
{
    (void)state;
    EACH_SET(s)
    {
        float x[8] = {1, NAN, 2, 3, NAN, NAN, -1, 0}, y[2];
        try_sets[s]->max_pool(
            &(firn__pool_args){.c = 2, .h = 2, .w = 2, .oh = 1, .ow = 1, .kh = 2, .kw = 2, .stride = 2, .x = x, .y = y}, 0,
            1);
        assert_true(isnan(y[0]) && isnan(y[1]));
        try_sets[s]->max_pool(
            &(firn__pool_args){.c = 2, .h = 2, .w = 2, .oh = 1, .ow = 1, .kh = 2, .kw = 2, .stride = 1, .x = x, .y = y}, 0,
            1);
        assert_true(isnan(y[0]) && isnan(y[1]));
        assert_true(isnan(firn__vector_sum_of_squares((firn__crew){try_contexts[s], -1}, 8, x, NULL)));
        x[1] = x[4] = x[5] = 3e38f;
        assert_true(isfinite(firn__vector_sum_of_squares((firn__crew){try_contexts[s], -1}, 8, x, NULL)));
        x[1] = INFINITY;
        assert_true(!isfinite(firn__vector_sum_of_squares((firn__crew){try_contexts[s], -1}, 8, x, NULL)));
    }
}

int main(void)
{
    try_open();
    const struct CMUnitTest tests[] = {
#define FIRN_X(name, type, work) cmocka_unit_test(name##_agrees),
        FIRN__VECTOR_MAP(FIRN_X) FIRN_X(transpose, , ) FIRN_X(pack, , )
#undef FIRN_X
            cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(nan_survives_relu_and_wins_in_max_pool),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    try_close();
    return failed;
}
