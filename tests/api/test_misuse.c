/* Mistakes of a user: each is refused with its status, in a sentence that names what broke which rule, and leaves the
 * objects usable. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static int cases;

/* A call, and a builder, that must be refused with this status and these words in the message. */
#define FAILS(status, call, words)                                                                                         \
    do {                                                                                                                   \
        cases++;                                                                                                           \
        assert_fails(f->ctx, FIRN_ERR_##status, (call), words);                                                            \
    } while (0)
#define REFUSED(status, call, words)                                                                                       \
    do {                                                                                                                   \
        cases++;                                                                                                           \
        assert_refused(f->ctx, FIRN_ERR_##status, (call), words);                                                          \
    } while (0)

/* One healthy model that every case works beside; at the end of each test it must still train. */
typedef struct fixture {
    firn_ctx *ctx;
    firn_model *m, *other;
    firn_tensor *x, *images, *bytes, *label, *w, *b, *kernel, *mean, *var;
    firn_tensor *logits, *loss, *elsewhere;
    firn_plan *train, *eval;
    firn_optimizer *optimizer;
    firn_trainer *trainer;
} fixture;

enum { BATCH = 4, ROWS = 6 };
static float xs[ROWS][6];
static uint8_t labels[ROWS] = {0, 1, 2, 0, 1, 2};
static const firn_feed feeds[] = {{"x", xs}, {"label", labels}};
static const firn_dataset data = {.count = ROWS, .feeds = feeds, .n_feeds = 2};

static int set_up(void **state)
{
    static fixture fixture_now;
    fixture *f = *state = &fixture_now;
    *f = (fixture){.ctx = test_ctx(NULL, 1, NULL)};
    f->m = firn_model_create(f->ctx);
    f->other = firn_model_create(f->ctx);
    f->elsewhere = firn_input(f->other, "elsewhere", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 6));
    f->x = firn_input(f->m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 6));
    f->images = firn_input(f->m, "images", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 4, 8, 7));
    f->bytes = firn_input(f->m, "bytes", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 6));
    f->label = firn_input(f->m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    f->w = firn_param(f->m, "w", FIRN_SHAPE(3, 6), (firn_init){0});
    f->b = firn_param(f->m, "b", FIRN_SHAPE(3), (firn_init){0});
    f->kernel = firn_param(f->m, "kernel", FIRN_SHAPE(6, 4, 3, 3), (firn_init){0});
    f->mean = firn_state(f->m, "mean", FIRN_SHAPE(4), (firn_init){0});
    f->var = firn_state(f->m, "var", FIRN_SHAPE(4), (firn_init){FIRN_INIT_ONE, 0});
    f->logits = firn_linear(f->x, f->w, f->b);
    f->loss = firn_cross_entropy(f->logits, f->label, NULL);
    const firn_optim sgd = firn_sgd(0.1f, 0);
    assert_ok(f->ctx, firn_plan_create(&f->train, f->loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = BATCH}));
    assert_ok(f->ctx, firn_plan_create(&f->eval, f->logits, &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH}));
    assert_ok(f->ctx, firn_optimizer_create(&f->optimizer, f->m, &sgd));
    assert_ok(f->ctx, firn_trainer_create(&f->trainer, f->loss, f->logits, &(firn_trainer_options){.batch = BATCH}));
    test_fill(xs[0], ROWS * 6, 1, -1, 1);
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    firn_clear_error(f->ctx);
    assert_ok(f->ctx, firn_plan_forward(f->train, feeds, 2, BATCH));
    assert_ok(f->ctx, firn_plan_backward(f->train));
    assert_ok(f->ctx, firn_optimizer_step(f->optimizer, f->train, 1.0f));
    assert_ok(f->ctx, firn_fit(f->trainer, &data, NULL));
    firn_trainer_destroy(f->trainer);
    firn_optimizer_destroy(f->optimizer);
    firn_plan_destroy(f->eval);
    firn_plan_destroy(f->train);
    firn_ctx_destroy(f->ctx);
    return 0;
}

static void contexts(void **state)
{
    (void)state;
    firn_ctx *ctx;
    const firn_ctx_options wrong[] = {{.threads = -1}, {.threads = FIRN_MAX_THREADS + 1}, {.isa = "mmx"}, {.isa = ""}};
    assert_int_equal(firn_ctx_create(NULL, NULL), FIRN_ERR_ARGUMENT);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++, cases++) {
        ctx = (firn_ctx *)(uintptr_t)1;
        assert_int_equal(firn_ctx_create(&ctx, &wrong[i]), wrong[i].isa ? FIRN_ERR_ISA : FIRN_ERR_ARGUMENT);
        assert_null(ctx);
    }
}

