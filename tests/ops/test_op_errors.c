/* Every rule that an operator has: what breaks it, the status, and the words of the sentence. */
#include <limits.h>
#include <math.h>

#include <firn/op.h>

#include "ops.h"
#include "support.h"

typedef struct inputs {
    firn_ctx *ctx;
    firn_tensor *image, *rows, *labels, *bytes, *floats_of_labels; /* [N,3,8,8] [N,6] [N] U8, [N,6] U8, [N] */
    firn_tensor *conv_w, *w, *six, *three, *four;
} inputs;

static inputs make_inputs(void)
{
    inputs in = {.ctx = test_ctx(NULL, 1, NULL)};
    firn_model *m = firn_model_create(in.ctx);
    const firn_init init = {0};
    in.image = firn_input(m, "image", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 3, 8, 8));
    in.rows = firn_input(m, "rows", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 6));
    in.labels = firn_input(m, "labels", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    in.bytes = firn_input(m, "bytes", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 6));
    in.floats_of_labels = firn_input(m, "floats", FIRN_F32, FIRN_SHAPE(FIRN_BATCH));
    in.conv_w = firn_param(m, "conv_w", FIRN_SHAPE(4, 3, 3, 3), init);
    in.w = firn_param(m, "w", FIRN_SHAPE(4, 6), init);
    in.six = firn_param(m, "six", FIRN_SHAPE(6), init);
    in.three = firn_param(m, "three", FIRN_SHAPE(3), init);
    in.four = firn_param(m, "four", FIRN_SHAPE(4), init);
    assert_non_null(in.four);
    return in;
}

#define SHAPE_RULE(call, words) assert_refused(in.ctx, FIRN_ERR_SHAPE, call, words)
#define DTYPE_RULE(call, words) assert_refused(in.ctx, FIRN_ERR_DTYPE, call, words)
#define ARGUMENT_RULE(call, words) assert_refused(in.ctx, FIRN_ERR_ARGUMENT, call, words)

static void products_refuse_what_does_not_fit(void **state)
{
    (void)state;
    const inputs in = make_inputs();
    SHAPE_RULE(firn_linear(in.image, in.w, NULL), "linear image [N, 3, 8, 8] w [4, 6]");
    SHAPE_RULE(firn_linear(in.rows, in.six, NULL), "linear rows six [6]");
    SHAPE_RULE(firn_linear(in.rows, in.w, in.six), "linear b row six");
    SHAPE_RULE(firn_linear(in.rows, in.rows, NULL), "linear rows w without batch");
    SHAPE_RULE(firn_linear(in.rows, firn_reshape(in.w, FIRN_SHAPE(6, 4)), NULL), "features columns");
    DTYPE_RULE(firn_linear(in.bytes, in.w, NULL), "linear bytes F32 firn_scale");

    SHAPE_RULE(firn_conv2d(in.rows, in.conv_w, NULL, NULL), "conv2d rows four dimensions");
    SHAPE_RULE(firn_conv2d(in.image, in.w, NULL, NULL), "conv2d w four dimensions");
    SHAPE_RULE(firn_conv2d(in.image, in.conv_w, in.six, NULL), "conv2d b output channel");
    SHAPE_RULE(firn_conv2d(in.image, in.conv_w, NULL, &(firn_conv2d_attr){.groups = 3}), "conv2d channels groups");
    SHAPE_RULE(firn_conv2d(in.image, in.conv_w, NULL, &(firn_conv2d_attr){.dilation = 4}), "conv2d kernel larger");
    ARGUMENT_RULE(firn_conv2d(in.image, in.conv_w, NULL, &(firn_conv2d_attr){.stride = -1}), "conv2d stride");
    ARGUMENT_RULE(firn_conv2d(in.image, in.conv_w, NULL, &(firn_conv2d_attr){.pad = INT_MIN}), "conv2d pad");
    ARGUMENT_RULE(firn_conv2d(in.image, in.conv_w, NULL, &(firn_conv2d_attr){.dilation = -7}), "conv2d dilation");
    ARGUMENT_RULE(firn_conv2d(in.image, in.conv_w, NULL, &(firn_conv2d_attr){.groups = -7}), "conv2d groups");
    SHAPE_RULE(firn_conv2d(in.image, in.conv_w, NULL, &(firn_conv2d_attr){.dilation = INT_MAX}), "conv2d kernel");
    assert_non_null(firn_conv2d(in.image, in.conv_w, in.four, &(firn_conv2d_attr){.stride = INT_MAX}));
    firn_ctx_destroy(in.ctx);
}

