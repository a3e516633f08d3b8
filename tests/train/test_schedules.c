#include <math.h>
#include <string.h>

#include "support.h"

static const char *const layers[] = {"conv1", "conv2", "fc1", "fc2"};
enum { N = 4 };

static void assert_event(const firn_freeze_event *e, int epoch, bool unfreeze, const char *selector, double rate)
{
    assert_int_equal(e->epoch, epoch);
    assert_int_equal(e->step, 0);
    assert_int_equal(e->unfreeze, unfreeze);
    assert_string_equal(e->selector, selector);
    assert_close(e->rate, rate, 1e-6, 0);
}

static void gradual_unfreezing_goes_from_the_last_layer_down(void **state)
{
    (void)state;
    firn_freeze_event e[7];
    assert_int_equal(firn_gradual_unfreezing(layers, N, 2, 2.6f, e, 7), 7);
    for (int i = 0; i < N; i++) assert_event(&e[i], 1, i == 3, layers[i], 0);
    assert_event(&e[4], 3, true, "fc1", 1 / 2.6);
    assert_event(&e[5], 5, true, "conv2", 1 / (2.6 * 2.6));
    assert_event(&e[6], 7, true, "conv1", 1 / (2.6 * 2.6 * 2.6));
    assert_int_equal(firn_gradual_unfreezing(layers, N, 1, 1, e, 7), 7);
    assert_event(&e[6], 4, true, "conv1", 1);
}

/* 2.6 to the 110th is more than a float can divide by; a rate of zero would mean that the lowest layers keep a whole one.
 */
static void the_lowest_of_very_many_layers_still_have_the_smallest_rate(void **state)
{
    (void)state;
    enum { MANY = 150 };
    static const char *names[MANY];
    static firn_freeze_event e[2 * MANY - 1];
    for (int i = 0; i < MANY; i++) names[i] = "layer";
    assert_int_equal(firn_gradual_unfreezing(names, MANY, 1, 2.6f, e, 2 * MANY - 1), 2 * MANY - 1);
    for (int i = MANY + 1; i < 2 * MANY - 1; i++) assert_true(e[i].rate > 0 && e[i].rate <= e[i - 1].rate);
}

static void probe_then_tune_frees_all_after_the_probe(void **state)
{
    (void)state;
    firn_freeze_event e[8];
    assert_int_equal(firn_probe_then_tune(layers, N, 3, 0.1f, e, 8), 8);
    for (int i = 0; i < N; i++) {
        assert_event(&e[i], 1, i == 3, layers[i], 0);
        assert_event(&e[N + i], 4, true, layers[i], 0.1);
    }
}

static void progressive_freezing_goes_from_the_first_layer_up_and_spares_the_last(void **state)
{
    (void)state;
    firn_freeze_event e[3];
    assert_int_equal(firn_progressive_freezing(layers, N, 2, e, 3), 3);
    for (int i = 0; i < 3; i++) assert_event(&e[i], 3 + 2 * i, false, layers[i], 0);
}

static void a_list_without_room_is_counted_and_cut(void **state)
{
    (void)state;
    firn_freeze_event e[2] = {{0}};
    assert_int_equal(firn_gradual_unfreezing(layers, N, 1, 1, e, 1), 7);
    assert_event(&e[0], 1, false, "conv1", 0);
    assert_null(e[1].selector);
    assert_int_equal(firn_gradual_unfreezing(layers, N, 1, 1, NULL, 9), 7);
    assert_int_equal(firn_progressive_freezing(layers, 1, 1, NULL, 0), 0);
    assert_int_equal(firn_gradual_unfreezing(layers, 1, 1, 1, e, 2), 1);
}

static void bad_arguments_give_no_events(void **state)
{
    (void)state;
    firn_freeze_event e[8];
    assert_int_equal(firn_gradual_unfreezing(NULL, N, 1, 1, e, 8), 0);
    assert_int_equal(firn_gradual_unfreezing(layers, 0, 1, 1, e, 8), 0);
    assert_int_equal(firn_gradual_unfreezing(layers, N, 0, 1, e, 8), 0);
    assert_int_equal(firn_gradual_unfreezing(layers, N, 1, 0, e, 8), 0);
    assert_int_equal(firn_gradual_unfreezing(layers, N, 1, NAN, e, 8), 0);
    assert_int_equal(firn_probe_then_tune(layers, N, 0, 1, e, 8), 0);
    assert_int_equal(firn_probe_then_tune(layers, N, 1, 0, e, 8), 0);
    assert_int_equal(firn_progressive_freezing(layers, N, 0, e, 8), 0);
    assert_int_equal(firn_progressive_freezing(layers, N, 2000000000, e, 8), 3);
    assert_int_equal(e[2].epoch, 2147483647); /* far, not wrapped */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradual_unfreezing_goes_from_the_last_layer_down),
        cmocka_unit_test(the_lowest_of_very_many_layers_still_have_the_smallest_rate),
        cmocka_unit_test(probe_then_tune_frees_all_after_the_probe),
        cmocka_unit_test(progressive_freezing_goes_from_the_first_layer_up_and_spares_the_last),
        cmocka_unit_test(a_list_without_room_is_counted_and_cut),
        cmocka_unit_test(bad_arguments_give_no_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