static void the_environment_names_the_instruction_set(void **state)
{
    (void)state;
    char before[16] = "";
    firn_ctx *ctx;
    if (getenv("FIRN_ISA") != NULL) snprintf(before, sizeof before, "%s", getenv("FIRN_ISA"));
    setenv("FIRN_ISA", "", 1); /* as if not set */
    assert_int_equal(firn_ctx_create(&ctx, NULL), FIRN_OK);
    firn_ctx_destroy(ctx);
    setenv("FIRN_ISA", "ref", 1);
    assert_int_equal(firn_ctx_create(&ctx, NULL), FIRN_OK);
    assert_string_equal(firn_ctx_isa(ctx), "ref");
    firn_ctx_destroy(ctx);
    setenv("FIRN_ISA", "mmx", 1);
    assert_int_equal(firn_ctx_create(&ctx, NULL), FIRN_ERR_ISA);
    setenv("FIRN_ISA", before, 1);
}

static void null_is_taken_everywhere(void **state)
{
    (void)state;
    firn_ctx_destroy(NULL);
    firn_plan_destroy(NULL);
    firn_optimizer_destroy(NULL);
    firn_trainer_destroy(NULL);
    firn_clear_error(NULL);
    firn_scope_push(NULL, "a");
    firn_scope_pop(NULL);
    firn_idx_free(NULL, NULL);
    firn_plan_forget(NULL);
    assert_string_equal(firn_message(NULL), "");
    assert_null(firn_model_create(NULL));
    assert_null(firn_input(NULL, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1)));
    assert_null(firn_param(NULL, "w", FIRN_SHAPE(1), (firn_init){0}));
    assert_null(firn_linear(NULL, NULL, NULL));
    assert_null(firn_conv2d(NULL, NULL, NULL, NULL));
    assert_null(firn_relu(firn_max_pool2d(firn_dropout(firn_softmax(NULL), 0.5f), 2, 0)));
    assert_null(firn_nn_linear(NULL, "a", &(firn_nn_linear_cfg){.out = 1}));
    assert_null(firn_cross_entropy(NULL, NULL, NULL));
    assert_null(firn_find(NULL, "x"));
    assert_null(firn_data(NULL));
    assert_int_equal(firn_tensor_count(NULL), 0);
    assert_int_equal(firn_plan_rows(NULL), 0);
    assert_null(firn_plan_value(NULL, NULL));
    assert_null(firn_plan_grad(NULL, "w"));
    assert_int_equal(firn_freeze(NULL, "*", NULL), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_verify_frozen(NULL), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_plan_forward(NULL, feeds, 2, 1), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_plan_backward(NULL), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_optimizer_step(NULL, NULL, 1), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_fit(NULL, &data, NULL), FIRN_ERR_ARGUMENT);
    cases += 14;
}

