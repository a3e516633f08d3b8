#include <math.h>
#include <string.h>

#include "small_net.h"

/* ---- the reference: torch.optim's formulas in double, on the gradients that firn computed ---- */

enum { MAX_COUNT = 64 };
typedef struct reference {
    double w[MAX_COUNT], b0[MAX_COUNT], b1[MAX_COUNT];
    int step;
} reference;

static void reference_step(reference *r, const firn_optim *h, size_t n, const float *grad, double grad_factor, double lr)
{
    const double wd = (double)h->weight_decay, mom = (double)h->momentum, rho = (double)h->rho, eps = (double)h->eps;
    const double b1 = (double)h->beta1, b2 = (double)h->beta2;
    r->step++;
    for (size_t i = 0; i < n; i++) {
        double g = (double)grad[i] * grad_factor, *w = &r->w[i], *s = &r->b0[i], *u = &r->b1[i];
        if (h->kind == FIRN_ADAMW)
            *w *= 1 - lr * wd;
        else
            g += wd * *w;
        if (h->kind == FIRN_SGD) {
            *s = mom * *s + g;
            *w -= lr * (h->nesterov ? g + mom * *s : mom > 0 ? *s : g);
        } else if (h->kind == FIRN_ADAM || h->kind == FIRN_ADAMW) {
            *s = b1 * *s + (1 - b1) * g;
            *u = b2 * *u + (1 - b2) * g * g;
            *w -= lr * (*s / (1 - pow(b1, r->step))) / (sqrt(*u / (1 - pow(b2, r->step))) + eps);
        } else if (h->kind == FIRN_ADADELTA) {
            *s = rho * *s + (1 - rho) * g * g;
            const double d = sqrt(*u + eps) / sqrt(*s + eps) * g;
            *u = rho * *u + (1 - rho) * d * d;
            *w -= lr * d;
        } else {
            *s = rho * *s + (1 - rho) * g * g;
            const double d = g / (sqrt(*s) + eps);
            *u = mom * *u + d;
            *w -= lr * (mom > 0 ? *u : d);
        }
    }
}

static firn_optim with_defaults(firn_optim h)
{
    if (h.lr == 0) h.lr = h.kind == FIRN_ADADELTA ? 1.0f : h.kind == FIRN_SGD || h.kind == FIRN_RMSPROP ? 0.01f : 0.001f;
    if (h.beta1 == 0) h.beta1 = 0.9f;
    if (h.beta2 == 0) h.beta2 = 0.999f;
    if (h.rho == 0) h.rho = h.kind == FIRN_ADADELTA ? 0.9f : 0.99f;
    if (h.eps == 0) h.eps = h.kind == FIRN_ADADELTA ? 1e-6f : 1e-8f;
    return h;
}

/* Norm of the gradients that the plan holds. */
static double plan_norm(const small_net *net)
{
    double squares = 0;
    for (int p = 0; p < NET_PARAMS; p++) {
        const float *g = firn_plan_grad(net->plan, net_param[p]);
        for (size_t i = 0; g != NULL && i < net_count(net, p); i++) squares += (double)g[i] * (double)g[i];
    }
    return sqrt(squares);
}

static double clip_factor(const firn_optim *h, double norm)
{
    const double factor = (double)h->clip_norm / (norm + 1e-6);
    return h->clip_norm > 0 && factor < 1 ? factor : 1;
}

