#include <math.h>
#include <string.h>

#include "rig.h"

static const firn_trainer_options wild = {.batch = 8, .optim = {.kind = FIRN_ADAM, .lr = 0.02f}};

typedef struct best_log {
    float best; /* val_loss */
    int best_epoch, epochs;
} best_log;

static int watch(const firn_progress *p, void *user)
{
    best_log *log = user;
    if (!p->epoch_end) return 0;
    log->epochs = p->epoch;
    if (log->best_epoch == 0 || p->val_loss < log->best) {
        log->best = p->val_loss;
        log->best_epoch = p->epoch;
    }
    return 0;
}

/* Makes every n-th validation label contradict the training data: for 1, learning makes val_loss worse at once; for 3,
 * it first improves, and gets worse as the net becomes sure of itself. */
static void contradict(rig *r, int n)
{
    for (int i = 2 * RIG_TRAIN; i < RIG_ROWS; i += n) r->labels[i] = (uint8_t)((r->labels[i] + 1) % RIG_CLASSES);
}

static void the_best_epoch_is_followed_as_it_moves(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_NORM, &wild, 1);
    contradict(&r, 3);
    best_log log = {0};
    assert_ok(r.ctx, firn_fit(r.t, &r.data,
                              &(firn_fit_options){
                                  .epochs = 30, .validation = &r.val, .patience = 4, .on_progress = watch, .user = &log}));
    assert_true(log.best_epoch > 1 && log.epochs == log.best_epoch + 4);
    firn_metrics m;
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &m));
    assert_close(m.loss, log.best, 1e-6, 0);
    rig_close(&r);
}

static void it_stops_after_patience_and_restores_the_best_weights(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &wild, 1);
    contradict(&r, 1);
    best_log log = {0};
    assert_ok(r.ctx, firn_fit(r.t, &r.data,
                              &(firn_fit_options){
                                  .epochs = 50, .validation = &r.val, .patience = 3, .on_progress = watch, .user = &log}));
    assert_true(log.epochs < 50);
    assert_int_equal(log.epochs, log.best_epoch + 3);
    firn_metrics m;
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &m));
    assert_close(m.loss, log.best, 1e-6, 0);
    assert_null(firn_trainer_best_at(r.t, 0).data); /* not kept longer than needed */
    rig_close(&r);
}

static void the_best_weights_come_back_after_the_last_epoch_too(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &wild, 1);
    contradict(&r, 1);
    best_log log = {0};
    assert_ok(r.ctx, firn_fit(r.t, &r.data,
                              &(firn_fit_options){
                                  .epochs = 6, .validation = &r.val, .patience = 100, .on_progress = watch, .user = &log}));
    assert_int_equal(log.epochs, 6);
    assert_true(log.best_epoch < 6);
    firn_metrics m;
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &m));
    assert_close(m.loss, log.best, 1e-6, 0);
    rig_close(&r);
}

static void without_patience_the_last_weights_stay(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &wild, 1);
    contradict(&r, 1);
    best_log log = {0};
    assert_ok(r.ctx, firn_fit(r.t, &r.data,
                              &(firn_fit_options){.epochs = 8, .validation = &r.val, .on_progress = watch, .user = &log}));
    assert_int_equal(log.epochs, 8);
    firn_metrics m;
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &m));
    assert_true(m.loss > (double)log.best * 1.005);
    rig_close(&r);
}

/* The layer is unfrozen and changed after the best epoch: it must come back as well. And so must running statistics. */
static void what_was_unfrozen_after_the_best_epoch_comes_back(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_NORM, &wild, 1);
    contradict(&r, 1);
    assert_ok(r.ctx, firn_freeze(r.m, "conv1,bn1", NULL));
    best_log log = {0};
    const firn_freeze_event event = {.epoch = 4, .unfreeze = true, .selector = "conv1,bn1"};
    assert_ok(r.ctx, firn_fit(r.t, &r.data,
                              &(firn_fit_options){.epochs = 12,
                                                  .validation = &r.val,
                                                  .patience = 100,
                                                  .events = &event,
                                                  .n_events = 1,
                                                  .on_progress = watch,
                                                  .user = &log}));
    assert_true(log.best_epoch < 4);
    firn_metrics m;
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &m));
    assert_close(m.loss, log.best, 1e-6, 0);
    rig_close(&r);
}

static int stop_after_epoch(const firn_progress *p, void *user) { return p->epoch_end && p->epoch == *(const int *)user; }

static void a_stopped_fit_that_goes_on_without_patience_keeps_the_last_weights(void **state)
{
    (void)state;
    static rig stopped, whole;
    int three = 3;
    firn_fit_options how = {.epochs = 8, .validation = &stopped.val, .patience = 100};
    rig_open(&stopped, RIG_PLAIN, &wild, 1);
    rig_open(&whole, RIG_PLAIN, &wild, 1);
    contradict(&stopped, 1);
    how.on_progress = stop_after_epoch;
    how.user = &three;
    assert_status(stopped.ctx, FIRN_STOPPED, firn_fit(stopped.t, &stopped.data, &how));
    assert_non_null(firn_trainer_best_at(stopped.t, 0).data);
    assert_ok(stopped.ctx, firn_fit(stopped.t, &stopped.data, &(firn_fit_options){.epochs = 8}));
    assert_null(firn_trainer_best_at(stopped.t, 0).data);
    assert_ok(whole.ctx, firn_fit(whole.t, &whole.data, &(firn_fit_options){.epochs = 8}));
    rig_assert_equal(&stopped, &whole);
    rig_close(&stopped);
    rig_close(&whole);
}