/* No size that a convolution computes may overflow, and none may take long to plan. */
static void convolutions_are_bounded(void **state)
{
    (void)state;
    const inputs in = make_inputs();
    firn_model *m = firn_tensor_model(in.image);
    const int64_t side = (int64_t)INT32_MAX;
    firn_tensor *vast = firn_input(m, "vast", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1, side, side));
    firn_tensor *deep = firn_input(m, "deep", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, side, 1, side));
    firn_tensor *wide = firn_input(m, "wide", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 3, 2000, 2000));
    firn_tensor *one = firn_param(m, "one", FIRN_SHAPE(1, 1, 1, 1), (firn_init){0});
    SHAPE_RULE(firn_conv2d(vast, one, NULL, NULL), "conv2d \"vast\" 2^48");
    SHAPE_RULE(firn_conv2d(deep, one, NULL, &(firn_conv2d_attr){.groups = INT_MAX}), "conv2d \"deep\"");
    SHAPE_RULE(firn_conv2d(in.image, in.conv_w, NULL, &(firn_conv2d_attr){.pad = INT_MAX}), "conv2d \"image\" 2^48");
    SHAPE_RULE(firn_conv2d(in.image, in.conv_w, NULL, &(firn_conv2d_attr){.pad = 1 << 24}), "conv2d \"image\" 2^48");
    SHAPE_RULE(firn_conv2d(wide, in.conv_w, NULL, &(firn_conv2d_attr){.stride = 1025}), "conv2d \"wide\" stride 1024");
    firn_ctx_destroy(in.ctx);
}

