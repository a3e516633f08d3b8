#include <math.h>
#include <string.h>

#include "rig.h"

static const firn_trainer_options sgd = {.batch = 16, .optim = {.kind = FIRN_SGD, .lr = 0.05f, .momentum = 0.9f}};

/* ---- the loop is the one a user would write ---- */

static void by_hand(rig *r, const firn_schedule *schedule, uint64_t step, int epochs)
{
    firn_plan *plan = firn_trainer_plan(r->t);
    for (int e = 0; e < epochs; e++)
        for (size_t begin = 0; begin < RIG_TRAIN; begin += 16, step++) {
            const int rows = begin + 16 <= RIG_TRAIN ? 16 : (int)(RIG_TRAIN - begin);
            const firn_feed feeds[] = {{"image", r->images + begin * RIG_PIXELS}, {"label", r->labels + begin}};
            assert_ok(r->ctx, firn_plan_forward(plan, feeds, 2, rows));
            assert_ok(r->ctx, firn_plan_backward(plan));
            assert_ok(r->ctx, firn_optimizer_step(firn_trainer_optimizer(r->t), plan, firn_schedule_at(schedule, step)));
        }
}

/* Two fits of three and two epochs of 6 steps. A schedule without an end of its own has that of each fit. */
static void a_fit_is_the_loop_written_by_hand_bit_for_bit(void **state)
{
    (void)state;
    static const struct {
        firn_schedule schedule;
        bool of_each_fit;
    } cases[] = {{{0}, false},
                 {{.warmup = 5}, false},
                 {{.kind = FIRN_STEP_DECAY, .every = 4, .gamma = 0.5f}, false},
                 {{.kind = FIRN_COSINE, .warmup = 2}, true},
                 {{.kind = FIRN_ONE_CYCLE}, true},
                 {{.kind = FIRN_COSINE, .total = 40}, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static rig hand, fit;
        firn_trainer_options opt = sgd;
        rig_open(&hand, RIG_PLAIN, &opt, 1);
        opt.schedule = cases[i].schedule;
        rig_open(&fit, RIG_PLAIN, &opt, 1);
        firn_schedule first = cases[i].schedule, second = first;
        if (cases[i].of_each_fit) {
            first.total = 18;
            second.total = 12;
        }
        by_hand(&hand, &first, 0, 3);
        by_hand(&hand, &second, cases[i].of_each_fit ? 0 : 18, 2);
        assert_ok(fit.ctx, firn_fit(fit.t, &fit.data, &(firn_fit_options){.epochs = 3, .no_shuffle = true}));
        assert_ok(fit.ctx, firn_fit(fit.t, &fit.data, &(firn_fit_options){.epochs = 2, .no_shuffle = true}));
        rig_assert_equal(&hand, &fit);
        assert_int_equal(firn_trainer_position_get(fit.t).steps, 30);
        rig_close(&hand);
        rig_close(&fit);
    }
}

static void it_learns(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_NORM, &(firn_trainer_options){.batch = 16, .optim = {.kind = FIRN_ADAM, .lr = 0.005f}}, 1);
    firn_metrics before, after;
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &before));
    assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 20}));
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &after));
    assert_true(before.loss > 1 && after.loss < 0.2 && after.accuracy > 0.9 && after.count == RIG_VAL);
    rig_close(&r);
}

static void the_order_is_new_each_epoch_and_the_same_each_run(void **state)
{
    (void)state;
    static rig a, b, straight;
    rig_open(&a, RIG_PLAIN, &sgd, 1);
    rig_open(&b, RIG_PLAIN, &sgd, 2);
    rig_open(&straight, RIG_PLAIN, &sgd, 1);
    assert_ok(a.ctx, firn_fit(a.t, &a.data, &(firn_fit_options){.epochs = 2}));
    assert_ok(b.ctx, firn_fit(b.t, &b.data, NULL));
    assert_ok(b.ctx, firn_fit(b.t, &b.data, NULL)); /* the second fit's epoch is the trainer's second */
    assert_ok(straight.ctx, firn_fit(straight.t, &straight.data, &(firn_fit_options){.epochs = 2, .no_shuffle = true}));
    rig_assert_equal(&a, &b);
    assert_memory_not_equal(firn_tensor_at(a.m, 0).data, firn_tensor_at(straight.m, 0).data, 64);
    rig_close(&a);
    rig_close(&b);
    rig_close(&straight);
}

