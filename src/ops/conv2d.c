#include <firn/ops.h>

#include "epilogue.h"
#include "kernels.h"
#include "ops.h"
#include "vector.h"

/* in: x [N, C, H, W], w [O, C/groups, KH, KW], b [O] or absent. prepared, unless w is trained and so
 * another in every step: w packed, for dx too where it is wanted. */

static firn__conv_args conv_args(const firn_conv2d_attr *attr, firn_shape x, firn_shape w)
{
    firn__conv_args v = {
        .n = x.dim[0], .c = x.dim[1], .h = x.dim[2], .w = x.dim[3], .o = w.dim[0], .kh = w.dim[2], .kw = w.dim[3]};
    v.pad = attr->pad;
    /* One window is left by any stride of the padded image's size or more, and dx takes as many turns as its square. */
    const int64_t padded = (v.h > v.w ? v.h : v.w) + 2 * (int64_t)v.pad;
    v.stride = attr->stride == 0 ? 1 : attr->stride < padded ? attr->stride : (int)padded;
    v.dilation = attr->dilation ? attr->dilation : 1;
    v.groups = attr->groups ? attr->groups : 1;
    const int64_t down = v.h + 2 * (int64_t)v.pad - v.dilation * (v.kh - 1) - 1;
    const int64_t right = v.w + 2 * (int64_t)v.pad - v.dilation * (v.kw - 1) - 1;
    v.oh = down < 0 ? 0 : down / v.stride + 1;
    v.ow = right < 0 ? 0 : right / v.stride + 1;
    return v;
}

/* Sizes that the kernels compute are small multiples of the padded image's floats, in and out: far below 2^63. */
static bool can_be_counted(const firn__conv_args *v)
{
    const int64_t most = (int64_t)1 << 48, h = v->h + 2 * (int64_t)v->pad, w = v->w + 2 * (int64_t)v->pad;
    return h <= most / w && h * w <= most / (v->c + v->o);
}

static const char *conv_rule_broken(const firn_op_build *b)
{
    const firn_shape x = b->in[0].shape, w = b->in[1].shape, bias = b->in[2].shape;
    if (w.rank != 4) return "w must have four dimensions: O, C/groups, KH, KW";
    for (int i = 0; i < 4; i++)
        if (w.dim[i] < 1 || w.dim[i] > INT32_MAX) return "a dimension of w is too small or too large";
    const firn__conv_args v = conv_args(b->attr, x, w);
    if (v.c != w.dim[1] * v.groups) return "the channels of x must equal dimension 1 of w times groups";
    if (v.o % v.groups != 0) return "the output channels must be a multiple of groups";
    if (bias.rank >= 0 && (bias.rank != 1 || bias.dim[0] != v.o)) return "b must have one element an output channel";
    if (v.oh < 1 || v.ow < 1) return "the kernel must not be larger than the padded image";
    if (v.stride > 1024) return "stride must not be above 1024 on a padded image that is larger";
    if (!can_be_counted(&v))
        return "the padded image, times the channels of x and y, must not have more than 2^48 elements";
    return NULL;
}

static firn_status conv2d_shape(firn_op_build *b)
{
    const firn_conv2d_attr *attr = b->attr;
    firn_status st = firn__op_need_image(b);
    if (st == FIRN_OK) st = firn__op_need_f32(b, 7);
    if (st != FIRN_OK) return st;
    if (attr->stride < 0 || attr->pad < 0 || attr->dilation < 0 || attr->groups < 0)
        return firn_op_fail(b, FIRN_ERR_ARGUMENT, "stride, pad, dilation and groups must not be below 0");
    const char *rule = conv_rule_broken(b);
    if (rule != NULL) return firn_op_fail(b, FIRN_ERR_SHAPE, rule);
    const firn__conv_args v = conv_args(attr, b->in[0].shape, b->in[1].shape);
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = FIRN_SHAPE(v.n, v.o, v.oh, v.ow)};
    if (v.n < 0) return FIRN_OK;
    const firn__crew crew = {b->ctx, b->alone ? 0 : -1};
    const size_t forward = firn__conv_packed_bytes(b->ctx, &v, false),
                 dx = b->want & 1 ? firn__conv_packed_bytes(b->ctx, &v, true) : 0,
                 scratch = firn__conv_scratch_bytes(crew, &v, b->want & 1, b->want & 6);
    if (b->want & 2) /* for one pass after the other */
        b->scratch_bytes = scratch + (forward > dx ? forward : dx);
    else
        b->scratch_bytes = scratch, b->prepared_bytes = forward + dx;
    if (forward == 0 || (b->want & 1 && dx == 0) || scratch == 0 || forward + dx < dx || b->scratch_bytes < scratch)
        return firn_op_fail(b, FIRN_ERR_MEMORY, "the sizes are too large for this machine");
    return FIRN_OK;
}

