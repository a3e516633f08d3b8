#include <stdio.h>
#include <string.h>

#include "run_program.h"

static program_run r;

static const char *const files[] = {"firn_mt-train-images-idx3-ubyte", "firn_mt-train-labels-idx1-ubyte",
                                    "firn_mt-test-images-idx3-ubyte", "firn_mt-test-labels-idx1-ubyte"};

static void put_sets(void)
{
    put_images("firn_mt-train", 8, 8);
    put_images("firn_mt-test", 8, 8);
}

static void remove_sets(void)
{
    for (size_t i = 0; i < 4; i++) remove(files[i]);
}

static void fails_with(const char *message)
{
    run_program(PROGRAM, "--epochs 1 --threads 1 --data firn_mt", &r);
    assert_string_equal(r.err, message);
    assert_int_equal(r.status, 1);
    assert_string_equal(r.out, ""); /* before any training */
}

static void small_images_will_do(void **state)
{
    (void)state;
    put_sets();
    run_program(PROGRAM, "--epochs 1 --threads 1 --data firn_mt", &r);
    assert_string_equal(r.err, "");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "verified"));
    remove_sets();
}

static void why_there_is_no_cache_is_told(void **state)
{
    (void)state;
    put_sets();
    run_program(PROGRAM, "--epochs 2 --threads 1 --data firn_mt --freeze '!*' --quiet", &r);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "cached features: none (nothing is frozen)"));
    remove_sets();
}

static void both_halves_of_the_classes_must_be_there(void **state)
{
    (void)state;
    static const int all[][2] = {{-1, 0}, {-1, 9}, {9, -1}, {0, 0}}; /* training, test; -1: of all classes */
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        put_sets();
        for (int k = 0; k < 20; k++) {
            if (all[i][0] >= 0) put_byte(files[1], 8 + k, all[i][0]);
            if (all[i][1] >= 0) put_byte(files[3], 8 + k, all[i][1]);
        }
        fails_with("mnist_transfer: firn_mt: each half of the classes needs training and test images\n");
    }
    remove_sets();
}

/* The names that begin with what --data says are taken, where they are there: what is wrong with them is told. */
static void a_damaged_file_is_named(void **state)
{
    (void)state;
    put_sets();
    put_byte(files[1], 2, 7);
    fails_with("mnist_transfer: firn_mt-train-labels-idx1-ubyte: byte 4: IDX: the element type must be 08, 09, 0b, 0c, 0d "
               "or 0e\n");
    put_sets();
    put_byte(files[2], 0, 1);
    fails_with("mnist_transfer: firn_mt-test-images-idx3-ubyte: byte 4: IDX: the first two bytes must be zero\n");
    remove_sets();
}

/* Not only after pretraining. */
static void a_selector_that_will_not_do_is_told_at_once(void **state)
{
    (void)state;
    static const char *const selectors[] = {"fetures", "features.dropout", "'*'", "features,head"};
    put_sets();
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        char arguments[100];
        snprintf(arguments, sizeof arguments, "--epochs 1 --threads 1 --data firn_mt --freeze %s", selectors[i]);
        run_program(PROGRAM, arguments, &r);
        assert_int_equal(r.status, 1);
        assert_int_equal(count_lines(r.err), 1);
        assert_string_equal(r.out, "");
    }
    remove_sets();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_images_will_do),
        cmocka_unit_test(why_there_is_no_cache_is_told),
        cmocka_unit_test(both_halves_of_the_classes_must_be_there),
        cmocka_unit_test(a_damaged_file_is_named),
        cmocka_unit_test(a_selector_that_will_not_do_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
