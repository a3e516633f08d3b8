/* What a plan promises to an operator: when check and prepare are called, and with what. */
#include <string.h>

#include <firn/op.h>

#include "support.h"

enum { BATCH = 4, WIDTH = 3 };

typedef struct rig {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_tensor *x, *label;
} rig;

static float xs[BATCH * WIDTH];
static uint8_t labels[BATCH] = {0, 1, 2, 0};
static const firn_feed feeds[] = {{"x", xs}, {"label", labels}};

static int set_up(void **state)
{
    static rig r;
    r = (rig){0};
    r.ctx = test_ctx(&r.memory, 2, NULL);
    r.m = firn_model_create(r.ctx);
    r.x = firn_input(r.m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, WIDTH));
    r.label = firn_input(r.m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    test_fill(xs, BATCH * WIDTH, 1, -1, 1);
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    rig *r = *state;
    firn_ctx_destroy(r->ctx);
    assert_all_freed(&r->memory);
    return 0;
}

static firn_status same_shape(firn_op_build *b)
{
    *b->out = b->in[0];
    return FIRN_OK;
}

static void copy_forward(const firn_op_run *r)
{
    memcpy(r->out->data, r->in[0].data, (size_t)firn_shape_count(r->in[0].shape) * firn_dtype_size(r->in[0].dtype));
}

/* ---- check ---- */

static void a_label_must_be_fed(void **state)
{
    rig *r = *state;
    static const firn_op copy = {.name = "copy", .n_in = 1, .shape = same_shape, .forward = copy_forward};
    firn_tensor *logits = firn_nn_linear(r->x, "head", &(firn_nn_linear_cfg){.out = 3});
    firn_tensor *copied = firn_apply(&copy, &r->label, NULL);
    assert_refused(r->ctx, FIRN_ERR_ARGUMENT, firn_cross_entropy(logits, copied, NULL),
                   "cross_entropy input 1 \"copy\" [N] firn_input()");
    /* A reshape moves nothing, and its values are checked. */
    firn_tensor *column = firn_input(r->m, "column", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 1));
    firn_tensor *loss = firn_cross_entropy(logits, firn_reshape(column, FIRN_SHAPE(FIRN_BATCH)), NULL);
    firn_plan *plan;
    assert_ok(r->ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.batch = BATCH}));
    const uint8_t wrong[BATCH] = {0, 1, 3, 0};
    const firn_feed good[] = {{"x", xs}, {"column", labels}}, bad[] = {{"x", xs}, {"column", wrong}};
    assert_fails(r->ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, bad, 2, BATCH), "cross_entropy row 2 3");
    assert_ok(r->ctx, firn_plan_forward(plan, good, 2, BATCH));
    firn_plan_destroy(plan);
}

static void a_wrong_label_is_named_to_its_last_digit(void **state)
{
    rig *r = *state;
    firn_tensor *wide = firn_input(r->m, "wide", FIRN_I32, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *loss = firn_cross_entropy(firn_nn_linear(r->x, "head", &(firn_nn_linear_cfg){.out = 3}), wide, NULL);
    firn_plan *plan;
    assert_ok(r->ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.batch = BATCH}));
    const firn_feed one[] = {{"x", xs}, {"wide", (int32_t[]){1234567}}},
                    least[] = {{"x", xs}, {"wide", (int32_t[]){INT32_MIN}}};
    assert_fails(r->ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, one, 2, 1), "row 0 1234567:");
    assert_fails(r->ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, least, 2, 1), "row 0 -2147483648:");
    firn_plan_destroy(plan);
}

static int checks;

static firn_status look(const firn_op_run *r)
{
    checks++;
    assert_null(r->in[0].data);
    assert_null(r->out->data);
    assert_memory_equal(r->in[1].data, labels, BATCH);
    assert_int_equal(r->in[0].shape.dim[0], BATCH);
    return FIRN_OK;
}

