#include <firn/ops.h>

#include "ops.h"
#include "vector.h"

static int64_t softmax_columns(firn_shape s) { return s.dim[s.rank - 1]; }
static int64_t softmax_rows(firn_shape s) { return firn_shape_count(s) / softmax_columns(s); }

static firn_status softmax_shape(firn_op_build *b)
{
    const firn_shape x = b->in[0].shape;
    if (x.rank < 1 || x.dim[x.rank - 1] == FIRN_BATCH)
        return firn_op_fail(b, FIRN_ERR_SHAPE, "x must have a last dimension that is not the batch");
    if (x.rank == 4) return firn_op_fail(b, FIRN_ERR_SHAPE, "x must not be an image: firn_reshape() it to rank 2 or 3");
    *b->out = b->in[0];
    return firn__op_need_f32(b, 1);
}

static void softmax_forward(const firn_op_run *r)
{
    const firn_shape s = r->in[0].shape;
    const firn__softmax_args a = {softmax_columns(s), r->in[0].data, r->out->data};
    firn__vector_softmax(firn__op_crew(r), softmax_rows(s), &a);
}

static void softmax_backward(const firn_op_run *r)
{
    const firn_shape s = r->dout->shape;
    const firn__softmax_grad_args a = {softmax_columns(s), r->out->data, r->dout->data, r->din[0].data};
    firn__vector_softmax_grad(firn__op_crew(r), softmax_rows(s), &a);
}

const firn_op firn__op_softmax = {
    .name = "softmax",
    .n_in = 1,
    .traits = FIRN_OP_INPLACE,
    .shape = softmax_shape,
    .forward = softmax_forward,
    .backward = softmax_backward,
    .reads = {FIRN_READS_OUT},
};

firn_tensor *firn_softmax(firn_tensor *x) { return firn_apply(&firn__op_softmax, &x, NULL); }
