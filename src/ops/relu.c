#include <firn/ops.h>

#include "ops.h"
#include "vector.h"

static firn_status relu_shape(firn_op_build *b)
{
    const firn_status st = firn__op_need_f32(b, 1);
    if (st != FIRN_OK) return st;
    *b->out = b->in[0];
    const int64_t bits = firn__vector_bits_bytes(firn__op_per_sample(b->in[0].shape));
    return firn__op_reserve(b, &b->saved_bytes, firn__op_samples(b->in[0].shape), bits, 1);
}

static void relu_forward(const firn_op_run *r)
{
    const firn_shape s = r->in[0].shape;
    const firn__relu_args a = {firn__op_per_sample(s), r->in[0].data, r->out->data, r->saved};
    firn__vector_relu(firn__op_crew(r), firn__op_samples(s), &a);
}

static void relu_backward(const firn_op_run *r)
{
    const firn_shape s = r->dout->shape;
    const firn__relu_grad_args a = {firn__op_per_sample(s), r->saved, r->dout->data, r->din[0].data};
    firn__vector_relu_grad(firn__op_crew(r), firn__op_samples(s), &a);
}

const firn_op firn__op_relu = {
    .name = "relu",
    .n_in = 1,
    .traits = FIRN_OP_INPLACE,
    .shape = relu_shape,
    .forward = relu_forward,
    .backward = relu_backward,
    .reads = {FIRN_READS_SAVED},
};

firn_tensor *firn_relu(firn_tensor *x) { return firn_apply(&firn__op_relu, &x, NULL); }