static void check_sees_what_is_fed_and_nothing_that_is_not_there_yet(void **state)
{
    rig *r = *state;
    static const firn_op looking = {
        .name = "looking", .n_in = 2, .fed = 1 << 1, .shape = same_shape, .forward = copy_forward, .check = look};
    firn_tensor *y = firn_apply(&looking, (firn_tensor *[]){firn_relu(firn_relu(r->x)), r->label}, NULL);
    for (int deep = 0; deep < 2; deep++) {
        firn_plan *plan;
        assert_ok(r->ctx,
                  firn_plan_create(&plan, firn_relu(y),
                                   &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH, .layer_by_layer = !deep}));
        checks = 0;
        assert_ok(r->ctx, firn_plan_forward(plan, feeds, 2, BATCH));
        assert_ok(r->ctx, firn_plan_forward(plan, feeds, 2, BATCH));
        assert_int_equal(checks, 2);
        firn_plan_destroy(plan);
    }
}

static int forwards;

static void count_forward(const firn_op_run *r)
{
    forwards++;
    copy_forward(r);
}

static firn_status refuse_ones(const firn_op_run *r)
{
    const uint8_t *label = r->in[1].data;
    for (int64_t i = 0; i < r->in[1].shape.dim[0]; i++)
        if (label[i] == 1) return firn_op_bad_value(r, 1, i, label[i], "it must not be 1");
    return FIRN_OK;
}

/* Evaluation goes through a large batch a few rows at a time: not through one that is checked. */
static void a_large_batch_is_checked_whole_before_anything_runs(void **state)
{
    enum { MANY = 100, WRONG = 77 };
    rig *r = *state;
    static const firn_op op = {
        .name = "no_ones", .n_in = 2, .fed = 1 << 1, .shape = same_shape, .forward = count_forward, .check = refuse_ones};
    static float many[MANY * WIDTH];
    static uint8_t wrong[MANY] = {[WRONG] = 1};
    firn_plan *plan;
    firn_tensor *y = firn_apply(&op, (firn_tensor *[]){r->x, r->label}, NULL);
    assert_ok(r->ctx, firn_plan_create(&plan, y, &(firn_plan_options){.mode = FIRN_EVAL, .batch = MANY}));
    forwards = 0;
    assert_fails(r->ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){{"x", many}, {"label", wrong}}, 2, MANY),
                 "no_ones \"label\" row 77 must not be 1");
    assert_int_equal(forwards, 0);
    firn_plan_destroy(plan);
}

/* ---- prepare: y = x * w, w packed as it is ---- */

static int prepared;

static firn_status gain_shape(firn_op_build *b)
{
    b->prepared_bytes = WIDTH * sizeof(float);
    return same_shape(b);
}

static void gain_prepare(const firn_op_run *r)
{
    prepared++;
    memcpy(r->prepared, r->in[1].data, WIDTH * sizeof(float));
}

static void gain_forward(const firn_op_run *r)
{
    const float *x = r->in[0].data, *w = r->prepared;
    for (int64_t i = 0; i < r->in[0].shape.dim[0] * WIDTH; i++) ((float *)r->out->data)[i] = x[i] * w[i % WIDTH];
}

static void gain_backward(const firn_op_run *r)
{
    const float *dy = r->dout->data, *x = r->in[0].data;
    float *dx = r->din[0].data, *dw = r->din[1].data;
    if (dw != NULL) memset(dw, 0, WIDTH * sizeof(float));
    for (int64_t i = 0; i < r->dout->shape.dim[0] * WIDTH; i++) {
        if (dw != NULL) dw[i % WIDTH] += dy[i] * x[i];
        if (dx != NULL) dx[i] = dy[i] * ((const float *)r->prepared)[i % WIDTH];
    }
}

static const firn_op gain = {.name = "gain",
                             .n_in = 2,
                             .shape = gain_shape,
                             .forward = gain_forward,
                             .backward = gain_backward,
                             .reads = {FIRN_READS_IN(1), FIRN_READS_IN(0)},
                             .prepare = gain_prepare};

/* How often prepare was called in three steps of training with evaluations in between. */
static int prepared_in_steps(rig *r, firn_plan *train, firn_plan *eval, firn_optimizer *optimizer)
{
    prepared = 0;
    for (int i = 0; i < 3; i++) {
        assert_ok(r->ctx, firn_plan_forward(train, feeds, 2, BATCH));
        assert_ok(r->ctx, firn_plan_backward(train));
        assert_ok(r->ctx, firn_optimizer_step(optimizer, train, 1));
        for (int k = 0; k < 2; k++) assert_ok(r->ctx, firn_plan_forward(eval, feeds, 1, BATCH));
    }
    return prepared;
}