static void twenty_steps_follow_the_double_reference(void **state)
{
    (void)state;
    for (size_t c = 0; c < n_optim_cases; c++) {
        static reference ref[NET_PARAMS];
        memset(ref, 0, sizeof ref);
        small_net net;
        net_open(&net, &optim_cases[c].how);
        const firn_optim h = with_defaults(optim_cases[c].how);
        for (int p = 0; p < NET_PARAMS; p++)
            for (size_t i = 0; i < net_count(&net, p); i++) ref[p].w[i] = (double)net_data(&net, p)[i];
        for (int step = 0; step < 20; step++) {
            const float scale = step < 10 ? 1.0f : 0.5f;
            net_gradients(&net, 0, NET_ROWS);
            const double norm = plan_norm(&net), factor = clip_factor(&h, norm);
            for (int p = 0; p < NET_PARAMS; p++)
                reference_step(&ref[p], &h, net_count(&net, p), firn_plan_grad(net.plan, net_param[p]), factor,
                               (double)h.lr * (double)scale);
            assert_ok(net.ctx, firn_optimizer_step(net.o, net.plan, scale));
            assert_close(firn_optimizer_grad_norm(net.o), norm, 1e-6, 0);
            for (int p = 0; p < NET_PARAMS; p++)
                assert_close_to_double(net_data(&net, p), ref[p].w, net_count(&net, p), 2e-5, 2e-6);
        }
        net_close(&net);
    }
}

static void clipping_bounds_the_update(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &(firn_optim){.kind = FIRN_SGD, .lr = 1, .clip_norm = 0.01f});
    float before[NET_PARAMS][MAX_COUNT];
    for (int p = 0; p < NET_PARAMS; p++) memcpy(before[p], net_data(&net, p), net_count(&net, p) * sizeof(float));
    net_step(&net);
    assert_true(firn_optimizer_grad_norm(net.o) > 0.1);
    double squares = 0;
    for (int p = 0; p < NET_PARAMS; p++)
        for (size_t i = 0; i < net_count(&net, p); i++)
            squares += pow((double)before[p][i] - (double)net_data(&net, p)[i], 2);
    assert_close(sqrt(squares), 0.01, 1e-3, 0);
    net_close(&net);
}

static void accumulated_batches_step_as_their_union(void **state)
{
    (void)state;
    for (size_t c = 0; c < n_optim_cases; c++) {
        small_net whole, parts;
        net_open(&whole, &optim_cases[c].how);
        net_open(&parts, &optim_cases[c].how);
        for (int step = 0; step < 3; step++) {
            net_step(&whole);
            net_gradients(&parts, 0, 5);
            assert_ok(parts.ctx, firn_optimizer_accumulate(parts.o, parts.plan));
            net_gradients(&parts, 5, 3);
            assert_ok(parts.ctx, firn_optimizer_accumulate(parts.o, parts.plan));
            assert_ok(parts.ctx, firn_optimizer_step(parts.o, parts.plan, 1));
        }
        for (int p = 0; p < NET_PARAMS; p++)
            assert_close_array(net_data(&parts, p), net_data(&whole, p), net_count(&whole, p), 1e-4, 1e-4);
        net_close(&parts);
        net_close(&whole);
    }
}

static void the_mask_is_locked_while_accumulating(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &optim_cases[0].how);
    net_gradients(&net, 0, 4);
    assert_ok(net.ctx, firn_optimizer_accumulate(net.o, net.plan));
    assert_fails(net.ctx, FIRN_ERR_STATE, firn_freeze(net.m, "a", NULL), "firn_freeze accumulated");
    firn_optimizer_forget(net.o);
    assert_ok(net.ctx, firn_freeze(net.m, "a", NULL));
    assert_fails(net.ctx, FIRN_ERR_STATE, firn_optimizer_step(net.o, net.plan, 1), "no backward");
    net_step(&net);
    net_gradients(&net, 0, 4);
    assert_ok(net.ctx, firn_optimizer_accumulate(net.o, net.plan));
    net_close(&net); /* destroying it unlocks too */
}

