#include <firn/ops.h>

#include "ops.h"
#include "vector.h"

static firn_status cross_entropy_shape(firn_op_build *b)
{
    const firn_shape x = b->in[0].shape, label = b->in[1].shape;
    const firn_cross_entropy_attr *attr = b->attr;
    const firn_status st = firn__op_need_f32(b, 1);
    if (st != FIRN_OK) return st;
    if (b->in[1].dtype == FIRN_F32) return firn_op_fail(b, FIRN_ERR_DTYPE, "labels must be U8 or I32");
    if (x.rank != 2 || label.rank != 1 || x.dim[0] != label.dim[0])
        return firn_op_fail(b, FIRN_ERR_SHAPE, "logits must be [N, C] and labels [N]");
    if (x.dim[1] > INT32_MAX) return firn_op_fail(b, FIRN_ERR_SHAPE, "there are too many classes");
    if (!(attr->label_smoothing >= 0 && attr->label_smoothing < 1))
        return firn_op_fail(b, FIRN_ERR_ARGUMENT, "label_smoothing must be at least 0 and below 1");
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = FIRN_SCALAR};
    const firn_status scratch = firn__op_reserve(b, &b->scratch_bytes, x.dim[0], 1, sizeof(float));
    return scratch != FIRN_OK ? scratch : firn__op_reserve(b, &b->saved_bytes, x.dim[0], x.dim[1], sizeof(float));
}

static firn__cross_entropy_args cross_entropy_args(const firn_op_run *r, const firn_view *logits)
{
    const firn_cross_entropy_attr *attr = r->attr;
    return (firn__cross_entropy_args){.columns = logits->shape.dim[1],
                                      .label = r->in[1].data,
                                      .dtype = r->in[1].dtype,
                                      .smoothing = attr->label_smoothing,
                                      .has_ignore = attr->has_ignore_index,
                                      .ignore = attr->ignore_index,
                                      .softmax = r->saved};
}

static int64_t counted_labels(const firn__cross_entropy_args *a, int64_t rows)
{
    if (!a->has_ignore) return rows;
    int64_t count = 0;
    for (int64_t i = 0; i < rows; i++) count += firn__vector_label(a, i) != a->ignore;
    return count;
}

static void cross_entropy_forward(const firn_op_run *r)
{
    firn__cross_entropy_args a = cross_entropy_args(r, &r->in[0]);
    const int64_t rows = r->in[0].shape.dim[0], count = counted_labels(&a, rows);
    a.logits = r->in[0].data;
    a.loss = r->scratch;
    firn__vector_cross_entropy(firn__op_crew(r), rows, &a);
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) sum += (double)a.loss[i];
    *(float *)r->out->data = count ? (float)(sum / (double)count) : 0;
}

static void cross_entropy_backward(const firn_op_run *r)
{
    firn__cross_entropy_args a = cross_entropy_args(r, &r->din[0]);
    const int64_t rows = r->din[0].shape.dim[0], count = counted_labels(&a, rows);
    a.factor = count ? *(const float *)r->dout->data / (float)count : 0;
    a.dlogits = r->din[0].data;
    firn__vector_cross_entropy_grad(firn__op_crew(r), rows, &a);
}

static firn_status cross_entropy_check(const firn_op_run *r)
{
    const firn__cross_entropy_args a = cross_entropy_args(r, &r->in[0]);
    for (int64_t i = 0; i < r->in[1].shape.dim[0]; i++) {
        const int32_t label = firn__vector_label(&a, i);
        if ((a.has_ignore && label == a.ignore) || (label >= 0 && label < a.columns)) continue;
        return firn_op_bad_value(r, 1, i, label, "labels must be in 0..C-1");
    }
    return FIRN_OK;
}

/* exp, sum, division, logarithm counted as one each. */
static uint64_t cross_entropy_flops(const firn_op_build *b, int grad_of)
{
    return (grad_of < 0 ? 4u : 2u) * (uint64_t)firn_shape_count(b->in[0].shape);
}

const firn_op firn__op_cross_entropy = {
    .name = "cross_entropy",
    .n_in = 2,
    .fed = 1 << 1,
    .traits = FIRN_OP_BATCHMIX,
    .attr_bytes = sizeof(firn_cross_entropy_attr),
    .shape = cross_entropy_shape,
    .forward = cross_entropy_forward,
    .backward = cross_entropy_backward,
    .reads = {FIRN_READS_SAVED | FIRN_READS_IN(1)},
    .flops = cross_entropy_flops,
    .check = cross_entropy_check,
};

firn_tensor *firn_cross_entropy(firn_tensor *logits, firn_tensor *label, const firn_cross_entropy_attr *attr)
{
    return firn_apply(&firn__op_cross_entropy, (firn_tensor *[]){logits, label}, attr);
}
