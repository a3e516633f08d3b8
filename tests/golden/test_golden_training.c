/* Ten steps of every optimizer against PyTorch in double precision: the loss of each step, the parameters at the end. */
#include <firn/firn.h>
#include <stdio.h>
#include <string.h>

#include "golden.h"

enum { STEPS = 10, BATCH = 6, IMAGE = 64 };

static golden training;

static firn_tensor *mlp(firn_tensor *x)
{
    x = firn_relu(firn_nn_linear(firn_flatten(x, 1), "fc1", &(firn_nn_linear_cfg){.out = 12}));
    return firn_nn_linear(x, "fc2", &(firn_nn_linear_cfg){.out = 4});
}

static firn_tensor *cnn(firn_tensor *x)
{
    x = firn_nn_conv2d(x, "conv", &(firn_nn_conv2d_cfg){.out = 5, .kernel = 3, .pad = 1});
    x = firn_flatten(firn_max_pool2d(firn_relu(x), 2, 0), 1);
    return firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = 4});
}

static const struct net_row {
    const char *name;
    firn_tensor *(*build)(firn_tensor *x);
} net_rows[] = {{"mlp", mlp}, {"cnn", cnn}};

/* The order is that of FIELDS in make_golden.py. */
static firn_optim config_of(const golden_array *config)
{
    const float *v = config->data;
    return (firn_optim){.kind = (firn_optim_kind)v[0],
                        .lr = v[1],
                        .momentum = v[2],
                        .beta1 = v[3],
                        .beta2 = v[4],
                        .rho = v[5],
                        .eps = v[6],
                        .weight_decay = v[7],
                        .clip_norm = v[8],
                        .nesterov = v[9] > 0};
}

static void set_to_start(firn_model *m, const char *net)
{
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const char *name = firn_tensor_at(m, i).name;
        const golden_array *start = golden_find(&training, net, name);
        assert_non_null(start);
        assert_ok(firn_model_ctx(m), firn_write(m, name, start->data, start->count));
    }
}

static void train(firn_ctx *ctx, const struct net_row *net, const char *id)
{
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1, 8, 8));
    firn_tensor *label = firn_input(m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *loss = firn_cross_entropy(net->build(x), label, NULL);
    set_to_start(m, net->name);
    firn_plan *plan = NULL;
    firn_optimizer *optimizer = NULL;
    assert_ok(ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = BATCH}));
    const firn_optim how = config_of(golden_find(&training, id, "config"));
    assert_ok(ctx, firn_optimizer_create(&optimizer, m, &how));

    const float *images = training.arrays[0].data, *classes = training.arrays[1].data;
    float losses[STEPS];
    for (int step = 0; step < STEPS; step++) {
        uint8_t labels[BATCH];
        for (int i = 0; i < BATCH; i++) labels[i] = (uint8_t)classes[step * BATCH + i];
        const firn_feed feeds[] = {{"x", images + step * BATCH * IMAGE}, {"label", labels}};
        assert_ok(ctx, firn_plan_forward(plan, feeds, 2, BATCH));
        losses[step] = *firn_plan_value(plan, NULL);
        assert_ok(ctx, firn_plan_backward(plan));
        assert_ok(ctx, firn_optimizer_step(optimizer, plan, 1.0f));
    }
    assert_golden(losses, golden_find(&training, id, "losses"), 1e-4);
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const firn_tensor_info t = firn_tensor_at(m, i);
        assert_golden(t.data, golden_find(&training, id, t.name), 1e-4);
    }
    firn_optimizer_destroy(optimizer);
    firn_plan_destroy(plan);
}

static void ten_steps_agree_with_pytorch(void **state)
{
    const struct net_row *net = *state;
    for (const char *const *isa = test_isas(); *isa; isa++) {
        firn_ctx *ctx = test_ctx(NULL, 2, *isa);
        int configs = 0;
        for (size_t i = 0; i < training.count; i++) {
            char *dot, id[64];
            snprintf(id, sizeof id, "%s", training.arrays[i].name);
            if ((dot = strstr(id, ".config")) == NULL) continue;
            *dot = '\0';
            if (strstr(id, net->name) == NULL) continue;
            print_message("%s %s\n", id, *isa);
            train(ctx, net, id);
            configs++;
        }
        assert_int_equal(configs, 12);
        firn_ctx_destroy(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"ten_steps_of_an_mlp_agree_with_pytorch", ten_steps_agree_with_pytorch, NULL, NULL, (void *)(uintptr_t)&net_rows[0]},
        {"ten_steps_of_a_cnn_agree_with_pytorch", ten_steps_agree_with_pytorch, NULL, NULL, (void *)(uintptr_t)&net_rows[1]},
    };
    training = golden_open("training");
    const int failed = cmocka_run_group_tests_name("golden training", tests, NULL, NULL);
    golden_close(&training);
    return failed;
}
