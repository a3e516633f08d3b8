/* Nets that PyTorch trained give the same logits here. With a folder as argument the nets are fine-tuned instead, and
 * written for PyTorch to load: see make_roundtrip.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"

static firn_tensor *conv(firn_tensor *x, const char *name, int out, int kernel, int stride, int pad, bool bias)
{
    return firn_nn_conv2d(
        x, name, &(firn_nn_conv2d_cfg){.out = out, .kernel = kernel, .stride = stride, .pad = pad, .no_bias = !bias});
}

static firn_tensor *linear(firn_tensor *x, const char *name, int out)
{
    return firn_nn_linear(x, name, &(firn_nn_linear_cfg){.out = out});
}

static firn_tensor *mlp(firn_tensor *x)
{
    x = firn_relu(linear(firn_flatten(x, 1), "1", 48));
    return linear(firn_relu(linear(x, "3", 48)), "5", 10);
}

static firn_tensor *cnn(firn_tensor *x)
{
    x = firn_relu(conv(x, "features.0", 32, 3, 1, 0, true));
    x = firn_max_pool2d(firn_relu(conv(x, "features.2", 32, 3, 1, 0, true)), 2, 2);
    x = firn_flatten(firn_nn_dropout(x, "features.5", 0.25f), 1);
    x = firn_nn_dropout(firn_relu(linear(x, "head.1", 128)), "head.3", 0.5f);
    return linear(x, "head.4", 5);
}

static firn_tensor *block(firn_tensor *x, const char *name, int out, int stride)
{
    firn_model *m = firn_tensor_model(x);
    firn_scope_push(m, name);
    firn_tensor *y = firn_relu(firn_nn_batch_norm(conv(x, "conv1", out, 3, stride, 1, false), "bn1", NULL));
    y = firn_nn_batch_norm(conv(y, "conv2", out, 3, 1, 1, false), "bn2", NULL);
    if (stride > 1) x = firn_nn_batch_norm(conv(x, "down.0", out, 1, stride, 0, false), "down.1", NULL);
    firn_scope_pop(m);
    return firn_relu(firn_add(y, x));
}

static firn_tensor *residual(firn_tensor *x)
{
    x = firn_relu(firn_nn_batch_norm(conv(x, "conv", 8, 3, 1, 1, false), "bn", NULL));
    x = block(block(x, "layer1", 8, 1), "layer2", 16, 2);
    return linear(firn_flatten(firn_global_avg_pool2d(x), 1), "fc", 7);
}

typedef struct net {
    const char *name;
    firn_tensor *(*build)(firn_tensor *x);
    const char *freeze;        /* before fine-tuning */
    size_t tensors, converted; /* of its file */
    int classes;
} net;

static const net nets[] = {
    {"mlp", mlp, "1", 6, 0, 10},
    {"cnn", cnn, "features", 8, 8, 5},
    {"residual", residual, "conv,bn,layer1", 32, 0, 7},
};
enum { NETS = sizeof nets / sizeof *nets, ROWS = 6, PIXELS = 16 * 16 };

typedef struct built {
    firn_ctx *ctx;
    firn_model *m;
    firn_tensor *loss, *logits;
} built;

/* The net with its file loaded. */
static built load_net(const net *n)
{
    char path[1024];
    firn_load_report report;
    built b = {.ctx = test_ctx(NULL, 1, NULL)};
    b.m = firn_model_create(b.ctx);
    firn_tensor *x = firn_input(b.m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1, 16, 16));
    b.logits = n->build(x);
    b.loss = firn_cross_entropy(b.logits, firn_input(b.m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH)), NULL);
    snprintf(path, sizeof path, "%s/golden/roundtrip_%s.safetensors", FIRN_TESTS_DIR, n->name);
    assert_ok(b.ctx, firn_load(b.m, path, NULL, &report));
    assert_int_equal(report.loaded, n->tensors);
    assert_int_equal(report.converted, n->converted);
    assert_int_equal(report.unused, 0);
    return b;
}

/* ROWS rows; for free(). */
static float *logits_of(const built *b, int classes, const float *x)
{
    firn_plan *plan = NULL;
    const size_t bytes = (size_t)(ROWS * classes) * sizeof(float);
    float *out = malloc(bytes);
    assert_non_null(out);
    assert_ok(b->ctx, firn_plan_create(&plan, b->logits, &(firn_plan_options){.mode = FIRN_EVAL, .batch = ROWS}));
    assert_ok(b->ctx, firn_plan_forward(plan, &(firn_feed){"x", x}, 1, ROWS));
    memcpy(out, firn_plan_value(plan, b->logits), bytes);
    firn_plan_destroy(plan);
    return out;
}

static void pytorchs_nets_give_the_same_logits(void **state)
{
    (void)state;
    golden g = golden_open("roundtrip");
    for (size_t i = 0; i < NETS; i++) {
        built b = load_net(&nets[i]);
        float *y = logits_of(&b, nets[i].classes, golden_find(&g, "all", "x")->data);
        assert_golden(y, golden_find(&g, nets[i].name, "y"), 1e-5);
        free(y);
        firn_ctx_destroy(b.ctx);
    }
    golden_close(&g);
}

static void fine_tune(const built *b, const net *n)
{
    enum { SAMPLES = 40 };
    static float x[SAMPLES * PIXELS];
    static uint8_t labels[SAMPLES];
    test_fill(x, SAMPLES * PIXELS, 1, 0, 1);
    test_fill_bytes(labels, SAMPLES, 2, (unsigned)n->classes);
    const firn_feed feeds[] = {{"x", x}, {"label", labels}};
    const firn_dataset data = {SAMPLES, feeds, 2, NULL};
    firn_trainer *t = NULL;
    assert_ok(b->ctx, firn_freeze(b->m, n->freeze, NULL));
    assert_ok(b->ctx,
              firn_trainer_create(&t, b->loss, b->logits, &(firn_trainer_options){.batch = 8, .optim = firn_adam(0.01f)}));
    assert_ok(b->ctx, firn_fit(t, &data, &(firn_fit_options){.epochs = 2}));
    firn_trainer_destroy(t);
}

static void write_floats(const char *path, const float *x, size_t count)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(x, sizeof *x, count, f), count);
    assert_int_equal(fclose(f), 0);
}

static const char *folder;

/* The images are in folder/x. */
static void nets_are_fine_tuned_for_pytorch(void **state)
{
    (void)state;
    char path[1024];
    static float x[ROWS * PIXELS];
    snprintf(path, sizeof path, "%s/x", folder);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(x, sizeof *x, ROWS * PIXELS, f), ROWS * PIXELS);
    fclose(f);
    for (size_t i = 0; i < NETS; i++) {
        built b = load_net(&nets[i]);
        fine_tune(&b, &nets[i]);
        snprintf(path, sizeof path, "%s/%s.safetensors", folder, nets[i].name);
        assert_ok(b.ctx, firn_save(b.m, path));
        float *y = logits_of(&b, nets[i].classes, x);
        snprintf(path, sizeof path, "%s/%s.logits", folder, nets[i].name);
        write_floats(path, y, (size_t)(ROWS * nets[i].classes));
        free(y);
        firn_ctx_destroy(b.ctx);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pytorchs_nets_give_the_same_logits)},
                            tuning[] = {cmocka_unit_test(nets_are_fine_tuned_for_pytorch)};
    if (argc < 2) return cmocka_run_group_tests_name("round trip", tests, NULL, NULL);
    folder = argv[1];
    return cmocka_run_group_tests_name("round trip", tuning, NULL, NULL);
}
