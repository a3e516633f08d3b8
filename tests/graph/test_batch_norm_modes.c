/* Batch norm and the frozen bit (FREEZE F3): statistics follow their own bits, and nothing else. */
#include <string.h>

#include "ops.h"
#include "support.h"

enum { BATCH = 6, CHANNELS = 3, SIDE = 5, COUNT = BATCH * CHANNELS * SIDE * SIDE };

typedef struct rig {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_tensor *out, *loss;
    firn_plan *train, *eval;
    float x[COUNT], target[COUNT];
} rig;

static int set_up(void **state)
{
    static rig r;
    r = (rig){0};
    r.ctx = test_ctx(&r.memory, 2, NULL);
    r.m = firn_model_create(r.ctx);
    firn_tensor *x = firn_input(r.m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, CHANNELS, SIDE, SIDE));
    firn_tensor *target = firn_input(r.m, "target", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, CHANNELS, SIDE, SIDE));
    x = firn_nn_conv2d(x, "conv", &(firn_nn_conv2d_cfg){.out = CHANNELS, .kernel = 3, .pad = 1, .no_bias = true});
    r.out = firn_relu(firn_nn_batch_norm(x, "bn", NULL));
    r.loss = firn_mse(r.out, target);
    const float mean[CHANNELS] = {0.1f, -0.2f, 0.3f}, var[CHANNELS] = {0.5f, 1.5f, 0.2f};
    assert_ok(r.ctx, firn_write(r.m, "bn.running_mean", mean, CHANNELS));
    assert_ok(r.ctx, firn_write(r.m, "bn.running_var", var, CHANNELS));
    test_fill(r.x, COUNT, 1, -2, 2);
    test_fill(r.target, COUNT, 2, -1, 1);
    assert_ok(r.ctx, firn_plan_create(&r.train, r.loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = BATCH, .watch = r.out}));
    assert_ok(r.ctx, firn_plan_create(&r.eval, r.loss, &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH, .watch = r.out}));
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    rig *r = *state;
    firn_plan_destroy(r->train);
    firn_plan_destroy(r->eval);
    firn_ctx_destroy(r->ctx);
    assert_all_freed(&r->memory);
    return 0;
}

/* A step's forward and backward; are the statistics as they were? */
static bool statistics_stay(rig *r, int rows)
{
    float before[2 * CHANNELS], after[2 * CHANNELS];
    const float *mean = firn_data(firn_find(r->m, "bn.running_mean")), *var = firn_data(firn_find(r->m, "bn.running_var"));
    memcpy(before, mean, sizeof before / 2);
    memcpy(before + CHANNELS, var, sizeof before / 2);
    const firn_feed feeds[] = {{"x", r->x}, {"target", r->target}};
    assert_ok(r->ctx, firn_plan_forward(r->train, feeds, 2, rows));
    assert_ok(r->ctx, firn_plan_backward(r->train));
    memcpy(after, mean, sizeof after / 2);
    memcpy(after + CHANNELS, var, sizeof after / 2);
    return memcmp(before, after, sizeof before) == 0;
}

static void frozen_statistics_train_as_they_evaluate_at_any_batch(void **state)
{
    rig *r = *state;
    static const char *const masks[] = {"bn", "bn.running_*", "bn.running_*,conv", "bn.running_*,bn.weight"};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        assert_ok(r->ctx, firn_freeze_only(r->m, masks[i], NULL));
        for (int rows = 1; rows <= BATCH; rows++) {
            const firn_feed feeds[] = {{"x", r->x}, {"target", r->target}};
            assert_true(statistics_stay(r, rows));
            assert_ok(r->ctx, firn_plan_forward(r->eval, feeds, 2, rows));
            assert_bits_equal(firn_plan_value(r->train, r->out), firn_plan_value(r->eval, r->out), (size_t)rows * COUNT / BATCH);
            assert_bits_equal(firn_plan_value(r->train, NULL), firn_plan_value(r->eval, NULL), 1);
        }
    }
    assert_ok(r->ctx, firn_verify_frozen(r->m));
}

static void freezing_weight_and_bias_alone_goes_on_tracking(void **state)
{
    rig *r = *state;
    assert_false(statistics_stay(r, BATCH));
    assert_ok(r->ctx, firn_freeze_only(r->m, "bn.weight,bn.bias", NULL));
    assert_false(statistics_stay(r, BATCH));
    assert_non_null(firn_plan_grad(r->train, "conv.weight"));
    assert_null(firn_plan_grad(r->train, "bn.weight"));
}

static void one_value_a_channel_has_no_batch_statistics(void **state)
{
    rig *r = *state;
    firn_tensor *flat = firn_input(r->m, "flat", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 4));
    firn_tensor *wanted = firn_input(r->m, "wanted", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 4));
    firn_tensor *loss = firn_mse(firn_nn_batch_norm(flat, "bn1d", NULL), wanted);
    firn_plan *plan;
    assert_ok(r->ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = 3}));
    const firn_feed feeds[] = {{"flat", r->x}, {"wanted", r->target}};
    assert_fails(r->ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, feeds, 2, 1),
                 "batch_norm \"flat\" [1, 4]: 2 values channel");
    assert_ok(r->ctx, firn_plan_forward(plan, feeds, 2, 2));
    firn_plan_forget(plan);
    assert_ok(r->ctx, firn_freeze(r->m, "bn1d.running_*", NULL));
    assert_ok(r->ctx, firn_plan_forward(plan, feeds, 2, 1));
    firn_plan_destroy(plan);
}

