#include <string.h>

#include <firn/ops.h>

#include "ops.h"
#include "vector.h"

static firn_status add_shape(firn_op_build *b)
{
    const firn_status st = firn__op_need_f32(b, 3);
    if (st != FIRN_OK) return st;
    if (!firn_shape_equal(b->in[0].shape, b->in[1].shape))
        return firn_op_fail(b, FIRN_ERR_SHAPE, "the shapes of a and b must be equal");
    *b->out = b->in[0];
    return FIRN_OK;
}

static void add_forward(const firn_op_run *r)
{
    const firn__combine_args a = {r->in[0].data, r->in[1].data, 1, 1, r->out->data};
    firn__vector_combine(firn__op_crew(r), firn_shape_count(r->out->shape), &a);
}

static void add_backward(const firn_op_run *r)
{
    const size_t bytes = (size_t)firn_shape_count(r->dout->shape) * sizeof(float);
    for (int i = 1; i >= 0; i--)
        if (r->din[i].data != NULL && r->din[i].data != r->dout->data) memcpy(r->din[i].data, r->dout->data, bytes);
}

const firn_op firn__op_add = {
    .name = "add",
    .n_in = 2,
    .traits = FIRN_OP_INPLACE,
    .shape = add_shape,
    .forward = add_forward,
    .backward = add_backward,
};

firn_tensor *firn_add(firn_tensor *a, firn_tensor *b) { return firn_apply(&firn__op_add, (firn_tensor *[]){a, b}, NULL); }
