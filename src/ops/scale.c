#include <firn/ops.h>

#include "ops.h"
#include "vector.h"

typedef struct scale_attr {
    float factor;
} scale_attr;

static firn_status scale_shape(firn_op_build *b)
{
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = b->in[0].shape};
    return FIRN_OK;
}

static void scale_by(const firn_op_run *r, const firn_view *x, const firn_view *y)
{
    const firn__scale_args a = {x->data, x->dtype, ((const scale_attr *)r->attr)->factor, y->data};
    firn__vector_scale(firn__op_crew(r), firn_shape_count(x->shape), &a);
}

static void scale_forward(const firn_op_run *r) { scale_by(r, &r->in[0], r->out); }
static void scale_backward(const firn_op_run *r) { scale_by(r, r->dout, &r->din[0]); }

const firn_op firn__op_scale = {
    .name = "scale",
    .n_in = 1,
    .traits = FIRN_OP_INPLACE,
    .attr_bytes = sizeof(scale_attr),
    .shape = scale_shape,
    .forward = scale_forward,
    .backward = scale_backward,
};

firn_tensor *firn_scale(firn_tensor *x, float factor) { return firn_apply(&firn__op_scale, &x, &(scale_attr){factor}); }
