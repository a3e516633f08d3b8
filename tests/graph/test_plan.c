/* Plans: masks, slices, memory, what is refused. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "small_net.h"

/* Sets the frozen bits to those of mask. */
static void set_mask(net *n, unsigned mask)
{
    assert_ok(n->ctx, firn_unfreeze(n->m, "*", NULL));
    for (size_t i = 0; i < firn_tensor_count(n->m); i++)
        if (mask >> i & 1) assert_ok(n->ctx, firn_freeze(n->m, firn_tensor_at(n->m, i).name, NULL));
}

static void every_mask_leaves_the_other_gradients_as_they_are(void **state)
{
    (void)state;
    net n;
    net_build(&n, 2, NULL, 0.25f);
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    gradients full = net_gradients(&n, plan);
    const size_t count = firn_tensor_count(n.m);
    assert_int_equal(count, 10);
    for (unsigned mask = 0; mask + 1 < 1u << count; mask++) {
        set_mask(&n, mask);
        gradients g = net_gradients(&n, plan);
        assert_bits_equal(&g.loss, &full.loss, 1);
        for (size_t i = 0; i < count; i++) {
            const firn_tensor_info t = firn_tensor_at(n.m, i);
            assert_true((g.of[i] == NULL) == t.frozen);
            if (!t.frozen) assert_bits_equal(g.of[i], full.of[i], (size_t)firn_shape_count(t.shape));
        }
        gradients_free(&g);
    }
    gradients_free(&full);
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void a_plan_with_nothing_to_train_runs_forward_and_refuses_backward(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0.25f);
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    assert_ok(n.ctx, firn_freeze(n.m, "*", NULL));
    net_forward(&n, plan, 0, BATCH);
    assert_true(isfinite(*firn_plan_value(plan, NULL)));
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_plan_backward(plan), "nothing to train");
    assert_ok(n.ctx, firn_unfreeze(n.m, "head", NULL)); /* no forward is pending, so this is allowed */
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_plan_backward(plan), "firn_plan_forward");
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void the_mask_cannot_change_between_forward_and_backward(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0);
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    const float bias[CLASSES] = {0};
    net_forward(&n, plan, 0, BATCH);
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_freeze(n.m, "conv1", NULL), "firn_freeze between forward backward");
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_unfreeze(n.m, "conv1", NULL), "between");
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_write(n.m, "head.bias", bias, CLASSES), "between");
    assert_ok(n.ctx, firn_plan_backward(plan));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    net_forward(&n, plan, 0, BATCH);
    firn_plan_forget(plan);
    assert_ok(n.ctx, firn_unfreeze(n.m, "conv1", NULL));
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void depth_first_slices_and_layers_give_the_same_bits(void **state)
{
    (void)state;
    float expected[BATCH * CLASSES];
    for (int threads = 1; threads <= 8; threads++) {
        net n;
        net_build(&n, threads, NULL, 0.25f);
        firn_plan *deep = net_plan(&n, n.logits, FIRN_EVAL, false), *flat = net_plan(&n, n.logits, FIRN_EVAL, true);
        net_forward(&n, flat, 0, BATCH);
        if (threads == 1) memcpy(expected, firn_plan_value(flat, NULL), sizeof expected);
        assert_bits_equal(firn_plan_value(flat, NULL), expected, BATCH * CLASSES);
        net_forward(&n, deep, 0, BATCH);
        assert_bits_equal(firn_plan_value(deep, NULL), expected, BATCH * CLASSES);
        for (int first = 0; first < BATCH; first++)
            for (int rows = 1; first + rows <= BATCH; rows++) {
                net_forward(&n, deep, first, rows);
                assert_int_equal(firn_plan_rows(deep), rows);
                assert_bits_equal(firn_plan_value(deep, NULL), expected + first * CLASSES, (size_t)(rows * CLASSES));
            }
        firn_plan_destroy(deep);
        firn_plan_destroy(flat);
        net_finish(&n);
    }
}

