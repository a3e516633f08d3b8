/* FREEZE F2, F11, F12, F18: what is frozen keeps its bytes, under every optimizer, whenever it was frozen. */
#include <stdlib.h>
#include <string.h>

#include "nets.h"
#include "support.h"

enum { STEPS = 20, MAX_VALUES = 4096 };

/* Everything that could leave a residue: momentum, decay, clipping. */
static const struct optim_row {
    const char *name;
    firn_optim how;
} optim_rows[] = {
    {"sgd", {.kind = FIRN_SGD, .lr = 0.1f}},
    {"sgd_momentum_decay_clip", {.kind = FIRN_SGD, .lr = 0.05f, .momentum = 0.9f, .weight_decay = 0.1f, .clip_norm = 0.5f}},
    {"sgd_nesterov", {.kind = FIRN_SGD, .lr = 0.05f, .momentum = 0.9f, .nesterov = true, .weight_decay = 0.1f}},
    {"adam", {.kind = FIRN_ADAM, .weight_decay = 0.1f}},
    {"adamw_clip", {.kind = FIRN_ADAMW, .weight_decay = 0.1f, .clip_norm = 0.5f}},
    {"adadelta", {.kind = FIRN_ADADELTA, .weight_decay = 0.1f}},
    {"rmsprop_momentum", {.kind = FIRN_RMSPROP, .momentum = 0.9f, .weight_decay = 0.1f}},
};

static const char *const selectors[] = {"fc1,fc3.bias", "tied.weight,head.bias", "bn1,bn2.running_*,conv2.weight"};

typedef struct session {
    firn_ctx *ctx;
    net n;
    firn_plan *plan;
    firn_optimizer *optimizer;
    int step;
} session;

static session begin(const net_row *row, const firn_optim *how)
{
    session s = {.ctx = test_ctx(NULL, 2, NULL)};
    s.n = net_build(s.ctx, row);
    assert_ok(s.ctx, firn_plan_create(&s.plan, s.n.loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = NET_BATCH}));
    assert_ok(s.ctx, firn_optimizer_create(&s.optimizer, s.n.model, how));
    return s;
}

static void end(session *s)
{
    firn_optimizer_destroy(s->optimizer);
    firn_plan_destroy(s->plan);
    firn_ctx_destroy(s->ctx);
}

static void run_steps(session *s, int steps, int accumulated)
{
    for (int i = 0; i < steps; i++) {
        for (int a = 0; a < accumulated; a++, s->step++) {
            assert_ok(s->ctx, firn_plan_forward(s->plan, net_feeds(s->step), NET_FEEDS, NET_BATCH));
            assert_ok(s->ctx, firn_plan_backward(s->plan));
            if (accumulated > 1) assert_ok(s->ctx, firn_optimizer_accumulate(s->optimizer, s->plan));
        }
        assert_ok(s->ctx, firn_optimizer_step(s->optimizer, s->plan, 1.0f));
    }
}

/* Trains with the selector frozen; every frozen tensor keeps its bytes, every other one changes. */
static void frozen_stay(session *s, const char *selector, int accumulated)
{
    static float before[MAX_VALUES];
    const firn_model *m = s->n.model;
    assert_ok(s->ctx, firn_freeze_only(s->n.model, selector, NULL));
    size_t used = 0;
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const firn_tensor_info t = firn_tensor_at(m, i);
        const size_t count = (size_t)firn_shape_count(t.shape);
        assert_true(used + count <= MAX_VALUES);
        memcpy(before + used, t.data, count * sizeof *before);
        used += count;
    }
    run_steps(s, STEPS, accumulated);
    used = 0;
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const firn_tensor_info t = firn_tensor_at(m, i);
        const size_t count = (size_t)firn_shape_count(t.shape);
        if (t.frozen)
            assert_bits_equal(t.data, before + used, count);
        else
            assert_memory_not_equal(t.data, before + used, count * sizeof *before);
        used += count;
    }
    assert_ok(s->ctx, firn_verify_frozen(m));
}

