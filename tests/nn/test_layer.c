#include <math.h>
#include <string.h>

#include "support.h"

typedef struct world {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_tensor *rows, *image;
} world;

static void world_open(world *w)
{
    *w = (world){.memory = {0}};
    w->ctx = test_ctx(&w->memory, 1, NULL);
    w->m = firn_model_create(w->ctx);
    w->rows = firn_input(w->m, "rows", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 24));
    w->image = firn_input(w->m, "image", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 4, 9, 9));
}

static void world_close(world *w)
{
    firn_ctx_destroy(w->ctx);
    assert_all_freed(&w->memory);
}

static void assert_shape(firn_shape actual, firn_shape expected) { assert_true(firn_shape_equal(actual, expected)); }

static void assert_tensor(const world *w, const char *name, firn_shape shape)
{
    const firn_tensor *t = firn_find(w->m, name);
    assert_non_null(t);
    assert_shape(firn_tensor_shape(t), shape);
}

/* All in -b..b, and near both ends: of as many numbers as there are here, 24 at least, some are. */
static void assert_uniform(const world *w, const char *name, double b)
{
    const firn_tensor *t = firn_find(w->m, name);
    const float *x = firn_data(t);
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < firn_shape_count(firn_tensor_shape(t)); i++) {
        assert_true(fabs((double)x[i]) <= b * (1 + 1e-6));
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    assert_true((double)low < -0.8 * b && (double)high > 0.8 * b);
}

static void assert_constant(const world *w, const char *name, float value)
{
    const firn_tensor *t = firn_find(w->m, name);
    for (int64_t i = 0; i < firn_shape_count(firn_tensor_shape(t)); i++) assert_true(firn_data(t)[i] == value);
}

static void linear_has_torchs_names_shapes_and_ranges(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    const firn_tensor *y = firn_nn_linear(w.rows, "head.0", &(firn_nn_linear_cfg){.out = 50});
    assert_shape(firn_tensor_shape(y), FIRN_SHAPE(FIRN_BATCH, 50));
    assert_tensor(&w, "head.0.weight", FIRN_SHAPE(50, 24));
    assert_tensor(&w, "head.0.bias", FIRN_SHAPE(50));
    assert_uniform(&w, "head.0.weight", 1 / sqrt(24));
    assert_uniform(&w, "head.0.bias", 1 / sqrt(24));
    assert_int_equal(firn_tensor_count(w.m), 2);
    world_close(&w);
}

static void keras_init_is_glorot_with_zero_bias(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    assert_non_null(firn_nn_linear(w.rows, "d", &(firn_nn_linear_cfg){.out = 30, .init = FIRN_INIT_KERAS}));
    assert_uniform(&w, "d.weight", sqrt(6.0 / (24 + 30)));
    assert_constant(&w, "d.bias", 0);
    assert_non_null(firn_nn_conv2d(w.image, "c", &(firn_nn_conv2d_cfg){.out = 8, .kernel = 3, .init = FIRN_INIT_KERAS}));
    assert_uniform(&w, "c.weight", sqrt(6.0 / (4 * 9 + 8 * 9)));
    assert_constant(&w, "c.bias", 0);
    world_close(&w);
}

static void conv2d_has_torchs_names_shapes_and_ranges(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    const firn_tensor *y =
        firn_nn_conv2d(w.image, "features.0", &(firn_nn_conv2d_cfg){.out = 40, .kernel = 3, .groups = 2});
    assert_shape(firn_tensor_shape(y), FIRN_SHAPE(FIRN_BATCH, 40, 7, 7));
    assert_tensor(&w, "features.0.weight", FIRN_SHAPE(40, 2, 3, 3));
    assert_uniform(&w, "features.0.weight", 1 / sqrt(2 * 9));
    assert_uniform(&w, "features.0.bias", 1 / sqrt(2 * 9));
    y = firn_nn_conv2d(w.image, "strided",
                       &(firn_nn_conv2d_cfg){.out = 2, .kernel = 3, .stride = 2, .pad = 1, .no_bias = true});
    assert_shape(firn_tensor_shape(y), FIRN_SHAPE(FIRN_BATCH, 2, 5, 5));
    assert_null(firn_find(w.m, "strided.bias"));
    y = firn_nn_conv2d(w.image, "dilated", &(firn_nn_conv2d_cfg){.out = 2, .kernel = 3, .dilation = 2});
    assert_shape(firn_tensor_shape(y), FIRN_SHAPE(FIRN_BATCH, 2, 5, 5));
    world_close(&w);
}