/* A plan for one sample at a time: its costs can be told and compared, also those with nothing frozen. */
static void a_batch_of_one_trains_with_frozen_statistics(void **state)
{
    rig *r = *state;
    firn_tensor *flat = firn_input(r->m, "flat", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 4));
    firn_tensor *wanted = firn_input(r->m, "wanted", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 4));
    firn_tensor *loss = firn_mse(firn_nn_batch_norm(flat, "bn1d", NULL), wanted);
    const firn_feed feeds[] = {{"flat", r->x}, {"wanted", r->target}};
    firn_plan *plan;
    firn_cost now, unfrozen;
    FILE *out = tmpfile();
    assert_non_null(out);
    assert_ok(r->ctx, firn_freeze(r->m, "bn1d.running_*", NULL));
    assert_ok(r->ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = 1}));
    assert_ok(r->ctx, firn_plan_cost(plan, &now, &unfrozen));
    assert_ok(r->ctx, firn_plan_report(plan, out));
    assert_ok(r->ctx, firn_plan_forward(plan, feeds, 2, 1));
    assert_ok(r->ctx, firn_plan_backward(plan));
    assert_ok(r->ctx, firn_unfreeze(r->m, "bn1d.running_*", NULL));
    assert_fails(r->ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, feeds, 2, 1), "batch_norm 2 values freeze");
    firn_plan_destroy(plan);
    fclose(out);
}

/* Sums over columns are only for the gradients of weight and bias. */
static void frozen_statistics_need_no_scratch_forward(void **state)
{
    (void)state;
    const firn_view x = {.shape = FIRN_SHAPE(2, 4)}, c = {.shape = FIRN_SHAPE(4)}, in[] = {x, c, c, c, c};
    for (unsigned want = 0; want < 8; want++) {
        firn_view out;
        firn_op_build b = {.in = in,
                           .n_in = 5,
                           .attr = &(firn_batch_norm_attr){0},
                           .want = want,
                           .out = &out,
                           .op = &firn__op_batch_norm_frozen};
        assert_int_equal(firn__op_batch_norm_frozen.shape(&b), FIRN_OK);
        assert_true((b.scratch_bytes > 0) == (want > 1));
    }
}

/* y = norm(conv(x)) with a scale that is made of a parameter, recorded in front of the convolution or behind it. */
static void a_scale_that_is_computed_is_there_when_its_norm_runs(void **state)
{
    rig *r = *state;
    firn_tensor *y[2];
    firn_tensor *x = firn_input(r->m, "image", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, CHANNELS, SIDE, SIDE));
    firn_tensor *w = firn_find(r->m, "conv.weight"), *half = firn_find(r->m, "bn.weight");
    firn_tensor *bias = firn_find(r->m, "bn.bias");
    for (int behind = 0; behind < 2; behind++) {
        firn_tensor *scale = behind ? NULL : firn_scale(half, 2);
        firn_tensor *product = firn_conv2d(x, w, NULL, NULL);
        if (behind) scale = firn_scale(half, 2);
        y[behind] = firn_batch_norm(product, scale, bias, firn_find(r->m, "bn.running_mean"),
                                    firn_find(r->m, "bn.running_var"), NULL);
        assert_non_null(y[behind]);
    }
    firn_plan *plans[2];
    const firn_feed feed = {"image", r->x};
    for (int i = 0; i < 2; i++) {
        assert_ok(r->ctx, firn_plan_create(&plans[i], y[i], &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH}));
        assert_ok(r->ctx, firn_plan_forward(plans[i], &feed, 1, BATCH));
    }
    const size_t count = (size_t)BATCH * CHANNELS * (SIDE - 2) * (SIDE - 2);
    assert_bits_equal(firn_plan_value(plans[1], NULL), firn_plan_value(plans[0], NULL), count);
    for (int i = 0; i < 2; i++) firn_plan_destroy(plans[i]);
}

static void statistics_are_frozen_both_or_neither(void **state)
{
    rig *r = *state;
    assert_ok(r->ctx, firn_freeze(r->m, "bn.running_mean", NULL));
    const firn_feed feeds[] = {{"x", r->x}, {"target", r->target}};
    const firn_status st = firn_plan_forward(r->train, feeds, 2, BATCH);
    assert_true(st != FIRN_OK);
    assert_message_has(r->ctx, "batch_norm running_mean");
    firn_clear_error(r->ctx);
    assert_ok(r->ctx, firn_freeze(r->m, "bn.running_var", NULL));
    assert_ok(r->ctx, firn_plan_forward(r->train, feeds, 2, BATCH));
    firn_plan_forget(r->train);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(frozen_statistics_train_as_they_evaluate_at_any_batch),
        TEST(freezing_weight_and_bias_alone_goes_on_tracking),
        TEST(one_value_a_channel_has_no_batch_statistics),
        TEST(a_batch_of_one_trains_with_frozen_statistics),
        TEST(frozen_statistics_need_no_scratch_forward),
        TEST(a_scale_that_is_computed_is_there_when_its_norm_runs),
        TEST(statistics_are_frozen_both_or_neither),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