static void inputs_and_named_tensors(void **state)
{
    const fixture *f = *state;
    const firn_shape rows = FIRN_SHAPE(FIRN_BATCH, 2), huge = FIRN_SHAPE((int64_t)1 << 40, (int64_t)1 << 40);
    const firn_init zero = {0};
    REFUSED(ARGUMENT, firn_input(f->m, "", FIRN_F32, rows), "firn_input name");
    REFUSED(ARGUMENT, firn_input(f->m, NULL, FIRN_F32, rows), "firn_input name");
    REFUSED(ARGUMENT, firn_input(f->m, "two words", FIRN_F32, rows), "firn_input two words name");
    REFUSED(NAME, firn_input(f->m, "x", FIRN_F32, rows), "firn_input \"x\" already");
    REFUSED(DTYPE, firn_input(f->m, "y", (firn_dtype)9, rows), "firn_input \"y\" 9");
    REFUSED(SHAPE, firn_input(f->m, "y", FIRN_F32, FIRN_SHAPE(3, 2)), "firn_input \"y\" [3, 2] FIRN_BATCH");
    REFUSED(SHAPE, firn_input(f->m, "y", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 0)), "firn_input \"y\" [N, 0] positive");
    REFUSED(SHAPE, firn_input(f->m, "y", FIRN_F32, FIRN_SCALAR), "firn_input \"y\" FIRN_BATCH");
    REFUSED(SHAPE, firn_input(f->m, "y", FIRN_F32, (firn_shape){.rank = 7}), "firn_input \"y\" rank");
    REFUSED(ARGUMENT, firn_param(f->m, "a..b", FIRN_SHAPE(2), zero), "firn_param a..b name");
    REFUSED(ARGUMENT, firn_param(f->m, "all*", FIRN_SHAPE(2), zero), "firn_param all* name");
    REFUSED(SHAPE, firn_param(f->m, "p", FIRN_SHAPE(2, -3), zero), "firn_param \"p\" [2, -3] positive");
    REFUSED(SHAPE, firn_param(f->m, "p", huge, zero), "firn_param \"p\" fit memory");
    REFUSED(SHAPE, firn_param(f->m, "w", FIRN_SHAPE(6, 3), zero), "\"w\" [3, 6] [6, 3] same name");
    REFUSED(NAME, firn_param(f->m, "mean", FIRN_SHAPE(4), zero), "\"mean\" state parameter");
    REFUSED(NAME, firn_state(f->m, "w", FIRN_SHAPE(3, 6), zero), "\"w\" parameter state");
    REFUSED(ARGUMENT, firn_param(f->m, "p", FIRN_SHAPE(2), (firn_init){(firn_init_kind)99, 0}), "\"p\" initialiser 99");
    REFUSED(ARGUMENT, firn_param(f->m, "p", FIRN_SHAPE(2), (firn_init){FIRN_INIT_NORMAL, NAN}), "\"p\" finite");
    FAILS(ARGUMENT, firn_alias(f->m, "again", f->x), "firn_alias \"again\" parameter");
    FAILS(ARGUMENT, firn_alias(f->m, "again", NULL), "firn_alias \"again\"");
    FAILS(ARGUMENT, firn_alias(f->other, "again", f->w), "firn_alias \"again\" this model");
    FAILS(NAME, firn_alias(f->m, "b", f->w), "firn_alias \"b\" already");
    assert_null(firn_find(f->m, "p"));

    firn_clear_error(f->ctx);
    firn_scope_pop(f->m);
    assert_int_equal(firn_last_error(f->ctx), FIRN_ERR_STATE);
    assert_message_has(f->ctx, "firn_scope_pop no scope");
    firn_clear_error(f->ctx);
    firn_scope_push(f->m, "not valid");
    assert_null(firn_param(f->m, "p", FIRN_SHAPE(2), zero));
    assert_message_has(f->ctx, "firn_scope_push \"not valid\" name");
    firn_scope_pop(f->m);
}

static void matrices_and_images(void **state)
{
    const fixture *f = *state;
    firn_tensor *narrow = firn_param(f->m, "narrow", FIRN_SHAPE(3, 5), (firn_init){0});
    firn_tensor *five = firn_param(f->m, "five", FIRN_SHAPE(5), (firn_init){0});
    firn_tensor *big = firn_param(f->m, "big", FIRN_SHAPE(2, 4, 9, 9), (firn_init){0});
    REFUSED(SHAPE, firn_linear(f->x, narrow, NULL), "linear \"x\" [N, 6] \"narrow\" [3, 5]");
    REFUSED(SHAPE, firn_linear(f->x, five, NULL), "linear \"five\" [5]");
    REFUSED(SHAPE, firn_linear(f->x, f->w, five), "linear \"five\" [5]");
    REFUSED(SHAPE, firn_linear(f->images, f->w, NULL), "linear \"images\" [N, 4, 8, 7]");
    REFUSED(DTYPE, firn_linear(f->bytes, f->w, NULL), "linear \"bytes\"");
    REFUSED(ARGUMENT, firn_linear(f->elsewhere, f->w, NULL), "linear \"elsewhere\" \"w\" different models");
    REFUSED(SHAPE, firn_conv2d(f->x, f->kernel, NULL, NULL), "conv2d \"x\" [N, 6]");
    REFUSED(SHAPE, firn_conv2d(f->images, f->w, NULL, NULL), "conv2d \"w\" [3, 6]");
    REFUSED(SHAPE, firn_conv2d(f->images, big, NULL, NULL), "conv2d \"images\" [N, 4, 8, 7] \"big\" [2, 4, 9, 9]");
    REFUSED(SHAPE, firn_conv2d(f->images, f->kernel, five, NULL), "conv2d \"five\" [5]");
    REFUSED(SHAPE, firn_conv2d(f->images, f->kernel, NULL, &(firn_conv2d_attr){.groups = 2}), "conv2d groups");
    REFUSED(SHAPE, firn_conv2d(f->images, f->kernel, NULL, &(firn_conv2d_attr){.groups = 4}), "conv2d groups");
    REFUSED(ARGUMENT, firn_conv2d(f->images, f->kernel, NULL, &(firn_conv2d_attr){.stride = -1}), "conv2d stride");
    REFUSED(ARGUMENT, firn_conv2d(f->images, f->kernel, NULL, &(firn_conv2d_attr){.pad = -1}), "conv2d pad");
    REFUSED(ARGUMENT, firn_conv2d(f->images, f->images, NULL, NULL), "conv2d \"images\" parameter");
    REFUSED(ARGUMENT, firn_conv2d(f->kernel, f->kernel, NULL, NULL), "conv2d \"kernel\" computed");
    REFUSED(ARGUMENT, firn_max_pool2d(f->images, 0, 0), "max_pool2d size");
    REFUSED(ARGUMENT, firn_max_pool2d(f->images, 2, -1), "max_pool2d stride");
    REFUSED(SHAPE, firn_max_pool2d(f->images, 8, 0), "max_pool2d \"images\" [N, 4, 8, 7]");
    REFUSED(SHAPE, firn_avg_pool2d(f->x, 2, 0), "avg_pool2d \"x\" [N, 6]");
    REFUSED(SHAPE, firn_global_avg_pool2d(f->x), "global_avg_pool2d \"x\" [N, 6]");
    firn_tensor *c = firn_param(f->m, "c", FIRN_SHAPE(4), (firn_init){0});
    REFUSED(SHAPE, firn_batch_norm(f->images, five, c, f->mean, f->var, NULL), "batch_norm \"five\" [5]");
    REFUSED(SHAPE, firn_batch_norm(f->x, c, c, f->mean, f->var, NULL), "batch_norm \"x\" [N, 6]");
    REFUSED(ARGUMENT, firn_batch_norm(f->images, c, c, f->mean, f->var, &(firn_batch_norm_attr){-1, 0}), "batch_norm eps");
    REFUSED(ARGUMENT, firn_batch_norm(f->images, c, c, f->mean, f->var, &(firn_batch_norm_attr){0, 2}),
            "batch_norm momentum");
}