static void rows_choose_the_samples(void **state)
{
    (void)state;
    static rig a, b;
    static uint32_t rows[RIG_TRAIN];
    rig_open(&a, RIG_PLAIN, &sgd, 1);
    rig_open(&b, RIG_PLAIN, &sgd, 1);
    for (uint32_t i = 0; i < RIG_TRAIN; i++) rows[i] = RIG_TRAIN + i;
    const firn_dataset same = {RIG_TRAIN, a.feeds, 2, rows}; /* other, as rows of the whole */
    assert_ok(a.ctx, firn_fit(a.t, &same, &(firn_fit_options){.epochs = 2}));
    assert_ok(b.ctx, firn_fit(b.t, &b.other, &(firn_fit_options){.epochs = 2}));
    rig_assert_equal(&a, &b);
    rig_close(&a);
    rig_close(&b);
}

/* ---- what the callback sees ---- */

typedef struct log_entry {
    int calls, epoch_ends;
    firn_progress last, ends[8];
    rig *r;
    size_t allocations; /* after the first step */
} log_entry;

static int keep_log(const firn_progress *p, void *user)
{
    log_entry *log = user;
    log->calls++;
    assert_int_equal(p->step, log->last.epoch_end || log->calls == 1 ? 1 : log->last.step + 1);
    assert_int_equal(p->epoch_end, p->step == p->steps);
    if (p->epoch_end) log->ends[log->epoch_ends++] = *p;
    if (log->calls == 1) log->allocations = log->r->memory.calls;
    log->last = *p;
    return 0;
}

static void progress_counts_steps_and_means(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_SKIP, &(firn_trainer_options){.batch = 16, .optim = {.lr = 1e-20f}}, 1); /* so that weights stay */
    log_entry log = {.r = &r};
    assert_ok(r.ctx,
              firn_fit(r.t, &r.data,
                       &(firn_fit_options){.epochs = 2, .validation = &r.val, .on_progress = keep_log, .user = &log}));
    assert_int_equal(log.calls, 12);
    assert_int_equal(log.epoch_ends, 2);
    assert_int_equal(log.last.epochs, 2);
    assert_int_equal(log.last.epoch, 2);
    assert_int_equal(log.last.steps, 6); /* 90 samples in batches of 16: the last has 10 */
    firn_metrics train, val;
    assert_ok(r.ctx, firn_evaluate(r.t, &r.data, &train));
    assert_ok(r.ctx, firn_evaluate(r.t, &r.val, &val));
    for (int e = 0; e < 2; e++) {
        assert_close(log.ends[e].loss, train.loss, 1e-5, 0);
        assert_close(log.ends[e].accuracy, train.accuracy, 1e-6, 0);
        assert_close(log.ends[e].val_loss, val.loss, 1e-6, 0);
        assert_close(log.ends[e].val_accuracy, val.accuracy, 1e-6, 0);
        if (log.ends[e].seconds > 0) assert_close(log.ends[e].samples_per_second * log.ends[e].seconds, RIG_TRAIN, 1e-6, 0);
    }
    rig_close(&r);
}

static void steps_after_the_first_allocate_nothing(void **state)
{
    (void)state;
    static rig r;
    firn_trainer_options opt = sgd;
    opt.no_cache = true;
    for (int accumulate = 1; accumulate <= 2; accumulate++) {
        opt.accumulate = accumulate;
        rig_open(&r, RIG_PLAIN, &opt, 2);
        log_entry log = {.r = &r};
        assert_ok(r.ctx, firn_freeze(r.m, "conv1", NULL));
        assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 3, .on_progress = keep_log, .user = &log}));
        assert_int_equal(r.memory.calls, log.allocations);
        rig_close(&r);
    }
}

/* ---- accumulation, odd sizes ---- */