static void an_evaluation_in_passes_gives_the_bits_of_single_rows(void **state)
{
    (void)state;
    enum { MANY = 150, IMAGE = 2 * SIDE * SIDE };
    net n;
    net_build(&n, 3, NULL, 0.25f);
    uint8_t *pixels = malloc((size_t)MANY * IMAGE);
    test_fill_bytes(pixels, (size_t)MANY * IMAGE, 8, 256);
    firn_tensor *doubled = firn_scale(n.image, 2);
    firn_plan *many, *one;
    const firn_plan_options how = {.mode = FIRN_EVAL, .batch = MANY, .watch = doubled};
    assert_ok(n.ctx, firn_plan_create(&many, n.logits, &how));
    assert_ok(n.ctx, firn_plan_create(&one, n.logits, &(firn_plan_options){.mode = FIRN_EVAL, .batch = 1}));
    static const int counts[] = {MANY, 1, 32, 33, 64, 149};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        assert_ok(n.ctx, firn_plan_forward(many, (firn_feed[]){{"image", pixels}}, 1, counts[k]));
        assert_int_equal(firn_plan_rows(many), counts[k]);
        const float *logits = firn_plan_value(many, NULL), *twice = firn_plan_value(many, doubled);
        for (int row = 0; row < counts[k]; row++) {
            assert_ok(n.ctx, firn_plan_forward(one, (firn_feed[]){{"image", pixels + row * IMAGE}}, 1, 1));
            assert_bits_equal(logits + row * CLASSES, firn_plan_value(one, NULL), CLASSES);
            for (int i = 0; i < IMAGE; i++) assert_close(twice[row * IMAGE + i], 2 * pixels[row * IMAGE + i], 0, 0);
        }
    }
    firn_plan_destroy(one);
    firn_plan_destroy(many);
    free(pixels);
    net_finish(&n);
}

static void *at_most_a_gigabyte(void *user, void *ptr, size_t old_size, size_t size)
{
    (void)user, (void)old_size;
    if (size > (size_t)1 << 30) return NULL;
    if (size > 0) return realloc(ptr, size);
    free(ptr);
    return NULL;
}

