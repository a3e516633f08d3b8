#include <math.h>
#include <string.h>

#include "support.h"
#include "trainer.h"

enum { COUNT = 101 };

static firn_dataset whole(void) { return (firn_dataset){.count = COUNT}; }

static bool is_permutation(const uint32_t *rows, size_t n)
{
    bool seen[COUNT] = {false};
    for (size_t i = 0; i < n; i++) {
        if (rows[i] >= n || seen[rows[i]]) return false;
        seen[rows[i]] = true;
    }
    return true;
}

static void a_split_is_a_partition_of_the_right_sizes(void **state)
{
    (void)state;
    static const double fractions[] = {0, 0.1, 0.5, 0.504, 0.506, 0.999, 1};
    for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++) {
        uint32_t rows[COUNT];
        firn_dataset data = whole(), a, b;
        assert_int_equal(firn_dataset_split(&data, fractions[i], 3, rows, &a, &b), FIRN_OK);
        assert_int_equal(a.count, (size_t)floor(fractions[i] * COUNT + 0.5));
        assert_int_equal(a.count + b.count, COUNT);
        assert_ptr_equal(a.rows, rows);
        assert_ptr_equal(b.rows, rows + a.count);
        assert_true(is_permutation(rows, COUNT));
    }
}

static void the_same_seed_splits_the_same_and_another_differently(void **state)
{
    (void)state;
    uint32_t x[COUNT], y[COUNT], z[COUNT];
    firn_dataset data = whole(), a, b;
    assert_int_equal(firn_dataset_split(&data, 0.5, 3, x, &a, &b), FIRN_OK);
    assert_int_equal(firn_dataset_split(&data, 0.5, 3, y, &a, &b), FIRN_OK);
    assert_int_equal(firn_dataset_split(&data, 0.5, 4, z, &a, &b), FIRN_OK);
    assert_memory_equal(x, y, sizeof x);
    assert_memory_not_equal(x, z, sizeof x);
    for (uint32_t i = 0; i < COUNT; i++) z[i] = i;
    assert_memory_not_equal(x, z, sizeof x); /* it is shuffled at all */
}

static void a_part_can_be_split_again(void **state)
{
    (void)state;
    uint32_t rows[COUNT], again[COUNT];
    firn_dataset data = whole(), a, b, c, d;
    assert_int_equal(firn_dataset_split(&data, 0.6, 1, rows, &a, &b), FIRN_OK);
    assert_int_equal(firn_dataset_split(&a, 0.5, 2, again, &c, &d), FIRN_OK);
    assert_int_equal(c.count + d.count, a.count);
    memcpy(again + a.count, b.rows, b.count * sizeof *again);
    assert_true(is_permutation(again, COUNT));
    assert_int_equal(firn_dataset_split(&a, 0.5, 2, rows, &a, &d), FIRN_OK); /* in place too */
    assert_memory_equal(rows, again, c.count * sizeof *rows);
    assert_int_equal(a.count, c.count);
}

static void a_bad_split_is_refused(void **state)
{
    (void)state;
    uint32_t rows[COUNT];
    firn_dataset data = whole(), a, b;
    assert_int_equal(firn_dataset_split(NULL, 0.5, 1, rows, &a, &b), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_dataset_split(&data, 0.5, 1, NULL, &a, &b), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_dataset_split(&data, 0.5, 1, rows, NULL, &b), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_dataset_split(&data, 0.5, 1, rows, &a, NULL), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_dataset_split(&data, -0.1, 1, rows, &a, &b), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_dataset_split(&data, 1.1, 1, rows, &a, &b), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_dataset_split(&data, (double)NAN, 1, rows, &a, &b), FIRN_ERR_ARGUMENT);
}

static void an_epochs_order_is_a_function_of_seed_and_epoch(void **state)
{
    (void)state;
    uint32_t first[COUNT], again[COUNT], next[COUNT], seeded[COUNT];
    firn__data_shuffle(first, COUNT, 1, 0);
    firn__data_shuffle(again, COUNT, 1, 0);
    firn__data_shuffle(next, COUNT, 1, 1);
    firn__data_shuffle(seeded, COUNT, 2, 0);
    assert_true(is_permutation(first, COUNT) && is_permutation(next, COUNT) && is_permutation(seeded, COUNT));
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, next, sizeof first);
    assert_memory_not_equal(first, seeded, sizeof first);
}

/* Each sample comes to each place equally often: chi-squared with 9 degrees of freedom, 99.99 % below 33.7. */
static void orders_are_fair(void **state)
{
    (void)state;
    enum { N = 10, DRAWS = 20000 };
    unsigned hits[N][N] = {{0}};
    for (unsigned d = 0; d < DRAWS; d++) {
        uint32_t order[N];
        firn__data_shuffle(order, N, 7, d);
        for (int i = 0; i < N; i++) hits[i][order[i]]++;
    }
    for (int i = 0; i < N; i++) {
        double chi = 0;
        for (int k = 0; k < N; k++) chi += pow((double)hits[i][k] - DRAWS / N, 2) / (DRAWS / N);
        assert_true(chi < 33.7);
    }
}

static void data_are_told_apart_by_names_pointers_count_and_rows(void **state)
{
    (void)state;
    const char x[2] = {0};
    uint32_t rows[2] = {0, 1};
    const char same_name[] = "x"; /* at another place */
    const firn_feed feeds[2] = {{"x", x}, {"y", x + 1}}, moved[2] = {{"x", x + 1}, {"y", x + 1}},
                    swapped[2] = {{"y", x}, {"x", x + 1}}, same[2] = {{same_name, x}, {"y", x + 1}};
    const firn_dataset a = {2, feeds, 2, NULL}, fewer = {1, feeds, 2, NULL}, other = {2, moved, 2, NULL},
                       indexed = {2, feeds, 2, rows}, exchanged = {2, swapped, 2, NULL}, again = {2, same, 2, NULL};
    const uint64_t id = firn__data_id(&a), by_rows = firn__data_id(&indexed);
    assert_true(id == firn__data_id(&a) && id == firn__data_id(&again) && id != 0);
    assert_true(id != firn__data_id(&exchanged));
    assert_true(id != firn__data_id(&fewer) && id != firn__data_id(&other) && id != by_rows);
    rows[1] = 0;
    assert_true(by_rows != firn__data_id(&indexed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_is_a_partition_of_the_right_sizes),
        cmocka_unit_test(the_same_seed_splits_the_same_and_another_differently),
        cmocka_unit_test(a_part_can_be_split_again),
        cmocka_unit_test(a_bad_split_is_refused),
        cmocka_unit_test(an_epochs_order_is_a_function_of_seed_and_epoch),
        cmocka_unit_test(orders_are_fair),
        cmocka_unit_test(data_are_told_apart_by_names_pointers_count_and_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