/* FREEZE F15 */
static void frozen_weights_are_packed_once_a_plan(void **state)
{
    rig *r = *state;
    firn_tensor *w = firn_param(r->m, "gain.w", FIRN_SHAPE(WIDTH), (firn_init){FIRN_INIT_ONE, 0});
    firn_tensor *y = firn_apply(&gain, (firn_tensor *[]){r->x, w}, NULL);
    firn_tensor *logits = firn_nn_linear(firn_relu(y), "head", &(firn_nn_linear_cfg){.out = 3});
    firn_plan *train, *eval;
    firn_optimizer *optimizer;
    const firn_optim sgd = firn_sgd(0.1f, 0);
    assert_ok(r->ctx, firn_freeze(r->m, "gain", NULL));
    assert_ok(r->ctx,
              firn_plan_create(&train, firn_cross_entropy(logits, r->label, NULL), &(firn_plan_options){.batch = BATCH}));
    assert_ok(r->ctx, firn_plan_create(&eval, logits, &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH}));
    assert_ok(r->ctx, firn_optimizer_create(&optimizer, r->m, &sgd));
    assert_int_equal(prepared_in_steps(r, train, eval, optimizer), 2);
    assert_int_equal(prepared_in_steps(r, train, eval, optimizer), 0);
    assert_ok(r->ctx, firn_write(r->m, "gain.w", (float[]){1, 2, 3}, WIDTH)); /* frozen, but written */
    assert_int_equal(prepared_in_steps(r, train, eval, optimizer), 2);
    assert_ok(r->ctx, firn_unfreeze(r->m, "gain", NULL));
    assert_int_equal(prepared_in_steps(r, train, eval, optimizer), 6); /* each step changes it */
    assert_ok(r->ctx, firn_freeze(r->m, "gain", NULL));
    assert_int_equal(prepared_in_steps(r, train, eval, optimizer), 2);
    assert_int_equal(prepared_in_steps(r, train, eval, optimizer), 0);
    firn_optimizer_destroy(optimizer);
    firn_plan_destroy(eval);
    firn_plan_destroy(train);
}

/* ---- shape ---- */

static int64_t depth;

static firn_status vast_shape(firn_op_build *b)
{
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = FIRN_SHAPE(FIRN_BATCH, depth, INT32_MAX, INT32_MAX)};
    return FIRN_OK;
}

/* So that operators can count what they are given. */
static void a_result_of_which_no_row_can_be_counted_is_refused(void **state)
{
    rig *r = *state;
    static const firn_op vast = {.name = "vast", .n_in = 1, .shape = vast_shape, .forward = copy_forward};
    static const int64_t too_deep[] = {2, INT32_MAX, INT64_MAX};
    for (size_t i = 0; i < sizeof too_deep / sizeof *too_deep; i++) {
        depth = too_deep[i];
        assert_refused(r->ctx, FIRN_ERR_SHAPE, firn_apply(&vast, &r->x, NULL), "vast of \"x\" [N, 3] result too large");
    }
    depth = 1;
    firn_tensor *y = firn_apply(&vast, &r->x, NULL);
    assert_non_null(firn_flatten(y, 1));
    assert_non_null(firn_max_pool2d(y, 2, 0));
    assert_non_null(firn_max_pool2d(y, 256, 1));
    assert_non_null(firn_relu(y));
    firn_plan *plan;
    assert_fails(r->ctx, FIRN_ERR_SHAPE,
                 firn_plan_create(&plan, firn_relu(y), &(firn_plan_options){.mode = FIRN_EVAL, .batch = 8}),
                 "vast too large batch 8");
}

static firn_status widen_shape(firn_op_build *b)
{
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = FIRN_SHAPE(b->in[0].shape.dim[0], 100 * WIDTH)};
    return FIRN_OK;
}

static firn_status swallow_batch(firn_op_build *b)
{
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = FIRN_SHAPE(BATCH * WIDTH)};
    return FIRN_OK;
}

