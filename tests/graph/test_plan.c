/* Plans: memory, masks, slices and features. The nets here are small, so that every mask can be tried. */
#include <firn/op.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <firn/op.h>

#include "support.h"

enum { BATCH = 7, SIDE = 10, CLASSES = 4 };

typedef struct net {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_tensor *image, *label, *logits, *loss;
    uint8_t pixels[BATCH * 2 * SIDE * SIDE], labels[BATCH];
} net;

/* Convolutions with a skip connection, pooling, dropout, a linear head used twice (shared weights). */
static void build(net *n, int threads, const char *isa, float dropout)
{
    *n = (net){0};
    n->ctx = test_ctx(&n->memory, threads, isa);
    n->m = firn_model_create(n->ctx);
    n->image = firn_input(n->m, "image", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 2, SIDE, SIDE));
    n->label = firn_input(n->m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *x = firn_scale(n->image, 1.0f / 255);
    x = firn_relu(firn_nn_conv2d(x, "conv1", &(firn_nn_conv2d_cfg){.out = 5, .kernel = 3, .pad = 1}));
    firn_tensor *y = firn_nn_conv2d(x, "conv2", &(firn_nn_conv2d_cfg){.out = 5, .kernel = 3, .pad = 1});
    x = firn_relu(firn_add(y, x));
    x = firn_nn_dropout(firn_max_pool2d(x, 2, 2), "drop", dropout);
    x = firn_flatten(x, 1);
    x = firn_relu(firn_nn_linear(x, "fc1", &(firn_nn_linear_cfg){.out = 12}));
    x = firn_relu(firn_nn_linear(x, "fc2", &(firn_nn_linear_cfg){.out = 12}));
    x = firn_relu(firn_nn_linear(x, "fc2", &(firn_nn_linear_cfg){.out = 12}));
    n->logits = firn_nn_linear(x, "head", &(firn_nn_linear_cfg){.out = CLASSES});
    n->loss = firn_cross_entropy(n->logits, n->label, NULL);
    if (n->loss == NULL) fail_msg("%s", firn_message(n->ctx));
    test_fill_bytes(n->pixels, sizeof n->pixels, 3, 256);
    test_fill_bytes(n->labels, sizeof n->labels, 4, CLASSES);
}

static void finish(net *n)
{
    firn_ctx_destroy(n->ctx);
    assert_all_freed(&n->memory);
}

static firn_plan *make_plan(net *n, firn_tensor *root, firn_mode mode, bool layer_by_layer)
{
    firn_plan *plan;
    assert_ok(n->ctx, firn_plan_create(&plan, root, &(firn_plan_options){.mode = mode, .batch = BATCH, .watch = root == n->loss ? n->logits : NULL, .features = true,
                                                                         .layer_by_layer = layer_by_layer}));
    return plan;
}

static void run_forward(net *n, firn_plan *plan, int first, int rows)
{
    const firn_feed feeds[] = {{"image", n->pixels + first * 2 * SIDE * SIDE}, {"label", n->labels + first}};
    assert_ok(n->ctx, firn_plan_forward(plan, feeds, 2, rows));
}

/* Sets the frozen bits to those of mask. */
static void set_mask(net *n, unsigned mask)
{
    assert_ok(n->ctx, firn_unfreeze(n->m, "*", NULL));
    for (size_t i = 0; i < firn_tensor_count(n->m); i++)
        if (mask >> i & 1) assert_ok(n->ctx, firn_freeze(n->m, firn_tensor_at(n->m, i).name, NULL));
}

typedef struct gradients {
    float loss, *of[16];
} gradients;

static gradients take_gradients(net *n, firn_plan *plan)
{
    gradients g = {.loss = 0};
    firn_plan_set_step(plan, 5);
    run_forward(n, plan, 0, BATCH);
    g.loss = *firn_plan_value(plan, NULL);
    assert_ok(n->ctx, firn_plan_backward(plan));
    for (size_t i = 0; i < firn_tensor_count(n->m); i++) {
        const firn_tensor_info t = firn_tensor_at(n->m, i);
        const float *grad = firn_plan_grad(plan, t.name);
        if (grad == NULL) continue;
        const size_t bytes = (size_t)firn_shape_count(t.shape) * sizeof(float);
        g.of[i] = malloc(bytes);
        memcpy(g.of[i], grad, bytes);
    }
    return g;
}