/* A plan of the user's that waits for its backward from the last epoch on. */
typedef struct waiting {
    rig *r;
    firn_plan *plan;
    int from; /* epoch */
} waiting;

static int run_forward_only(const firn_progress *p, void *user)
{
    const waiting *w = user;
    if (p->epoch_end && p->epoch >= w->from) assert_ok(w->r->ctx, firn_plan_forward(w->plan, w->r->feeds, 2, 4));
    return 0;
}

static void best_weights_that_cannot_be_written_back_are_kept(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &wild, 1);
    contradict(&r, 1);
    waiting w = {.r = &r, .from = 6};
    assert_ok(r.ctx, firn_plan_create(&w.plan, r.loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = 4}));
    const firn_fit_options how = {
        .epochs = 6, .validation = &r.val, .patience = 100, .on_progress = run_forward_only, .user = &w};
    assert_fails(r.ctx, FIRN_ERR_STATE, firn_fit(r.t, &r.data, &how), "firn_plan_forget");
    firn_plan_forget(w.plan);
    firn_metrics last, best;
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &last));
    firn_tensor_info t;
    for (size_t i = 0; (t = firn_trainer_best_at(r.t, i)).data != NULL; i++)
        assert_ok(r.ctx, firn_write(r.m, t.name, t.data, (size_t)firn_shape_count(t.shape)));
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &best));
    assert_true(best.loss < last.loss);
    w.from = 1; /* and no weight moves while a plan waits from the beginning */
    assert_ok(r.ctx, firn_plan_forward(w.plan, r.feeds, 2, 4));
    const float before = *firn_data(firn_find(r.m, "fc2.weight"));
    assert_fails(r.ctx, FIRN_ERR_STATE, firn_fit(r.t, &r.data, &how), "firn_plan_forget");
    assert_close(*firn_data(firn_find(r.m, "fc2.weight")), before, 0, 0);
    firn_plan_destroy(w.plan);
    rig_close(&r);
}

static void frozen_tensors_are_not_copied(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &wild, 1);
    assert_ok(r.ctx, firn_freeze(r.m, "conv1,conv2,fc1", NULL));
    firn_trainer_position p = {.running = true, .samples = RIG_TRAIN};
    assert_ok(r.ctx, firn_trainer_position_set(r.t, &p));
    const float bias[RIG_CLASSES] = {1, 2, 3, 4};
    assert_ok(r.ctx, firn_trainer_best_set(r.t, "fc2.bias", bias, RIG_CLASSES));
    const firn_tensor_info best = firn_trainer_best_at(r.t, 0);
    assert_string_equal(best.name, "fc2.bias");
    assert_memory_equal(best.data, bias, sizeof bias);
    assert_null(firn_trainer_best_at(r.t, 1).data);
    assert_fails(r.ctx, FIRN_ERR_NAME, firn_trainer_best_set(r.t, "fc9", bias, RIG_CLASSES), "fc9");
    assert_fails(r.ctx, FIRN_ERR_SHAPE, firn_trainer_best_set(r.t, "fc2.bias", bias, 3), "fc2.bias 4 3");
    assert_int_equal(firn_trainer_best_set(NULL, "fc2.bias", bias, 4), FIRN_ERR_ARGUMENT);
    rig_close(&r);
}

/* The validation data have a NaN until the first epoch is over. */
typedef struct mending {
    float *x;
    int epochs;
} mending;

static int mend(const firn_progress *p, void *user)
{
    mending *data = user;
    if (!p->epoch_end) return 0;
    assert_int_equal(isnan(p->val_loss) != 0, p->epoch == 1);
    data->x[0] = 1;
    data->epochs = p->epoch;
    return 0;
}

static void any_number_is_better_than_nan(void **state)
{
    (void)state;
    static const float train_x[2] = {1, 2}, targets[2] = {2, 4};
    float val_x[2] = {NAN, 2};
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1)),
                *target = firn_input(m, "target", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1));
    firn_tensor *y = firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = 1});
    firn_trainer *t;
    assert_ok(ctx, firn_trainer_create(&t, firn_mse(y, target), y, &(firn_trainer_options){.batch = 2}));
    const firn_feed feeds[] = {{"x", train_x}, {"target", targets}}, val_feeds[] = {{"x", val_x}, {"target", targets}};
    const firn_dataset data = {2, feeds, 2, NULL}, val = {2, val_feeds, 2, NULL};
    mending user = {val_x, 0};
    assert_ok(ctx, firn_fit(t, &data,
                            &(firn_fit_options){
                                .epochs = 4, .validation = &val, .patience = 1, .on_progress = mend, .user = &user}));
    assert_int_equal(user.epochs, 4); /* each is better than the one before */
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_epoch_is_followed_as_it_moves),
        cmocka_unit_test(it_stops_after_patience_and_restores_the_best_weights),
        cmocka_unit_test(the_best_weights_come_back_after_the_last_epoch_too),
        cmocka_unit_test(without_patience_the_last_weights_stay),
        cmocka_unit_test(what_was_unfrozen_after_the_best_epoch_comes_back),
        cmocka_unit_test(a_stopped_fit_that_goes_on_without_patience_keeps_the_last_weights),
        cmocka_unit_test(best_weights_that_cannot_be_written_back_are_kept),
        cmocka_unit_test(frozen_tensors_are_not_copied),
        cmocka_unit_test(any_number_is_better_than_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
