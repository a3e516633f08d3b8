#include <math.h>
#include <string.h>

#include "rig.h"

static void options_out_of_range_are_named(void **state)
{
    (void)state;
    static const struct {
        firn_trainer_options opt;
        const char *words;
    } cases[] = {
        {{.batch = -1}, "batch -1 negative"},
        {{.accumulate = -2}, "accumulate -2 negative"},
        {{.optim = {.lr = -1}}, "optimizer lr"},
        {{.schedule = {.kind = (firn_schedule_kind)7}}, "schedule kind 7"},
        {{.schedule = {.kind = FIRN_STEP_DECAY}}, "every"},
        {{.schedule = {.kind = FIRN_STEP_DECAY, .every = 1, .gamma = -1}}, "gamma -1"},
        {{.schedule = {.kind = FIRN_COSINE, .floor = 2}}, "floor 2"},
        {{.schedule = {.kind = FIRN_COSINE, .floor = NAN}}, "floor"},
        {{.schedule = {.kind = FIRN_ONE_CYCLE, .total = 10, .warmup = 10}}, "warm-up 10"},
    };
    static rig r;
    rig_open(&r, RIG_PLAIN, NULL, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        firn_trainer *t = r.t;
        assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_trainer_create(&t, r.loss, r.logits, &cases[i].opt), cases[i].words);
        assert_null(t);
    }
    firn_trainer *t;
    assert_int_equal(firn_trainer_create(&t, NULL, NULL, NULL), FIRN_ERR_ARGUMENT);
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_trainer_create(NULL, r.loss, NULL, NULL), "out");
    assert_fails(r.ctx, FIRN_ERR_SHAPE, firn_trainer_create(&t, r.logits, NULL, NULL), "scalar");
    static rig other;
    rig_open(&other, RIG_PLAIN, NULL, 1);
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_trainer_create(&t, r.loss, other.logits, NULL), "another model");
    rig_close(&other);
    rig_close(&r);
}

static void null_is_taken_everywhere(void **state)
{
    (void)state;
    firn_trainer_destroy(NULL);
    firn_trainer_forget_features(NULL);
    assert_null(firn_trainer_plan(NULL));
    assert_null(firn_trainer_optimizer(NULL));
    assert_int_equal(firn_trainer_cache(NULL).bytes, 0);
    assert_int_equal(firn_trainer_position_get(NULL).steps, 0);
    assert_null(firn_trainer_best_at(NULL, 0).data);
    assert_int_equal(firn_trainer_report(NULL, stderr), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_trainer_cost(NULL, NULL, NULL), FIRN_ERR_ARGUMENT);
}

static void the_optimizers_share_of_the_cost_is_what_it_allocates(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &(firn_trainer_options){.optim = {.kind = FIRN_ADAM}, .no_cache = true}, 1);
    firn_cost now, unfrozen;
    assert_ok(r.ctx, firn_freeze(r.m, "conv1,conv2", NULL));
    assert_ok(r.ctx, firn_trainer_cost(r.t, &now, &unfrozen));
    assert_ok(r.ctx, firn_trainer_cost(r.t, NULL, NULL));
    assert_int_equal(now.bytes_optim, 2 * 4 * (24 * 12 + 12 + 12 * 4 + 4));
    assert_int_equal(unfrozen.bytes_optim, now.bytes_optim + 2 * 4 * (36 + 4 + 4 * 6 * 9 + 6));
    size_t bytes = 0;
    assert_ok(r.ctx, firn_fit(r.t, &r.data, NULL));
    const firn_optimizer *o = firn_trainer_optimizer(r.t);
    for (size_t i = 0; i < firn_optimizer_entries(o); i++) bytes += firn_optimizer_entry_at(o, i).count * sizeof(float);
    assert_int_equal(bytes, now.bytes_optim);
    rig_close(&r);
}

static void the_report_tells_of_optimizer_and_cache_before_training(void **state)
{
    (void)state;
    static rig r;
    rig_open(&r, RIG_PLAIN, &(firn_trainer_options){.optim = {.kind = FIRN_ADAM}}, 1);
    assert_ok(r.ctx, firn_freeze(r.m, "conv1,conv2", NULL));
    assert_non_null(strstr(rig_report(&r), "optimizer state: 2816 bytes; with nothing frozen 4912"));
    assert_non_null(strstr(rig_report(&r), "feature cache: at most"));
    assert_ok(r.ctx, firn_unfreeze(r.m, "*", NULL));
    assert_non_null(strstr(rig_report(&r), "feature cache: not used:"));
    assert_status(r.ctx, FIRN_ERR_ARGUMENT, firn_trainer_report(r.t, NULL));
    rig_close(&r);
}

/* The whole path, every allocation failing once: FIRN_ERR_MEMORY or success, and everything usable afterwards. */
static firn_status whole_path(rig *r)
{
    firn_metrics m;
    static float out[RIG_VAL * RIG_CLASSES];
    firn_trainer *t = NULL;
    firn_status st = firn_trainer_create(
        &t, r->loss, r->logits, &(firn_trainer_options){.batch = 32, .accumulate = 2, .optim = {.kind = FIRN_ADAM}});
    if (st == FIRN_OK) st = firn_freeze(r->m, "conv1", NULL);
    if (st == FIRN_OK) st = firn_fit(t, &r->data, &(firn_fit_options){.epochs = 2, .validation = &r->val, .patience = 1});
    if (st == FIRN_OK) st = firn_evaluate(t, &r->val, &m);
    if (st == FIRN_OK) st = firn_predict(t, &r->val, out);
    firn_trainer_destroy(t);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    bool reached = true;
    size_t failures = 0;
    for (size_t n = 1; reached; n++) {
        static rig r;
        rig_open(&r, RIG_PLAIN, NULL, 1);
        r.memory.fail_at = r.memory.calls + n;
        const firn_status st = whole_path(&r);
        reached = r.memory.calls >= r.memory.fail_at;
        r.memory.fail_at = 0;
        if (st != FIRN_OK) {
            assert_int_equal(st, FIRN_ERR_MEMORY);
            assert_int_equal(firn_last_error(r.ctx), FIRN_ERR_MEMORY);
            failures++;
            firn_clear_error(r.ctx);
        }
        assert_ok(r.ctx, whole_path(&r));
        rig_close(&r);
    }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(null_is_taken_everywhere),
        cmocka_unit_test(the_optimizers_share_of_the_cost_is_what_it_allocates),
        cmocka_unit_test(the_report_tells_of_optimizer_and_cache_before_training),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