static void drop_gradients(gradients *g)
{
    for (int i = 0; i < 16; i++) free(g->of[i]);
}

static void every_mask_leaves_the_other_gradients_as_they_are(void **state)
{
    (void)state;
    net n;
    build(&n, 2, NULL, 0.25f);
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    gradients full = take_gradients(&n, plan);
    const size_t count = firn_tensor_count(n.m);
    assert_int_equal(count, 10);
    for (unsigned mask = 0; mask + 1 < 1u << count; mask++) {
        set_mask(&n, mask);
        gradients g = take_gradients(&n, plan);
        assert_bits_equal(&g.loss, &full.loss, 1);
        for (size_t i = 0; i < count; i++) {
            const firn_tensor_info t = firn_tensor_at(n.m, i);
            assert_true((g.of[i] == NULL) == t.frozen);
            if (!t.frozen) assert_bits_equal(g.of[i], full.of[i], (size_t)firn_shape_count(t.shape));
        }
        drop_gradients(&g);
    }
    drop_gradients(&full);
    firn_plan_destroy(plan);
    finish(&n);
}

static void a_plan_with_nothing_to_train_runs_forward_and_refuses_backward(void **state)
{
    (void)state;
    net n;
    build(&n, 1, NULL, 0.25f);
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    assert_ok(n.ctx, firn_freeze(n.m, "*", NULL));
    run_forward(&n, plan, 0, BATCH);
    assert_true(isfinite(*firn_plan_value(plan, NULL)));
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_plan_backward(plan), "nothing to train");
    assert_ok(n.ctx, firn_unfreeze(n.m, "head", NULL)); /* no forward is pending, so this is allowed */
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_plan_backward(plan), "firn_plan_forward");
    firn_plan_destroy(plan);
    finish(&n);
}

static void the_mask_cannot_change_between_forward_and_backward(void **state)
{
    (void)state;
    net n;
    build(&n, 1, NULL, 0);
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    const float bias[CLASSES] = {0};
    run_forward(&n, plan, 0, BATCH);
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_freeze(n.m, "conv1", NULL), "firn_freeze between forward backward");
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_unfreeze(n.m, "conv1", NULL), "between");
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_write(n.m, "head.bias", bias, CLASSES), "between");
    assert_ok(n.ctx, firn_plan_backward(plan));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    run_forward(&n, plan, 0, BATCH);
    firn_plan_forget(plan);
    assert_ok(n.ctx, firn_unfreeze(n.m, "conv1", NULL));
    firn_plan_destroy(plan);
    finish(&n);
}

static void depth_first_slices_and_layers_give_the_same_bits(void **state)
{
    (void)state;
    float expected[BATCH * CLASSES];
    for (int threads = 1; threads <= 8; threads++) {
        net n;
        build(&n, threads, NULL, 0.25f);
        firn_plan *deep = make_plan(&n, n.logits, FIRN_EVAL, false), *flat = make_plan(&n, n.logits, FIRN_EVAL, true);
        run_forward(&n, flat, 0, BATCH);
        if (threads == 1) memcpy(expected, firn_plan_value(flat, NULL), sizeof expected);
        assert_bits_equal(firn_plan_value(flat, NULL), expected, BATCH * CLASSES);
        run_forward(&n, deep, 0, BATCH);
        assert_bits_equal(firn_plan_value(deep, NULL), expected, BATCH * CLASSES);
        for (int first = 0; first < BATCH; first++)
            for (int rows = 1; first + rows <= BATCH; rows++) {
                run_forward(&n, deep, first, rows);
                assert_int_equal(firn_plan_rows(deep), rows);
                assert_bits_equal(firn_plan_value(deep, NULL), expected + first * CLASSES, (size_t)(rows * CLASSES));
            }
        firn_plan_destroy(deep);
        firn_plan_destroy(flat);
        finish(&n);
    }
}

static void an_evaluation_in_passes_gives_the_bits_of_single_rows(void **state)
{
    (void)state;
    enum { MANY = 150, IMAGE = 2 * SIDE * SIDE };
    net n;
    build(&n, 3, NULL, 0.25f);
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
    finish(&n);
}