static void a_view_of_other_memory_than_its_input_fails_the_plan(void **state)
{
    rig *r = *state;
    static const firn_op wide = {.name = "wide", .n_in = 1, .traits = FIRN_OP_VIEW, .shape = widen_shape},
                         whole = {.name = "whole", .n_in = 1, .traits = FIRN_OP_VIEW, .shape = swallow_batch};
    firn_tensor *y = firn_apply(&wide, &r->x, NULL), *z = firn_apply(&whole, &r->x, NULL);
    firn_plan *plan;
    for (int batch = 1; batch <= BATCH; batch++) {
        const firn_plan_options how = {.mode = FIRN_EVAL, .batch = batch};
        assert_fails(r->ctx, FIRN_ERR_SHAPE, firn_plan_create(&plan, y, &how), "wide \"x\" view bytes");
        assert_fails(r->ctx, FIRN_ERR_SHAPE, firn_plan_create(&plan, z, &how), "whole \"x\" view bytes");
    }
}

static firn_status bytes_shape(firn_op_build *b)
{
    *b->out = (firn_view){.dtype = FIRN_U8, .shape = b->in[0].shape};
    return FIRN_OK;
}

static void round_forward(const firn_op_run *r)
{
    const float *x = r->in[0].data;
    for (int64_t i = 0; i < firn_shape_count(r->out->shape); i++) ((uint8_t *)r->out->data)[i] = x[i] > 0;
}

static void never_backward(const firn_op_run *r)
{
    (void)r;
    fail_msg("there is no such gradient");
}

/* A gradient is as large as floats are, and a tensor of bytes is not. */
static void integers_have_no_gradient(void **state)
{
    rig *r = *state;
    static const firn_op op = {
        .name = "round", .n_in = 1, .shape = bytes_shape, .forward = round_forward, .backward = never_backward};
    const firn_nn_linear_cfg three = {.out = 3};
    firn_tensor *h = firn_nn_linear(r->x, "below", &three);
    firn_tensor *y = firn_scale(firn_apply(&op, &h, NULL), 2), *logits = firn_nn_linear(y, "head", &three);
    firn_plan *plan;
    assert_ok(r->ctx,
              firn_plan_create(&plan, firn_cross_entropy(logits, r->label, NULL), &(firn_plan_options){.batch = BATCH}));
    assert_ok(r->ctx, firn_plan_forward(plan, feeds, 2, BATCH));
    assert_ok(r->ctx, firn_plan_backward(plan));
    assert_null(firn_plan_grad(plan, "below.weight"));
    assert_non_null(firn_plan_grad(plan, "head.weight"));
    firn_plan_destroy(plan);
}

static const firn_op *to_the_other(const firn_op_build *b);
static const firn_op *to_what_is_none(const firn_op_build *b);
static const firn_op *to_one_with_more(const firn_op_build *b);
static const firn_op here = {
    .name = "here", .n_in = 1, .shape = same_shape, .forward = copy_forward, .resolve = to_the_other};
static const firn_op there = {
    .name = "there", .n_in = 1, .shape = same_shape, .forward = copy_forward, .resolve = to_the_other};
static const firn_op lost = {
    .name = "lost", .n_in = 1, .shape = same_shape, .forward = copy_forward, .resolve = to_what_is_none};
static const firn_op greedy = {
    .name = "greedy", .n_in = 1, .shape = same_shape, .forward = copy_forward, .resolve = to_one_with_more};

static const firn_op *to_the_other(const firn_op_build *b) { return b->op == &here ? &there : &here; }

static const firn_op *to_what_is_none(const firn_op_build *b)
{
    (void)b;
    static const firn_op none = {.name = "none", .n_in = 1, .shape = same_shape};
    return &none;
}

/* Its attributes would be read beyond their end. */
static const firn_op *to_one_with_more(const firn_op_build *b)
{
    (void)b;
    static const firn_op more = {.name = "more", .n_in = 1, .attr_bytes = 8, .shape = same_shape, .forward = copy_forward};
    return &more;
}