static void accumulating_batches_is_a_larger_batch(void **state)
{
    (void)state;
    static rig whole, parts;
    firn_trainer_options opt = {.batch = 32, .optim = {.lr = 0.1f}};
    rig_open(&whole, RIG_SKIP, &opt, 1);
    opt.batch = 8;
    opt.accumulate = 4;
    rig_open(&parts, RIG_SKIP, &opt, 1);
    log_entry log = {.r = &parts};
    assert_ok(whole.ctx, firn_fit(whole.t, &whole.data, &(firn_fit_options){.epochs = 2}));
    assert_ok(parts.ctx,
              firn_fit(parts.t, &parts.data, &(firn_fit_options){.epochs = 2, .on_progress = keep_log, .user = &log}));
    assert_int_equal(log.last.steps, 3);
    for (size_t i = 0; i < firn_tensor_count(whole.m); i++)
        assert_close_array(firn_tensor_at(parts.m, i).data, firn_tensor_at(whole.m, i).data,
                           (size_t)firn_shape_count(firn_tensor_at(whole.m, i).shape), 1e-4, 1e-5);
    rig_close(&whole);
    rig_close(&parts);
}

/* By a loop that was left in the middle of a step: the first step of a fit is made of its own batches. */
static void what_was_accumulated_before_has_no_share_in_a_fit(void **state)
{
    (void)state;
    static rig left, plain;
    for (int accumulate = 1; accumulate <= 2; accumulate++) {
        const firn_trainer_options opt = {.batch = 16, .accumulate = accumulate, .optim = {.lr = 0.1f}};
        rig_open(&left, RIG_SKIP, &opt, 1);
        rig_open(&plain, RIG_SKIP, &opt, 1);
        firn_plan *plan = firn_trainer_plan(left.t);
        assert_ok(left.ctx, firn_plan_forward(plan, left.other_feeds, 2, 16));
        assert_ok(left.ctx, firn_plan_backward(plan));
        assert_ok(left.ctx, firn_optimizer_accumulate(firn_trainer_optimizer(left.t), plan));
        assert_ok(left.ctx, firn_fit(left.t, &left.data, NULL));
        assert_ok(plain.ctx, firn_fit(plain.t, &plain.data, NULL));
        rig_assert_equal(&left, &plain);
        rig_close(&left);
        rig_close(&plain);
    }
}

static void any_batch_fits_any_number_of_samples(void **state)
{
    (void)state;
    static const int batches[] = {1, 7, 89, 90, 91, 1000};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        static rig r;
        rig_open(&r, RIG_PLAIN, &(firn_trainer_options){.batch = batches[i]}, 1);
        log_entry log = {.r = &r};
        assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.on_progress = keep_log, .user = &log}));
        assert_int_equal(log.calls, (RIG_TRAIN + batches[i] - 1) / batches[i]);
        firn_dataset one = r.data;
        one.count = 1;
        assert_ok(r.ctx, firn_fit(r.t, &one, NULL));
        rig_close(&r);
    }
}

/* ---- stopping and going on ---- */

typedef struct stopper {
    int left; /* steps until it stops; below zero: never */
} stopper;

static int stop_later(const firn_progress *p, void *user)
{
    (void)p;
    stopper *s = user;
    return s->left >= 0 && s->left-- == 0;
}

static const firn_freeze_event events[] = {{.epoch = 1, .selector = "conv1,conv2"},
                                           {.step = 8, .unfreeze = true, .selector = "conv2", .rate = 0.5f},
                                           {.epoch = 3, .unfreeze = true, .selector = "conv1", .rate = 0.25f},
                                           {.step = 15, .selector = "fc1.bias"}};

static firn_fit_options long_fit(const rig *r, stopper *s)
{
    return (firn_fit_options){.epochs = 3,
                              .validation = &r->val,
                              .patience = 2,
                              .events = events,
                              .n_events = 4,
                              .on_progress = stop_later,
                              .user = s};
}

