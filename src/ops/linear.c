#include <firn/ops.h>

#include "epilogue.h"
#include "kernels.h"
#include "ops.h"
#include "vector.h"

/* in: x [N, I], w [O, I], b [O] or absent. prepared, unless w is trained and so another in every step: w packed for
 * y = x w^T, and behind it, where dx is wanted, for dx = dy w. */

static firn_status linear_shape(firn_op_build *b)
{
    const firn_shape x = b->in[0].shape, w = b->in[1].shape, bias = b->in[2].shape;
    const firn_status st = firn__op_need_f32(b, 7);
    if (st != FIRN_OK) return st;
    if (x.rank != 2 || w.rank != 2) return firn_op_fail(b, FIRN_ERR_SHAPE, "x must be [N, I] and w [O, I]");
    if (w.dim[0] < 1) return firn_op_fail(b, FIRN_ERR_SHAPE, "w must be [O, I], without the batch");
    if (w.dim[1] != x.dim[1]) return firn_op_fail(b, FIRN_ERR_SHAPE, "the features of x must equal the columns of w");
    if (bias.rank >= 0 && (bias.rank != 1 || bias.dim[0] != w.dim[0]))
        return firn_op_fail(b, FIRN_ERR_SHAPE, "b must have one element a row of w");
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = FIRN_SHAPE(x.dim[0], w.dim[0])};
    const size_t forward = firn__gemm_packed_bytes(b->ctx, w.dim[0], w.dim[1]);
    const size_t dx = b->want & 1 ? firn__gemm_packed_bytes(b->ctx, w.dim[1], w.dim[0]) : 0;
    b->prepared_bytes = b->want & 2 ? 0 : forward + dx;
    if (forward == 0 || (b->want & 1 && dx == 0) || forward + dx < dx)
        return firn_op_fail(b, FIRN_ERR_MEMORY, "the sizes are too large for this machine");
    return b->want & 4 ? firn__op_reserve_norm(b, x.dim[0], 1, w.dim[0]) : FIRN_OK;
}

static float *packed_for_dx(const firn_op_run *r, firn_shape w)
{
    if (r->prepared == NULL) return NULL;
    return (float *)(void *)((unsigned char *)r->prepared + firn__gemm_packed_bytes(r->ctx, w.dim[0], w.dim[1]));
}

static void linear_prepare(const firn_op_run *r)
{
    const firn_shape w = r->in[1].shape;
    firn__gemm_pack_b(firn__op_crew(r), w.dim[0], w.dim[1], r->in[1].data, w.dim[1], true, r->prepared);
    if (r->want & 1)
        firn__gemm_pack_b(firn__op_crew(r), w.dim[1], w.dim[0], r->in[1].data, w.dim[1], false, packed_for_dx(r, w));
}

static void linear_forward(const firn_op_run *r)
{
    const int64_t n = r->in[0].shape.dim[0], in = r->in[0].shape.dim[1], out = r->in[1].shape.dim[0];
    firn__gemm_args g = {
        .m = n, .n = out, .k = in, .a = r->in[0].data, .lda = in, .ldb = in, .b_transposed = true, .ldc = out};
    g.b = r->in[1].data;
    g.b_packed = r->prepared;
    g.c = r->out->data;
    g.epilogue.bias = r->in[2].data;
    if (r->epilogue != NULL) {
        g.epilogue.scale = r->epilogue->scale;
        g.epilogue.shift = r->epilogue->shift;
        g.epilogue.relu = r->epilogue->relu;
    }
    firn__gemm(firn__op_crew(r), &g);
    if (r->epilogue != NULL && r->epilogue->relu_bits != NULL)
        firn__vector_relu(firn__op_crew(r), n, &(firn__relu_args){out, g.c, NULL, r->epilogue->relu_bits});
}

static void linear_backward(const firn_op_run *r)
{
    const firn_shape w = r->in[1].shape;
    const int64_t n = r->dout->shape.dim[0], in = w.dim[1], out = w.dim[0];
    const float *dy = r->dout->data;
    if (r->din[0].data != NULL) {
        firn__gemm_args g = {.m = n, .n = in, .k = out, .a = dy, .lda = out, .b = r->in[1].data, .ldb = in, .ldc = in};
        g.b_packed = packed_for_dx(r, w);
        g.c = r->din[0].data;
        firn__gemm(firn__op_crew(r), &g);
    }
    if (r->din[1].data != NULL) {
        firn__gemm_args g = {.m = out, .n = in, .k = n, .a = dy, .lda = out, .a_transposed = true, .ldb = in, .ldc = in};
        g.b = r->in[0].data;
        g.c = r->din[1].data;
        firn__gemm(firn__op_crew(r), &g);
    }
    if (r->din[2].data != NULL) firn__vector_column_sums(firn__op_crew(r), n, out, dy, r->scratch, r->din[2].data);
}

static uint64_t linear_flops(const firn_op_build *b, int grad_of)
{
    if (grad_of == 2) return 0;
    return 2 * (uint64_t)firn_shape_count(b->in[0].shape) * (uint64_t)b->in[1].shape.dim[0];
}

const firn_op firn__op_linear = {
    .name = "linear",
    .n_in = 3,
    .optional = 1 << 2,
    .traits = FIRN_OP_EPILOGUE,
    .shape = linear_shape,
    .forward = linear_forward,
    .backward = linear_backward,
    .reads = {FIRN_READS_IN(1), FIRN_READS_IN(0), 0},
    .flops = linear_flops,
    .prepare = linear_prepare,
};

firn_tensor *firn_linear(firn_tensor *x, firn_tensor *w, firn_tensor *b)
{
    return firn_apply(&firn__op_linear, (firn_tensor *[]){x, w, b}, NULL);
}