static void elements_and_losses(void **state)
{
    const fixture *f = *state;
    REFUSED(DTYPE, firn_relu(f->bytes), "relu \"bytes\"");
    REFUSED(DTYPE, firn_softmax(f->bytes), "softmax \"bytes\"");
    REFUSED(DTYPE, firn_dropout(f->bytes, 0.5f), "dropout \"bytes\"");
    REFUSED(SHAPE, firn_add(f->x, f->images), "add \"x\" [N, 6] \"images\" [N, 4, 8, 7]");
    REFUSED(ARGUMENT, firn_add(f->x, f->elsewhere), "add \"x\" \"elsewhere\" different models");
    REFUSED(SHAPE, firn_mse(f->x, f->logits), "mse \"x\" [N, 6] [N, 3]");
    REFUSED(SHAPE, firn_reshape(f->x, FIRN_SHAPE(FIRN_BATCH, 7)), "reshape \"x\" [N, 6]");
    REFUSED(SHAPE, firn_reshape(f->x, FIRN_SHAPE(2, 3)), "reshape \"x\" [N, 6]");
    REFUSED(ARGUMENT, firn_flatten(f->x, 0), "flatten axis");
    REFUSED(ARGUMENT, firn_flatten(f->x, 2), "flatten axis");
    REFUSED(ARGUMENT, firn_dropout(f->x, 1.0f), "dropout p");
    REFUSED(ARGUMENT, firn_dropout(f->x, -0.1f), "dropout p");
    REFUSED(ARGUMENT, firn_dropout(f->x, NAN), "dropout p");
    REFUSED(SHAPE, firn_cross_entropy(f->images, f->label, NULL), "cross_entropy \"images\" [N, 4, 8, 7]");
    REFUSED(DTYPE, firn_cross_entropy(f->logits, f->x, NULL), "cross_entropy \"x\"");
    REFUSED(SHAPE, firn_cross_entropy(f->logits, f->bytes, NULL), "cross_entropy \"bytes\" [N, 6]");
    REFUSED(ARGUMENT, firn_cross_entropy(f->logits, f->label, &(firn_cross_entropy_attr){.label_smoothing = 1.0f}),
            "cross_entropy smoothing");
    REFUSED(ARGUMENT, firn_nn_linear(f->x, "layer", &(firn_nn_linear_cfg){0}), "layer out");
    REFUSED(ARGUMENT, firn_nn_linear(f->x, "layer", NULL), "layer cfg");
    REFUSED(ARGUMENT, firn_nn_linear(f->x, NULL, &(firn_nn_linear_cfg){.out = 1}), "name");
    REFUSED(ARGUMENT, firn_nn_conv2d(f->images, "layer", &(firn_nn_conv2d_cfg){.out = 2}), "layer kernel");
    REFUSED(ARGUMENT, firn_nn_conv2d(f->images, "layer", &(firn_nn_conv2d_cfg){.out = 2, .kernel = 3, .groups = 3}),
            "groups");
    REFUSED(SHAPE, firn_nn_conv2d(f->x, "layer", &(firn_nn_conv2d_cfg){.out = 2, .kernel = 3}), "layer [N, 6]");
    REFUSED(ARGUMENT, firn_nn_dropout(f->x, "d", 2.0f), "dropout p");
}

