#include <math.h>
#include <string.h>

#include "rig.h"

static const firn_trainer_options usual = {.batch = 16, .optim = {.kind = FIRN_ADAM}};

static void a_bad_event_is_refused_before_the_first_step(void **state)
{
    (void)state;
    static const struct {
        firn_freeze_event event;
        firn_status status;
        const char *words;
    } cases[] = {
        {{.selector = "conv1"}, FIRN_ERR_ARGUMENT, "event 1 epoch 0 step 0; one of them"},
        {{.epoch = 1, .step = 1, .selector = "conv1"}, FIRN_ERR_ARGUMENT, "event 1 epoch 1 step 1"},
        {{.epoch = -1, .selector = "conv1"}, FIRN_ERR_ARGUMENT, "event 1 epoch -1"},
        {{.epoch = 2, .rate = -1, .selector = "conv1"}, FIRN_ERR_ARGUMENT, "event 1 rate -1"},
        {{.epoch = 2, .rate = NAN, .selector = "conv1"}, FIRN_ERR_ARGUMENT, "event 1 rate"},
        {{.epoch = 9, .selector = "conv7"}, FIRN_ERR_NAME, "conv7"},
        {{.epoch = 9, .selector = "conv1,,conv2"}, FIRN_ERR_ARGUMENT, "empty term"},
        {{.epoch = 9}, FIRN_ERR_ARGUMENT, "selector NULL"},
        {{.epoch = 2, .selector = "drop2"}, FIRN_ERR_NAME, "event 1 drop2"}, /* dropout has nothing to freeze */
        {{.epoch = 2, .selector = "conv2, drop3"}, FIRN_ERR_NAME, "event 1 drop3"},
        {{.epoch = 2, .selector = "drop? ,conv2"}, FIRN_ERR_NAME, "event 1 drop?"},
        {{.epoch = 2, .selector = "conv2,drop2,!drop2"}, FIRN_ERR_NAME, "event 1 drop2"},
    };
    static rig r;
    rig_open(&r, RIG_PLAIN, &usual, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const firn_freeze_event events[2] = {{.epoch = 1, .selector = "conv1"}, cases[i].event};
        assert_fails(r.ctx, cases[i].status,
                     firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 2, .events = events, .n_events = 2}),
                     cases[i].words);
    }
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_fit(r.t, &r.data, &(firn_fit_options){.n_events = 1}), "events");
    assert_int_equal(firn_trainer_position_get(r.t).steps, 0);
    for (size_t i = 0; i < firn_tensor_count(r.m); i++) assert_false(firn_tensor_at(r.m, i).frozen);
    rig_close(&r);
}

typedef struct hand {
    rig *r;
    int step;
} hand;

/* The same as the events below, done in the callback: after a step is before the next. */
static int by_hand(const firn_progress *p, void *user)
{
    (void)p;
    hand *h = user;
    h->step++;
    if (h->step == 6) {
        assert_ok(h->r->ctx, firn_freeze(h->r->m, "conv1", NULL));
        assert_ok(h->r->ctx, firn_unfreeze(h->r->m, "conv2", NULL));
        assert_ok(h->r->ctx, firn_optimizer_set_rate(firn_trainer_optimizer(h->r->t), "conv2", 0.1f));
    }
    if (h->step == 8) assert_ok(h->r->ctx, firn_freeze(h->r->m, "fc1.bias", NULL));
    return 0;
}