static void an_output_of_rank_4_is_read_in_user_order(void **state)
{
    (void)state;
    net n;
    build(&n, 1, NULL, 0);
    firn_tensor *doubled = firn_scale(n.image, 2);
    firn_plan *plan = make_plan(&n, doubled, FIRN_EVAL, false);
    run_forward(&n, plan, 0, BATCH);
    const float *value = firn_plan_value(plan, NULL);
    for (size_t i = 0; i < sizeof n.pixels; i++) assert_close(value[i], 2 * n.pixels[i], 0, 0);
    firn_plan_destroy(plan);
    finish(&n);
}

static void cached_features_give_the_bits_of_the_whole_forward(void **state)
{
    (void)state;
    static const char *const frozen[] = {"conv1", "conv1,conv2", "conv1,conv2,fc1", "conv1,conv2,fc1,fc2", "*,!conv2,!fc2"};
    for (size_t f = 0; f < sizeof frozen / sizeof *frozen; f++) {
        net n;
        build(&n, 2, NULL, 0.25f);
        assert_ok(n.ctx, firn_freeze(n.m, frozen[f], NULL));
        firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
        const size_t bound = firn_plan_features_bound(plan, NULL);
        assert_true(bound > 0);
        gradients whole = take_gradients(&n, plan);
        unsigned char *packed = malloc(bound * BATCH);
        const void *rows[BATCH];
        assert_int_equal(firn_plan_features_pack(plan, 0, packed), 0); /* backward has reused their memory */
        run_forward(&n, plan, 0, BATCH);
        for (int i = 0; i < BATCH; i++) {
            const size_t used = firn_plan_features_pack(plan, i, packed + (size_t)i * bound);
            assert_true(used > 0 && used <= bound);
            rows[i] = packed + (size_t)i * bound;
        }
        /* something else in between */
        run_forward(&n, plan, 3, 2);
        assert_ok(n.ctx, firn_plan_backward(plan));
        firn_plan_set_step(plan, 5);
        const firn_feed feeds[] = {{"image", n.pixels}, {"label", n.labels}};
        assert_ok(n.ctx, firn_plan_forward_features(plan, rows, feeds, 2, BATCH));
        assert_bits_equal(firn_plan_value(plan, NULL), &whole.loss, 1);
        assert_ok(n.ctx, firn_plan_backward(plan));
        for (size_t i = 0; i < firn_tensor_count(n.m); i++) {
            const firn_tensor_info t = firn_tensor_at(n.m, i);
            if (whole.of[i] != NULL) assert_bits_equal(firn_plan_grad(plan, t.name), whole.of[i], (size_t)firn_shape_count(t.shape));
        }
        drop_gradients(&whole);
        free(packed);
        firn_plan_destroy(plan);
        finish(&n);
    }
}

static void the_features_version_follows_what_they_stand_on(void **state)
{
    (void)state;
    net n;
    const float bias[5] = {1, 2, 3, 4, 5};
    build(&n, 1, NULL, 0.25f);
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    const char *why;
    assert_int_equal(firn_plan_features_bound(plan, &why), 0);
    assert_string_equal(why, "nothing is frozen");
    assert_ok(n.ctx, firn_freeze(n.m, "conv2", NULL));
    assert_int_equal(firn_plan_features_bound(plan, &why), 0);
    assert_non_null(strstr(why, "conv1.weight"));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    const uint64_t version = firn_plan_features_version(plan);
    assert_ok(n.ctx, firn_write(n.m, "fc1.bias", (float[12]){0}, 12)); /* above the frontier */
    assert_true(firn_plan_features_version(plan) == version);
    assert_ok(n.ctx, firn_unfreeze(n.m, "conv2", NULL));
    assert_true(firn_plan_features_version(plan) != version);
    assert_ok(n.ctx, firn_freeze(n.m, "conv2", NULL));
    assert_true(firn_plan_features_version(plan) == version);
    assert_ok(n.ctx, firn_write(n.m, "conv1.bias", bias, 5));
    assert_true(firn_plan_features_version(plan) != version);
    firn_plan_destroy(plan);
    finish(&n);
}