static void freezing(void **state)
{
    const fixture *f = *state;
    size_t count = 77;
    FAILS(ARGUMENT, firn_freeze(f->m, NULL, &count), "firn_freeze NULL");
    FAILS(ARGUMENT, firn_freeze(f->m, "", &count), "firn_freeze empty");
    FAILS(ARGUMENT, firn_freeze(f->m, "w,,b", &count), "firn_freeze \"w,,b\" empty");
    FAILS(NAME, firn_freeze(f->m, "w,kern", &count), "firn_freeze \"kern\" matches");
    FAILS(NAME, firn_unfreeze(f->m, "nothing.*", &count), "firn_unfreeze \"nothing.*\" matches");
    FAILS(NAME, firn_freeze_only(f->m, "W", &count), "firn_freeze_only \"W\" matches");
    FAILS(ARGUMENT, firn_freeze_to(f->m, "ker*", &count), "firn_freeze_to wildcards");
    FAILS(NAME, firn_freeze_to(f->m, "ker", &count), "firn_freeze_to \"ker\"");
    FAILS(STATE, firn_mask_pop(f->m), "firn_mask_pop no mask");
    for (int i = 0; i < FIRN_MAX_MASKS; i++) assert_ok(f->ctx, firn_mask_push(f->m));
    FAILS(STATE, firn_mask_push(f->m), "firn_mask_push 16");
    assert_int_equal(count, 77);
    for (size_t i = 0; i < firn_tensor_count(f->m); i++) assert_false(firn_tensor_at(f->m, i).frozen);

    const float values[18] = {0};
    FAILS(NAME, firn_write(f->m, "nobody", values, 1), "firn_write \"nobody\"");
    FAILS(NAME, firn_write(f->m, NULL, values, 1), "firn_write NULL");
    FAILS(SHAPE, firn_write(f->m, "w", values, 17), "firn_write \"w\" 17 [3, 6]");
    FAILS(ARGUMENT, firn_write(f->m, "w", NULL, 18), "firn_write \"w\" NULL");

    assert_ok(f->ctx, firn_plan_forward(f->train, feeds, 2, BATCH));
    FAILS(STATE, firn_freeze(f->m, "w", NULL), "firn_freeze forward backward");
    FAILS(STATE, firn_mask_pop(f->m), "firn_mask_pop forward backward");
    FAILS(STATE, firn_write(f->m, "w", values, 18), "firn_write forward backward");
    firn_plan_forget(f->train);
    assert_ok(f->ctx, firn_freeze(f->m, "w", NULL));
    assert_ok(f->ctx, firn_unfreeze(f->m, "w", NULL));
    assert_ok(f->ctx, firn_plan_forward(f->train, feeds, 2, BATCH));
    assert_ok(f->ctx, firn_plan_backward(f->train));
    assert_ok(f->ctx, firn_optimizer_accumulate(f->optimizer, f->train));
    FAILS(STATE, firn_unfreeze(f->m, "w", NULL), "firn_unfreeze accumulated");
    assert_ok(f->ctx, firn_optimizer_step(f->optimizer, f->train, 1.0f));
}