static void an_operator_resolves_once_and_to_what_can_run(void **state)
{
    rig *r = *state;
    const firn_plan_options how = {.mode = FIRN_EVAL, .batch = BATCH};
    const firn_op_case c = {.in = {{2, {2, 2}}}};
    firn_plan *plan;
    assert_ok(r->ctx, firn_plan_create(&plan, firn_apply(&here, &r->x, NULL), &how));
    assert_ok(r->ctx, firn_plan_forward(plan, feeds, 1, BATCH));
    assert_bits_equal(firn_plan_value(plan, NULL), xs, BATCH * WIDTH);
    firn_plan_destroy(plan);
    assert_fails(r->ctx, FIRN_ERR_ARGUMENT, firn_plan_create(&plan, firn_apply(&lost, &r->x, NULL), &how),
                 "\"lost\" resolves forward");
    assert_fails(r->ctx, FIRN_ERR_ARGUMENT, firn_plan_create(&plan, firn_apply(&greedy, &r->x, NULL), &how),
                 "\"greedy\" resolves attr_bytes");
    assert_ok(r->ctx, firn_check_op(r->ctx, &here, &c, 1));
    firn_op gradient = here;
    gradient.backward = never_backward;
    assert_ok(r->ctx, firn_check_op(r->ctx, &gradient, &c, 1));
    assert_fails(r->ctx, FIRN_ERR_ARGUMENT, firn_check_op(r->ctx, &lost, &c, 1), "\"lost\" resolves forward");
}

static firn_status whole_shape(firn_op_build *b)
{
    if (b->alone) return firn_op_fail(b, FIRN_ERR_SHAPE, "slices are too small for me");
    return same_shape(b);
}

static void an_operator_that_refuses_a_slice_fails_the_plan(void **state)
{
    rig *r = *state;
    static const firn_op whole = {.name = "whole", .n_in = 1, .shape = whole_shape, .forward = copy_forward};
    firn_tensor *y = firn_relu(firn_apply(&whole, &r->x, NULL));
    firn_plan *plan;
    assert_fails(r->ctx, FIRN_ERR_SHAPE,
                 firn_plan_create(&plan, y, &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH}),
                 "whole \"x\" slices too small");
    assert_ok(r->ctx,
              firn_plan_create(&plan, y, &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH, .layer_by_layer = true}));
    firn_plan_destroy(plan);
}

/* ---- mode and mask ---- */

/* An operator of a user's that counts the batches it has seen in a state. */
static void counting_forward(const firn_op_run *r)
{
    copy_forward(r);
    if (r->training && !(r->frozen >> 1 & 1)) ++*(float *)r->in[1].data;
}

static const firn_op counting_op = {.name = "counting",
                                    .n_in = 2,
                                    .states = 1 << 1,
                                    .traits = FIRN_OP_BATCHMIX,
                                    .shape = same_shape,
                                    .forward = counting_forward};

static void an_operator_of_a_user_sees_mode_and_mask(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *seen = firn_state(m, "seen", FIRN_SCALAR, (firn_init){.kind = FIRN_INIT_ZERO});
    firn_tensor *loss = firn_mse(firn_apply(&counting_op, (firn_tensor *[]){x, seen}, NULL), x);
    const firn_feed feed = {"x", (float[]){1, 2}};
    static const struct {
        firn_mode mode;
        bool frozen;
        float sum;
    } runs[] = {{FIRN_TRAIN, false, 1}, {FIRN_TRAIN, true, 1}, {FIRN_EVAL, false, 1}, {FIRN_TRAIN, false, 2}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        firn_plan *plan;
        assert_ok(ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.mode = runs[i].mode, .batch = 1}));
        assert_ok(ctx, (runs[i].frozen ? firn_freeze : firn_unfreeze)(m, "seen", NULL));
        assert_ok(ctx, firn_plan_forward(plan, &feed, 1, 1));
        assert_ok(ctx, firn_verify_frozen(m));
        assert_close(*firn_data(seen), runs[i].sum, 0, 0);
        firn_plan_destroy(plan);
    }
    firn_ctx_destroy(ctx);
}