static void batch_norm_starts_as_the_identity(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    assert_non_null(firn_nn_batch_norm(w.image, "bn", NULL));
    assert_non_null(firn_nn_batch_norm(w.rows, "bn1d", &(firn_nn_batch_norm_cfg){.eps = 1e-3f}));
    assert_constant(&w, "bn.weight", 1);
    assert_constant(&w, "bn.bias", 0);
    assert_constant(&w, "bn.running_mean", 0);
    assert_constant(&w, "bn.running_var", 1);
    assert_tensor(&w, "bn1d.running_var", FIRN_SHAPE(24));
    for (size_t i = 0; i < firn_tensor_count(w.m); i++) {
        const firn_tensor_info t = firn_tensor_at(w.m, i);
        assert_int_equal(t.is_state, strstr(t.name, "running") != NULL);
    }
    world_close(&w);
}

/* After a step in training, running = (1 - momentum) * running + momentum * batch. */
static void assert_norm_moves(const firn_nn_batch_norm_cfg *cfg, float mean, float var)
{
    static const float rows[2][2] = {{4, 1}, {8, 1}}; /* means 6 and 1, unbiased variances 8 and 0 */
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *y = firn_nn_batch_norm(x, "bn", cfg);
    firn_plan *plan;
    assert_ok(ctx, firn_plan_create(&plan, firn_mse(y, x), &(firn_plan_options){.batch = 2}));
    assert_ok(ctx, firn_plan_forward(plan, &(firn_feed){"x", rows}, 1, 2));
    assert_close(firn_data(firn_find(m, "bn.running_mean"))[0], mean, 1e-6, 0);
    assert_close(firn_data(firn_find(m, "bn.running_var"))[0], var, 1e-6, 0);
    firn_plan_destroy(plan);
    firn_ctx_destroy(ctx);
}

static void batch_norm_takes_its_momentum(void **state)
{
    (void)state;
    assert_norm_moves(NULL, 0.6f, 0.9f + 0.8f);
    assert_norm_moves(&(firn_nn_batch_norm_cfg){0}, 0.6f, 0.9f + 0.8f);
    assert_norm_moves(&(firn_nn_batch_norm_cfg){.momentum = 0.25f}, 1.5f, 0.75f + 2);
}

static void the_same_name_shares_the_weights(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    const firn_nn_linear_cfg square = {.out = 24};
    assert_non_null(firn_nn_linear(firn_nn_linear(w.rows, "tied", &square), "tied", &square));
    assert_int_equal(firn_tensor_count(w.m), 2);
    assert_refused(w.ctx, FIRN_ERR_SHAPE, firn_nn_linear(w.rows, "tied", &(firn_nn_linear_cfg){.out = 23}),
                   "tied.weight 23 24");
    world_close(&w);
}

static void layers_nest_in_scopes_and_leave_them(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    firn_scope_push(w.m, "block");
    firn_tensor *x = firn_nn_dropout(w.rows, "drop", 0.5f);
    assert_non_null(firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = 2}));
    assert_null(firn_nn_linear(w.rows, "bad", NULL)); /* an error leaves it too */
    assert_null(firn_nn_linear(w.rows, "bad name", &(firn_nn_linear_cfg){.out = 2}));
    firn_clear_error(w.ctx);
    firn_scope_pop(w.m);
    assert_non_null(firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = 2}));
    assert_non_null(firn_find(w.m, "block.fc.weight"));
    assert_non_null(firn_find(w.m, "fc.weight"));
    world_close(&w);
}

/* Of a layer that fails half-way nothing is left, so that the corrected call passes. */
static void a_refused_layer_leaves_nothing_behind(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    firn_tensor *bytes = firn_input(w.m, "bytes", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 24));
    firn_nn_conv2d_cfg conv = {.out = 2, .kernel = 12};
    assert_refused(w.ctx, FIRN_ERR_SHAPE, firn_nn_conv2d(w.image, "c", &conv), "conv2d kernel larger");
    assert_refused(w.ctx, FIRN_ERR_DTYPE, firn_nn_linear(bytes, "l", &(firn_nn_linear_cfg){.out = 3}), "linear F32");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT, firn_nn_batch_norm(w.rows, "n", &(firn_nn_batch_norm_cfg){.eps = -1}), "eps");
    assert_int_equal(firn_tensor_count(w.m), 0);
    conv.kernel = 3;
    assert_non_null(firn_nn_conv2d(w.image, "c", &conv));
    assert_non_null(firn_nn_linear(w.rows, "l", &(firn_nn_linear_cfg){.out = 3}));
    assert_non_null(firn_nn_batch_norm(w.rows, "n", NULL));
    assert_int_equal(firn_tensor_count(w.m), 8);
    assert_non_null(firn_state(w.m, "half.bias", FIRN_SHAPE(3), (firn_init){0})); /* what was there before stays */
    assert_refused(w.ctx, FIRN_ERR_NAME, firn_nn_linear(w.rows, "half", &(firn_nn_linear_cfg){.out = 3}),
                   "half.bias state");
    assert_null(firn_find(w.m, "half.weight"));
    assert_non_null(firn_find(w.m, "half.bias"));
    world_close(&w);
}

