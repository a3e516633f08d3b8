#include <string.h>

#include "small_net.h"

static firn_optimizer_entry entry_of(const firn_optimizer *o, const char *param, const char *buffer)
{
    for (size_t i = 0; i < firn_optimizer_entries(o); i++) {
        const firn_optimizer_entry e = firn_optimizer_entry_at(o, i);
        if (strcmp(e.param, param) == 0 && strcmp(e.buffer, buffer) == 0) return e;
    }
    return (firn_optimizer_entry){0};
}

static uint64_t trained_elements(const small_net *net)
{
    uint64_t count = 0;
    for (int p = 0; p < NET_PARAMS; p++)
        if (!firn_is_frozen(firn_find(net->m, net_param[p]))) count += net_count(net, p);
    return count;
}

static void the_first_step_allocates_what_was_promised_and_no_later_one(void **state)
{
    (void)state;
    for (size_t c = 0; c < n_optim_cases; c++) {
        small_net net;
        net_open(&net, &optim_cases[c].how);
        assert_ok(net.ctx, firn_freeze(net.m, "a.weight", NULL));
        net_gradients(&net, 0, NET_ROWS);
        const size_t before = net.memory.bytes;
        assert_ok(net.ctx, firn_optimizer_step(net.o, net.plan, 1));
        assert_int_equal(net.memory.bytes - before, firn_optimizer_bytes(net.o, trained_elements(&net)));
        const size_t calls = net.memory.calls;
        for (int i = 0; i < 3; i++) net_step(&net);
        assert_int_equal(net.memory.calls, calls);
        net_close(&net);
    }
}

static void freezing_releases_state_at_the_next_step_and_unfreezing_starts_anew(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &(firn_optim){.kind = FIRN_ADAM});
    assert_ok(net.ctx, firn_optimizer_set_rate(net.o, "a", 0.5f));
    for (int i = 0; i < 3; i++) net_step(&net);
    assert_int_equal(firn_optimizer_entries(net.o), 2 * NET_PARAMS);
    assert_int_equal(entry_of(net.o, "a.bias", "exp_avg").step, 3);
    assert_ok(net.ctx, firn_freeze(net.m, "a", NULL));
    assert_int_equal(firn_optimizer_entries(net.o), 2 * NET_PARAMS); /* not yet: it could be taken back */
    net_gradients(&net, 0, NET_ROWS);
    const size_t before = net.memory.bytes;
    assert_ok(net.ctx, firn_optimizer_step(net.o, net.plan, 1));
    assert_int_equal(before - net.memory.bytes, firn_optimizer_bytes(net.o, net_count(&net, 0) + net_count(&net, 1)));
    assert_int_equal(firn_optimizer_entries(net.o), 4);
    assert_int_equal(entry_of(net.o, "b.bias", "exp_avg").step, 4);
    assert_ok(net.ctx, firn_unfreeze(net.m, "a", NULL));
    net_step(&net);
    assert_int_equal(entry_of(net.o, "a.bias", "exp_avg").step, 1);
    assert_close(firn_optimizer_rate(net.o, "a.bias"), 0.5, 0, 0); /* the rate is not state */
    assert_int_equal(entry_of(net.o, "b.bias", "exp_avg_sq").step, 5);
    net_close(&net);
}

static void freezing_and_unfreezing_without_a_step_changes_nothing(void **state)
{
    (void)state;
    for (size_t c = 0; c < n_optim_cases; c++) {
        small_net quiet, fidgety;
        net_open(&quiet, &optim_cases[c].how);
        net_open(&fidgety, &optim_cases[c].how);
        for (int i = 0; i < 4; i++) {
            net_step(&quiet);
            assert_ok(fidgety.ctx, firn_freeze(fidgety.m, "*", NULL));
            assert_ok(fidgety.ctx, firn_unfreeze(fidgety.m, "*", NULL));
            net_step(&fidgety);
        }
        for (int p = 0; p < NET_PARAMS; p++)
            assert_bits_equal(net_data(&fidgety, p), net_data(&quiet, p), net_count(&quiet, p));
        net_close(&fidgety);
        net_close(&quiet);
    }
}

static void restored_state_goes_on_bit_for_bit(void **state)
{
    (void)state;
    for (size_t c = 0; c < n_optim_cases; c++) {
        small_net straight, resumed;
        net_open(&straight, &optim_cases[c].how);
        net_open(&resumed, &optim_cases[c].how);
        for (int i = 0; i < 3; i++) net_step(&straight);
        for (int p = 0; p < NET_PARAMS; p++)
            assert_ok(resumed.ctx, firn_write(resumed.m, net_param[p], net_data(&straight, p), net_count(&straight, p)));
        for (size_t i = 0; i < firn_optimizer_entries(straight.o); i++) {
            const firn_optimizer_entry e = firn_optimizer_entry_at(straight.o, i);
            assert_ok(resumed.ctx, firn_optimizer_restore(resumed.o, &e));
        }
        assert_int_equal(firn_optimizer_entries(resumed.o), firn_optimizer_entries(straight.o));
        for (int i = 0; i < 3; i++) {
            net_step(&straight);
            net_step(&resumed);
        }
        for (int p = 0; p < NET_PARAMS; p++)
            assert_bits_equal(net_data(&resumed, p), net_data(&straight, p), net_count(&straight, p));
        net_close(&resumed);
        net_close(&straight);
    }
}