/* For the sanitizers: rows are counted in int. */
static void the_largest_batch_overflows_nothing(void **state)
{
    (void)state;
    firn_ctx *ctx;
    const firn_ctx_options how = {.allocator = {at_most_a_gigabyte, NULL}, .threads = 3};
    assert_int_equal(firn_ctx_create(&ctx, &how), FIRN_OK);
    firn_tensor *x = firn_input(firn_model_create(ctx), "x", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *y = firn_relu(firn_relu(firn_scale(x, 1)));
    for (int mode = FIRN_TRAIN; mode <= FIRN_EVAL; mode++) {
        firn_plan *plan;
        const firn_plan_options options = {.mode = (firn_mode)mode, .batch = INT_MAX};
        assert_fails(ctx, FIRN_ERR_MEMORY, firn_plan_create(&plan, firn_mse(y, y), &options), "memory");
    }
    firn_ctx_destroy(ctx);
}

static void an_output_of_rank_4_is_read_in_user_order(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0);
    firn_tensor *doubled = firn_scale(n.image, 2);
    firn_plan *plan = net_plan(&n, doubled, FIRN_EVAL, false);
    net_forward(&n, plan, 0, BATCH);
    const float *value = firn_plan_value(plan, NULL);
    for (size_t i = 0; i < sizeof n.pixels; i++) assert_close(value[i], 2 * n.pixels[i], 0, 0);
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void outputs_of_passes_have_no_second_copy(void **state)
{
    (void)state;
    enum { MANY = 150, IMAGE = 2 * SIDE * SIDE, PASS = 32, ALIGN = 64 };
    net n;
    net_build(&n, 1, NULL, 0);
    firn_plan *plan;
    firn_cost now;
    assert_ok(n.ctx,
              firn_plan_create(&plan, firn_scale(n.image, 2), &(firn_plan_options){.mode = FIRN_EVAL, .batch = MANY}));
    assert_ok(n.ctx, firn_plan_cost(plan, &now, NULL));
    assert_true(now.bytes_arena <= MANY * IMAGE * sizeof(float) + PASS * IMAGE * (1 + sizeof(float)) + 3 * ALIGN);
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void a_step_after_the_first_allocates_nothing(void **state)
{
    (void)state;
    net n;
    net_build(&n, 2, NULL, 0.25f);
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    const size_t calls = n.memory.calls;
    for (int i = 0; i < 3; i++) {
        net_forward(&n, plan, i, BATCH - i);
        assert_ok(n.ctx, firn_plan_backward(plan));
    }
    assert_int_equal(n.memory.calls, calls);
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void dropout_inside_an_evaluated_layer_is_off(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0.5f);
    firn_plan *train = net_plan(&n, n.loss, FIRN_TRAIN, false), *eval = net_plan(&n, n.loss, FIRN_EVAL, false);
    net_forward(&n, eval, 0, BATCH);
    net_forward(&n, train, 0, BATCH);
    firn_plan_forget(train);
    assert_true(*firn_plan_value(train, NULL) < *firn_plan_value(eval, NULL) ||
                *firn_plan_value(train, NULL) > *firn_plan_value(eval, NULL));
    assert_ok(n.ctx, firn_freeze_eval(n.m, "drop,conv1", NULL));
    net_forward(&n, train, 0, BATCH);
    firn_plan_forget(train);
    assert_bits_equal(firn_plan_value(train, NULL), firn_plan_value(eval, NULL), 1);
    assert_true(firn_is_frozen(firn_find(n.m, "conv1.weight")));
    assert_ok(n.ctx, firn_unfreeze(n.m, "*", NULL));
    net_forward(&n, train, 0, BATCH);
    assert_true(*firn_plan_value(train, NULL) < *firn_plan_value(eval, NULL) ||
                *firn_plan_value(train, NULL) > *firn_plan_value(eval, NULL));
    firn_plan_destroy(train);
    firn_plan_destroy(eval);
    net_finish(&n);
}

static void backward_draws_the_numbers_of_its_forward(void **state)
{
    (void)state;
    enum { WIDTH = 64 };
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1)),
                *y = firn_input(m, "y", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, WIDTH));
    firn_tensor *dropped = firn_dropout(firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = WIDTH}), 0.5f);
    firn_plan *plan;
    assert_ok(ctx, firn_plan_create(&plan, firn_mse(dropped, y), &(firn_plan_options){.batch = 1, .watch = dropped}));
    const float one = 1, far[WIDTH] = {[0] = 0};
    for (int step = 0; step < 3; step++) {
        assert_ok(ctx, firn_plan_forward(plan, (firn_feed[]){{"x", &one}, {"y", far}}, 2, 1));
        firn_plan_set_step(plan, 77); /* of the next forward */
        assert_ok(ctx, firn_plan_backward(plan));
        const float *value = firn_plan_value(plan, dropped), *grad = firn_plan_grad(plan, "fc.bias");
        for (int i = 0; i < WIDTH; i++) assert_true((value[i] != 0) == (grad[i] != 0));
    }
    firn_plan_destroy(plan);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

static void a_tensor_frozen_after_backward_has_no_gradient(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0);
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    net_forward(&n, plan, 0, BATCH);
    assert_ok(n.ctx, firn_plan_backward(plan));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    assert_null(firn_plan_grad(plan, "conv1.weight"));
    assert_non_null(firn_plan_grad(plan, "conv2.weight"));
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void feeds_are_checked_before_anything_runs(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0);
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    const firn_feed image = {"image", n.pixels}, label = {"label", n.labels};
    assert_fails(n.ctx, FIRN_ERR_NAME, firn_plan_forward(plan, (firn_feed[]){image}, 1, BATCH), "label needed not fed");
    assert_fails(n.ctx, FIRN_ERR_NAME, firn_plan_forward(plan, (firn_feed[]){image, label, image}, 3, BATCH),
                 "image twice");
    assert_fails(n.ctx, FIRN_ERR_NAME, firn_plan_forward(plan, (firn_feed[]){image, label, {"mask", n.labels}}, 3, BATCH),
                 "mask");
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){image, {"label", NULL}}, 2, BATCH),
                 "label NULL");
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){image, label}, 2, BATCH + 1), "rows 7 8");
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){image, label}, 2, 0), "rows");
    n.labels[3] = CLASSES;
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){image, label}, 2, BATCH), "label row 3 4");
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_plan_backward(plan), "firn_plan_forward");
    firn_plan_destroy(plan);
    net_finish(&n);
}