/* A forward of other rows in between, which waits for its backward, is not what they are of. */
static void gradients_are_weighted_by_the_rows_of_their_backward(void **state)
{
    (void)state;
    small_net plain, busy;
    net_open(&plain, &optim_cases[0].how);
    net_open(&busy, &optim_cases[0].how);
    const firn_feed feeds[] = {{"x", busy.x}, {"y", busy.y}};
    for (int begin = 0; begin < NET_ROWS; begin += 5) {
        const int rows = begin == 0 ? 5 : NET_ROWS - 5;
        net_gradients(&plain, begin, rows);
        assert_ok(plain.ctx, firn_optimizer_accumulate(plain.o, plain.plan));
        net_gradients(&busy, begin, rows);
        assert_ok(busy.ctx, firn_plan_forward(busy.plan, feeds, 2, 1));
        assert_ok(busy.ctx, firn_optimizer_accumulate(busy.o, busy.plan));
    }
    firn_plan_forget(busy.plan);
    assert_ok(plain.ctx, firn_optimizer_step(plain.o, plain.plan, 1));
    assert_ok(busy.ctx, firn_optimizer_step(busy.o, busy.plan, 1));
    for (int p = 0; p < NET_PARAMS; p++) assert_bits_equal(net_data(&busy, p), net_data(&plain, p), net_count(&plain, p));
    net_close(&busy);
    net_close(&plain);
}

static void gradients_accumulated_after_a_refused_forward_lock_the_mask_until_the_step(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &optim_cases[0].how);
    firn_tensor *label = firn_input(net.m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *x = firn_input(net.m, "z", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, NET_IN));
    firn_tensor *loss = firn_cross_entropy(firn_nn_linear(x, "c", &(firn_nn_linear_cfg){.out = 2}), label, NULL);
    firn_plan *plan;
    assert_ok(net.ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.batch = 3}));
    const uint8_t good[] = {0, 1, 1}, bad[] = {0, 2, 1};
    assert_ok(net.ctx, firn_plan_forward(plan, (firn_feed[]){{"z", net.x}, {"label", good}}, 2, 3));
    assert_ok(net.ctx, firn_plan_backward(plan));
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){{"z", net.x}, {"label", bad}}, 2, 3),
                 "label row 1");
    assert_ok(net.ctx, firn_optimizer_accumulate(net.o, plan));
    assert_fails(net.ctx, FIRN_ERR_STATE, firn_freeze(net.m, "c", NULL), "accumulated");
    assert_ok(net.ctx, firn_optimizer_step(net.o, plan, 1));
    assert_ok(net.ctx, firn_freeze(net.m, "c", NULL));
    firn_plan_destroy(plan);
    net_close(&net);
}

/* Another mask is another plan, which has run no backward. */
static void a_plan_made_anew_has_no_gradients_to_step_on(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &optim_cases[0].how);
    const firn_feed feeds[] = {{"x", net.x}, {"y", net.y}};
    net_gradients(&net, 0, NET_ROWS);
    assert_non_null(firn_plan_grad(net.plan, "b.weight"));
    assert_ok(net.ctx, firn_freeze(net.m, "a", NULL));
    assert_ok(net.ctx, firn_plan_forward(net.plan, feeds, 2, NET_ROWS));
    firn_plan_forget(net.plan);
    assert_null(firn_plan_grad(net.plan, "b.weight"));
    assert_fails(net.ctx, FIRN_ERR_STATE, firn_optimizer_step(net.o, net.plan, 1), "no backward");
    assert_fails(net.ctx, FIRN_ERR_STATE, firn_optimizer_accumulate(net.o, net.plan), "no backward");
    net_step(&net);
    net_close(&net);
}

/* Its gradients would be of weights that are gone. */
static void no_step_is_taken_while_a_forward_waits(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &optim_cases[0].how);
    firn_tensor *loss = firn_mse(firn_find(net.m, "a.weight"), firn_scale(firn_find(net.m, "a.weight"), 0));
    firn_plan *other;
    assert_ok(net.ctx, firn_plan_create(&other, loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = 1}));
    assert_ok(net.ctx, firn_plan_forward(other, NULL, 0, 1));
    net_gradients(&net, 0, 8);
    const float before = net_data(&net, 0)[0];
    assert_fails(net.ctx, FIRN_ERR_STATE, firn_optimizer_step(net.o, net.plan, 1),
                 "firn_optimizer_step forward backward firn_plan_forget");
    assert_close(net_data(&net, 0)[0], before, 0, 0);
    assert_ok(net.ctx, firn_plan_backward(other));
    assert_ok(net.ctx, firn_optimizer_step(net.o, net.plan, 1)); /* nothing was lost */
    firn_plan_destroy(other);
    net_close(&net);
}