static void for_every_net(const firn_optim *how, int accumulated)
{
    for (int i = 0; net_rows[i].name != NULL; i++) {
        session s = begin(&net_rows[i], how);
        frozen_stay(&s, selectors[i], accumulated); /* from the start */
        assert_ok(s.ctx, firn_unfreeze(s.n.model, "*", NULL));
        run_steps(&s, 3, accumulated);
        frozen_stay(&s, selectors[i], accumulated); /* later, with state of the optimizer that could go on */
        assert_ok(s.ctx, firn_unfreeze(s.n.model, selectors[i], NULL));
        run_steps(&s, 1, accumulated);
        frozen_stay(&s, selectors[i], accumulated); /* again */
        end(&s);
    }
}

static void frozen_bytes_do_not_change(void **state)
{
    const struct optim_row *row = *state;
    for_every_net(&row->how, 1);
    for_every_net(&row->how, 3);
}

static void a_change_behind_the_back_is_named(void **state)
{
    (void)state;
    session s = begin(&net_rows[0], &optim_rows[0].how);
    assert_ok(s.ctx, firn_freeze(s.n.model, "fc1,fc2", NULL));
    float *data = (float *)(uintptr_t)firn_data(firn_find(s.n.model, "fc2.weight"));
    data[5] += 1.0f;
    assert_fails(s.ctx, FIRN_ERR_STATE, firn_verify_frozen(s.n.model), "fc2.weight");
    data[5] -= 1.0f;
    end(&s);
}

static void writing_a_frozen_tensor_is_no_change_behind_the_back(void **state)
{
    (void)state;
    session s = begin(&net_rows[0], &optim_rows[0].how);
    assert_ok(s.ctx, firn_freeze(s.n.model, "fc1", NULL));
    const float values[24] = {1, 2, 3};
    assert_ok(s.ctx, firn_write(s.n.model, "fc1.bias", values, 24));
    assert_bits_equal(firn_data(firn_find(s.n.model, "fc1.bias")), values, 24);
    assert_ok(s.ctx, firn_verify_frozen(s.n.model));
    end(&s);
}

/* F12: state is released at the first step after freezing, and begins anew. */
static void unfreezing_starts_from_zero_state(void **state)
{
    (void)state;
    const firn_optim how = firn_adam(0.01f);
    session s = begin(&net_rows[0], &how);
    run_steps(&s, 2, 1);
    assert_ok(s.ctx, firn_freeze(s.n.model, "fc1", NULL));
    assert_ok(s.ctx, firn_unfreeze(s.n.model, "fc1", NULL));
    run_steps(&s, 1, 1); /* no step between: nothing was released */
    for (size_t i = 0; i < firn_optimizer_entries(s.optimizer); i++)
        assert_int_equal(firn_optimizer_entry_at(s.optimizer, i).step, 3);
    assert_ok(s.ctx, firn_freeze(s.n.model, "fc1", NULL));
    run_steps(&s, 1, 1);
    for (size_t i = 0; i < firn_optimizer_entries(s.optimizer); i++)
        assert_null(strstr(firn_optimizer_entry_at(s.optimizer, i).param, "fc1"));
    assert_ok(s.ctx, firn_unfreeze(s.n.model, "fc1", NULL));
    run_steps(&s, 1, 1);
    int seen = 0;
    for (size_t i = 0; i < firn_optimizer_entries(s.optimizer); i++) {
        const firn_optimizer_entry e = firn_optimizer_entry_at(s.optimizer, i);
        const bool anew = strncmp(e.param, "fc1", 3) == 0;
        assert_int_equal(e.step, anew ? 1 : 5);
        seen += anew;
    }
    assert_int_equal(seen, 4); /* two buffers of weight and bias */
    end(&s);
}

int main(void)
{
    enum { OPTIMS = sizeof optim_rows / sizeof *optim_rows };
    static char names[OPTIMS][80];
    struct CMUnitTest tests[OPTIMS + 3] = {
        cmocka_unit_test(a_change_behind_the_back_is_named),
        cmocka_unit_test(writing_a_frozen_tensor_is_no_change_behind_the_back),
        cmocka_unit_test(unfreezing_starts_from_zero_state),
    };
    for (size_t i = 0; i < OPTIMS; i++) {
        snprintf(names[i], sizeof names[i], "%s_leaves_frozen_bytes_alone", optim_rows[i].name);
        tests[3 + i] =
            (struct CMUnitTest){names[i], frozen_bytes_do_not_change, NULL, NULL, (void *)(uintptr_t)&optim_rows[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