static void freezing_costs_less_and_the_report_says_so_before_any_step(void **state)
{
    (void)state;
    net n;
    build(&n, 1, NULL, 0.25f);
    const size_t before = n.memory.bytes;
    assert_ok(n.ctx, firn_freeze(n.m, "conv1,conv2", NULL));
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    firn_cost now, all;
    const size_t handed_out = n.memory.bytes - before;
    assert_ok(n.ctx, firn_plan_cost(plan, &now, &all));
    assert_int_equal(now.bytes_arena + now.bytes_grads + now.bytes_packed + now.bytes_tables, handed_out);
    assert_true(now.flops_forward == all.flops_forward);
    assert_true(now.flops_grad_weight < all.flops_grad_weight && now.flops_grad_input < all.flops_grad_input);
    assert_true(now.bytes_saved < all.bytes_saved && now.bytes_grads < all.bytes_grads && now.bytes_arena < all.bytes_arena);
    const uint64_t linear = 2 * BATCH * (125 * 12 + 12 * 12 * 2 + 12 * CLASSES);
    assert_true(now.flops_grad_weight == linear + 0 || now.flops_grad_weight > linear); /* biases count one an element */
    assert_true(now.cache_bytes_per_sample >= 125 * sizeof(float));
    assert_int_equal(all.cache_bytes_per_sample, 0);
    /* the mask of the report is that of the next step, and re-planning agrees with it */
    assert_ok(n.ctx, firn_unfreeze(n.m, "*", NULL));
    assert_ok(n.ctx, firn_plan_cost(plan, &now, NULL));
    run_forward(&n, plan, 0, BATCH);
    assert_int_equal(now.bytes_arena + now.bytes_grads + now.bytes_packed + now.bytes_tables, n.memory.bytes - before);
    assert_true(now.flops_grad_weight == all.flops_grad_weight && now.bytes_arena == all.bytes_arena);
    firn_plan_destroy(plan);
    finish(&n);
}

/* The report in text, zero-terminated. */
static void report(net *n, const firn_plan *plan, char text[8192])
{
    FILE *out = tmpfile();
    assert_non_null(out);
    assert_ok(n->ctx, firn_plan_report(plan, out));
    rewind(out);
    text[fread(text, 1, 8191, out)] = '\0';
    fclose(out);
}

static void the_column_of_what_is_saved_adds_up(void **state)
{
    (void)state;
    static const char *const frozen[] = {"head.bias", "conv1", "conv1,conv2", "*,!head", "*"};
    char text[8192];
    for (size_t f = 0; f < sizeof frozen / sizeof *frozen; f++) {
        net n;
        build(&n, 1, NULL, 0.25f);
        assert_ok(n.ctx, firn_freeze(n.m, frozen[f], NULL));
        firn_plan *plan; /* of so many rows that their labels are more than the rounding */
        firn_cost now;
        assert_ok(n.ctx, firn_plan_create(&plan, n.loss, &(firn_plan_options){.batch = 2048, .watch = n.logits}));
        assert_ok(n.ctx, firn_plan_cost(plan, &now, NULL));
        report(&n, plan, text);
        double sum = 0, saved;
        int rows = 0;
        for (const char *line = strstr(text, "layer"); (line = strchr(line, '\n')) != NULL && *++line != '\n'; rows++) {
            assert_int_equal(sscanf(line, "%*s %*d %*d %*f %*f %*f %lf", &saved), 1);
            sum += saved;
        }
        assert_true(rows > 5);
        assert_close(sum, (double)now.bytes_saved / 1024, 0, 0.051 * rows);
        firn_plan_destroy(plan);
        finish(&n);
    }
}

static void what_only_a_user_reads_is_not_saved_for_backward(void **state)
{
    (void)state;
    net n;
    build(&n, 1, NULL, 0);
    firn_cost alone, watched;
    firn_plan *plan;
    assert_ok(n.ctx, firn_plan_create(&plan, n.loss, &(firn_plan_options){.batch = BATCH}));
    assert_ok(n.ctx, firn_plan_cost(plan, &alone, NULL));
    firn_plan_destroy(plan);
    plan = make_plan(&n, n.loss, FIRN_TRAIN, false); /* watches the logits */
    assert_ok(n.ctx, firn_plan_cost(plan, &watched, NULL));
    assert_true(alone.bytes_saved > 0);
    assert_int_equal(watched.bytes_saved, alone.bytes_saved);
    firn_plan_destroy(plan);
    finish(&n);
}