/* ---- freezing ---- */

typedef enum frozen_when { FROM_START, LATER, REFROZEN } frozen_when;

static void step_in_two(small_net *net, bool accumulate)
{
    if (!accumulate) {
        net_step(net);
        return;
    }
    for (int half = 0; half < 2; half++) {
        net_gradients(net, half * 4, 4);
        assert_ok(net->ctx, firn_optimizer_accumulate(net->o, net->plan));
    }
    assert_ok(net->ctx, firn_optimizer_step(net->o, net->plan, 1));
}

static void frozen_bytes_stay(const firn_optim *how, const char *selector, frozen_when when, bool accumulate)
{
    small_net net;
    net_open(&net, how);
    if (when != FROM_START) step_in_two(&net, accumulate); /* leaves momentum behind */
    assert_ok(net.ctx, firn_freeze(net.m, selector, NULL));
    if (when == REFROZEN) {
        step_in_two(&net, accumulate);
        assert_ok(net.ctx, firn_unfreeze(net.m, selector, NULL));
        step_in_two(&net, accumulate);
        assert_ok(net.ctx, firn_freeze(net.m, selector, NULL));
    }
    float before[NET_PARAMS][MAX_COUNT];
    for (int p = 0; p < NET_PARAMS; p++) memcpy(before[p], net_data(&net, p), net_count(&net, p) * sizeof(float));
    for (int step = 0; step < 20; step++) step_in_two(&net, accumulate);
    for (int p = 0; p < NET_PARAMS; p++) {
        if (firn_is_frozen(firn_find(net.m, net_param[p])))
            assert_memory_equal(before[p], net_data(&net, p), net_count(&net, p) * sizeof(float));
        else
            assert_memory_not_equal(before[p], net_data(&net, p), net_count(&net, p) * sizeof(float));
    }
    assert_ok(net.ctx, firn_verify_frozen(net.m));
    net_close(&net);
}

static void frozen_bytes_stay_with_every_optimizer_whenever_frozen(void **state)
{
    (void)state;
    static const char *const selectors[] = {"a", "b", "a.weight", "b.bias", "a.bias,b.weight"};
    for (size_t c = 0; c < n_optim_cases; c++)
        for (size_t s = 0; s < sizeof selectors / sizeof *selectors; s++)
            for (int when = FROM_START; when <= REFROZEN; when++)
                for (int accumulate = 0; accumulate < 2; accumulate++)
                    frozen_bytes_stay(&optim_cases[c].how, selectors[s], (frozen_when)when, accumulate);
}

static void frozen_gradients_have_no_share_in_the_clip_norm(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &(firn_optim){.kind = FIRN_SGD, .lr = 0.1f, .clip_norm = 1});
    net_step(&net);
    const double all = firn_optimizer_grad_norm(net.o);
    assert_ok(net.ctx, firn_freeze(net.m, "b", NULL));
    net_gradients(&net, 0, NET_ROWS);
    const double rest = plan_norm(&net);
    assert_ok(net.ctx, firn_optimizer_step(net.o, net.plan, 1));
    assert_close(firn_optimizer_grad_norm(net.o), rest, 1e-6, 0);
    assert_true(rest < all);
    net_close(&net);
}

static void frozen_between_backward_and_step_is_not_touched(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, &optim_cases[2].how);
    net_step(&net);
    float before[MAX_COUNT];
    memcpy(before, net_data(&net, 0), net_count(&net, 0) * sizeof(float));
    net_gradients(&net, 0, NET_ROWS);
    assert_ok(net.ctx, firn_freeze(net.m, "a.weight", NULL));
    assert_ok(net.ctx, firn_optimizer_step(net.o, net.plan, 1));
    assert_memory_equal(before, net_data(&net, 0), net_count(&net, 0) * sizeof(float));
    net_close(&net);
}

/* ---- rates ---- */