/* Stops after each possible step; goes on in the same trainer, or in another one to which all has been carried over. */
static void stopped_fits_go_on_bit_for_bit(const firn_trainer_options *opt, bool elsewhere)
{
    static rig straight, first, second;
    const int steps = 18 / (opt->accumulate ? opt->accumulate : 1);
    rig_open(&straight, RIG_PLAIN, opt, 1);
    stopper never = {-1};
    const firn_fit_options all = long_fit(&straight, &never);
    assert_ok(straight.ctx, firn_fit(straight.t, &straight.data, &all));
    for (int stop = 0; stop < steps; stop += elsewhere ? 2 : 1) {
        rig_open(&first, RIG_PLAIN, opt, 1);
        stopper s = {stop};
        firn_fit_options fit = long_fit(&first, &s);
        assert_status(first.ctx, FIRN_STOPPED, firn_fit(first.t, &first.data, &fit));
        assert_string_equal(firn_message(first.ctx), "");
        assert_int_equal(firn_trainer_position_get(first.t).fit_steps, stop + 1);
        rig *last = &first;
        if (elsewhere) {
            last = &second;
            rig_open(last, RIG_PLAIN, opt, 2);
            rig_transfer(&first, last);
        }
        fit = long_fit(last, &never);
        assert_ok(last->ctx, firn_fit(last->t, &last->data, &fit));
        rig_assert_equal(&straight, last);
        assert_int_equal(firn_trainer_position_get(last->t).steps, steps);
        assert_false(firn_trainer_position_get(last->t).running);
        if (elsewhere) rig_close(last);
        rig_close(&first);
    }
    rig_close(&straight);
}

static const firn_trainer_options resumable[] = {
    {.batch = 16,
     .optim = {.kind = FIRN_SGD, .lr = 0.05f, .momentum = 0.9f},
     .schedule = {.kind = FIRN_COSINE, .warmup = 3}},
    {.batch = 16, .optim = {.kind = FIRN_ADAM}, .schedule = {.kind = FIRN_STEP_DECAY, .every = 5}},
    {.batch = 16, .optim = {.kind = FIRN_ADADELTA}, .no_cache = true},
    {.batch = 16, .optim = {.kind = FIRN_RMSPROP, .clip_norm = 0.5f}, .accumulate = 2},
};

static void a_stopped_fit_goes_on_as_if_it_had_not_been_stopped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof resumable / sizeof *resumable; i++) stopped_fits_go_on_bit_for_bit(&resumable[i], false);
}

static void a_fit_goes_on_in_another_process_bit_for_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof resumable / sizeof *resumable; i++) stopped_fits_go_on_bit_for_bit(&resumable[i], true);
}

static void other_data_begin_a_new_fit(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &sgd, 1);
    stopper s = {3};
    assert_status(r.ctx, FIRN_STOPPED,
                  firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 2, .on_progress = stop_later, .user = &s}));
    assert_ok(r.ctx, firn_fit(r.t, &r.other, NULL));
    assert_int_equal(firn_trainer_position_get(r.t).steps, 4 + 6);
    assert_ok(r.ctx, firn_fit(r.t, &r.data, NULL));
    assert_int_equal(firn_trainer_position_get(r.t).steps, 4 + 6 + 6);
    rig_close(&r);
}

/* Samples that an earlier call ran took none of this call's seconds. */
static int count_own_samples(const firn_progress *p, void *user)
{
    size_t *calls = user;
    ++*calls;
    const size_t samples = p->epoch_end ? RIG_TRAIN - 4 * 16 : *calls * 16; /* 4 of 6 steps were run before */
    if (p->seconds > 0) assert_close(p->samples_per_second * p->seconds, samples, 1e-6, 0);
    return 0;
}

static void a_resumed_epoch_counts_its_own_samples(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &sgd, 1);
    stopper s = {3};
    size_t calls = 0;
    assert_status(r.ctx, FIRN_STOPPED, firn_fit(r.t, &r.data, &(firn_fit_options){.on_progress = stop_later, .user = &s}));
    assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.on_progress = count_own_samples, .user = &calls}));
    assert_int_equal(calls, 2);
    rig_close(&r);
}

/* What is refused has not begun. */
static void a_fit_that_is_refused_leaves_a_stopped_one_to_go_on(void **state)
{
    (void)state;
    static rig straight, r;
    const firn_trainer_options warm = {.batch = 16, .schedule = {.kind = FIRN_COSINE, .warmup = 7}};
    stopper s = {3}, never = {-1};
    rig_open(&straight, RIG_PLAIN, &warm, 1);
    rig_open(&r, RIG_PLAIN, &warm, 1);
    assert_ok(straight.ctx, firn_fit(straight.t, &straight.data, &(firn_fit_options){.epochs = 2}));
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &r.other, NULL), "warm-up 7 6");
    assert_false(firn_trainer_position_get(r.t).running);
    assert_status(r.ctx, FIRN_STOPPED,
                  firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 2, .on_progress = stop_later, .user = &s}));
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &r.other, NULL), "warm-up 7 6");
    r.memory.fail_at = r.memory.calls + 1; /* the order */
    assert_fails(r.ctx, FIRN_ERR_MEMORY, firn_fit(r.t, &r.other, &(firn_fit_options){.epochs = 2}), "memory");
    r.memory.fail_at = 0;
    assert_int_equal(firn_trainer_position_get(r.t).fit_steps, 4);
    assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 2, .on_progress = stop_later, .user = &never}));
    rig_assert_equal(&straight, &r);
    rig_close(&r);
    rig_close(&straight);
}