/* FREEZE F7 */
static void the_report_has_notes_on_what_may_not_be_meant(void **state)
{
    (void)state;
    char text[8192];
    net n;
    build(&n, 1, NULL, 0);
    assert_ok(n.ctx, firn_alias(n.m, "tied", firn_find(n.m, "fc1.weight")));
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    report(&n, plan, text);
    assert_null(strstr(text, "note:"));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1.weight,tied", NULL));
    report(&n, plan, text);
    assert_non_null(strstr(text, "note: conv1 is partly frozen\n"));
    assert_non_null(strstr(text, "note: fc1 is partly frozen\n"));
    assert_non_null(strstr(text, "note: fc1.weight and tied are one tensor, frozen\n"));
    assert_null(strstr(text, "nothing to train"));
    assert_ok(n.ctx, firn_freeze(n.m, "*", NULL));
    report(&n, plan, text);
    assert_null(strstr(text, "partly"));
    assert_non_null(strstr(text, "note: nothing to train: every parameter is frozen\n"));
    firn_plan_destroy(plan);
    finish(&n);
}

static void odd_rows_of_bytes_do_not_end_what_can_be_cached(void **state)
{
    (void)state;
    net n;
    build(&n, 1, NULL, 0);
    firn_tensor *odd = firn_input(n.m, "odd", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 27, 27));
    firn_tensor *x = firn_scale(firn_flatten(odd, 1), 1.0f / 255);
    x = firn_relu(firn_nn_linear(x, "below", &(firn_nn_linear_cfg){.out = 3}));
    x = firn_nn_linear(x, "above", &(firn_nn_linear_cfg){.out = CLASSES});
    firn_tensor *loss = firn_cross_entropy(x, n.label, NULL);
    const char *why = NULL;
    firn_plan *plan;
    assert_ok(n.ctx, firn_freeze(n.m, "below", NULL));
    assert_ok(n.ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.batch = BATCH, .features = true}));
    assert_true(firn_plan_features_bound(plan, &why) > 0);
    assert_string_equal(why, "");
    firn_plan_destroy(plan);
    finish(&n);
}

/* ---- an operator that makes bytes of a frozen weight ---- */
static firn_status bytes_shape(firn_op_build *b)
{
    *b->out = b->in[0];
    return FIRN_OK;
}
static void bytes_forward(const firn_op_run *r)
{
    memcpy(r->out->data, r->in[0].data, (size_t)firn_shape_count(r->in[0].shape));
}

static void features_of_odd_size_are_not_cached_and_the_reason_is_true(void **state)
{
    (void)state;
    static const firn_op bytes = {.name = "bytes", .n_in = 2, .shape = bytes_shape, .forward = bytes_forward};
    net n;
    build(&n, 1, NULL, 0);
    firn_tensor *odd = firn_input(n.m, "odd", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 5));
    firn_tensor *frozen = firn_param(n.m, "table", FIRN_SHAPE(2), (firn_init){0});
    firn_tensor *free_ = firn_param(n.m, "table2", FIRN_SHAPE(2), (firn_init){0});
    firn_tensor *x = firn_apply(&bytes, (firn_tensor *[]){odd, frozen}, NULL); /* deep, read by what is not pure */
    x = firn_scale(firn_apply(&bytes, (firn_tensor *[]){x, free_}, NULL), 1);
    const char *why = NULL;
    firn_plan *plan;
    assert_ok(n.ctx, firn_freeze(n.m, "table", NULL));
    assert_ok(n.ctx, firn_plan_create(&plan, x, &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH, .features = true}));
    assert_int_equal(firn_plan_features_bound(plan, &why), 0);
    assert_string_equal(why, "\"bytes\" has 5 bytes a sample, which is no whole number of floats");
    firn_plan_destroy(plan);
    finish(&n);
}