/* What just passes, with all gradients: for the sanitizers. */
static void the_largest_convolutions_overflow_nothing(void **state)
{
    (void)state;
    const inputs in = make_inputs();
    static const struct {
        firn_shape x, w;
        firn_conv2d_attr attr;
    } rows[] = {
        {{4, {1, 4, 6, 6}}, {4, {1, 4, 3, 3}}, {.stride = 1024, .pad = 1 << 20}},
        {{4, {1, 4, 6, 6}}, {4, {1, 4, 3, 3}}, {.pad = 1 << 20, .dilation = 1 << 20}},
        {{4, {1, 4, 6, 6}}, {4, {1, 4, 3, 3}}, {.stride = INT_MAX}},
        {{4, {INT_MAX, 1, 1, INT32_MAX}}, {4, {1, 1, 1, 7}}, {.stride = 1024, .dilation = 1 << 20}},
        {{4, {INT_MAX, 1 << 20, 1 << 13, 1 << 13}}, {4, {1 << 20, 1, 3, 3}}, {.groups = 1 << 20}},
        {{4, {INT_MAX, 16, 1 << 20, 1 << 20}}, {4, {16, 16, 3, 3}}, {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (unsigned want = 0; want < 8; want++) {
            const firn_view views[] = {{.shape = rows[i].x}, {.shape = rows[i].w}, {.shape = {.rank = -1}}};
            firn_view out;
            firn_op_build b = {.in = views,
                               .n_in = 3,
                               .attr = &rows[i].attr,
                               .want = want,
                               .out = &out,
                               .ctx = in.ctx,
                               .op = &firn__op_conv2d};
            const firn_status st = firn__op_conv2d.shape(&b);
            if (st != FIRN_OK) fail_msg("row %zu: %s", i, firn_message(in.ctx));
        }
    firn_ctx_destroy(in.ctx);
}

static void pools_refuse_what_does_not_fit(void **state)
{
    (void)state;
    const inputs in = make_inputs();
    SHAPE_RULE(firn_max_pool2d(in.rows, 2, 0), "max_pool2d rows four dimensions");
    SHAPE_RULE(firn_max_pool2d(in.image, 9, 0), "max_pool2d window larger");
    ARGUMENT_RULE(firn_max_pool2d(in.image, 0, 0), "max_pool2d size");
    ARGUMENT_RULE(firn_max_pool2d(in.image, -2, 0), "max_pool2d size");
    ARGUMENT_RULE(firn_max_pool2d(in.image, 2, -1), "max_pool2d stride");
    SHAPE_RULE(firn_avg_pool2d(in.image, INT_MAX, 0), "avg_pool2d window");
    ARGUMENT_RULE(firn_avg_pool2d(in.image, 0, 2), "avg_pool2d size");
    SHAPE_RULE(firn_global_avg_pool2d(in.rows), "global_avg_pool2d rows four");
    DTYPE_RULE(firn_max_pool2d(firn_reshape(in.bytes, FIRN_SHAPE(FIRN_BATCH, 1, 2, 3)), 2, 0), "max_pool2d F32");
    firn_tensor *large = firn_input(firn_tensor_model(in.rows), "large", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1, 300, 300));
    ARGUMENT_RULE(firn_max_pool2d(large, 257, 0), "max_pool2d 256");
    assert_non_null(firn_max_pool2d(large, 256, 1));
    /* Stride zero: the size. */
    assert_true(firn_shape_equal(firn_tensor_shape(firn_max_pool2d(large, 3, 0)), FIRN_SHAPE(FIRN_BATCH, 1, 100, 100)));
    assert_true(firn_shape_equal(firn_tensor_shape(firn_avg_pool2d(large, 7, 0)), FIRN_SHAPE(FIRN_BATCH, 1, 42, 42)));
    firn_ctx_destroy(in.ctx);
}

static void elementwise_operators_refuse_what_does_not_fit(void **state)
{
    (void)state;
    const inputs in = make_inputs();
    DTYPE_RULE(firn_relu(in.bytes), "relu bytes F32");
    DTYPE_RULE(firn_add(in.rows, in.bytes), "add bytes F32");
    SHAPE_RULE(firn_add(in.rows, in.floats_of_labels), "add rows floats equal");
    SHAPE_RULE(firn_add(in.rows, in.six), "add equal");
    ARGUMENT_RULE(firn_dropout(in.rows, 1.0f), "dropout p below 1");
    ARGUMENT_RULE(firn_dropout(in.rows, -0.1f), "dropout p");
    ARGUMENT_RULE(firn_dropout(in.rows, NAN), "dropout p");
    DTYPE_RULE(firn_dropout(in.labels, 0.5f), "dropout labels");
    SHAPE_RULE(firn_softmax(in.image), "softmax image firn_reshape");
    SHAPE_RULE(firn_softmax(in.floats_of_labels), "softmax floats batch");
    DTYPE_RULE(firn_softmax(in.bytes), "softmax bytes");
    SHAPE_RULE(firn_reshape(in.rows, FIRN_SHAPE(FIRN_BATCH, 7)), "reshape rows elements");
    SHAPE_RULE(firn_reshape(in.rows, FIRN_SHAPE(2, 3)), "reshape batch front");
    SHAPE_RULE(firn_reshape(in.six, FIRN_SHAPE(FIRN_BATCH, 6)), "reshape six");
    ARGUMENT_RULE(firn_reshape(in.rows, (firn_shape){.rank = 99}), "reshape dimensions");
    ARGUMENT_RULE(firn_reshape(in.rows, (firn_shape){.rank = -2}), "reshape dimensions");
    ARGUMENT_RULE(firn_flatten(in.image, 0), "flatten image axis 0 1..3");
    ARGUMENT_RULE(firn_flatten(in.image, 4), "flatten image axis 4");
    firn_tensor *one = firn_input(firn_tensor_model(in.image), "one", FIRN_F32, FIRN_SHAPE(FIRN_BATCH));
    ARGUMENT_RULE(firn_flatten(one, 1), "flatten one batch");
    firn_ctx_destroy(in.ctx);
}

static void losses_and_norms_refuse_what_does_not_fit(void **state)
{
    (void)state;
    const inputs in = make_inputs();
    SHAPE_RULE(firn_cross_entropy(in.image, in.labels, NULL), "cross_entropy logits [N, C]");
    SHAPE_RULE(firn_cross_entropy(in.rows, in.bytes, NULL), "cross_entropy labels [N]");
    DTYPE_RULE(firn_cross_entropy(in.rows, in.floats_of_labels, NULL), "cross_entropy labels U8 I32");
    DTYPE_RULE(firn_cross_entropy(in.bytes, in.labels, NULL), "cross_entropy F32");
    ARGUMENT_RULE(firn_cross_entropy(in.rows, in.labels, &(firn_cross_entropy_attr){.label_smoothing = 1}),
                  "label_smoothing");
    ARGUMENT_RULE(firn_cross_entropy(in.rows, in.labels, &(firn_cross_entropy_attr){.label_smoothing = -1}),
                  "label_smoothing");
    SHAPE_RULE(firn_mse(in.rows, in.floats_of_labels), "mse target equal");
    DTYPE_RULE(firn_mse(in.rows, in.bytes), "mse F32");
    firn_model *m = firn_tensor_model(in.rows);
    firn_tensor *const six = in.six, *const three = in.three;
    firn_tensor *const mean = firn_state(m, "mean", FIRN_SHAPE(6), (firn_init){0});
    firn_tensor *const var = firn_state(m, "var", FIRN_SHAPE(6), (firn_init){.kind = FIRN_INIT_ONE});
    firn_tensor *const third = firn_state(m, "third", FIRN_SHAPE(3), (firn_init){0});
    SHAPE_RULE(firn_batch_norm(in.floats_of_labels, six, six, mean, var, NULL), "batch_norm [N, C]");
    SHAPE_RULE(firn_batch_norm(in.rows, six, three, mean, var, NULL), "batch_norm one element channel");
    SHAPE_RULE(firn_batch_norm(in.image, three, three, third, var, NULL), "batch_norm one element channel");
    DTYPE_RULE(firn_batch_norm(in.bytes, six, six, mean, var, NULL), "batch_norm F32");
    ARGUMENT_RULE(firn_batch_norm(in.rows, six, six, mean, var, &(firn_batch_norm_attr){.eps = -1}), "batch_norm eps");
    ARGUMENT_RULE(firn_batch_norm(in.rows, six, six, mean, var, &(firn_batch_norm_attr){.momentum = 1.5f}),
                  "batch_norm momentum");
    ARGUMENT_RULE(firn_batch_norm(in.rows, six, six, six, var, NULL), "batch_norm input 3 \"six\" [6] state");
    ARGUMENT_RULE(firn_batch_norm(in.rows, six, six, mean, six, NULL), "batch_norm input 4 \"six\" [6] state");
    assert_non_null(firn_batch_norm(in.rows, six, six, mean, var, NULL));
    firn_ctx_destroy(in.ctx);
}

static void null_in_gives_null_out_without_a_new_message(void **state)
{
    (void)state;
    const inputs in = make_inputs();
    assert_null(firn_relu(NULL));
    assert_null(firn_linear(in.rows, NULL, NULL));
    assert_null(firn_conv2d(NULL, in.conv_w, NULL, NULL));
    assert_null(firn_flatten(NULL, 1));
    assert_null(firn_reshape(NULL, FIRN_SCALAR));
    assert_null(firn_cross_entropy(in.rows, NULL, NULL));
    assert_null(firn_batch_norm(in.rows, in.six, in.six, NULL, in.six, NULL));
    assert_int_equal(firn_last_error(in.ctx), FIRN_OK);
    firn_ctx_destroy(in.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_refuse_what_does_not_fit),
        cmocka_unit_test(convolutions_are_bounded),
        cmocka_unit_test(the_largest_convolutions_overflow_nothing),
        cmocka_unit_test(pools_refuse_what_does_not_fit),
        cmocka_unit_test(elementwise_operators_refuse_what_does_not_fit),
        cmocka_unit_test(losses_and_norms_refuse_what_does_not_fit),
        cmocka_unit_test(null_in_gives_null_out_without_a_new_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
