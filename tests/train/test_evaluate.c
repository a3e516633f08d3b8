#include <math.h>
#include <string.h>

#include "rig.h"

static void metrics_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    static const int batches[] = {1, 7, 30, 64};
    firn_metrics first = {0};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        static rig r;
        firn_metrics m;
        rig_open(&r, RIG_PLAIN, &(firn_trainer_options){.batch = batches[i]}, 1);
        assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &m));
        if (i == 0) first = m;
        assert_int_equal(m.count, RIG_VAL);
        assert_close(m.loss, first.loss, 1e-6, 0);
        assert_close(m.accuracy, first.accuracy, 0, 0);
        rig_close(&r);
    }
}

static void predictions_are_the_logits_that_accuracy_counts(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_NORM, &(firn_trainer_options){.batch = 16}, 2);
    assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 2}));
    static float logits[RIG_VAL * RIG_CLASSES], some[2 * RIG_CLASSES];
    firn_dataset images_only = r.val;
    images_only.n_feeds = 1;
    assert_ok(r.ctx, firn_predict(r.t, &images_only, logits));
    firn_metrics m;
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &m));
    int correct = 0;
    for (int i = 0; i < RIG_VAL; i++) {
        int best = 0;
        for (int c = 1; c < RIG_CLASSES; c++)
            if (logits[i * RIG_CLASSES + c] > logits[i * RIG_CLASSES + best]) best = c;
        correct += best == r.labels[2 * RIG_TRAIN + i];
    }
    assert_close(m.accuracy, (double)correct / RIG_VAL, 1e-9, 0);
    const uint32_t rows[2] = {29, 3};
    const firn_dataset two = {2, r.val_feeds, 2, rows}; /* labels may be there as well */
    assert_ok(r.ctx, firn_predict(r.t, &two, some));
    assert_bits_equal(some, logits + 29 * RIG_CLASSES, RIG_CLASSES);
    assert_bits_equal(some + RIG_CLASSES, logits + 3 * RIG_CLASSES, RIG_CLASSES);
    rig_close(&r);
}

static int keep_loss(const firn_progress *p, void *user)
{
    *(float *)user = p->loss;
    assert_true(p->samples_per_second >= 0);
    return 0;
}

static void ignored_labels_have_no_share_in_accuracy(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *label = firn_input(m, "label", FIRN_I32, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *logits = firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = 2});
    const float identity[4] = {1, 0, 0, 1}, zero[2] = {0};
    assert_ok(ctx, firn_write(m, "fc.weight", identity, 4));
    assert_ok(ctx, firn_write(m, "fc.bias", zero, 2));
    firn_trainer *t;
    firn_tensor *loss =
        firn_cross_entropy(logits, label, &(firn_cross_entropy_attr){.has_ignore_index = true, .ignore_index = -1});
    assert_ok(ctx, firn_trainer_create(&t, loss, logits, NULL));
    const float values[8] = {1, 0, 0, 1, 1, 0, 0, 1};
    const int32_t labels[4] = {0, 0, -1, 1};
    unsigned char odd[sizeof labels + 1]; /* as they may lie in a file */
    memcpy(odd + 1, labels, sizeof labels);
    for (int i = 0; i < 2; i++) {
        const firn_feed feeds[] = {{"label", i == 0 ? (const void *)labels : odd + 1}, {"x", values}};
        firn_metrics got;
        assert_ok(ctx, firn_evaluate(t, &(firn_dataset){4, feeds, 2, NULL}, &got));
        assert_close(got.accuracy, 2.0 / 3, 1e-9, 0);
        assert_int_equal(got.count, 4);
    }
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

/* Under a loss of another kind a label may be anything; what is no class does not count. */
static void labels_that_are_no_class_have_no_share_in_accuracy(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *label = firn_input(m, "label", FIRN_I32, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *logits = firn_scale(x, 1), *one = firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = 1});
    firn_tensor *loss = firn_mse(firn_reshape(one, FIRN_SHAPE(FIRN_BATCH)), firn_scale(label, 1));
    firn_trainer *t;
    assert_ok(ctx, firn_trainer_create(&t, loss, logits, NULL));
    const float values[10] = {1, 0, 0, 1, 1, 0, 0, 1, 1, 0};
    const int32_t labels[5] = {0, 0, -1, 2, 1};
    const firn_feed feeds[] = {{"label", labels}, {"x", values}};
    firn_metrics got;
    assert_ok(ctx, firn_evaluate(t, &(firn_dataset){5, feeds, 2, NULL}, &got));
    assert_close(got.accuracy, 1.0 / 3, 1e-9, 0);
    assert_int_equal(got.count, 5);
    firn_trainer_destroy(t);

    /* Of two such inputs neither is taken for the labels. */
    firn_tensor *weight = firn_scale(firn_input(m, "weight", FIRN_U8, FIRN_SHAPE(FIRN_BATCH)), 0);
    assert_ok(ctx, firn_trainer_create(&t, firn_mse(firn_add(firn_scale(label, 1), weight), weight), logits, NULL));
    const uint8_t weights[5] = {0};
    const firn_feed more[] = {feeds[0], feeds[1], {"weight", weights}};
    assert_ok(ctx, firn_evaluate(t, &(firn_dataset){5, more, 3, NULL}, &got));
    assert_true(isnan(got.accuracy));
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
}