static void a_multiplier_scales_the_rate_of_the_selected(void **state)
{
    (void)state;
    small_net plain, slow;
    net_open(&plain, &optim_cases[0].how);
    net_open(&slow, &optim_cases[0].how);
    assert_ok(slow.ctx, firn_optimizer_set_rate(slow.o, "*", 9));
    assert_ok(slow.ctx, firn_optimizer_set_rate(slow.o, "a", 0.25f)); /* later calls win */
    assert_ok(slow.ctx, firn_optimizer_set_rate(slow.o, "b", 1));
    assert_close(firn_optimizer_rate(slow.o, "a.bias"), 0.25, 0, 0);
    assert_close(firn_optimizer_rate(slow.o, "nothing"), 1, 0, 0);
    float before[MAX_COUNT];
    memcpy(before, net_data(&plain, 0), net_count(&plain, 0) * sizeof(float));
    net_step(&plain);
    net_step(&slow);
    for (size_t i = 0; i < net_count(&plain, 0); i++)
        assert_close(before[i] - net_data(&slow, 0)[i], 0.25 * (double)(before[i] - net_data(&plain, 0)[i]), 1e-3, 1e-7);
    assert_bits_equal(net_data(&slow, 2), net_data(&plain, 2), net_count(&plain, 2));
    net_close(&slow);
    net_close(&plain);
}

static void a_bad_multiplier_is_refused(void **state)
{
    (void)state;
    small_net net;
    net_open(&net, NULL);
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_set_rate(net.o, "a", 0), "above 0 freeze it instead");
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_set_rate(net.o, "a", -1), "above 0");
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_set_rate(net.o, "a", NAN), "finite");
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_set_rate(net.o, "a", INFINITY), "finite");
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_set_rate(net.o, NULL, 2), "selector NULL");
    assert_fails(net.ctx, FIRN_ERR_NAME, firn_optimizer_set_rate(net.o, "conv", 2), "conv");
    assert_int_equal(firn_optimizer_set_rate(NULL, "a", 2), FIRN_ERR_ARGUMENT);
    net_close(&net);
}

/* ---- all or nothing ---- */

static void a_gradient_that_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    for (size_t c = 0; c < n_optim_cases; c++)
        for (int warm = 0; warm < 2; warm++) {
            small_net net;
            net_open(&net, &optim_cases[c].how);
            if (warm) net_step(&net);
            float before[NET_PARAMS][MAX_COUNT];
            for (int p = 0; p < NET_PARAMS; p++) memcpy(before[p], net_data(&net, p), net_count(&net, p) * sizeof(float));
            const size_t entries = firn_optimizer_entries(net.o);
            net.x[3] = INFINITY;
            net_gradients(&net, 0, NET_ROWS);
            assert_fails(net.ctx, FIRN_ERR_NUMERIC, firn_optimizer_step(net.o, net.plan, 1), "gradient .weight not finite");
            for (int p = 0; p < NET_PARAMS; p++)
                assert_memory_equal(before[p], net_data(&net, p), net_count(&net, p) * sizeof(float));
            assert_int_equal(firn_optimizer_entries(net.o), entries);
            net.x[3] = 0.5f;
            net_step(&net); /* usable afterwards */
            net_close(&net);
        }
}

/* The weights after a step whose nth allocation fails (0: none) and that is then asked for again. True: it ran out. */
static bool step_short_of_memory(size_t c, size_t n, bool accumulated, float after[NET_PARAMS][MAX_COUNT])
{
    small_net net;
    net_open(&net, &optim_cases[c].how);
    float before[NET_PARAMS][MAX_COUNT];
    for (int p = 0; p < NET_PARAMS; p++) memcpy(before[p], net_data(&net, p), net_count(&net, p) * sizeof(float));
    net_gradients(&net, 0, NET_ROWS);
    if (accumulated) assert_ok(net.ctx, firn_optimizer_accumulate(net.o, net.plan));
    if (n > 0) net.memory.fail_at = net.memory.calls + n;
    const firn_status st = firn_optimizer_step(net.o, net.plan, 1);
    net.memory.fail_at = 0;
    if (st != FIRN_OK) {
        assert_int_equal(st, FIRN_ERR_MEMORY);
        for (int p = 0; p < NET_PARAMS; p++)
            assert_memory_equal(before[p], net_data(&net, p), net_count(&net, p) * sizeof(float));
        assert_int_equal(firn_optimizer_entries(net.o), 0);
        firn_clear_error(net.ctx);
        assert_ok(net.ctx, firn_optimizer_step(net.o, net.plan, 1)); /* the gradients are still there */
    }
    for (int p = 0; p < NET_PARAMS; p++) memcpy(after[p], net_data(&net, p), net_count(&net, p) * sizeof(float));
    net_close(&net);
    return st != FIRN_OK;
}

