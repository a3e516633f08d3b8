/* What is promised about memory: every allocation may fail, nothing leaks, a step allocates nothing, the cost report's
 * bytes are those that were handed out. */
#include "nets.h"
#include "support.h"

/* The path of an application by hand: create, build, freeze, plan, two steps, evaluate, destroy. */
typedef struct path {
    firn_ctx *ctx;
    net n;
    firn_plan *train, *eval;
    firn_optimizer *optimizer;
} path;

static firn_status take_step(path *p, int index)
{
    firn_status st = firn_plan_forward(p->train, net_feeds(index), NET_FEEDS, NET_BATCH);
    if (st == FIRN_OK) st = firn_plan_backward(p->train);
    if (st == FIRN_OK) st = firn_optimizer_step(p->optimizer, p->train, 1.0f);
    return st;
}

static firn_status walk(path *p, const net_row *row, const char *frozen, firn_allocator allocator)
{
    firn_status st = firn_ctx_create(&p->ctx, &(firn_ctx_options){.allocator = allocator, .threads = 2});
    if (st != FIRN_OK) return st;
    p->n = net_build(p->ctx, row);
    if (p->n.loss == NULL) return firn_last_error(p->ctx);
    st = firn_freeze(p->n.model, frozen, NULL);
    if (st == FIRN_OK)
        st = firn_plan_create(&p->train, p->n.loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = NET_BATCH});
    if (st == FIRN_OK)
        st = firn_plan_create(&p->eval, p->n.logits, &(firn_plan_options){.mode = FIRN_EVAL, .batch = NET_BATCH});
    const firn_optim how = firn_adam(0.01f);
    if (st == FIRN_OK) st = firn_optimizer_create(&p->optimizer, p->n.model, &how);
    if (st == FIRN_OK) st = take_step(p, 0);
    if (st == FIRN_OK) st = firn_unfreeze(p->n.model, frozen, NULL); /* re-plans in the second step */
    if (st == FIRN_OK) st = take_step(p, 1);
    if (st == FIRN_OK) st = firn_plan_forward(p->eval, net_feeds(2), NET_FEEDS, NET_BATCH);
    return st;
}

static void leave(path *p)
{
    firn_optimizer_destroy(p->optimizer);
    firn_plan_destroy(p->eval);
    firn_plan_destroy(p->train);
    firn_ctx_destroy(p->ctx);
    *p = (path){0};
}

static const char *const frozen_of[] = {"fc1", "first", "stem,bn1"};

/* After the failure, what exists still works: the rest of the path is walked again on the objects that there are. */
static void use_what_is_left(path *p)
{
    if (p->ctx == NULL) return;
    firn_clear_error(p->ctx);
    if (p->train != NULL && p->optimizer != NULL) {
        assert_ok(p->ctx, take_step(p, 1));
        assert_ok(p->ctx, take_step(p, 2));
    }
    if (p->eval != NULL) assert_ok(p->ctx, firn_plan_forward(p->eval, net_feeds(2), NET_FEEDS, NET_BATCH));
    /* A second model in the same context. */
    const net again = net_build(p->ctx, &net_rows[0]);
    const firn_optim how = firn_adam(0.01f);
    assert_ok(p->ctx, net_train(&again, &how, "fc1", 2));
}

static void every_allocation_may_fail_once(void **state)
{
    (void)state;
    for (int i = 0; net_rows[i].name != NULL; i++) {
        size_t calls = 1, refused = 0;
        for (size_t fail_at = 0; fail_at <= calls; fail_at++) { /* the first round counts */
            test_memory memory = {.fail_at = fail_at};
            path p = {0};
            const firn_status st = walk(&p, &net_rows[i], frozen_of[i], test_memory_allocator(&memory));
            if (fail_at == 0) calls = memory.calls;
            if (fail_at == 0) assert_ok(p.ctx, st);
            if (st != FIRN_OK) assert_int_equal(st, FIRN_ERR_MEMORY);
            if (st != FIRN_OK && p.ctx != NULL) assert_message_has(p.ctx, "memory");
            refused += st != FIRN_OK;
            use_what_is_left(&p);
            leave(&p);
            assert_all_freed(&memory);
        }
        print_message("%s: %zu allocations, %zu refused when they failed\n", net_rows[i].name, calls, refused);
        assert_true(calls > 20 && refused > calls / 2);
    }
}

static void a_step_after_the_first_allocates_nothing(void **state)
{
    (void)state;
    for (int i = 0; net_rows[i].name != NULL; i++) {
        test_memory memory = {0};
        path p = {0};
        assert_ok(p.ctx, walk(&p, &net_rows[i], frozen_of[i], test_memory_allocator(&memory)));
        const size_t calls = memory.calls, bytes = memory.bytes;
        for (int step = 0; step < 5; step++) {
            assert_ok(p.ctx, take_step(&p, step));
            assert_ok(p.ctx, firn_plan_forward(p.eval, net_feeds(step), NET_FEEDS, NET_BATCH));
        }
        assert_int_equal(memory.calls, calls);
        assert_int_equal(memory.bytes, bytes);
        leave(&p);
        assert_all_freed(&memory);
    }
}

