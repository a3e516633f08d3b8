/* FREEZE F9, F10: whatever is frozen, the gradients of the rest are those of the full backward, bit for bit. */
#include <stdlib.h>
#include <string.h>

#include "nets.h"
#include "support.h"

enum { MAX_TENSORS = 20 };

typedef struct gradients {
    size_t count;
    float *of[MAX_TENSORS]; /* NULL: frozen or a state */
} gradients;

static float *copy_of(const float *x, size_t count)
{
    if (x == NULL) return NULL;
    float *copy = malloc(count * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, x, count * sizeof *copy);
    return copy;
}

static void free_gradients(gradients *g)
{
    for (size_t i = 0; i < g->count; i++) free(g->of[i]);
}

/* Is parameter number i of mask's bits frozen? States are left alone: frozen ones change what batch norm computes. */
static bool in_mask(const firn_model *m, unsigned mask, size_t i)
{
    unsigned bit = 0;
    for (size_t k = 0; k < i; k++) bit += !firn_tensor_at(m, k).is_state;
    return !firn_tensor_at(m, i).is_state && mask >> bit & 1;
}

static unsigned count_params(const firn_model *m)
{
    unsigned count = 0;
    for (size_t i = 0; i < firn_tensor_count(m); i++) count += !firn_tensor_at(m, i).is_state;
    return count;
}

/* Freezes the tensors whose bit is set, one by one, and unfreezes the others. */
static void set_mask(firn_model *m, unsigned mask)
{
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const char *name = firn_tensor_at(m, i).name;
        assert_ok(firn_model_ctx(m), in_mask(m, mask, i) ? firn_freeze(m, name, NULL) : firn_unfreeze(m, name, NULL));
    }
}

static firn_plan *make_plan(firn_ctx *ctx, const net *n)
{
    firn_plan *plan = NULL;
    assert_ok(ctx, firn_plan_create(&plan, n->loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = NET_BATCH}));
    return plan;
}

static void run_step(firn_ctx *ctx, firn_plan *plan)
{
    firn_plan_set_step(plan, 3); /* the same dropout each time */
    assert_ok(ctx, firn_plan_forward(plan, net_feeds(0), NET_FEEDS, NET_BATCH));
    assert_ok(ctx, firn_plan_backward(plan));
}

static size_t count_of(firn_tensor_info t) { return (size_t)firn_shape_count(t.shape); }

static gradients full_gradients(firn_ctx *ctx, const net *n, float *loss)
{
    gradients g = {.count = firn_tensor_count(n->model)};
    assert_true(g.count <= MAX_TENSORS);
    set_mask(n->model, 0);
    firn_plan *plan = make_plan(ctx, n);
    run_step(ctx, plan);
    *loss = *firn_plan_value(plan, NULL);
    for (size_t i = 0; i < g.count; i++) {
        const firn_tensor_info t = firn_tensor_at(n->model, i);
        g.of[i] = copy_of(firn_plan_grad(plan, t.name), count_of(t));
        assert_true((g.of[i] == NULL) == t.is_state);
    }
    firn_plan_destroy(plan);
    return g;
}

static void compare(const net *n, firn_plan *plan, const gradients *full, unsigned mask)
{
    for (size_t i = 0; i < full->count; i++) {
        const firn_tensor_info t = firn_tensor_at(n->model, i);
        const float *grad = firn_plan_grad(plan, t.name);
        if (full->of[i] == NULL || in_mask(n->model, mask, i))
            assert_null(grad);
        else {
            assert_non_null(grad);
            assert_bits_equal(grad, full->of[i], count_of(t));
        }
    }
}

/* One plan that re-plans for each mask, and a fresh one for each. */
static void every_mask(const net_row *row, int threads, const char *isa)
{
    firn_ctx *ctx = test_ctx(NULL, threads, isa);
    const net n = net_build(ctx, row);
    float loss;
    gradients full = full_gradients(ctx, &n, &loss);
    const unsigned all = (1u << count_params(n.model)) - 1;
    firn_plan *replanned = make_plan(ctx, &n);
    for (unsigned mask = 0; mask < all; mask++) {
        set_mask(n.model, mask);
        firn_plan *fresh = make_plan(ctx, &n), *plans[] = {fresh, replanned};
        for (int p = 0; p < 2; p++) {
            run_step(ctx, plans[p]);
            assert_bits_equal(firn_plan_value(plans[p], NULL), &loss, 1);
            compare(&n, plans[p], &full, mask);
        }
        firn_plan_destroy(fresh);
    }
    set_mask(n.model, all);
    assert_ok(ctx, firn_plan_forward(replanned, net_feeds(0), NET_FEEDS, NET_BATCH));
    assert_fails(ctx, FIRN_ERR_STATE, firn_plan_backward(replanned), "nothing to train");
    firn_plan_destroy(replanned);
    free_gradients(&full);
    firn_ctx_destroy(ctx);
}

static void gradients_do_not_depend_on_what_else_is_frozen(void **state)
{
    const net_row *row = *state;
    const bool many = row == &net_rows[2]; /* 2047 masks: only on the best instruction set */
    for (const char *const *isa = test_isas(); *isa; isa++)
        if (!many || isa[1] == NULL) every_mask(row, 2, *isa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"every_mask_of_an_mlp_gives_the_gradients_of_the_full_backward", gradients_do_not_depend_on_what_else_is_frozen,
         NULL, NULL, (void *)(uintptr_t)&net_rows[0]},
        {"every_mask_of_a_net_with_tied_weights_gives_the_gradients_of_the_full_backward",
         gradients_do_not_depend_on_what_else_is_frozen, NULL, NULL, (void *)(uintptr_t)&net_rows[1]},
        {"every_mask_of_a_residual_net_gives_the_gradients_of_the_full_backward",
         gradients_do_not_depend_on_what_else_is_frozen, NULL, NULL, (void *)(uintptr_t)&net_rows[2]},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
