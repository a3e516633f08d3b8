/* The report's FLOPs against what the kernels of products were asked to do: the linker puts the functions below in front
 * of the library's (--wrap). */
#include "kernels.h"
#include "layout.h"
#include "run.h"
#include "support.h"

static uint64_t counted;

void __real_firn__gemm(firn__crew crew, const firn__gemm_args *g);
void __wrap_firn__gemm(firn__crew crew, const firn__gemm_args *g);
void __wrap_firn__gemm(firn__crew crew, const firn__gemm_args *g)
{
    counted += (uint64_t)(2 * g->m * g->n * g->k);
    __real_firn__gemm(crew, g);
}

static uint64_t conv_flops(const firn__conv_args *v) { return (uint64_t)(2 * v->n * v->o * v->oh * v->ow * (v->c / v->groups) * v->kh * v->kw); }

void __real_firn__conv_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                               const firn__epilogue_args *epilogue, void *scratch);
void __wrap_firn__conv_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                               const firn__epilogue_args *epilogue, void *scratch);
void __wrap_firn__conv_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                               const firn__epilogue_args *epilogue, void *scratch)
{
    counted += conv_flops(v);
    __real_firn__conv_forward(crew, v, x, packed, y, epilogue, scratch);
}

void __real_firn__conv_dx(firn__crew crew, const firn__conv_args *v, const float *dy, const float *packed, float *dx, void *scratch);
void __wrap_firn__conv_dx(firn__crew crew, const firn__conv_args *v, const float *dy, const float *packed, float *dx, void *scratch);
void __wrap_firn__conv_dx(firn__crew crew, const firn__conv_args *v, const float *dy, const float *packed, float *dx, void *scratch)
{
    counted += conv_flops(v);
    __real_firn__conv_dx(crew, v, dy, packed, dx, scratch);
}

void __real_firn__conv_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db, void *scratch);
void __wrap_firn__conv_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db, void *scratch);
void __wrap_firn__conv_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db, void *scratch)
{
    counted += dw != NULL ? conv_flops(v) : 0;
    __real_firn__conv_dw(crew, v, x, dy, dw, db, scratch);
}

/* The products' share of the lists that the report is made of. */
static uint64_t promised(const firn_plan *plan)
{
    uint64_t flops = 0;
    for (int i = 0; i < plan->layout.n_items; i++) {
        const firn__item *item = &plan->layout.items[i];
        if (item->op->traits & FIRN_OP_EPILOGUE) flops += item->flops + item->flops_weight + item->flops_input;
    }
    return flops;
}

static void the_kernels_do_the_products_that_the_report_promises(void **state)
{
    (void)state;
    enum { BATCH = 5 };
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 4, 9, 9));
    firn_tensor *label = firn_input(m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    x = firn_relu(firn_nn_conv2d(x, "c1", &(firn_nn_conv2d_cfg){.out = 6, .kernel = 3, .stride = 2, .groups = 2}));
    x = firn_relu(firn_nn_conv2d(x, "c2", &(firn_nn_conv2d_cfg){.out = 8, .kernel = 3, .pad = 1}));
    x = firn_relu(firn_nn_linear(firn_flatten(x, 1), "fc1", &(firn_nn_linear_cfg){.out = 10}));
    x = firn_nn_linear(x, "fc2", &(firn_nn_linear_cfg){.out = 3});
    firn_tensor *loss = firn_cross_entropy(x, label, NULL);
    firn_plan *plan;
    assert_ok(ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = BATCH}));
    float pixels[BATCH * 4 * 81];
    test_fill(pixels, BATCH * 4 * 81, 1, -1, 1);
    const uint8_t labels[BATCH] = {0, 1, 2, 1, 0};
    const firn_feed feeds[] = {{"x", pixels}, {"label", labels}};
    static const char *const masks[] = {"!*", "c1", "c1,c2", "c1,c2,fc1", "c2", "fc1", "*.weight", "*.bias", "c2.weight,fc2"};
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        firn_cost cost;
        assert_ok(ctx, firn_freeze_only(m, masks[i], NULL));
        assert_ok(ctx, firn_plan_cost(plan, &cost, NULL));
        counted = 0;
        assert_ok(ctx, firn_plan_forward(plan, feeds, 2, BATCH));
        assert_ok(ctx, firn_plan_backward(plan));
        uint64_t bias = 0; /* the gradient of a bias is no product: one FLOP for each element it sums */
        for (int k = 0; k < plan->layout.n_items; k++) {
            const firn__item *item = &plan->layout.items[k];
            firn_view views[FIRN_OP_MAX_IN + 1];
            const firn_op_build b = firn__item_build(&plan->layout, item, BATCH, views);
            if ((item->op->traits & FIRN_OP_EPILOGUE) && (item->want & 4)) bias += item->op->flops(&b, 2);
        }
        assert_true(counted + bias == promised(plan));
        assert_true(promised(plan) <= cost.flops_forward + cost.flops_grad_weight + cost.flops_grad_input);
    }
    firn_plan_destroy(plan);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_kernels_do_the_products_that_the_report_promises)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