static void a_position_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &sgd, 1);
    firn_trainer_position p = {.running = true, .samples = 91, .step = 2};
    assert_ok(r.ctx, firn_trainer_position_set(r.t, &p));
    assert_fails(r.ctx, FIRN_ERR_STATE, firn_fit(r.t, &r.data, NULL), "position 91 90");
    p = (firn_trainer_position){.running = true, .samples = 90, .step = 6};
    assert_ok(r.ctx, firn_trainer_position_set(r.t, &p));
    assert_fails(r.ctx, FIRN_ERR_STATE, firn_fit(r.t, &r.data, NULL), "position step 6 epoch 6 steps");
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_trainer_position_set(r.t, NULL), "position");
    assert_int_equal(firn_trainer_position_set(NULL, &p), FIRN_ERR_ARGUMENT);
    assert_ok(r.ctx, firn_trainer_position_set(r.t, &(firn_trainer_position){.steps = 7, .draws = 9}));
    assert_int_equal(firn_plan_step(firn_trainer_plan(r.t)), 9);
    assert_ok(r.ctx, firn_fit(r.t, &r.data, NULL));
    assert_int_equal(firn_trainer_position_get(r.t).steps, 13);
    rig_close(&r);
}

/* ---- what goes wrong ---- */

static void a_loss_that_is_not_finite_names_epoch_and_step(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &sgd, 1);
    float weight[48];
    const firn_tensor_info w = firn_tensor_at(r.m, 6); /* fc2.weight */
    assert_string_equal(w.name, "fc2.weight");
    memcpy(weight, w.data, sizeof weight);
    float broken[48];
    memcpy(broken, weight, sizeof broken);
    broken[0] = NAN;
    assert_ok(r.ctx, firn_write(r.m, "fc2.weight", broken, 48));
    assert_fails(r.ctx, FIRN_ERR_NUMERIC, firn_fit(r.t, &r.data, NULL), "loss epoch 1, step 1");
    assert_ok(r.ctx, firn_write(r.m, "fc2.weight", weight, 48));
    assert_ok(r.ctx, firn_freeze(r.m, "conv1", NULL)); /* nothing was left pending */
    assert_ok(r.ctx, firn_fit(r.t, &r.data, NULL));
    rig_close(&r);
}

/* The second batch of the first step has a label that is no class. */
static void an_error_inside_accumulation_leaves_nothing_accumulated(void **state)
{
    (void)state;
    static rig r;
    firn_trainer_options opt = sgd;
    opt.accumulate = 2;
    rig_open(&r, RIG_PLAIN, &opt, 1);
    const uint8_t label = r.labels[20];
    r.labels[20] = RIG_CLASSES;
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &r.data, &(firn_fit_options){.no_shuffle = true}), "label row 4");
    r.labels[20] = label;
    assert_ok(r.ctx, firn_freeze(r.m, "conv1", NULL));
    assert_ok(r.ctx, firn_fit(r.t, &r.data, NULL));
    rig_close(&r);
}

static int fit_inside(const firn_progress *p, void *user)
{
    (void)p;
    rig *r = user;
    assert_fails(r->ctx, FIRN_ERR_STATE, firn_fit(r->t, &r->data, NULL), "running");
    const firn_trainer_position at = firn_trainer_position_get(r->t);
    assert_fails(r->ctx, FIRN_ERR_STATE, firn_trainer_position_set(r->t, &at), "running");
    firn_metrics m;
    assert_ok(r->ctx, firn_evaluate(r->t, &r->val, &m)); /* but this may be done */
    return 0;
}

