/* Shapes, hand-made ones among them. */
#include "support.h"

static void counts_are_products_or_minus_one(void **state)
{
    (void)state;
    static const struct {
        firn_shape shape;
        int64_t count;
    } rows[] = {
        {{0, {0}}, 1},
        {{3, {2, 3, 4}}, 24},
        {{2, {0, 3}}, 0},
        {{2, {FIRN_BATCH, 3}}, -1},
        {{2, {0, -5}}, -1},
        {{3, {INT64_MAX, 2, 0}}, 0},
        {{2, {INT64_MAX, 1}}, INT64_MAX},
        {{2, {INT64_MAX, 2}}, -1},
        {{6, {1, 2, 1, 2, 1, 2}}, 8},
        {{FIRN_MAX_RANK + 1, {1, 1, 1, 1, 1, 1}}, -1},
        {{1000, {1, 1, 1, 1, 1, 1}}, -1},
        {{-1, {0}}, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(firn_shape_count(rows[i].shape), rows[i].count);
}

static void equal_shapes_have_equal_ranks_and_dimensions(void **state)
{
    (void)state;
    assert_true(firn_shape_equal(FIRN_SHAPE(2, 3), FIRN_SHAPE(2, 3)));
    assert_false(firn_shape_equal(FIRN_SHAPE(2, 3), FIRN_SHAPE(2, 4)));
    assert_false(firn_shape_equal(FIRN_SHAPE(2, 3), FIRN_SHAPE(2, 3, 1)));
    assert_true(firn_shape_equal(FIRN_SCALAR, FIRN_SCALAR));
    const firn_shape odd = {1000, {1, 2, 3, 4, 5, 6}}, other = {1000, {1, 2, 3, 4, 5, 7}};
    assert_true(firn_shape_equal(odd, odd));
    assert_false(firn_shape_equal(odd, other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_products_or_minus_one),
        cmocka_unit_test(equal_shapes_have_equal_ranks_and_dimensions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