static void outputs_of_passes_have_no_second_copy(void **state)
{
    (void)state;
    enum { MANY = 150, IMAGE = 2 * SIDE * SIDE, PASS = 32, ALIGN = 64 };
    net n;
    build(&n, 1, NULL, 0);
    firn_plan *plan;
    firn_cost now;
    assert_ok(n.ctx,
              firn_plan_create(&plan, firn_scale(n.image, 2), &(firn_plan_options){.mode = FIRN_EVAL, .batch = MANY}));
    assert_ok(n.ctx, firn_plan_cost(plan, &now, NULL));
    assert_true(now.bytes_arena <= MANY * IMAGE * sizeof(float) + PASS * IMAGE * (1 + sizeof(float)) + 3 * ALIGN);
    firn_plan_destroy(plan);
    finish(&n);
}

static void a_step_after_the_first_allocates_nothing(void **state)
{
    (void)state;
    net n;
    build(&n, 2, NULL, 0.25f);
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    const size_t calls = n.memory.calls;
    for (int i = 0; i < 3; i++) {
        run_forward(&n, plan, i, BATCH - i);
        assert_ok(n.ctx, firn_plan_backward(plan));
    }
    assert_int_equal(n.memory.calls, calls);
    firn_plan_destroy(plan);
    finish(&n);
}

static void dropout_inside_an_evaluated_layer_is_off(void **state)
{
    (void)state;
    net n;
    build(&n, 1, NULL, 0.5f);
    firn_plan *train = make_plan(&n, n.loss, FIRN_TRAIN, false), *eval = make_plan(&n, n.loss, FIRN_EVAL, false);
    run_forward(&n, eval, 0, BATCH);
    run_forward(&n, train, 0, BATCH);
    firn_plan_forget(train);
    assert_true(*firn_plan_value(train, NULL) < *firn_plan_value(eval, NULL) || *firn_plan_value(train, NULL) > *firn_plan_value(eval, NULL));
    assert_ok(n.ctx, firn_freeze_eval(n.m, "drop,conv1", NULL));
    run_forward(&n, train, 0, BATCH);
    firn_plan_forget(train);
    assert_bits_equal(firn_plan_value(train, NULL), firn_plan_value(eval, NULL), 1);
    assert_true(firn_is_frozen(firn_find(n.m, "conv1.weight")));
    assert_ok(n.ctx, firn_unfreeze(n.m, "*", NULL));
    run_forward(&n, train, 0, BATCH);
    assert_true(*firn_plan_value(train, NULL) < *firn_plan_value(eval, NULL) || *firn_plan_value(train, NULL) > *firn_plan_value(eval, NULL));
    firn_plan_destroy(train);
    firn_plan_destroy(eval);
    finish(&n);
}

static void backward_draws_the_numbers_of_its_forward(void **state)
{
    (void)state;
    enum { WIDTH = 64 };
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1)), *y = firn_input(m, "y", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, WIDTH));
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
    build(&n, 1, NULL, 0);
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    run_forward(&n, plan, 0, BATCH);
    assert_ok(n.ctx, firn_plan_backward(plan));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    assert_null(firn_plan_grad(plan, "conv1.weight"));
    assert_non_null(firn_plan_grad(plan, "conv2.weight"));
    firn_plan_destroy(plan);
    finish(&n);
}

static void feeds_are_checked_before_anything_runs(void **state)
{
    (void)state;
    net n;
    build(&n, 1, NULL, 0);
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    const firn_feed image = {"image", n.pixels}, label = {"label", n.labels};
    assert_fails(n.ctx, FIRN_ERR_NAME, firn_plan_forward(plan, (firn_feed[]){image}, 1, BATCH), "label needed not fed");
    assert_fails(n.ctx, FIRN_ERR_NAME, firn_plan_forward(plan, (firn_feed[]){image, label, image}, 3, BATCH), "image twice");
    assert_fails(n.ctx, FIRN_ERR_NAME, firn_plan_forward(plan, (firn_feed[]){image, label, {"mask", n.labels}}, 3, BATCH), "mask");
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){image, {"label", NULL}}, 2, BATCH), "label NULL");
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){image, label}, 2, BATCH + 1), "rows 7 8");
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){image, label}, 2, 0), "rows");
    n.labels[3] = CLASSES;
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, (firn_feed[]){image, label}, 2, BATCH), "label row 3 4");
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_plan_backward(plan), "firn_plan_forward");
    firn_plan_destroy(plan);
    finish(&n);
}