static void a_callback_may_evaluate_but_not_fit(void **state)
{
    (void)state;
    static rig watched, alone;
    rig_open(&watched, RIG_PLAIN, &sgd, 1);
    rig_open(&alone, RIG_PLAIN, &sgd, 1);
    assert_ok(watched.ctx,
              firn_fit(watched.t, &watched.data, &(firn_fit_options){.on_progress = fit_inside, .user = &watched}));
    assert_ok(alone.ctx, firn_fit(alone.t, &alone.data, NULL));
    rig_assert_equal(&watched, &alone);
    rig_close(&watched);
    rig_close(&alone);
}

static void misuse_is_named(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &sgd, 1);
    assert_int_equal(firn_fit(NULL, &r.data, NULL), FIRN_ERR_ARGUMENT);
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, NULL, NULL), "firn_fit data NULL");
    firn_dataset d = r.data;
    d.count = 0;
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &d, NULL), "0 samples");
    d = r.data;
    d.feeds = NULL;
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &d, NULL), "feeds");
    d = r.data;
    d.n_feeds = 1;
    assert_fails(r.ctx, FIRN_ERR_NAME, firn_fit(r.t, &d, NULL), "label");
    firn_feed feeds[3] = {r.feeds[0], r.feeds[1], {"lable", r.labels}};
    d = (firn_dataset){RIG_TRAIN, feeds, 3, NULL};
    assert_fails(r.ctx, FIRN_ERR_NAME, firn_fit(r.t, &d, NULL), "lable");
    feeds[2].input = "image";
    assert_fails(r.ctx, FIRN_ERR_NAME, firn_fit(r.t, &d, NULL), "image twice");
    feeds[2] = (firn_feed){NULL, r.labels};
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &d, NULL), "feed 2");
    feeds[1].data = NULL;
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &d, NULL), "feed 1");
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = -1}), "epochs -1");
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &r.data, &(firn_fit_options){.patience = -3}), "patience -3");
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &r.data, &(firn_fit_options){.patience = 1}),
                 "patience validation");
    d = r.val;
    d.n_feeds = 1;
    assert_fails(r.ctx, FIRN_ERR_NAME, firn_fit(r.t, &r.data, &(firn_fit_options){.validation = &d}), "label");
    r.labels[17] = RIG_CLASSES;
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &r.data, NULL), "cross_entropy 4");
    r.labels[17] = 0;
    assert_ok(r.ctx, firn_freeze(r.m, "*", NULL));
    assert_fails(r.ctx, FIRN_ERR_STATE, firn_fit(r.t, &r.data, NULL), "nothing to train");
    rig_close(&r);
    rig_open(&r, RIG_PLAIN, &(firn_trainer_options){.batch = 16, .schedule = {.kind = FIRN_COSINE, .warmup = 12}}, 1);
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 2}), "warm-up 12");
    assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 3}));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fit_is_the_loop_written_by_hand_bit_for_bit),
        cmocka_unit_test(it_learns),
        cmocka_unit_test(the_order_is_new_each_epoch_and_the_same_each_run),
        cmocka_unit_test(rows_choose_the_samples),
        cmocka_unit_test(progress_counts_steps_and_means),
        cmocka_unit_test(steps_after_the_first_allocate_nothing),
        cmocka_unit_test(accumulating_batches_is_a_larger_batch),
        cmocka_unit_test(what_was_accumulated_before_has_no_share_in_a_fit),
        cmocka_unit_test(any_batch_fits_any_number_of_samples),
        cmocka_unit_test(a_stopped_fit_goes_on_as_if_it_had_not_been_stopped),
        cmocka_unit_test(a_fit_goes_on_in_another_process_bit_for_bit),
        cmocka_unit_test(other_data_begin_a_new_fit),
        cmocka_unit_test(a_resumed_epoch_counts_its_own_samples),
        cmocka_unit_test(a_fit_that_is_refused_leaves_a_stopped_one_to_go_on),
        cmocka_unit_test(a_position_that_does_not_fit_is_refused),
        cmocka_unit_test(a_loss_that_is_not_finite_names_epoch_and_step),
        cmocka_unit_test(an_error_inside_accumulation_leaves_nothing_accumulated),
        cmocka_unit_test(a_callback_may_evaluate_but_not_fit),
        cmocka_unit_test(misuse_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
