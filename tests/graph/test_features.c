/* Features at the frontier: what can be cached, when it may be used, and that its bits are those of the whole forward. */
#include <firn/op.h>
#include <stdlib.h>
#include <string.h>

#include "small_net.h"

/* The whole forward's loss and gradients, from the features of those rows whose bit is set. */
static void train_from_features(net *n, firn_plan *plan, const void *const *packed, unsigned bits, const gradients *whole)
{
    const void *rows[BATCH];
    for (int i = 0; i < BATCH; i++) rows[i] = bits >> i & 1 ? packed[i] : NULL;
    const firn_feed feeds[] = {{"image", n->pixels}, {"label", n->labels}};
    firn_plan_set_step(plan, 5);
    assert_ok(n->ctx, firn_plan_forward_features(plan, rows, feeds, 2, BATCH));
    assert_bits_equal(firn_plan_value(plan, NULL), &whole->loss, 1);
    assert_ok(n->ctx, firn_plan_backward(plan));
    for (size_t i = 0; i < firn_tensor_count(n->m); i++) {
        const firn_tensor_info t = firn_tensor_at(n->m, i);
        if (whole->of[i] != NULL)
            assert_bits_equal(firn_plan_grad(plan, t.name), whole->of[i], (size_t)firn_shape_count(t.shape));
    }
}

static void cached_features_give_the_bits_of_the_whole_forward(void **state)
{
    (void)state;
    static const char *const frozen[] = {"conv1", "conv1,conv2", "conv1,conv2,fc1", "conv1,conv2,fc1,fc2", "*,!conv2,!fc2"};
    for (size_t f = 0; f < 2 * sizeof frozen / sizeof *frozen; f++) {
        net n;
        net_build(&n, 2, NULL, 0.25f);
        assert_ok(n.ctx, firn_freeze(n.m, frozen[f / 2], NULL));
        firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, f % 2 != 0);
        const size_t bound = firn_plan_features_bound(plan, NULL);
        assert_true(bound > 0);
        gradients whole = net_gradients(&n, plan);
        unsigned char *packed = malloc(bound * BATCH);
        const void *rows[BATCH];
        assert_int_equal(firn_plan_features_pack(plan, 0, packed), 0); /* backward has reused their memory */
        net_forward(&n, plan, 0, BATCH);
        for (int i = 0; i < BATCH; i++) {
            const size_t used = firn_plan_features_pack(plan, i, packed + (size_t)i * bound);
            assert_true(used > 0 && used <= bound);
            rows[i] = packed + (size_t)i * bound;
        }
        /* something else in between */
        net_forward(&n, plan, 3, 2);
        assert_ok(n.ctx, firn_plan_backward(plan));
        for (unsigned bits = 0; bits < 1u << BATCH; bits++) train_from_features(&n, plan, rows, bits, &whole);
        gradients_free(&whole);
        free(packed);
        firn_plan_destroy(plan);
        net_finish(&n);
    }
}

static void the_features_version_follows_what_they_stand_on(void **state)
{
    (void)state;
    net n;
    const float bias[5] = {1, 2, 3, 4, 5};
    net_build(&n, 1, NULL, 0.25f);
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    const char *why;
    assert_int_equal(firn_plan_features_bound(plan, &why), 0);
    assert_string_equal(why, "nothing is frozen");
    assert_ok(n.ctx, firn_freeze(n.m, "conv2", NULL));
    assert_int_equal(firn_plan_features_bound(plan, &why), 0);
    assert_non_null(strstr(why, "conv1.weight"));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    const uint64_t version = firn_plan_features_version(plan);
    assert_ok(n.ctx, firn_write(n.m, "fc1.bias", (float[12]){0}, 12)); /* above the frontier */
    assert_true(firn_plan_features_version(plan) == version);
    assert_ok(n.ctx, firn_unfreeze(n.m, "conv2", NULL));
    assert_true(firn_plan_features_version(plan) != version);
    assert_ok(n.ctx, firn_freeze(n.m, "conv2", NULL));
    assert_true(firn_plan_features_version(plan) == version);
    assert_ok(n.ctx, firn_write(n.m, "conv1.bias", bias, 5));
    assert_true(firn_plan_features_version(plan) != version);
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void odd_rows_of_bytes_do_not_end_what_can_be_cached(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0);
    firn_tensor *odd = firn_input(n.m, "odd", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 27, 27));
    firn_tensor *x = firn_scale(firn_flatten(odd, 1), 1.0f / 255);
    x = firn_relu(firn_nn_linear(x, "below", &(firn_nn_linear_cfg){.out = 3}));
    x = firn_nn_linear(x, "above", &(firn_nn_linear_cfg){.out = CLASSES});
    firn_tensor *loss = firn_cross_entropy(x, n.label, NULL);
    const char *why = NULL;
    firn_plan *plan;
    assert_ok(n.ctx, firn_freeze(n.m, "below", NULL));
    assert_ok(n.ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.batch = BATCH, .features = true}));
    assert_true(firn_plan_features_bound(plan, &why) > 0);
    assert_string_equal(why, "");
    firn_plan_destroy(plan);
    net_finish(&n);
}