/* Its samples do not mix, so slices of them would do, but for the state. */
static void a_state_is_updated_once_a_forward_on_all_rows(void **state)
{
    rig *r = *state;
    static firn_op op;
    op = counting_op;
    op.traits = 0;
    firn_tensor *seen = firn_state(r->m, "seen", FIRN_SHAPE(WIDTH), (firn_init){.kind = FIRN_INIT_ZERO});
    firn_tensor *y = firn_apply(&op, (firn_tensor *[]){firn_scale(r->x, 1), seen}, NULL);
    firn_tensor *logits = firn_nn_linear(y, "head", &(firn_nn_linear_cfg){.out = 3});
    firn_plan *train, *eval;
    assert_ok(r->ctx,
              firn_plan_create(&train, firn_cross_entropy(logits, r->label, NULL), &(firn_plan_options){.batch = BATCH}));
    assert_ok(r->ctx, firn_plan_create(&eval, firn_apply(&gain, (firn_tensor *[]){r->x, seen}, NULL),
                                       &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH}));
    for (int i = 1; i <= 3; i++) {
        assert_ok(r->ctx, firn_plan_forward(train, feeds, 2, BATCH));
        assert_close(*firn_data(seen), i, 0, 0);
        assert_ok(r->ctx, firn_plan_forward(eval, feeds, 1, BATCH)); /* what it has packed of the state is packed again */
        assert_close(*firn_plan_value(eval, NULL), (double)i * (double)xs[0], 1e-6, 0);
    }
    firn_plan_destroy(eval);
    firn_plan_destroy(train);
}

/* y_i = a_i + b of the mirrored place. Where a and b are one, it must not write over what it still reads. */
static void mirrored_forward(const firn_op_run *r)
{
    const int64_t count = firn_shape_count(r->out->shape);
    const float *a = r->in[0].data, *b = r->in[1].data;
    for (int64_t i = 0; i < count; i++) ((float *)r->out->data)[i] = a[i] + b[count - 1 - i];
}

static void what_an_operator_reads_twice_is_not_overwritten(void **state)
{
    rig *r = *state;
    static const firn_op op = {.name = "mirrored",
                               .n_in = 2,
                               .traits = FIRN_OP_INPLACE | FIRN_OP_BATCHMIX,
                               .shape = same_shape,
                               .forward = mirrored_forward};
    for (int view = 0; view < 2; view++) {
        firn_tensor *h = firn_scale(r->x, 2);
        firn_tensor *const in[] = {h, view ? firn_reshape(h, FIRN_SHAPE(FIRN_BATCH, WIDTH)) : h};
        firn_plan *plan;
        assert_ok(r->ctx, firn_plan_create(&plan, firn_apply(&op, in, NULL),
                                           &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH}));
        assert_ok(r->ctx, firn_plan_forward(plan, feeds, 1, BATCH));
        for (int i = 0; i < BATCH * WIDTH; i++)
            assert_close(firn_plan_value(plan, NULL)[i], 2 * xs[i] + 2 * xs[BATCH * WIDTH - 1 - i], 1e-6, 1e-6);
        firn_plan_destroy(plan);
    }
}

static firn_status unknown_type(firn_op_build *b)
{
    *b->out = b->in[0];
    b->out->dtype = (firn_dtype)9;
    return FIRN_OK;
}

static void a_result_of_unknown_type_is_refused(void **state)
{
    rig *r = *state;
    static const firn_op op = {.name = "odd", .n_in = 1, .shape = unknown_type, .forward = copy_forward};
    assert_refused(r->ctx, FIRN_ERR_SHAPE, firn_apply(&op, &r->x, NULL), "odd \"x\" result invalid");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_label_must_be_fed),
        TEST(a_wrong_label_is_named_to_its_last_digit),
        TEST(check_sees_what_is_fed_and_nothing_that_is_not_there_yet),
        TEST(a_large_batch_is_checked_whole_before_anything_runs),
        TEST(frozen_weights_are_packed_once_a_plan),
        TEST(a_result_of_which_no_row_can_be_counted_is_refused),
        TEST(a_view_of_other_memory_than_its_input_fails_the_plan),
        TEST(what_an_operator_reads_twice_is_not_overwritten),
        TEST(a_result_of_unknown_type_is_refused),
        TEST(integers_have_no_gradient),
        TEST(an_operator_resolves_once_and_to_what_can_run),
        TEST(an_operator_that_refuses_a_slice_fails_the_plan),
        TEST(an_operator_of_a_user_sees_mode_and_mask),
        TEST(a_state_is_updated_once_a_forward_on_all_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