/* Logits fed as they are; only label 1 counts in the first sample, whose logits say 1; `ignored` is in the others. */
static firn_metrics ignoring(int32_t ignored, float factor, bool another_input, int batch, float *fit_loss)
{
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 3)),
                *label = firn_input(m, "label", FIRN_I32, FIRN_SHAPE(FIRN_BATCH, 1)),
                *group = firn_input(m, "group", FIRN_I32, FIRN_SHAPE(FIRN_BATCH)),
                *bias = firn_param(m, "bias", FIRN_SHAPE(3), (firn_init){.kind = FIRN_INIT_ZERO}),
                *identity = firn_param(m, "identity", FIRN_SHAPE(3, 3), (firn_init){.kind = FIRN_INIT_ZERO});
    assert_ok(ctx, firn_write(m, "identity", (float[]){1, 0, 0, 0, 1, 0, 0, 0, 1}, 9));
    firn_tensor *logits = firn_linear(x, identity, bias);
    if (another_input) { /* it has a say in the logits, that is zero */
        firn_tensor *spread = firn_param(m, "spread", FIRN_SHAPE(3, 1), (firn_init){.kind = FIRN_INIT_ZERO});
        firn_tensor *one = firn_reshape(firn_scale(group, 1), FIRN_SHAPE(FIRN_BATCH, 1));
        logits = firn_add(logits, firn_linear(one, spread, NULL));
    }
    firn_tensor *loss = firn_cross_entropy(logits, firn_reshape(label, FIRN_SHAPE(FIRN_BATCH)),
                                           &(firn_cross_entropy_attr){.has_ignore_index = true, .ignore_index = ignored});
    firn_trainer *t;
    assert_ok(ctx, firn_trainer_create(&t, firn_scale(loss, factor), logits,
                                       &(firn_trainer_options){.batch = batch, .optim = {.lr = 1e-20f}}));
    const float logs[12] = {0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0};
    const int32_t labels[4] = {1, ignored, ignored, ignored}, groups[4] = {0};
    const firn_feed feeds[] = {{"x", logs}, {"label", labels}, {"group", groups}};
    const firn_dataset data = {4, feeds, another_input ? 3 : 2, NULL};
    firn_metrics got;
    assert_ok(ctx, firn_evaluate(t, &data, &got));
    assert_ok(ctx, firn_fit(t, &data, &(firn_fit_options){.on_progress = keep_loss, .user = fit_loss}));
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
    return got;
}

static void ignored_labels_have_no_share_in_the_loss(void **state)
{
    (void)state;
    const double loss = log(2 + exp(1)) - 1;
    for (int32_t ignored = -1; ignored <= 0; ignored++) /* 0 is a class as well */
        for (int batch = 1; batch <= 4; batch *= 2)
            for (int another = 0; another <= 1; another++) {
                float fit_loss = 0;
                const firn_metrics got = ignoring(ignored, 2, another, batch, &fit_loss);
                assert_close(got.loss, 2 * loss, 1e-6, 0);
                assert_close(fit_loss, 2 * loss, 1e-6, 0);
                assert_close(got.accuracy, 1, 0, 0);
                assert_int_equal(got.count, 4);
            }
}

static void without_labels_there_is_no_accuracy(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *y = firn_input(m, "y", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *out = firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = 2});
    firn_trainer *t;
    assert_ok(ctx, firn_trainer_create(&t, firn_mse(out, y), out, NULL));
    const float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const firn_feed feeds[] = {{"x", values}, {"y", values}};
    firn_metrics got;
    assert_ok(ctx, firn_evaluate(t, &(firn_dataset){4, feeds, 2, NULL}, &got));
    assert_true(isnan(got.accuracy) && got.loss > 0);
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

static void misuse_is_named(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, NULL, 1);
    firn_metrics m;
    float out[RIG_VAL * RIG_CLASSES];
    assert_int_equal(firn_evaluate(NULL, &r.val, &m), FIRN_ERR_ARGUMENT);
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_evaluate(r.t, &r.val, NULL), "out");
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_evaluate(r.t, NULL, &m), "firn_evaluate data");
    firn_dataset images_only = r.val;
    images_only.n_feeds = 1;
    assert_fails(r.ctx, FIRN_ERR_NAME, firn_evaluate(r.t, &images_only, &m), "label");
    assert_int_equal(firn_predict(NULL, &r.val, out), FIRN_ERR_ARGUMENT);
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_predict(r.t, &r.val, NULL), "firn_predict out");
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_predict(r.t, NULL, out), "firn_predict data");
    firn_trainer *no_output;
    assert_ok(r.ctx, firn_trainer_create(&no_output, r.loss, NULL, NULL));
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_predict(no_output, &r.val, out), "without an output");
    assert_ok(r.ctx, firn_evaluate(no_output, &r.val, &m));
    assert_true(isnan(m.accuracy));
    firn_trainer_destroy(no_output);
    assert_ok(r.ctx, firn_trainer_create(&no_output, r.loss, r.loss, NULL)); /* a scalar has no rows */
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_predict(no_output, &r.val, out), "cross_entropy row a sample");
    firn_trainer_destroy(no_output);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_do_not_depend_on_the_batch),
        cmocka_unit_test(predictions_are_the_logits_that_accuracy_counts),
        cmocka_unit_test(ignored_labels_have_no_share_in_accuracy),
        cmocka_unit_test(labels_that_are_no_class_have_no_share_in_accuracy),
        cmocka_unit_test(ignored_labels_have_no_share_in_the_loss),
        cmocka_unit_test(without_labels_there_is_no_accuracy),
        cmocka_unit_test(misuse_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