static void mistakes_are_one_clear_sentence(void **state)
{
    (void)state;
    world w;
    world_open(&w);
    const firn_nn_linear_cfg two = {.out = 2};
    const firn_nn_conv2d_cfg conv = {.out = 2, .kernel = 3};
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT, firn_nn_linear(w.rows, "l", NULL), "linear \"l\" [N, 24] cfg.out at least 1");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT, firn_nn_linear(w.rows, "l", &(firn_nn_linear_cfg){.out = 0}), "cfg.out");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT, firn_nn_linear(w.rows, "l", &(firn_nn_linear_cfg){.out = -4}), "cfg.out");
    assert_refused(w.ctx, FIRN_ERR_SHAPE, firn_nn_linear(w.image, "l", &two), "linear [N, 4, 9, 9] firn_flatten");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT, firn_nn_linear(w.rows, NULL, &two), "name");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT, firn_nn_linear(w.rows, "a,b", &two), "a,b name");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT,
                   firn_nn_linear(w.rows, "l", &(firn_nn_linear_cfg){.out = 2, .init = FIRN_INIT_NORMAL}), "cfg.init");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT, firn_nn_conv2d(w.image, "c", NULL), "conv2d \"c\" cfg.out cfg.kernel");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT, firn_nn_conv2d(w.image, "c", &(firn_nn_conv2d_cfg){.out = 2}), "cfg.kernel");
    assert_refused(w.ctx, FIRN_ERR_SHAPE, firn_nn_conv2d(w.rows, "c", &conv), "conv2d [N, 24] [N, C, H, W]");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT,
                   firn_nn_conv2d(w.image, "c", &(firn_nn_conv2d_cfg){.out = 2, .kernel = 3, .groups = 3}),
                   "cfg.groups divide");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT,
                   firn_nn_conv2d(w.image, "c", &(firn_nn_conv2d_cfg){.out = 2, .kernel = 3, .groups = -1}), "cfg.groups");
    assert_refused(w.ctx, FIRN_ERR_SHAPE, firn_nn_conv2d(w.image, "big", &(firn_nn_conv2d_cfg){.out = 2, .kernel = 12}),
                   "conv2d");
    assert_refused(w.ctx, FIRN_ERR_SHAPE, firn_nn_batch_norm(firn_reshape(w.rows, FIRN_SHAPE(FIRN_BATCH, 4, 6)), "b", NULL),
                   "batch_norm [N, 4, 6]");
    assert_refused(w.ctx, FIRN_ERR_ARGUMENT, firn_nn_dropout(w.rows, "d", 1), "dropout");
    assert_null(firn_nn_linear(NULL, "l", &two));
    assert_null(firn_nn_conv2d(NULL, "l", &conv));
    assert_null(firn_nn_batch_norm(NULL, "l", NULL));
    assert_null(firn_nn_dropout(NULL, "l", 0.5f));
    assert_string_equal(firn_message(w.ctx), "");
    world_close(&w);
}

static void every_failed_allocation_is_an_error(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        world w;
        world_open(&w);
        w.memory.fail_at = w.memory.calls + n;
        firn_tensor *y = firn_nn_conv2d(w.image, "c", &(firn_nn_conv2d_cfg){.out = 2, .kernel = 3});
        y = firn_flatten(firn_nn_dropout(firn_nn_batch_norm(y, "bn", NULL), "d", 0.5f), 1);
        y = firn_nn_linear(y, "l", &(firn_nn_linear_cfg){.out = 2});
        const bool failed = w.memory.calls >= w.memory.fail_at;
        assert_int_equal(y == NULL, failed);
        if (failed) assert_int_equal(firn_last_error(w.ctx), FIRN_ERR_MEMORY);
        world_close(&w);
        if (!failed) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_has_torchs_names_shapes_and_ranges),
        cmocka_unit_test(keras_init_is_glorot_with_zero_bias),
        cmocka_unit_test(conv2d_has_torchs_names_shapes_and_ranges),
        cmocka_unit_test(batch_norm_starts_as_the_identity),
        cmocka_unit_test(batch_norm_takes_its_momentum),
        cmocka_unit_test(the_same_name_shares_the_weights),
        cmocka_unit_test(layers_nest_in_scopes_and_leave_them),
        cmocka_unit_test(a_refused_layer_leaves_nothing_behind),
        cmocka_unit_test(mistakes_are_one_clear_sentence),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
