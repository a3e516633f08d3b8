#include "small_net.h"

const char *const net_param[NET_PARAMS] = {"a.weight", "a.bias", "b.weight", "b.bias"};

const optim_case optim_cases[] = {
    {"sgd", {.kind = FIRN_SGD, .lr = 0.1f}},
    {"sgd, decay and clip", {.kind = FIRN_SGD, .lr = 0.1f, .weight_decay = 0.05f, .clip_norm = 0.3f}},
    {"sgd, momentum", {.kind = FIRN_SGD, .lr = 0.05f, .momentum = 0.9f, .weight_decay = 0.01f}},
    {"sgd, nesterov", {.kind = FIRN_SGD, .lr = 0.05f, .momentum = 0.8f, .nesterov = true, .clip_norm = 0.5f}},
    {"adam", {.kind = FIRN_ADAM, .lr = 0.01f}},
    {"adam, decay", {.kind = FIRN_ADAM, .lr = 0.01f, .weight_decay = 0.1f, .clip_norm = 0.2f}},
    {"adamw", {.kind = FIRN_ADAMW, .lr = 0.01f, .weight_decay = 0.1f, .beta1 = 0.8f, .beta2 = 0.95f}},
    {"adadelta", {.kind = FIRN_ADADELTA, .lr = 1.0f, .rho = 0.95f, .eps = 1e-7f}},
    {"adadelta, decay", {.kind = FIRN_ADADELTA, .weight_decay = 0.05f, .clip_norm = 0.4f}},
    {"rmsprop", {.kind = FIRN_RMSPROP, .lr = 0.01f}},
    {"rmsprop, momentum", {.kind = FIRN_RMSPROP, .lr = 0.01f, .momentum = 0.7f, .weight_decay = 0.02f, .clip_norm = 0.5f}},
};
const size_t n_optim_cases = sizeof optim_cases / sizeof *optim_cases;

void net_open(small_net *net, const firn_optim *how)
{
    *net = (small_net){.memory = {0}};
    net->ctx = test_ctx(&net->memory, 1, NULL);
    net->m = firn_model_create(net->ctx);
    firn_tensor *x = firn_input(net->m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, NET_IN));
    firn_tensor *y = firn_input(net->m, "y", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, NET_OUT));
    firn_tensor *h = firn_relu(firn_nn_linear(x, "a", &(firn_nn_linear_cfg){.out = NET_HIDDEN}));
    firn_tensor *loss = firn_mse(firn_nn_linear(h, "b", &(firn_nn_linear_cfg){.out = NET_OUT}), y);
    assert_ok(net->ctx, firn_plan_create(&net->plan, loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = NET_ROWS}));
    assert_ok(net->ctx, firn_optimizer_create(&net->o, net->m, how));
    test_fill(net->x, NET_ROWS * NET_IN, 11, -1, 1);
    test_fill(net->y, NET_ROWS * NET_OUT, 12, -2, 2);
}

void net_close(small_net *net)
{
    firn_optimizer_destroy(net->o);
    firn_plan_destroy(net->plan);
    firn_ctx_destroy(net->ctx);
    assert_all_freed(&net->memory);
}

void net_gradients(small_net *net, int begin, int rows)
{
    const firn_feed feeds[] = {{"x", net->x + begin * NET_IN}, {"y", net->y + begin * NET_OUT}};
    assert_ok(net->ctx, firn_plan_forward(net->plan, feeds, 2, rows));
    assert_ok(net->ctx, firn_plan_backward(net->plan));
}

void net_step(small_net *net)
{
    net_gradients(net, 0, NET_ROWS);
    assert_ok(net->ctx, firn_optimizer_step(net->o, net->plan, 1));
}

size_t net_count(const small_net *net, int param)
{
    return (size_t)firn_shape_count(firn_tensor_shape(firn_find(net->m, net_param[param])));
}

const float *net_data(const small_net *net, int param) { return firn_data(firn_find(net->m, net_param[param])); }
