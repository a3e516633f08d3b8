#include "small_net.h"

#include <stdlib.h>
#include <string.h>

void net_build(net *n, int threads, const char *isa, float dropout)
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

void net_finish(net *n)
{
    firn_ctx_destroy(n->ctx);
    assert_all_freed(&n->memory);
}

firn_plan *net_plan(net *n, firn_tensor *root, firn_mode mode, bool layer_by_layer)
{
    firn_plan *plan;
    assert_ok(n->ctx, firn_plan_create(&plan, root,
                                       &(firn_plan_options){.mode = mode,
                                                            .batch = BATCH,
                                                            .watch = root == n->loss ? n->logits : NULL,
                                                            .features = true,
                                                            .layer_by_layer = layer_by_layer}));
    return plan;
}

void net_forward(net *n, firn_plan *plan, int first, int rows)
{
    const firn_feed feeds[] = {{"image", n->pixels + first * 2 * SIDE * SIDE}, {"label", n->labels + first}};
    assert_ok(n->ctx, firn_plan_forward(plan, feeds, 2, rows));
}

gradients net_gradients(net *n, firn_plan *plan)
{
    gradients g = {.loss = 0};
    firn_plan_set_step(plan, 5);
    net_forward(n, plan, 0, BATCH);
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

void gradients_free(gradients *g)
{
    for (int i = 0; i < 16; i++) free(g->of[i]);
}
