/* Recording operators of a user's: what is refused, and that it is said. */
#include <string.h>

#include <firn/op.h>

#include "support.h"

static firn_status same_shape(firn_op_build *b)
{
    *b->out = b->in[0];
    return FIRN_OK;
}

static void copy_rows(const firn_op_run *r)
{
    memcpy(r->out->data, r->in[0].data, (size_t)firn_shape_count(r->out->shape) * sizeof(float));
}

static firn_status refuse_silently(const firn_op_run *r)
{
    (void)r;
    return FIRN_ERR_NUMERIC;
}

static void an_incomplete_operator_is_refused(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *const in[FIRN_OP_MAX_IN + 1] = {x, x, x, x, x, x, x};
    static const struct {
        firn_op op;
        const char *words;
    } rows[] = {
        {{.n_in = 1, .shape = same_shape, .forward = copy_rows}, "operator name"},
        {{.name = "odd", .n_in = 1, .forward = copy_rows}, "operator \"odd\" shape"},
        {{.name = "odd", .n_in = 1, .shape = same_shape}, "operator \"odd\" forward"},
        {{.name = "odd", .n_in = 2, .optional = 1, .traits = FIRN_OP_INPLACE, .shape = same_shape, .forward = copy_rows},
         "operator \"odd\" overwrites input 0 absent"},
        {{.name = "odd", .n_in = 2, .optional = 3, .traits = FIRN_OP_VIEW, .shape = same_shape},
         "operator \"odd\" view input 0 absent"},
        {{.name = "odd", .n_in = 0, .shape = same_shape, .forward = copy_rows}, "operator \"odd\" n_in 1..6"},
        {{.name = "odd", .n_in = -1, .shape = same_shape, .forward = copy_rows}, "operator \"odd\" n_in 1..6"},
        {{.name = "odd", .n_in = 7, .shape = same_shape, .forward = copy_rows}, "operator \"odd\" n_in 1..6"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(ctx, FIRN_ERR_ARGUMENT, firn_apply(&rows[i].op, in, NULL), rows[i].words);
    assert_null(firn_apply(NULL, in, NULL));
    firn_ctx_destroy(ctx);
}

static void a_check_that_gives_no_reason_is_given_one(void **state)
{
    (void)state;
    static const firn_op op = {
        .name = "strict", .n_in = 1, .shape = same_shape, .forward = copy_rows, .check = refuse_silently};
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_plan *plan;
    assert_ok(ctx, firn_plan_create(&plan, firn_apply(&op, &x, NULL), &(firn_plan_options){.mode = FIRN_EVAL, .batch = 1}));
    const firn_feed feed = {"x", (float[]){1, 2}};
    assert_fails(ctx, FIRN_ERR_NUMERIC, firn_plan_forward(plan, &feed, 1, 1), "strict \"x\" [1, 2] refuses");
    firn_plan_destroy(plan);
    firn_ctx_destroy(ctx);
}

static firn_tensor *with_another(firn_tensor *x, firn_tensor *optional)
{
    static const firn_op op = {.name = "two", .n_in = 2, .optional = 2, .shape = same_shape, .forward = copy_rows};
    return firn_apply(&op, (firn_tensor *[]){x, optional}, NULL);
}

static firn_tensor *a_layer_that_fails(firn_tensor *x)
{
    firn_model *m = firn_tensor_model(x);
    firn_scope_push(m, "layer");
    firn_fail(firn_model_ctx(m), FIRN_ERR_ARGUMENT, "a user's reason");
    firn_scope_undo(m);
    return NULL;
}

/* An optional input is NULL because it is not wanted, or because it could not be built. */
static void an_optional_input_that_could_not_be_built_is_missed(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    const firn_init init = {0};
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2)),
                *w = firn_param(m, "w", FIRN_SHAPE(3, 2), init);
    firn_tensor *image = firn_input(m, "image", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1, 4, 4)),
                *kernel = firn_param(m, "kernel", FIRN_SHAPE(3, 1, 3, 3), init);
    assert_refused(ctx, FIRN_ERR_ARGUMENT, firn_linear(x, w, firn_param(m, "the bias", FIRN_SHAPE(3), init)),
                   "\"the bias\"");
    assert_refused(ctx, FIRN_ERR_SHAPE, firn_linear(x, w, firn_reshape(w, FIRN_SHAPE(7))), "reshape \"w\"");
    assert_refused(ctx, FIRN_ERR_ARGUMENT, firn_conv2d(image, kernel, firn_state(m, "a,b", FIRN_SHAPE(3), init), NULL),
                   "a,b");
    assert_refused(ctx, FIRN_ERR_ARGUMENT, firn_linear(x, w, firn_flatten(w, 2)), "flatten \"w\"");
    assert_refused(ctx, FIRN_ERR_ARGUMENT, with_another(x, firn_nn_linear(x, "none", NULL)), "linear \"none\" cfg.out");
    assert_refused(ctx, FIRN_ERR_ARGUMENT, with_another(x, a_layer_that_fails(x)), "a user's reason");
    assert_non_null(with_another(x, NULL));
    assert_non_null(firn_linear(x, w, NULL)); /* the error has been cleared */

    /* One that has nothing to do with building is no reason, whether it was cleared or not. */
    assert_status(ctx, FIRN_ERR_NAME, firn_freeze(m, "nobody", NULL));
    assert_non_null(firn_linear(x, w, NULL));
    assert_non_null(firn_nn_linear(x, "plain", &(firn_nn_linear_cfg){.out = 2, .no_bias = true}));
    /* And after it, what could not be built is missed all the same. */
    assert_null(firn_linear(x, w, firn_param(m, "the bias", FIRN_SHAPE(3), init)));
    firn_clear_error(ctx);
    assert_non_null(firn_linear(x, w, NULL));
    firn_ctx_destroy(ctx);
}

/* 1000 bytes in all, however many scopes they are in. */
static void scopes_cannot_grow_without_end(void **state)
{
    (void)state;
    char half[601];
    memset(half, 'a', 600);
    half[600] = '\0';
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_scope_push(m, half);
    assert_non_null(firn_param(m, "w", FIRN_SHAPE(2), (firn_init){0}));
    firn_scope_push(m, half);
    assert_int_equal(firn_last_error(ctx), FIRN_ERR_ARGUMENT);
    assert_message_has(ctx, "firn_scope_push 1000 bytes");
    assert_null(firn_param(m, "w", FIRN_SHAPE(2), (firn_init){0}));
    firn_scope_pop(m);
    firn_clear_error(ctx);
    assert_refused(ctx, FIRN_ERR_ARGUMENT, firn_param(m, half, FIRN_SHAPE(2), (firn_init){0}), "firn_param 1000 bytes");
    assert_non_null(firn_param(m, "v", FIRN_SHAPE(2), (firn_init){0}));
    firn_scope_pop(m);
    firn_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_incomplete_operator_is_refused),
        cmocka_unit_test(a_check_that_gives_no_reason_is_given_one),
        cmocka_unit_test(scopes_cannot_grow_without_end),
        cmocka_unit_test(an_optional_input_that_could_not_be_built_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
