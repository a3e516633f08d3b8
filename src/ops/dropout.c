#include <firn/ops.h>

#include "ops.h"
#include "vector.h"

typedef struct dropout_attr {
    float p;
} dropout_attr;

static firn_status dropout_shape(firn_op_build *b)
{
    const float p = ((const dropout_attr *)b->attr)->p;
    if (!(p >= 0 && p < 1)) return firn_op_fail(b, FIRN_ERR_ARGUMENT, "p must be at least 0 and below 1");
    const firn_status st = firn__op_need_f32(b, 1);
    *b->out = b->in[0];
    return st;
}

static const firn_op *dropout_resolve(const firn_op_build *b)
{
    return !b->training || ((const dropout_attr *)b->attr)->p <= 0 ? &firn__op_dropout_off : NULL;
}

static void drop_elements(const firn_op_run *r, const firn_view *x, const firn_view *y)
{
    const firn__dropout_args a = {x->data, y->data, ((const dropout_attr *)r->attr)->p, r->rng_key};
    firn__vector_dropout(firn__op_crew(r), firn_shape_count(x->shape), &a);
}

static void dropout_forward(const firn_op_run *r) { drop_elements(r, &r->in[0], r->out); }
static void dropout_backward(const firn_op_run *r) { drop_elements(r, r->dout, &r->din[0]); }

const firn_op firn__op_dropout = {
    .name = "dropout",
    .n_in = 1,
    .traits = FIRN_OP_INPLACE | FIRN_OP_RANDOM,
    .attr_bytes = sizeof(dropout_attr),
    .shape = dropout_shape,
    .forward = dropout_forward,
    .backward = dropout_backward,
    .resolve = dropout_resolve,
};

const firn_op firn__op_dropout_off = {
    .name = "dropout",
    .n_in = 1,
    .traits = FIRN_OP_VIEW,
    .attr_bytes = sizeof(dropout_attr),
    .shape = dropout_shape,
};

firn_tensor *firn_dropout(firn_tensor *x, float p) { return firn_apply(&firn__op_dropout, &x, &(dropout_attr){p}); }