static void buffers_have_torchs_names(void **state)
{
    (void)state;
    static const struct {
        firn_optim how;
        const char *buffers[3];
    } kinds[] = {
        {{.kind = FIRN_SGD}, {NULL}},
        {{.kind = FIRN_SGD, .momentum = 0.9f}, {"momentum_buffer", NULL}},
        {{.kind = FIRN_ADAM}, {"exp_avg", "exp_avg_sq", NULL}},
        {{.kind = FIRN_ADAMW}, {"exp_avg", "exp_avg_sq", NULL}},
        {{.kind = FIRN_ADADELTA}, {"square_avg", "acc_delta", NULL}},
        {{.kind = FIRN_RMSPROP}, {"square_avg", NULL}},
        {{.kind = FIRN_RMSPROP, .momentum = 0.9f}, {"square_avg", "momentum_buffer", NULL}},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        small_net net;
        net_open(&net, &kinds[k].how);
        net_step(&net);
        size_t n = 0;
        for (; kinds[k].buffers[n] != NULL; n++)
            assert_int_equal(entry_of(net.o, "b.weight", kinds[k].buffers[n]).count, net_count(&net, 2));
        assert_int_equal(firn_optimizer_entries(net.o), n * NET_PARAMS);
        assert_null(firn_optimizer_entry_at(net.o, n * NET_PARAMS).data);
        net_close(&net);
    }
}

/* Memory for the others' state is short: what was put back is no state of the step that failed. */
static void restored_state_outlives_a_step_that_fails(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &(firn_optim){.kind = FIRN_ADAM});
    const float values[NET_HIDDEN] = {1, 2, 3, 4, 5};
    assert_ok(net.ctx, firn_optimizer_restore(net.o, &(firn_optimizer_entry){"a.bias", "exp_avg", values, NET_HIDDEN, 7}));
    net_gradients(&net, 0, NET_ROWS);
    net.memory.fail_at = net.memory.calls + 2;
    assert_fails(net.ctx, FIRN_ERR_MEMORY, firn_optimizer_step(net.o, net.plan, 1), "memory");
    assert_int_equal(firn_optimizer_entries(net.o), 2);
    assert_bits_equal(entry_of(net.o, "a.bias", "exp_avg").data, values, NET_HIDDEN);
    assert_int_equal(entry_of(net.o, "a.bias", "exp_avg").step, 7);
    net_close(&net);
}

static void a_wrong_entry_is_refused(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &(firn_optim){.kind = FIRN_ADAM});
    const float values[64] = {0};
    const firn_optimizer_entry good = {"a.bias", "exp_avg", values, NET_HIDDEN, 7};
    assert_int_equal(firn_optimizer_restore(NULL, &good), FIRN_ERR_ARGUMENT);
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_restore(net.o, NULL), "entry");
    firn_optimizer_entry e = good;
    e.param = "a.wait";
    assert_fails(net.ctx, FIRN_ERR_NAME, firn_optimizer_restore(net.o, &e), "a.wait exp_avg");
    assert_non_null(firn_state(net.m, "seen", FIRN_SHAPE(NET_HIDDEN), (firn_init){0})); /* no parameter */
    e.param = "seen";
    assert_fails(net.ctx, FIRN_ERR_NAME, firn_optimizer_restore(net.o, &e), "seen exp_avg");
    e = good;
    e.buffer = "momentum_buffer";
    assert_fails(net.ctx, FIRN_ERR_NAME, firn_optimizer_restore(net.o, &e), "a.bias momentum_buffer");
    e = good;
    e.count = 6;
    assert_fails(net.ctx, FIRN_ERR_SHAPE, firn_optimizer_restore(net.o, &e), "a.bias 5 6");
    e = good;
    e.data = NULL;
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_restore(net.o, &e), "complete");
    assert_int_equal(firn_optimizer_entries(net.o), 0);
    assert_ok(net.ctx, firn_optimizer_restore(net.o, &good));
    assert_int_equal(entry_of(net.o, "a.bias", "exp_avg").step, 7);
    net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_step_allocates_what_was_promised_and_no_later_one),
        cmocka_unit_test(freezing_releases_state_at_the_next_step_and_unfreezing_starts_anew),
        cmocka_unit_test(freezing_and_unfreezing_without_a_step_changes_nothing),
        cmocka_unit_test(restored_state_goes_on_bit_for_bit),
        cmocka_unit_test(buffers_have_torchs_names),
        cmocka_unit_test(restored_state_outlives_a_step_that_fails),
        cmocka_unit_test(a_wrong_entry_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