static void conv2d_prepare(const firn_op_run *r)
{
    const firn__conv_args v = conv_args(r->attr, r->in[0].shape, r->in[1].shape);
    float *packed = r->prepared;
    firn__conv_pack(firn__op_crew(r), &v, r->in[1].data, false, packed);
    packed += firn__conv_packed_bytes(r->ctx, &v, false) / sizeof *packed;
    if (r->want & 1) firn__conv_pack(firn__op_crew(r), &v, r->in[1].data, true, packed);
}

/* As prepared; or now, into the front of the scratch. */
static const float *packed_weights(const firn_op_run *r, const firn__conv_args *v, bool dx, float **scratch)
{
    float *packed = r->prepared != NULL ? r->prepared : r->scratch;
    *scratch = r->scratch;
    if (r->prepared != NULL) return packed + (dx ? firn__conv_packed_bytes(r->ctx, v, false) / sizeof *packed : 0);
    *scratch += firn__conv_packed_bytes(r->ctx, v, dx) / sizeof *packed;
    firn__conv_pack(firn__op_crew(r), v, r->in[1].data, dx, packed);
    return packed;
}

/* With relu's bits wanted the images go in chunks, so that the output is still in cache when they are taken from it. */
static void conv2d_forward(const firn_op_run *r)
{
    enum { CHUNK_BYTES = 1 << 19 };
    firn__conv_args v = conv_args(r->attr, r->in[0].shape, r->in[1].shape);
    firn__epilogue_args e = {.bias = r->in[2].data};
    const firn__crew crew = firn__op_crew(r);
    const int64_t in = v.c * v.h * v.w, out = v.o * v.oh * v.ow, images = v.n, bits = firn__vector_bits_bytes(out);
    int64_t chunk = images;
    unsigned char *relu_bits = NULL;
    float *scratch;
    const float *packed = packed_weights(r, &v, false, &scratch);
    if (r->epilogue != NULL) {
        e = (firn__epilogue_args){e.bias, r->epilogue->scale, r->epilogue->shift, r->epilogue->relu};
        relu_bits = r->epilogue->relu_bits;
    }
    if (relu_bits != NULL) {
        const int64_t threads = firn__crew_size(crew), fit = CHUNK_BYTES / (out * (int64_t)sizeof(float));
        chunk = threads * (fit > 0 ? fit : 1);
    }
    for (int64_t i = 0; i < images; i += chunk) {
        v.n = images - i < chunk ? images - i : chunk;
        float *y = (float *)r->out->data + i * out;
        firn__conv_forward(crew, &v, (const float *)r->in[0].data + i * in, packed, y, &e, scratch);
        if (relu_bits != NULL) firn__vector_relu(crew, v.n, &(firn__relu_args){out, y, NULL, relu_bits + i * bits});
    }
}

static void conv2d_backward(const firn_op_run *r)
{
    const firn__conv_args v = conv_args(r->attr, r->in[0].shape, r->in[1].shape);
    const firn__crew crew = firn__op_crew(r);
    if (r->din[0].data != NULL) {
        float *scratch;
        const float *packed = packed_weights(r, &v, true, &scratch);
        firn__conv_dx(crew, &v, r->dout->data, packed, r->din[0].data, scratch);
    }
    if (r->din[1].data != NULL || r->din[2].data != NULL)
        firn__conv_dw(crew, &v, r->in[0].data, r->dout->data, r->din[1].data, r->din[2].data, r->scratch);
}

static uint64_t conv2d_flops(const firn_op_build *b, int grad_of)
{
    if (grad_of == 2) return 0;
    const firn__conv_args v = conv_args(b->attr, b->in[0].shape, b->in[1].shape);
    return 2 * (uint64_t)(v.n * v.o * v.oh * v.ow) * (uint64_t)(v.c / v.groups * v.kh * v.kw);
}

const firn_op firn__op_conv2d = {
    .name = "conv2d",
    .n_in = 3,
    .optional = 1 << 2,
    .params = 1 << 1,
    .traits = FIRN_OP_EPILOGUE,
    .attr_bytes = sizeof(firn_conv2d_attr),
    .shape = conv2d_shape,
    .forward = conv2d_forward,
    .backward = conv2d_backward,
    .reads = {FIRN_READS_IN(1), FIRN_READS_IN(0), 0},
    .flops = conv2d_flops,
    .prepare = conv2d_prepare,
};

firn_tensor *firn_conv2d(firn_tensor *x, firn_tensor *w, firn_tensor *b, const firn_conv2d_attr *attr)
{
    return firn_apply(&firn__op_conv2d, (firn_tensor *[]){x, w, b}, attr);
}
