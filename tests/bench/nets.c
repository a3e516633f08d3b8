#include "nets.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the nets ---- */

static firn_tensor *dense(firn_tensor *x, const char *name, int out)
{
    return firn_nn_linear(x, name, &(firn_nn_linear_cfg){.out = out});
}

static firn_tensor *mlp(firn_tensor *x, int classes)
{
    x = firn_flatten(x, 1);
    x = firn_relu(dense(x, "fc1", 512));
    x = firn_relu(dense(x, "fc2", 512));
    return dense(x, "fc3", classes);
}

/* Keras's mnist_transfer_cnn. */
static firn_tensor *transfer_cnn(firn_tensor *x, int classes)
{
    const firn_nn_conv2d_cfg conv = {.out = 32, .kernel = 3, .init = FIRN_INIT_KERAS};
    firn_tensor *features = firn_relu(firn_nn_conv2d(x, "features.0", &conv));
    features = firn_relu(firn_nn_conv2d(features, "features.2", &conv));
    features = firn_nn_dropout(firn_flatten(firn_max_pool2d(features, 2, 0), 1), "features.5", 0.25f);
    firn_tensor *head = firn_relu(firn_nn_linear(features, "head.0", &(firn_nn_linear_cfg){.out = 128, .init = FIRN_INIT_KERAS}));
    head = firn_nn_dropout(head, "head.2", 0.5f);
    return firn_nn_linear(head, "head.3", &(firn_nn_linear_cfg){.out = classes, .init = FIRN_INIT_KERAS});
}

/* LeCun et al. 1998, with relu and max pooling. */
static firn_tensor *lenet(firn_tensor *x, int classes)
{
    x = firn_relu(firn_nn_conv2d(x, "conv1", &(firn_nn_conv2d_cfg){.out = 6, .kernel = 5, .pad = 2}));
    x = firn_max_pool2d(x, 2, 0);
    x = firn_relu(firn_nn_conv2d(x, "conv2", &(firn_nn_conv2d_cfg){.out = 16, .kernel = 5}));
    x = firn_flatten(firn_max_pool2d(x, 2, 0), 1);
    x = firn_relu(dense(x, "fc1", 120));
    x = firn_relu(dense(x, "fc2", 84));
    return dense(x, "fc3", classes);
}

/* A convolution, with batch norm behind it or with a bias. */
static firn_tensor *conv(firn_tensor *x, const char *name, const char *norm, int out, int kernel, int stride)
{
    const firn_nn_conv2d_cfg how = {
        .out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .no_bias = norm != NULL};
    x = firn_nn_conv2d(x, name, &how);
    return norm != NULL ? firn_nn_batch_norm(x, norm, NULL) : x;
}

/* torchvision's BasicBlock (He et al. 2015). */
static firn_tensor *block(firn_tensor *x, const char *name, int out, int stride, bool norm)
{
    firn_model *m = firn_tensor_model(x);
    firn_scope_push(m, name);
    firn_tensor *y = firn_relu(conv(x, "conv1", norm ? "bn1" : NULL, out, 3, stride));
    y = conv(y, "conv2", norm ? "bn2" : NULL, out, 3, 1);
    if (stride > 1) x = conv(x, "downsample.0", norm ? "downsample.1" : NULL, out, 1, stride);
    firn_scope_pop(m);
    return firn_relu(firn_add(y, x));
}

static firn_tensor *residual(firn_tensor *x, int classes, bool norm)
{
    x = firn_relu(conv(x, "conv1", norm ? "bn1" : NULL, 16, 3, 1));
    x = block(x, "layer1.0", 16, 1, norm);
    x = block(x, "layer1.1", 16, 1, norm);
    x = block(x, "layer2.0", 32, 2, norm);
    x = block(x, "layer2.1", 32, 1, norm);
    x = block(x, "layer3.0", 64, 2, norm);
    x = block(x, "layer3.1", 64, 1, norm);
    return dense(firn_global_avg_pool2d(x), "fc", classes);
}

static firn_tensor *resnet(firn_tensor *x, int classes) { return residual(x, classes, false); }
static firn_tensor *resnet_bn(firn_tensor *x, int classes) { return residual(x, classes, true); }

#define RESNET_HALF "conv1,layer1,layer2.0"
const net nets[] = {
    {"mlp", "784-512-512-10", mlp, 128, {.kind = FIRN_SGD, .lr = 0.01f, .momentum = 0.9f}, "fc1", "fc3"},
    {"cnn",
     "the reference job's",
     transfer_cnn,
     128,
     {.kind = FIRN_ADADELTA, .lr = 1, .rho = 0.95f, .eps = 1e-7f},
     "features",
     "head.3"},
    {"lenet", "LeNet-5", lenet, 64, {.kind = FIRN_ADAM, .lr = 0.001f}, "conv1,conv2", "fc3"},
    {"resnet",
     "residual, 16-32-64 channels",
     resnet,
     64,
     {.kind = FIRN_SGD, .lr = 0.01f, .momentum = 0.9f},
     RESNET_HALF,
     "fc"},
    {"resnet_bn",
     "the same with batch norm",
     resnet_bn,
     64,
     {.kind = FIRN_SGD, .lr = 0.01f, .momentum = 0.9f},
     RESNET_HALF ",bn1",
     "fc"},
};
const size_t n_nets = sizeof nets / sizeof *nets;