/* A label of 32 bits may be below zero, too; what is to be ignored is no class. */
static void labels_of_32_bits_are_checked_on_both_sides(void **state)
{
    (void)state;
    static const float x[2][3] = {{1, 2, 3}, {4, 5, 6}};
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *rows = firn_input(m, "rows", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 3));
    firn_tensor *label = firn_input(m, "label", FIRN_I32, FIRN_SHAPE(FIRN_BATCH));
    const firn_cross_entropy_attr ignoring = {.has_ignore_index = true, .ignore_index = -100};
    for (int ignore = 0; ignore < 2; ignore++) {
        firn_tensor *loss = firn_cross_entropy(firn_scale(rows, 1), label, ignore ? &ignoring : NULL);
        firn_plan *plan;
        assert_ok(ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.mode = FIRN_EVAL, .batch = 2}));
        int32_t labels[2] = {0, 2};
        const firn_feed feeds[] = {{"rows", x}, {"label", labels}};
        assert_ok(ctx, firn_plan_forward(plan, feeds, 2, 2));
        labels[1] = -1;
        assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, feeds, 2, 2), "label row 1 -1");
        labels[1] = INT32_MIN;
        assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, feeds, 2, 2), "label row 1 -2147483648");
        labels[1] = 3;
        assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, feeds, 2, 2), "label row 1 3");
        labels[1] = -100;
        assert_status(ctx, ignore ? FIRN_OK : FIRN_ERR_ARGUMENT, firn_plan_forward(plan, feeds, 2, 2));
        firn_clear_error(ctx);
        firn_plan_destroy(plan);
    }
    firn_ctx_destroy(ctx);
}

static void a_refused_forward_leaves_nothing_to_read_or_to_go_back_through(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0);
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    net_forward(&n, plan, 0, BATCH);
    n.labels[3] = CLASSES;
    const firn_feed feeds[] = {{"image", n.pixels}, {"label", n.labels}};
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, feeds, 2, BATCH), "label");
    assert_null(firn_plan_value(plan, NULL));
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_plan_backward(plan), "firn_plan_forward");
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    firn_plan_destroy(plan);
    net_finish(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mask_leaves_the_other_gradients_as_they_are),
        cmocka_unit_test(a_plan_with_nothing_to_train_runs_forward_and_refuses_backward),
        cmocka_unit_test(the_mask_cannot_change_between_forward_and_backward),
        cmocka_unit_test(depth_first_slices_and_layers_give_the_same_bits),
        cmocka_unit_test(an_evaluation_in_passes_gives_the_bits_of_single_rows),
        cmocka_unit_test(the_largest_batch_overflows_nothing),
        cmocka_unit_test(an_output_of_rank_4_is_read_in_user_order),
        cmocka_unit_test(outputs_of_passes_have_no_second_copy),
        cmocka_unit_test(a_step_after_the_first_allocates_nothing),
        cmocka_unit_test(dropout_inside_an_evaluated_layer_is_off),
        cmocka_unit_test(backward_draws_the_numbers_of_its_forward),
        cmocka_unit_test(a_tensor_frozen_after_backward_has_no_gradient),
        cmocka_unit_test(feeds_are_checked_before_anything_runs),
        cmocka_unit_test(labels_of_32_bits_are_checked_on_both_sides),
        cmocka_unit_test(a_refused_forward_leaves_nothing_to_read_or_to_go_back_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
