/* The checks check: the tests of the first group must all fail, those of the second all pass. */
#include <math.h>

#include "support.h"

static const float ones[] = {1, 1, 1}, other[] = {1, 1.01f, 1}, with_nan[] = {1, NAN, 1}, minus_zero[] = {-0.0f},
                   zero[] = {0};
static const double ones_d[] = {1, 1, 1};

static void nan_is_not_close(void **state) { (void)state, assert_close(NAN, 1, 1, 1); }
static void nothing_is_close_to_nan(void **state) { (void)state, assert_close(1, NAN, 1, 1); }
static void infinity_is_not_close_to_a_number(void **state) { (void)state, assert_close(INFINITY, 1, 1, 1); }
static void a_number_is_not_close_to_infinity(void **state) { (void)state, assert_close(1, INFINITY, 1, 1); }
static void an_error_above_the_tolerance_is_seen(void **state) { (void)state, assert_close(1.01, 1, 1e-3, 0); }
static void an_array_with_nan_is_not_close(void **state) { (void)state, assert_close_array(with_nan, ones, 3, 1, 1); }
static void an_array_that_is_off_is_not_close(void **state) { (void)state, assert_close_array(other, ones, 3, 1e-3, 0); }
static void nan_is_not_close_to_a_double(void **state) { (void)state, assert_close_to_double(with_nan, ones_d, 3, 1, 1); }
static void minus_zero_has_other_bits(void **state) { (void)state, assert_bits_equal(minus_zero, zero, 1); }
static void another_status_is_seen(void **state) { (void)state, assert_ok(NULL, FIRN_ERR_IO); }
static void a_missing_word_is_seen(void **state) { (void)state, assert_message_has(NULL, "word"); }
static void a_refusal_that_does_not_come_is_seen(void **state)
{
    (void)state;
    const float *volatile built = ones;
    assert_refused(NULL, FIRN_ERR_ARGUMENT, built, "");
}

static test_memory abused_memory;
static void *volatile abused; /* the failure leaves before it is freed: main does it */
static void a_wrong_old_size_is_seen(void **state)
{
    (void)state;
    const firn_allocator a = test_memory_allocator(&abused_memory);
    abused = a.realloc(a.user, NULL, 0, 10);
    a.realloc(a.user, abused, 11, 0);
}

static void a_leak_is_seen(void **state)
{
    (void)state;
    test_memory m = {0};
    const firn_allocator a = test_memory_allocator(&m);
    void *p = a.realloc(a.user, NULL, 0, 10);
    const test_memory seen = m;
    a.realloc(a.user, p, 10, 0);
    assert_all_freed(&seen);
}

static void what_is_close_passes(void **state)
{
    (void)state;
    assert_close(1.01, 1, 0.02, 0);
    assert_close(INFINITY, INFINITY, 0, 0);
    assert_close(-0.0, 0, 0, 0);
    assert_close_array(other, ones, 3, 0.02, 0);
    assert_close_to_double(other, ones_d, 3, 0.02, 0);
    assert_bits_equal(with_nan, with_nan, 3);
    assert_ok(NULL, FIRN_OK);
    assert_message_has(NULL, " ");
}

static void memory_is_counted_and_fails_once(void **state)
{
    (void)state;
    test_memory m = {.fail_at = 2};
    const firn_allocator a = test_memory_allocator(&m);
    char *p = a.realloc(a.user, NULL, 0, 10);
    p[9] = 'x';
    assert_null(a.realloc(a.user, p, 10, 20));
    p = a.realloc(a.user, p, 10, 20);
    assert_int_equal(p[9], 'x');
    assert_int_equal(m.bytes, 20);
    assert_int_equal(m.peak, 30); /* old and new at one time */
    assert_int_equal(m.calls, 3);
    assert_null(a.realloc(a.user, p, 20, 0));
    assert_all_freed(&m);
}

static void random_data_stay_in_bounds(void **state)
{
    (void)state;
    float x[1000];
    uint8_t b[1000];
    test_fill(x, 1000, 7, -2, 3);
    test_fill_bytes(b, 1000, 7, 5);
    double sum = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(x[i] >= -2 && x[i] < 3);
        assert_true(b[i] < 5);
        sum += (double)x[i];
    }
    assert_close(sum / 1000, 0.5, 0, 0.2);
}

int main(void)
{
    const struct CMUnitTest failing[] = {
        cmocka_unit_test(nan_is_not_close),
        cmocka_unit_test(nothing_is_close_to_nan),
        cmocka_unit_test(infinity_is_not_close_to_a_number),
        cmocka_unit_test(a_number_is_not_close_to_infinity),
        cmocka_unit_test(an_error_above_the_tolerance_is_seen),
        cmocka_unit_test(an_array_with_nan_is_not_close),
        cmocka_unit_test(an_array_that_is_off_is_not_close),
        cmocka_unit_test(nan_is_not_close_to_a_double),
        cmocka_unit_test(minus_zero_has_other_bits),
        cmocka_unit_test(another_status_is_seen),
        cmocka_unit_test(a_missing_word_is_seen),
        cmocka_unit_test(a_refusal_that_does_not_come_is_seen),
        cmocka_unit_test(a_wrong_old_size_is_seen),
        cmocka_unit_test(a_leak_is_seen),
    };
    const struct CMUnitTest passing[] = {
        cmocka_unit_test(what_is_close_passes),
        cmocka_unit_test(memory_is_counted_and_fails_once),
        cmocka_unit_test(random_data_stay_in_bounds),
    };
    const int all = (int)(sizeof failing / sizeof *failing);
    print_message("All %d of the first group must fail.\n", all);
    const int failed = cmocka_run_group_tests_name("must fail", failing, NULL, NULL);
    const firn_allocator a = test_memory_allocator(&abused_memory);
    a.realloc(a.user, abused, 10, 0);
    print_message("%d of %d failed as they must.\n", failed, all);
    return failed != all || cmocka_run_group_tests_name("must pass", passing, NULL, NULL) != 0;
}