const net *net_find(const char *name)
{
    for (size_t i = 0; i < n_nets; i++)
        if (strcmp(nets[i].name, name) == 0) return &nets[i];
    return NULL;
}

const char *const net_mode_names[NET_MODES] = {"full", "half", "last"};

firn_status net_freeze(const net *n, firn_model *m, net_mode mode)
{
    if (mode == NET_HALF) return firn_freeze_only(m, n->first_half, NULL);
    if (mode == NET_LAST) return firn_freeze_to(m, n->last_layer, NULL);
    return firn_unfreeze(m, "*", NULL);
}

net_model net_build(const net *n, firn_ctx *ctx, int classes)
{
    net_model made = {.model = firn_model_create(ctx)};
    firn_tensor *image = firn_input(made.model, "image", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 1, 28, 28));
    firn_tensor *label = firn_input(made.model, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    made.logits = n->logits(firn_scale(image, 1.0f / 255.0f), classes);
    made.loss = firn_cross_entropy(made.logits, label, NULL);
    return made;
}

/* ---- data ---- */

/* splitmix64 (Steele et al. 2014) */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A class is a bright bar of its own on a dim random ground, as dark around as a digit. */
net_data net_data_make(size_t count, int classes, bool dense)
{
    net_data d = {.count = count, .images = malloc(count * (net_pixels + 1))};
    if (d.images == NULL) return d;
    d.labels = d.images + count * net_pixels;
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
        d.labels[i] = (uint8_t)(next_random(&state) % (uint64_t)classes);
        for (int p = 0; p < net_pixels; p++) {
            const int row = p / 28, column = p % 28;
            const bool bar = row / 2 == d.labels[i] + 2 && column > 4 && column<23, ground = row> 4 && row < 23;
            const uint64_t noise = next_random(&state);
            uint8_t *pixel = &d.images[i * net_pixels + (size_t)p];
            *pixel = (uint8_t)(bar ? 128 + noise % 128 : ground && noise % 4 == 0 ? noise >> 57 : 0);
            if (dense && *pixel == 0) *pixel = 1;
        }
    }
    return d;
}

double net_seconds(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- a hash of what training makes ---- */

/* FNV-1a over the tensors' bits. */
static uint64_t hash_weights(const firn_model *m)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const firn_tensor_info t = firn_tensor_at(m, i);
        for (int64_t k = 0; k < firn_shape_count(t.shape); k++) {
            uint32_t bits;
            memcpy(&bits, &t.data[k], sizeof bits);
            for (int byte = 0; byte < 4; byte++) hash = (hash ^ (bits >> 8 * byte & 0xff)) * 0x100000001b3u;
        }
    }
    return hash;
}

static firn_status run_steps(firn_plan *plan, firn_optimizer *optimizer, int batch, int steps)
{
    net_data data = net_data_make((size_t)batch * 4, 10, false);
    if (data.images == NULL) return FIRN_ERR_MEMORY;
    firn_status st = FIRN_OK;
    for (int s = 0; st == FIRN_OK && s < steps; s++) {
        const size_t first = (size_t)batch * (size_t)(s % 4);
        const firn_feed feeds[] = {{"image", data.images + first * net_pixels}, {"label", data.labels + first}};
        st = firn_plan_forward(plan, feeds, 2, s + 1 == steps && batch > 3 ? batch - 3 : batch);
        if (st == FIRN_OK) st = firn_plan_backward(plan);
        if (st == FIRN_OK) st = firn_optimizer_step(optimizer, plan, 1);
    }
    free(data.images);
    return st;
}

firn_status net_hash(const net *n, const firn_ctx_options *how, int batch, int steps, uint64_t *hash)
{
    firn_ctx *ctx;
    firn_status st = firn_ctx_create(&ctx, how);
    if (st != FIRN_OK) return st;
    firn_plan *plan = NULL;
    firn_optimizer *optimizer = NULL;
    const net_model made = net_build(n, ctx, 10);
    st = firn_plan_create(&plan, made.loss, &(firn_plan_options){.batch = batch});
    if (st == FIRN_OK) st = firn_optimizer_create(&optimizer, made.model, &n->optim);
    if (st == FIRN_OK) st = run_steps(plan, optimizer, batch, steps);
    if (st == FIRN_OK) *hash = hash_weights(made.model);
    if (st != FIRN_OK) fprintf(stderr, "%s: %s\n", n->name, firn_message(ctx));
    firn_optimizer_destroy(optimizer);
    firn_plan_destroy(plan);
    firn_ctx_destroy(ctx);
    return st;
}
