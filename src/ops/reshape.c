#include <string.h>

#include <firn/model.h>
#include <firn/ops.h>

#include "ops.h"
#include "vector.h"

/* attr: the shape. Images are stored channels-last, so elements move where one side is an image with several channels
 * and several pixels; else the result is a view. */

static bool is_image(firn_shape s) { return s.rank == 4 && s.dim[1] > 1 && s.dim[2] * s.dim[3] > 1; }

static firn_shape reshape_target(const firn_op_build *b)
{
    firn_shape to = *(const firn_shape *)b->attr;
    const firn_shape from = b->in[0].shape;
    if (to.rank > 0 && to.dim[0] == FIRN_BATCH && from.rank > 0) to.dim[0] = from.dim[0];
    return to;
}

static bool same_count(firn_shape from, firn_shape to)
{
    const bool batch_from = from.rank > 0 && from.dim[0] == FIRN_BATCH, batch_to = to.rank > 0 && to.dim[0] == FIRN_BATCH;
    if (batch_from != batch_to) return false;
    const int64_t count = batch_from ? firn__op_per_sample(from) : firn_shape_count(from);
    return count >= 0 && count == (batch_from ? firn__op_per_sample(to) : firn_shape_count(to));
}

static firn_status reshape_shape(firn_op_build *b)
{
    const firn_shape from = b->in[0].shape, to = reshape_target(b);
    if (to.rank < 0 || to.rank > FIRN_MAX_RANK)
        return firn_op_fail(b, FIRN_ERR_ARGUMENT, "the new shape has too many dimensions");
    if (!same_count(from, to))
        return firn_op_fail(b, FIRN_ERR_SHAPE, "the new shape must have as many elements, and the batch in front if x has");
    *b->out = (firn_view){.dtype = b->in[0].dtype, .shape = to};
    if (!is_image(from) || !is_image(to)) return FIRN_OK;
    return firn__op_reserve(b, &b->scratch_bytes, to.dim[0], firn__op_per_sample(to), firn_dtype_size(b->in[0].dtype));
}

static const firn_op *reshape_resolve(const firn_op_build *b)
{
    const firn_shape from = b->in[0].shape, to = reshape_target(b);
    const bool moves = (is_image(from) || is_image(to)) && !firn_shape_equal(from, to);
    return moves ? NULL : &firn__op_reshape_view;
}

static void turn_samples(const firn_op_run *r, firn_dtype dtype, int64_t samples, int64_t rows, int64_t columns,
                         const void *x, void *y)
{
    const firn__transpose_args a = {rows, columns, dtype, x, y};
    firn__vector_transpose(firn__op_crew(r), samples, &a);
}

static void move_elements(const firn_op_run *r, const firn_view *x, const firn_view *y)
{
    const firn_shape from = x->shape, to = y->shape;
    void *plain = is_image(to) ? is_image(from) ? r->scratch : x->data : y->data;
    if (is_image(from)) turn_samples(r, x->dtype, from.dim[0], from.dim[2] * from.dim[3], from.dim[1], x->data, plain);
    if (is_image(to)) turn_samples(r, x->dtype, to.dim[0], to.dim[1], to.dim[2] * to.dim[3], plain, y->data);
}

static void reshape_forward(const firn_op_run *r) { move_elements(r, &r->in[0], r->out); }
static void reshape_backward(const firn_op_run *r) { move_elements(r, r->dout, &r->din[0]); }

static uint64_t no_flops(const firn_op_build *b, int grad_of)
{
    (void)b, (void)grad_of;
    return 0;
}

const firn_op firn__op_reshape = {
    .name = "reshape",
    .n_in = 1,
    .attr_bytes = sizeof(firn_shape),
    .shape = reshape_shape,
    .forward = reshape_forward,
    .backward = reshape_backward,
    .flops = no_flops,
    .resolve = reshape_resolve,
};

const firn_op firn__op_reshape_view = {
    .name = "reshape",
    .n_in = 1,
    .traits = FIRN_OP_VIEW,
    .attr_bytes = sizeof(firn_shape),
    .shape = reshape_shape,
    .flops = no_flops,
};

firn_tensor *firn_reshape(firn_tensor *x, firn_shape shape) { return firn_apply(&firn__op_reshape, &x, &shape); }

firn_tensor *firn_flatten(firn_tensor *x, int axis)
{
    if (x == NULL) return NULL;
    firn_shape s = firn_tensor_shape(x);
    if (axis < 1 || axis >= s.rank) {
        firn_ctx *ctx = firn_model_ctx(firn_tensor_model(x));
        ctx->unbuilt = true;
        if (s.rank < 2)
            firn_fail(ctx, FIRN_ERR_ARGUMENT, "flatten of \"%s\": there is no dimension but the batch",
                      firn_tensor_name(x));
        else
            firn_fail(ctx, FIRN_ERR_ARGUMENT, "flatten of \"%s\": axis is %d and must be in 1..%d, the last dimension's",
                      firn_tensor_name(x), axis, s.rank - 1);
        return NULL;
    }
    for (int i = axis + 1; i < s.rank; i++) s.dim[axis] *= s.dim[i]; /* what a tensor has can be counted */
    s.rank = axis + 1;
    return firn_reshape(x, s);
}