static void plans(void **state)
{
    const fixture *f = *state;
    firn_plan *plan = (firn_plan *)(uintptr_t)1;
    const firn_plan_options train = {.mode = FIRN_TRAIN, .batch = 2};
    FAILS(ARGUMENT, firn_plan_create(NULL, f->loss, &train), "firn_plan_create NULL");
    assert_int_equal(firn_plan_create(&plan, NULL, &train), FIRN_ERR_ARGUMENT);
    assert_null(plan);
    FAILS(ARGUMENT, firn_plan_create(&plan, f->loss, NULL), "options NULL");
    FAILS(ARGUMENT, firn_plan_create(&plan, f->loss, &(firn_plan_options){.mode = FIRN_TRAIN}), "batch 0");
    FAILS(ARGUMENT, firn_plan_create(&plan, f->loss, &(firn_plan_options){.mode = (firn_mode)7, .batch = 1}), "mode");
    FAILS(SHAPE, firn_plan_create(&plan, f->logits, &train), "linear [N, 3] scalar");
    FAILS(ARGUMENT,
          firn_plan_create(&plan, f->loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = 2, .watch = f->elsewhere}),
          "watch");
    firn_tensor *turned = firn_reshape(f->bytes, FIRN_SHAPE(FIRN_BATCH, 2, 3));
    const firn_plan_options eval = {.mode = FIRN_EVAL, .batch = 2},
                            watching = {.mode = FIRN_TRAIN, .batch = 2, .watch = turned};
    FAILS(DTYPE, firn_plan_create(&plan, turned, &eval), "root \"reshape\" [N, 2, 3] F32");
    FAILS(DTYPE, firn_plan_create(&plan, f->loss, &watching), "watch \"reshape\" [N, 2, 3] F32");
    FAILS(ARGUMENT, firn_plan_create(&plan, f->x, &eval), "root \"x\" operator");
    FAILS(ARGUMENT, firn_plan_create(&plan, f->w, &eval), "root \"w\" operator");
    FAILS(ARGUMENT, firn_plan_report(f->train, NULL), "firn_plan_report NULL");
    /* What building has left is reported when the plan is asked for. */
    firn_clear_error(f->ctx);
    firn_tensor *nothing = firn_relu(firn_linear(f->images, f->w, NULL));
    assert_int_equal(firn_plan_create(&plan, nothing, &train), FIRN_ERR_ARGUMENT);
    assert_message_has(f->ctx, "linear \"images\"");
    assert_int_equal(firn_last_error(f->ctx), FIRN_ERR_SHAPE);
    firn_clear_error(f->ctx);
    cases++;

    const firn_feed unknown[] = {feeds[0], feeds[1], {"y", xs}}, twice[] = {feeds[0], feeds[0], feeds[1]},
                    empty[] = {feeds[0], {"label", NULL}}, nameless[] = {feeds[0], {NULL, labels}};
    FAILS(ARGUMENT, firn_plan_forward(f->train, feeds, 2, 0), "rows 0 4");
    FAILS(ARGUMENT, firn_plan_forward(f->train, feeds, 2, BATCH + 1), "rows 5 4");
    FAILS(ARGUMENT, firn_plan_forward(f->train, NULL, 2, 1), "feeds NULL");
    FAILS(NAME, firn_plan_forward(f->train, feeds, 1, 1), "\"label\"");
    FAILS(NAME, firn_plan_forward(f->train, unknown, 3, 1), "\"y\"");
    FAILS(NAME, firn_plan_forward(f->train, twice, 3, 1), "\"x\" twice");
    FAILS(ARGUMENT, firn_plan_forward(f->train, empty, 2, 1), "\"label\" NULL");
    FAILS(NAME, firn_plan_forward(f->train, nameless, 2, 1), "NULL");
    labels[1] = 3;
    FAILS(ARGUMENT, firn_plan_forward(f->train, feeds, 2, 2), "cross_entropy \"label\" row 1 3");
    labels[1] = 1;

    firn_plan *fresh = NULL;
    assert_ok(f->ctx, firn_plan_create(&fresh, f->loss, &train));
    FAILS(STATE, firn_plan_backward(fresh), "forward");
    FAILS(STATE, firn_optimizer_step(f->optimizer, fresh, 1), "backward");
    FAILS(STATE, firn_optimizer_accumulate(f->optimizer, fresh), "backward");
    assert_ok(f->ctx, firn_freeze(f->m, "*", NULL));
    assert_ok(f->ctx, firn_plan_forward(fresh, feeds, 2, 2));
    FAILS(STATE, firn_plan_backward(fresh), "nothing to train cross_entropy");
    firn_plan_destroy(fresh);
    assert_ok(f->ctx, firn_unfreeze(f->m, "*", NULL));
    assert_ok(f->ctx, firn_plan_forward(f->eval, feeds, 1, 2));
    FAILS(STATE, firn_plan_backward(f->eval), "evaluation");
    assert_null(firn_plan_value(f->train, f->elsewhere));
    assert_null(firn_plan_grad(f->train, "nobody"));
}

static firn_status create(const fixture *f, firn_optim how)
{
    firn_optimizer *o = (firn_optimizer *)(uintptr_t)1;
    const firn_status st = firn_optimizer_create(&o, f->m, &how);
    assert_null(o);
    return st;
}