/* ---- an operator that makes bytes of a frozen weight ---- */
static firn_status bytes_shape(firn_op_build *b)
{
    *b->out = b->in[0];
    return FIRN_OK;
}
static void bytes_forward(const firn_op_run *r)
{
    memcpy(r->out->data, r->in[0].data, (size_t)firn_shape_count(r->in[0].shape));
}

static void features_of_odd_size_are_not_cached_and_the_reason_is_true(void **state)
{
    (void)state;
    static const firn_op bytes = {.name = "bytes", .n_in = 2, .shape = bytes_shape, .forward = bytes_forward};
    net n;
    net_build(&n, 1, NULL, 0);
    firn_tensor *odd = firn_input(n.m, "odd", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 5));
    firn_tensor *frozen = firn_param(n.m, "table", FIRN_SHAPE(2), (firn_init){0});
    firn_tensor *free_ = firn_param(n.m, "table2", FIRN_SHAPE(2), (firn_init){0});
    firn_tensor *x = firn_apply(&bytes, (firn_tensor *[]){odd, frozen}, NULL); /* deep, read by what is not pure */
    x = firn_scale(firn_apply(&bytes, (firn_tensor *[]){x, free_}, NULL), 1);
    const char *why = NULL;
    firn_plan *plan;
    assert_ok(n.ctx, firn_freeze(n.m, "table", NULL));
    assert_ok(n.ctx, firn_plan_create(&plan, x, &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH, .features = true}));
    assert_int_equal(firn_plan_features_bound(plan, &why), 0);
    assert_string_equal(why, "\"bytes\" has 5 bytes a sample, which is no whole number of floats");
    firn_plan_destroy(plan);
    net_finish(&n);
}

/* Of running mean and variance both must be frozen, or neither. */
static void a_mask_that_operators_refuse_is_not_called_a_lack_of_memory(void **state)
{
    (void)state;
    net n;
    const char *why;
    net_build(&n, 1, NULL, 0);
    firn_tensor *x = firn_nn_batch_norm(n.logits, "norm", NULL);
    firn_plan *plan = net_plan(&n, firn_cross_entropy(x, n.label, NULL), FIRN_TRAIN, false);
    assert_ok(n.ctx, firn_freeze(n.m, "conv1,norm.running_mean", NULL));
    assert_int_equal(firn_plan_features_bound(plan, &why), 0);
    assert_string_equal(why, "the plan cannot be made under this mask (see firn_message())");
    assert_message_has(n.ctx, "norm.running_mean both frozen");
    firn_clear_error(n.ctx);
    assert_ok(n.ctx, firn_freeze(n.m, "norm.running_var", NULL));
    assert_true(firn_plan_features_bound(plan, &why) > 0);
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void features_of_another_mask_are_not_packed(void **state)
{
    (void)state;
    net n;
    unsigned char room[1 << 14];
    net_build(&n, 1, NULL, 0);
    firn_plan *plan;
    assert_ok(n.ctx,
              firn_plan_create(&plan, n.logits, &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH, .features = true}));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    net_forward(&n, plan, 0, BATCH);
    assert_true(firn_plan_features_pack(plan, 0, room) > 0);
    assert_ok(n.ctx, firn_freeze(n.m, "conv2", NULL));
    assert_int_equal(firn_plan_features_pack(plan, 0, room), 0);
    net_forward(&n, plan, 0, BATCH);
    assert_true(firn_plan_features_pack(plan, 0, room) > 0);
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void a_sample_without_features_needs_all_inputs(void **state)
{
    (void)state;
    net n;
    unsigned char room[1 << 14];
    net_build(&n, 1, NULL, 0);
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    net_forward(&n, plan, 0, 2);
    assert_true(firn_plan_features_pack(plan, 0, room) > 0);
    firn_plan_forget(plan);
    const void *const rows[] = {room, NULL};
    const firn_feed label = {"label", n.labels};
    assert_fails(n.ctx, FIRN_ERR_NAME, firn_plan_forward_features(plan, rows, &label, 1, 2),
                 "firn_plan_forward_features image not fed");
    assert_ok(n.ctx, firn_plan_forward_features(plan, rows, &label, 1, 1));
    firn_plan_destroy(plan);
    net_finish(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cached_features_give_the_bits_of_the_whole_forward),
        cmocka_unit_test(the_features_version_follows_what_they_stand_on),
        cmocka_unit_test(odd_rows_of_bytes_do_not_end_what_can_be_cached),
        cmocka_unit_test(features_of_odd_size_are_not_cached_and_the_reason_is_true),
        cmocka_unit_test(a_mask_that_operators_refuse_is_not_called_a_lack_of_memory),
        cmocka_unit_test(features_of_another_mask_are_not_packed),
        cmocka_unit_test(a_sample_without_features_needs_all_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
