#include "nets.h"

#include <string.h>

static firn_tensor *mlp(firn_tensor *x)
{
    x = firn_relu(firn_nn_linear(firn_flatten(x, 1), "fc1", &(firn_nn_linear_cfg){.out = 24}));
    x = firn_nn_dropout(x, "dropout", 0.3f);
    x = firn_relu(firn_nn_linear(x, "fc2", &(firn_nn_linear_cfg){.out = 17}));
    return firn_nn_linear(x, "fc3", &(firn_nn_linear_cfg){.out = 4});
}

static firn_tensor *tied(firn_tensor *x)
{
    const firn_nn_conv2d_cfg conv = {.out = 6, .kernel = 3, .pad = 1};
    x = firn_relu(firn_nn_conv2d(x, "first", &conv));
    x = firn_max_pool2d(firn_relu(firn_nn_conv2d(x, "tied", &conv)), 2, 0);
    x = firn_nn_dropout(firn_relu(firn_nn_conv2d(x, "tied", &conv)), "dropout", 0.2f);
    return firn_nn_linear(firn_flatten(x, 1), "head", &(firn_nn_linear_cfg){.out = 4});
}

static firn_tensor *residual(firn_tensor *x)
{
    const firn_nn_conv2d_cfg same = {.out = 8, .kernel = 3, .pad = 1, .no_bias = true};
    x = firn_nn_conv2d(x, "stem", &(firn_nn_conv2d_cfg){.out = 8, .kernel = 3, .stride = 2, .pad = 1});
    firn_tensor *y = firn_relu(firn_nn_batch_norm(firn_nn_conv2d(x, "conv1", &same), "bn1", NULL));
    y = firn_nn_conv2d(y, "conv2", &(firn_nn_conv2d_cfg){.out = 8, .kernel = 3, .pad = 1, .groups = 4});
    x = firn_relu(firn_add(x, firn_nn_batch_norm(y, "bn2", NULL)));
    return firn_nn_linear(firn_global_avg_pool2d(x), "head", &(firn_nn_linear_cfg){.out = 4});
}

const net_row net_rows[] = {{"mlp", mlp}, {"tied", tied}, {"residual", residual}, {NULL, NULL}};

net net_build(firn_ctx *ctx, const net_row *row)
{
    net n = {.model = firn_model_create(ctx)};
    firn_tensor *x = firn_input(n.model, "x", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 1, 10, 9));
    firn_tensor *label = firn_input(n.model, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    n.logits = row->build(firn_scale(x, 1.0f / 255.0f));
    n.loss = firn_cross_entropy(n.logits, label, NULL);
    return n;
}

const firn_feed *net_feeds(int index)
{
    static uint8_t images[NET_BATCH][90], labels[NET_BATCH];
    static const firn_feed feeds[NET_FEEDS] = {{"x", images}, {"label", labels}};
    uint32_t state = 12345u + (uint32_t)index * 7919u;
    for (int i = 0; i < NET_BATCH; i++) {
        labels[i] = (uint8_t)((i + index) % 4);
        for (int p = 0; p < 90; p++) {
            state = state * 1664525u + 1013904223u; /* Numerical Recipes' quick generator */
            images[i][p] = (uint8_t)((state >> 25) + (p % 4 == labels[i] ? 100u : 0u));
        }
    }
    return feeds;
}

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
uint64_t net_hash(const firn_model *m)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const firn_tensor_info t = firn_tensor_at(m, i);
        const unsigned char *byte = (const unsigned char *)t.data;
        for (size_t b = 0, n = (size_t)firn_shape_count(t.shape) * sizeof(float); b < n; b++)
            hash = (hash ^ byte[b]) * 0x100000001b3u;
    }
    return hash;
}

firn_status net_train(const net *n, const firn_optim *how, const char *frozen, int steps)
{
    firn_plan *plan = NULL;
    firn_optimizer *optimizer = NULL;
    firn_status st = frozen ? firn_freeze(n->model, frozen, NULL) : FIRN_OK;
    if (st == FIRN_OK) st = firn_plan_create(&plan, n->loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = NET_BATCH});
    if (st == FIRN_OK) st = firn_optimizer_create(&optimizer, n->model, how);
    for (int step = 0; st == FIRN_OK && step < steps; step++) {
        /* The last batch is a partial one. */
        const int rows = step == steps - 1 ? NET_BATCH - 5 : NET_BATCH;
        st = firn_plan_forward(plan, net_feeds(step), NET_FEEDS, rows);
        if (st == FIRN_OK) st = firn_plan_backward(plan);
        if (st == FIRN_OK) st = firn_optimizer_step(optimizer, plan, 1.0f);
    }
    firn_optimizer_destroy(optimizer);
    firn_plan_destroy(plan);
    return st;
}