static void optimizers(void **state)
{
    const fixture *f = *state;
    firn_optimizer *o;
    const firn_optim sgd = firn_sgd(0.1f, 0);
    FAILS(ARGUMENT, firn_optimizer_create(NULL, f->m, &sgd), "");
    assert_int_equal(firn_optimizer_create(&o, NULL, &sgd), FIRN_ERR_ARGUMENT);
    FAILS(ARGUMENT, create(f, (firn_optim){.kind = (firn_optim_kind)77}), "kind 77");
    FAILS(ARGUMENT, create(f, (firn_optim){.lr = -1}), "lr -1");
    FAILS(ARGUMENT, create(f, (firn_optim){.lr = NAN}), "lr");
    FAILS(ARGUMENT, create(f, (firn_optim){.momentum = -1}), "momentum -1");
    FAILS(ARGUMENT, create(f, (firn_optim){.kind = FIRN_ADAM, .momentum = 0.9f}), "momentum SGD");
    FAILS(ARGUMENT, create(f, (firn_optim){.nesterov = true}), "nesterov momentum");
    FAILS(ARGUMENT, create(f, (firn_optim){.kind = FIRN_ADAM, .beta1 = 1}), "beta1 1");
    FAILS(ARGUMENT, create(f, (firn_optim){.kind = FIRN_ADAMW, .beta2 = -0.5f}), "beta2 -0.5");
    FAILS(ARGUMENT, create(f, (firn_optim){.kind = FIRN_ADADELTA, .rho = 1.5f}), "rho 1.5");
    FAILS(ARGUMENT, create(f, (firn_optim){.kind = FIRN_RMSPROP, .eps = -1}), "eps -1");
    FAILS(ARGUMENT, create(f, (firn_optim){.weight_decay = -1}), "weight_decay -1");
    FAILS(ARGUMENT, create(f, (firn_optim){.clip_norm = INFINITY}), "clip_norm inf");
    FAILS(ARGUMENT, firn_optimizer_set_rate(f->optimizer, "w", 0), "freeze");
    FAILS(ARGUMENT, firn_optimizer_set_rate(f->optimizer, "w", NAN), "nan");
    FAILS(NAME, firn_optimizer_set_rate(f->optimizer, "nobody", 2), "\"nobody\" matches");
    const firn_optimizer_entry unknown = {"nobody", "momentum_buffer", xs[0], 18, 1},
                               wrong = {"w", "exp_avg", xs[0], 18, 1};
    FAILS(NAME, firn_optimizer_restore(f->optimizer, &unknown), "\"nobody\"");
    FAILS(NAME, firn_optimizer_restore(f->optimizer, &wrong), "\"w\" \"exp_avg\"");

    assert_ok(f->ctx, firn_plan_forward(f->train, feeds, 2, BATCH));
    assert_ok(f->ctx, firn_plan_backward(f->train));
    FAILS(ARGUMENT, firn_optimizer_step(f->optimizer, f->train, -1), "lr_scale -1");
    assert_ok(f->ctx, firn_optimizer_step(f->optimizer, f->train, 1));
    FAILS(STATE, firn_optimizer_step(f->optimizer, f->train, 1), "backward");
    const float before = firn_data(f->w)[0], kept = xs[0][0];
    xs[0][0] = INFINITY;
    assert_ok(f->ctx, firn_plan_forward(f->train, feeds, 2, BATCH));
    assert_ok(f->ctx, firn_plan_backward(f->train));
    FAILS(NUMERIC, firn_optimizer_step(f->optimizer, f->train, 1), "\"w\" finite");
    xs[0][0] = kept;
    assert_close(firn_data(f->w)[0], before, 0, 0);
}

static firn_status make_trainer(firn_tensor *loss, firn_tensor *output, firn_trainer_options opt)
{
    firn_trainer *t = (firn_trainer *)(uintptr_t)1;
    const firn_status st = firn_trainer_create(&t, loss, output, &opt);
    assert_null(t);
    return st;
}

static firn_status fit(const fixture *f, firn_fit_options opt) { return firn_fit(f->trainer, &data, &opt); }
static firn_status fit_event(const fixture *f, firn_freeze_event event)
{
    return fit(f, (firn_fit_options){.epochs = 3, .events = &event, .n_events = 1});
}