static void a_refused_forward_leaves_nothing_to_read_or_to_go_back_through(void **state)
{
    (void)state;
    net n;
    build(&n, 1, NULL, 0);
    firn_plan *plan = make_plan(&n, n.loss, FIRN_TRAIN, false);
    run_forward(&n, plan, 0, BATCH);
    n.labels[3] = CLASSES;
    const firn_feed feeds[] = {{"image", n.pixels}, {"label", n.labels}};
    assert_fails(n.ctx, FIRN_ERR_ARGUMENT, firn_plan_forward(plan, feeds, 2, BATCH), "label");
    assert_null(firn_plan_value(plan, NULL));
    assert_fails(n.ctx, FIRN_ERR_STATE, firn_plan_backward(plan), "firn_plan_forward");
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    firn_plan_destroy(plan);
    finish(&n);
}

static void features_of_another_mask_are_not_packed(void **state)
{
    (void)state;
    net n;
    unsigned char room[1 << 14];
    build(&n, 1, NULL, 0);
    firn_plan *plan;
    assert_ok(n.ctx, firn_plan_create(&plan, n.logits, &(firn_plan_options){.mode = FIRN_EVAL, .batch = BATCH, .features = true}));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1", NULL));
    run_forward(&n, plan, 0, BATCH);
    assert_true(firn_plan_features_pack(plan, 0, room) > 0);
    assert_ok(n.ctx, firn_freeze(n.m, "conv2", NULL));
    assert_int_equal(firn_plan_features_pack(plan, 0, room), 0);
    run_forward(&n, plan, 0, BATCH);
    assert_true(firn_plan_features_pack(plan, 0, room) > 0);
    firn_plan_destroy(plan);
    finish(&n);
}

/* An operator of a user's that counts the batches it has seen in a state. */
static firn_status counting_shape(firn_op_build *b)
{
    *b->out = b->in[0];
    return FIRN_OK;
}

static void counting_forward(const firn_op_run *r)
{
    const size_t count = (size_t)firn_shape_count(r->out->shape);
    memcpy(r->out->data, r->in[0].data, count * sizeof(float));
    if (r->training && !(r->frozen >> 1 & 1)) ++*(float *)r->in[1].data;
}

static const firn_op counting_op = {.name = "counting",
                                    .n_in = 2,
                                    .no_grad = 1 << 1,
                                    .traits = FIRN_OP_BATCHMIX,
                                    .shape = counting_shape,
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mask_leaves_the_other_gradients_as_they_are),
        cmocka_unit_test(a_plan_with_nothing_to_train_runs_forward_and_refuses_backward),
        cmocka_unit_test(the_mask_cannot_change_between_forward_and_backward),
        cmocka_unit_test(depth_first_slices_and_layers_give_the_same_bits),
        cmocka_unit_test(an_evaluation_in_passes_gives_the_bits_of_single_rows),
        cmocka_unit_test(an_output_of_rank_4_is_read_in_user_order),
        cmocka_unit_test(cached_features_give_the_bits_of_the_whole_forward),
        cmocka_unit_test(the_features_version_follows_what_they_stand_on),
        cmocka_unit_test(freezing_costs_less_and_the_report_says_so_before_any_step),
        cmocka_unit_test(the_column_of_what_is_saved_adds_up),
        cmocka_unit_test(what_only_a_user_reads_is_not_saved_for_backward),
        cmocka_unit_test(the_report_has_notes_on_what_may_not_be_meant),
        cmocka_unit_test(odd_rows_of_bytes_do_not_end_what_can_be_cached),
        cmocka_unit_test(features_of_odd_size_are_not_cached_and_the_reason_is_true),
        cmocka_unit_test(outputs_of_passes_have_no_second_copy),
        cmocka_unit_test(a_step_after_the_first_allocates_nothing),
        cmocka_unit_test(dropout_inside_an_evaluated_layer_is_off),
        cmocka_unit_test(backward_draws_the_numbers_of_its_forward),
        cmocka_unit_test(a_tensor_frozen_after_backward_has_no_gradient),
        cmocka_unit_test(feeds_are_checked_before_anything_runs),
        cmocka_unit_test(a_refused_forward_leaves_nothing_to_read_or_to_go_back_through),
        cmocka_unit_test(features_of_another_mask_are_not_packed),
        cmocka_unit_test(an_operator_of_a_user_sees_mode_and_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