static void running_out_of_memory_changes_nothing(void **state)
{
    (void)state;
    for (size_t c = 0; c < n_optim_cases; c++)
        for (int accumulated = 0; accumulated < 2; accumulated++) {
            static float wanted[NET_PARAMS][MAX_COUNT], after[NET_PARAMS][MAX_COUNT];
            bool failed = !step_short_of_memory(c, 0, accumulated, wanted);
            for (size_t n = 1; failed; n++) {
                failed = step_short_of_memory(c, n, accumulated, after);
                assert_memory_equal(after, wanted, sizeof wanted);
            }
        }
}

static void misuse_is_named(void **state)
{
    (void)state;
    small_net net, other;
    net_open(&net, NULL);
    net_open(&other, NULL);
    assert_int_equal(firn_optimizer_step(NULL, net.plan, 1), FIRN_ERR_ARGUMENT);
    assert_fails(net.ctx, FIRN_ERR_STATE, firn_optimizer_step(net.o, net.plan, 1), "firn_optimizer_step no backward");
    assert_fails(net.ctx, FIRN_ERR_STATE, firn_optimizer_accumulate(net.o, net.plan),
                 "firn_optimizer_accumulate no backward");
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_step(net.o, NULL, 1), "plan");
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_step(net.o, other.plan, 1), "plan model");
    net_step(&net);
    assert_fails(net.ctx, FIRN_ERR_STATE, firn_optimizer_step(net.o, net.plan, 1), "no backward since the last step");
    net_gradients(&net, 0, 8);
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_step(net.o, net.plan, -1), "lr_scale -1");
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_step(net.o, net.plan, NAN), "lr_scale");
    assert_ok(net.ctx, firn_optimizer_step(net.o, net.plan, 0)); /* a rate of 0 is a rate */
    firn_optimizer *o;
    assert_int_equal(firn_optimizer_create(&o, NULL, NULL), FIRN_ERR_ARGUMENT);
    assert_fails(net.ctx, FIRN_ERR_ARGUMENT, firn_optimizer_create(NULL, net.m, NULL), "out");
    firn_optimizer_destroy(NULL);
    net_close(&other);
    net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_steps_follow_the_double_reference),
        cmocka_unit_test(clipping_bounds_the_update),
        cmocka_unit_test(accumulated_batches_step_as_their_union),
        cmocka_unit_test(the_mask_is_locked_while_accumulating),
        cmocka_unit_test(gradients_are_weighted_by_the_rows_of_their_backward),
        cmocka_unit_test(gradients_accumulated_after_a_refused_forward_lock_the_mask_until_the_step),
        cmocka_unit_test(a_plan_made_anew_has_no_gradients_to_step_on),
        cmocka_unit_test(no_step_is_taken_while_a_forward_waits),
        cmocka_unit_test(frozen_bytes_stay_with_every_optimizer_whenever_frozen),
        cmocka_unit_test(frozen_gradients_have_no_share_in_the_clip_norm),
        cmocka_unit_test(frozen_between_backward_and_step_is_not_touched),
        cmocka_unit_test(a_multiplier_scales_the_rate_of_the_selected),
        cmocka_unit_test(a_bad_multiplier_is_refused),
        cmocka_unit_test(a_gradient_that_is_not_finite_changes_nothing),
        cmocka_unit_test(running_out_of_memory_changes_nothing),
        cmocka_unit_test(misuse_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