static void events_happen_before_their_epoch_or_step(void **state)
{
    (void)state;
    static rig scheduled, manual;
    rig_open(&scheduled, RIG_PLAIN, &usual, 1);
    rig_open(&manual, RIG_PLAIN, &usual, 1);
    const firn_freeze_event events[] = {{.epoch = 1, .selector = "conv2"},
                                        {.step = 9, .selector = "fc1.bias"},
                                        {.epoch = 2, .selector = "conv1"},
                                        {.epoch = 2, .unfreeze = true, .selector = "conv2", .rate = 0.1f},
                                        {.epoch = 77, .selector = "fc2"}};
    assert_ok(scheduled.ctx,
              firn_fit(scheduled.t, &scheduled.data, &(firn_fit_options){.epochs = 3, .events = events, .n_events = 5}));
    hand h = {&manual, 0};
    assert_ok(manual.ctx, firn_freeze(manual.m, "conv2", NULL));
    assert_ok(manual.ctx,
              firn_fit(manual.t, &manual.data, &(firn_fit_options){.epochs = 3, .on_progress = by_hand, .user = &h}));
    rig_assert_equal(&scheduled, &manual);
    assert_close(firn_optimizer_rate(firn_trainer_optimizer(scheduled.t), "conv2.weight"), 0.1, 1e-6, 0);
    rig_close(&scheduled);
    rig_close(&manual);
}

static void steps_and_epochs_of_events_are_those_of_each_fit(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &usual, 1);
    const firn_freeze_event events[] = {{.step = 2, .selector = "conv1"}, {.epoch = 1, .selector = "conv2"}};
    const firn_fit_options how = {.epochs = 1, .events = events, .n_events = 2};
    for (int fit = 0; fit < 2; fit++) {
        assert_ok(r.ctx, firn_unfreeze(r.m, "*", NULL));
        assert_ok(r.ctx, firn_fit(r.t, &r.data, &how));
        assert_true(firn_is_frozen(firn_find(r.m, "conv1.weight")) && firn_is_frozen(firn_find(r.m, "conv2.weight")));
    }
    rig_close(&r);
}

static void events_take_every_selector_that_freezing_takes(void **state)
{
    (void)state;
    static const char *const selectors[] = {"*,!fc2", "! fc2,!drop2", " conv? , ! conv2, !*, conv1 "};
    static rig r;
    rig_open(&r, RIG_PLAIN, &usual, 1);
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        const firn_freeze_event event = {.epoch = 1, .selector = selectors[i]};
        assert_ok(r.ctx, firn_freeze(r.m, selectors[i], NULL));
        assert_ok(r.ctx, firn_unfreeze(r.m, "*", NULL));
        assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.events = &event, .n_events = 1}));
    }
    rig_close(&r);
}

static void ready_made_lists_run(void **state)
{
    (void)state;
    static const char *const layers[] = {"conv1", "conv2", "fc1", "fc2"};
    firn_freeze_event events[8];
    static rig r;
    rig_open(&r, RIG_PLAIN, &usual, 1);
    size_t n = firn_gradual_unfreezing(layers, 4, 1, 2.6f, events, 8);
    assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 4, .events = events, .n_events = n}));
    for (size_t i = 0; i < firn_tensor_count(r.m); i++) assert_false(firn_tensor_at(r.m, i).frozen);
    n = firn_probe_then_tune(layers, 4, 1, 0.1f, events, 8);
    assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 1, .events = events, .n_events = n}));
    assert_true(firn_is_frozen(firn_find(r.m, "fc1.bias")) && !firn_is_frozen(firn_find(r.m, "fc2.bias")));
    n = firn_progressive_freezing(layers, 4, 1, events, 8);
    assert_ok(r.ctx, firn_unfreeze(r.m, "*", NULL));
    assert_ok(r.ctx, firn_fit(r.t, &r.data, &(firn_fit_options){.epochs = 4, .events = events, .n_events = n}));
    assert_true(firn_is_frozen(firn_find(r.m, "fc1.bias")) && !firn_is_frozen(firn_find(r.m, "fc2.bias")));
    assert_ok(r.ctx, firn_verify_frozen(r.m));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_event_is_refused_before_the_first_step),
        cmocka_unit_test(events_happen_before_their_epoch_or_step),
        cmocka_unit_test(steps_and_epochs_of_events_are_those_of_each_fit),
        cmocka_unit_test(events_take_every_selector_that_freezing_takes),
        cmocka_unit_test(ready_made_lists_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