static size_t plan_bytes(firn_cost c) { return c.bytes_arena + c.bytes_grads + c.bytes_packed + c.bytes_tables; }

static void the_reported_bytes_are_those_handed_out(void **state)
{
    (void)state;
    for (int i = 0; net_rows[i].name != NULL; i++) {
        test_memory memory = {0};
        firn_ctx *ctx = test_ctx(&memory, 2, NULL);
        const net n = net_build(ctx, &net_rows[i]);
        for (int frozen = 0; frozen < 2; frozen++) {
            firn_cost now, unfrozen;
            firn_plan *plan = NULL;
            if (frozen) assert_ok(ctx, firn_freeze(n.model, frozen_of[i], NULL));
            const size_t before = memory.bytes;
            assert_ok(ctx, firn_plan_create(&plan, n.loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = NET_BATCH}));
            assert_ok(ctx, firn_plan_cost(plan, &now, &unfrozen));
            assert_int_equal(memory.bytes - before, plan_bytes(now));
            if (!frozen) assert_memory_equal(&now, &unfrozen, sizeof now);
            if (frozen) assert_true(now.bytes_saved < unfrozen.bytes_saved && now.bytes_grads < unfrozen.bytes_grads);

            /* Running does not change them, and the optimizer takes what it says. */
            firn_optimizer *optimizer = NULL;
            const firn_optim how = firn_adam(0.01f);
            assert_ok(ctx, firn_optimizer_create(&optimizer, n.model, &how));
            path p = {.ctx = ctx, .n = n, .train = plan, .optimizer = optimizer};
            assert_ok(ctx, take_step(&p, 0));
            firn_cost after;
            assert_ok(ctx, firn_plan_cost(plan, &after, NULL));
            assert_memory_equal(&after, &now, sizeof now);
            size_t state_bytes = 0;
            for (size_t e = 0; e < firn_optimizer_entries(optimizer); e++)
                state_bytes += firn_optimizer_entry_at(optimizer, e).count * sizeof(float);
            assert_int_equal(firn_optimizer_bytes(optimizer, now.params_trainable), state_bytes);
            assert_true(memory.bytes - before >= plan_bytes(now) + state_bytes);
            firn_optimizer_destroy(optimizer);
            firn_plan_destroy(plan);
            assert_int_equal(memory.bytes, before);
        }
        firn_ctx_destroy(ctx);
        assert_all_freed(&memory);
    }
}

/* The same path through the trainer, with its feature cache. */
static firn_status fit(firn_ctx *ctx, const net *n, const char *frozen)
{
    firn_trainer *trainer = NULL;
    firn_metrics metrics;
    const firn_dataset data = {.count = NET_BATCH, .feeds = net_feeds(0), .n_feeds = NET_FEEDS};
    firn_status st = n->loss ? firn_freeze(n->model, frozen, NULL) : firn_last_error(ctx);
    if (st == FIRN_OK)
        st = firn_trainer_create(&trainer, n->loss, n->logits,
                                 &(firn_trainer_options){.batch = 5, .optim = firn_adam(0.01f)});
    if (st == FIRN_OK) st = firn_fit(trainer, &data, &(firn_fit_options){.epochs = 2, .validation = &data, .patience = 2});
    if (st == FIRN_OK) st = firn_evaluate(trainer, &data, &metrics);
    firn_trainer_destroy(trainer);
    return st;
}

static void every_allocation_of_a_trainer_may_fail_once(void **state)
{
    (void)state;
    for (int i = 0; net_rows[i].name != NULL; i++) {
        size_t calls = 1, refused = 0;
        for (size_t fail_at = 0; fail_at <= calls; fail_at++) {
            test_memory memory = {0};
            firn_ctx *ctx = test_ctx(&memory, 1, NULL);
            const size_t made = memory.calls;
            memory.fail_at = fail_at ? made + fail_at : 0;
            const net n = net_build(ctx, &net_rows[i]);
            const firn_status st = fit(ctx, &n, frozen_of[i]);
            if (fail_at == 0) calls = memory.calls - made;
            if (fail_at == 0) assert_ok(ctx, st);
            if (st != FIRN_OK) assert_int_equal(st, FIRN_ERR_MEMORY);
            refused += st != FIRN_OK;
            firn_clear_error(ctx);
            if (n.loss != NULL) assert_ok(ctx, fit(ctx, &n, frozen_of[i]));
            firn_ctx_destroy(ctx);
            assert_all_freed(&memory);
        }
        print_message("%s: %zu allocations, %zu refused when they failed\n", net_rows[i].name, calls, refused);
        assert_true(refused > calls / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail_once),
        cmocka_unit_test(a_step_after_the_first_allocates_nothing),
        cmocka_unit_test(the_reported_bytes_are_those_handed_out),
        cmocka_unit_test(every_allocation_of_a_trainer_may_fail_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