static void trainers(void **state)
{
    const fixture *f = *state;
    FAILS(SHAPE, make_trainer(f->logits, NULL, (firn_trainer_options){0}), "scalar");
    FAILS(ARGUMENT, make_trainer(f->loss, NULL, (firn_trainer_options){.batch = -1}), "batch -1 negative");
    FAILS(ARGUMENT, make_trainer(f->loss, NULL, (firn_trainer_options){.accumulate = -2}), "accumulate -2 negative");
    FAILS(ARGUMENT, make_trainer(f->loss, f->elsewhere, (firn_trainer_options){0}), "output another model");
    FAILS(ARGUMENT, make_trainer(f->loss, NULL, (firn_trainer_options){.optim = {.lr = -1}}), "lr -1");
    FAILS(DTYPE, make_trainer(f->loss, firn_reshape(f->bytes, FIRN_SHAPE(FIRN_BATCH, 2, 3)), (firn_trainer_options){0}),
          "watch \"reshape\" F32");
    /* The logits could not be built: that there are none is not meant. */
    firn_clear_error(f->ctx);
    firn_tensor *failed = firn_softmax(f->images);
    assert_int_equal(make_trainer(f->loss, failed, (firn_trainer_options){0}), FIRN_ERR_ARGUMENT);
    assert_message_has(f->ctx, "softmax \"images\"");
    firn_clear_error(f->ctx);
    cases++;

    firn_metrics metrics;
    const firn_dataset none = {0}, half = {.count = ROWS, .feeds = feeds, .n_feeds = 1};
    FAILS(ARGUMENT, firn_fit(f->trainer, NULL, NULL), "data");
    FAILS(ARGUMENT, firn_fit(f->trainer, &none, NULL), "");
    FAILS(NAME, firn_fit(f->trainer, &half, NULL), "\"label\"");
    FAILS(ARGUMENT, firn_evaluate(f->trainer, &none, &metrics), "");
    FAILS(ARGUMENT, firn_evaluate(f->trainer, &data, NULL), "NULL");
    FAILS(ARGUMENT, firn_predict(f->trainer, &data, NULL), "NULL");
    FAILS(ARGUMENT, fit(f, (firn_fit_options){.epochs = -1}), "epochs -1 negative");
    FAILS(ARGUMENT, fit(f, (firn_fit_options){.patience = 2}), "patience validation");
    FAILS(NAME, fit_event(f, (firn_freeze_event){.epoch = 2, .selector = "nobody"}), "\"nobody\"");
    FAILS(ARGUMENT, fit_event(f, (firn_freeze_event){.epoch = 2}), "selector");
    FAILS(ARGUMENT, fit_event(f, (firn_freeze_event){.selector = "w"}), "epoch step");
    FAILS(ARGUMENT, fit_event(f, (firn_freeze_event){.epoch = 1, .selector = "w", .rate = -1}), "rate -1");
    assert_non_null(firn_nn_dropout(f->x, "drop", 0.5f));
    FAILS(NAME, fit_event(f, (firn_freeze_event){.epoch = 2, .selector = "drop"}),
          "firn_fit event 0 \"drop\" no parameter");
    labels[5] = 9;
    FAILS(ARGUMENT, firn_fit(f->trainer, &data, NULL), "label 9");
    labels[5] = 2;

    uint32_t rows[ROWS];
    firn_dataset a, b;
    assert_int_equal(firn_dataset_split(&data, 1.5, 1, rows, &a, &b), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_dataset_split(&data, (double)NAN, 1, rows, &a, &b), FIRN_ERR_ARGUMENT);
    assert_int_equal(firn_dataset_split(NULL, 0.5, 1, rows, &a, &b), FIRN_ERR_ARGUMENT);
    cases += 3;

    firn_idx idx;
    FAILS(IO, firn_idx_load(f->ctx, "no/such/file.idx", &idx), "no/such/file.idx");
    FAILS(ARGUMENT, firn_idx_load(f->ctx, NULL, &idx), "");
}

static void there_were_at_least_eighty_cases(void **state)
{
    (void)state;
    print_message("%d cases\n", cases);
    assert_true(cases >= 80);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts),
        cmocka_unit_test(the_environment_names_the_instruction_set),
        cmocka_unit_test(null_is_taken_everywhere),
        WITH_FIXTURE(inputs_and_named_tensors),
        WITH_FIXTURE(matrices_and_images),
        WITH_FIXTURE(elements_and_losses),
        WITH_FIXTURE(freezing),
        WITH_FIXTURE(plans),
        WITH_FIXTURE(optimizers),
        WITH_FIXTURE(trainers),
        cmocka_unit_test(there_were_at_least_eighty_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
