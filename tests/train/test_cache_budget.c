/* The memory of the feature cache: its budget, who has it, and what happens where it ends. */
#include <string.h>

#include "rig.h"

#define SGD .batch = 16, .optim = {.kind = FIRN_SGD, .lr = 0.05f, .momentum = 0.9f}
static const firn_trainer_options usual = {SGD}, no_room = {SGD, .cache_bytes = 700}, small = {SGD, .cache_bytes = 4000};

static void train_frozen(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 3);
}

static void the_budget_is_kept_whatever_it_is(void **state)
{
    (void)state;
    static rig with, without;
    const firn_trainer_options off = rig_without_cache(&usual);
    rig_open(&without, RIG_PLAIN, &off, 1);
    train_frozen(&without);
    for (size_t budget = 500; budget < 20000; budget = budget * 5 / 4) {
        firn_trainer_options opt = usual;
        opt.cache_bytes = budget;
        rig_open(&with, RIG_PLAIN, &opt, 1);
        train_frozen(&with);
        const firn_cache_stats stats = firn_trainer_cache(with.t);
        assert_true(stats.bytes <= budget);
        assert_int_equal(stats.why_unused == NULL, stats.served > 0);
        rig_assert_equal(&with, &without);
        rig_close(&with);
    }
    rig_close(&without);
}

/* The report comes before the fit that would fill the cache anew. */
static void what_did_not_fit_is_no_reason_under_another_mask(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &no_room, 1);
    train_frozen(&r);
    rig_assert_report_has(&r, "not used budget", "before");
    rig_unfreeze(&r, "conv2");
    assert_null(firn_trainer_cache(r.t).why_unused);
    rig_assert_report_has(&r, "most bytes sample; budget", "unfrozen");
    rig_freeze(&r, "conv2");
    assert_non_null(firn_trainer_cache(r.t).why_unused); /* nothing has changed */
    rig_close(&r);
}

/* Of two data sets the one that comes first has the budget. */
static void validation_goes_without_where_only_the_training_data_fit(void **state)
{
    (void)state;
    static rig with, without;
    const firn_trainer_options off = rig_without_cache(&usual);
    rig_open(&with, RIG_PLAIN, &usual, 1);
    train_frozen(&with);
    const size_t enough = firn_trainer_cache(with.t).bytes;
    rig_close(&with);
    rig_open(&without, RIG_PLAIN, &off, 1);
    rig_validated(&without);
    firn_trainer_options opt = usual;
    opt.cache_bytes = enough + 200; /* not even the table */
    rig_open(&with, RIG_PLAIN, &opt, 1);
    rig_validated(&with);
    assert_int_equal(firn_trainer_cache(with.t).served, 2 * RIG_TRAIN);
    rig_assert_equal(&with, &without);
    rig_close(&with);
    rig_close(&without);
}

/* Of the two samples that a fit trains on, and of validation data, which fill the budget. */
static firn_dataset fill_with_validation(rig *r)
{
    firn_dataset two = r->data;
    two.count = 2;
    rig_freeze(r, "conv1,conv2");
    assert_ok(r->ctx, firn_fit(r->t, &two, &(firn_fit_options){.epochs = 2, .validation = &r->other}));
    const firn_cache_stats stats = firn_trainer_cache(r->t);
    assert_int_equal(stats.wanted, 2 + RIG_TRAIN);
    assert_true(stats.samples > 2 && stats.samples < stats.wanted);
    return two;
}

/* What validation holds of the mask before would leave no room for a single sample of the mask now. */
static void features_of_another_mask_take_no_room(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &small, 1);
    const firn_dataset two = fill_with_validation(&r);
    const firn_freeze_event event = {.epoch = 3, .unfreeze = true, .selector = "conv2"};
    const firn_fit_options how = {.epochs = 4, .validation = &r.other, .events = &event, .n_events = 1};
    assert_ok(r.ctx, firn_fit(r.t, &two, &how));
    const firn_cache_stats after = firn_trainer_cache(r.t);
    assert_null(after.why_unused);
    assert_true(after.samples > 2 && after.bytes <= 4000);
    rig_close(&r);
}

static void validation_data_of_the_fit_before_take_no_room(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &small, 1);
    fill_with_validation(&r);
    rig_fit(&r, &r.data, 2);
    const firn_cache_stats stats = firn_trainer_cache(r.t);
    assert_int_equal(stats.wanted, RIG_TRAIN);
    assert_in_range(stats.samples, 55, 65); /* as if the validation had not been */
    rig_close(&r);
}

/* Wherever memory runs out, the cache gives way or the call fails, and then the trainer still works. */
static void failing_allocations_never_change_the_result(void **state)
{
    (void)state;
    static rig with, without;
    const firn_trainer_options off = rig_without_cache(&usual);
    rig_open(&without, RIG_PLAIN, &off, 1);
    rig_validated(&without);
    bool reached = true;
    for (size_t n = 1; reached; n++) {
        rig_open(&with, RIG_PLAIN, &usual, 1);
        rig_freeze(&with, "conv1,conv2");
        with.memory.fail_at = with.memory.calls + n;
        const firn_status st =
            firn_fit(with.t, &with.data, &(firn_fit_options){.epochs = 3, .validation = &with.val, .patience = 3});
        reached = with.memory.calls >= with.memory.fail_at;
        with.memory.fail_at = 0;
        if (st == FIRN_OK) {
            rig_assert_equal(&with, &without);
            assert_string_equal(firn_message(with.ctx), "");
        } else {
            assert_int_equal(st, FIRN_ERR_MEMORY);
            firn_clear_error(with.ctx);
            rig_fit(&with, &with.data, 2);
        }
        rig_close(&with);
    }
    rig_close(&without);
}

typedef struct cached_steps {
    int cached, all; /* steps of the second epoch */
} cached_steps;

static int count_cached(const firn_progress *p, void *user)
{
    cached_steps *steps = user;
    steps->all += p->epoch == 2;
    steps->cached += p->epoch == 2 && p->cached;
    return 0;
}

/* Of six batches the first four are in the cache, the last in part: of each step's three batches the first is. */
static void a_step_is_cached_if_any_of_its_batches_is(void **state)
{
    (void)state;
    static rig r;
    firn_trainer_options opt = small;
    opt.accumulate = 3;
    rig_open(&r, RIG_PLAIN, &opt, 1);
    rig_freeze(&r, "conv1,conv2");
    cached_steps steps = {0};
    assert_ok(r.ctx, firn_fit(r.t, &r.data,
                              &(firn_fit_options){
                                  .epochs = 2, .no_shuffle = true, .on_progress = count_cached, .user = &steps}));
    assert_in_range(firn_trainer_cache(r.t).samples, 49, 64);
    assert_int_equal(steps.all, 2);
    assert_int_equal(steps.cached, 2);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_is_kept_whatever_it_is),
        cmocka_unit_test(what_did_not_fit_is_no_reason_under_another_mask),
        cmocka_unit_test(validation_goes_without_where_only_the_training_data_fit),
        cmocka_unit_test(features_of_another_mask_take_no_room),
        cmocka_unit_test(validation_data_of_the_fit_before_take_no_room),
        cmocka_unit_test(failing_allocations_never_change_the_result),
        cmocka_unit_test(a_step_is_cached_if_any_of_its_batches_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
