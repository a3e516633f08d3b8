#include <firn/ops.h>

#include "ops.h"
#include "vector.h"

static firn_status mse_shape(firn_op_build *b)
{
    const firn_status st = firn__op_need_f32(b, 3);
    if (st != FIRN_OK) return st;
    if (!firn_shape_equal(b->in[0].shape, b->in[1].shape))
        return firn_op_fail(b, FIRN_ERR_SHAPE, "the shapes of x and target must be equal");
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = FIRN_SCALAR};
    return FIRN_OK;
}

static void mse_forward(const firn_op_run *r)
{
    const int64_t count = firn_shape_count(r->in[0].shape);
    const double sum = firn__vector_sum_of_squares(firn__op_crew(r), count, r->in[0].data, r->in[1].data);
    *(float *)r->out->data = (float)(sum / (double)count);
}

static void mse_backward(const firn_op_run *r)
{
    const int64_t count = firn_shape_count(r->in[0].shape);
    const float factor = (float)(2.0 * (double)*(const float *)r->dout->data / (double)count);
    for (int i = 0; i < 2; i++) {
        if (r->din[i].data == NULL) continue;
        const firn__combine_args a = {r->in[0].data, r->in[1].data, -1, i == 0 ? factor : -factor, r->din[i].data};
        firn__vector_combine(firn__op_crew(r), count, &a);
    }
}

static uint64_t mse_flops(const firn_op_build *b, int grad_of)
{
    (void)grad_of;
    return 3 * (uint64_t)firn_shape_count(b->in[0].shape);
}

const firn_op firn__op_mse = {
    .name = "mse",
    .n_in = 2,
    .traits = FIRN_OP_BATCHMIX,
    .shape = mse_shape,
    .forward = mse_forward,
    .backward = mse_backward,
    .reads = {FIRN_READS_IN(0) | FIRN_READS_IN(1), FIRN_READS_IN(0) | FIRN_READS_IN(1)},
    .flops = mse_flops,
};

firn_tensor *firn_mse(firn_tensor *x, firn_tensor *target)
{
    return firn_apply(&firn__op_mse, (firn_tensor *[]){x, target}, NULL);
}
