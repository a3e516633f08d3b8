#include <math.h>

#include <firn/ops.h>

#include "epilogue.h"
#include "ops.h"
#include "vector.h"

/* in: x [N, C] or [N, C, H, W], w, b, running mean, running variance [C]. Both layouts are rows of C floats.
 * batch_norm works with the batch's statistics and batch_norm_frozen with the running ones. */

enum { X, W, B, MEAN, VAR, INPUTS };

static float eps_of(const firn_batch_norm_attr *a) { return a->eps > 0 ? a->eps : 1e-5f; }
static float momentum_of(const firn_batch_norm_attr *a) { return a->momentum > 0 ? a->momentum : 0.1f; }
static int64_t channels_of(firn_shape x) { return x.dim[1]; }
static int64_t rows_of(firn_shape x) { return x.rank == 4 ? x.dim[0] * x.dim[2] * x.dim[3] : x.dim[0]; }

static bool statistics_frozen(const firn_op_build *b) { return (b->frozen >> MEAN & 3) == 3; }

static firn_status norm_shape(firn_op_build *b)
{
    const firn_shape x = b->in[X].shape;
    const firn_batch_norm_attr *attr = b->attr;
    const firn_status st = firn__op_need_f32(b, (1 << INPUTS) - 1);
    if (st != FIRN_OK) return st;
    if (x.rank != 2 && x.rank != 4) return firn_op_fail(b, FIRN_ERR_SHAPE, "x must be [N, C] or [N, C, H, W]");
    for (int i = W; i < INPUTS; i++)
        if (b->in[i].shape.rank != 1 || b->in[i].shape.dim[0] != channels_of(x))
            return firn_op_fail(b, FIRN_ERR_SHAPE, "w, b and the running statistics must have one element a channel");
    if (!(attr->eps >= 0) || !(attr->momentum >= 0 && attr->momentum <= 1))
        return firn_op_fail(b, FIRN_ERR_ARGUMENT, "eps must not be below 0, and momentum must be in 0..1");
    *b->out = b->in[X];
    return FIRN_OK;
}

static uint64_t norm_flops(const firn_op_build *b, int grad_of)
{
    const uint64_t count = (uint64_t)firn_shape_count(b->in[X].shape);
    return grad_of < 0 ? 2 * count : grad_of == X ? 4 * count : grad_of == W ? 3 * count : count;
}

/* ---- batch statistics ---- */

static firn_status batch_norm_shape(firn_op_build *b)
{
    firn_status st = norm_shape(b);
    if (st != FIRN_OK) return st;
    const unsigned frozen = b->frozen >> MEAN & 3;
    if (b->training && (frozen == 1 || frozen == 2))
        return firn_op_fail(b, FIRN_ERR_STATE, "running mean and variance must be both frozen or both unfrozen");
    const firn_shape x = b->in[X].shape;
    if (x.dim[0] == FIRN_BATCH) return FIRN_OK;
    const int64_t channels = channels_of(x);
    st = firn__op_reserve(b, &b->saved_bytes, 2, channels, sizeof(float)); /* mean, 1/sqrt(var + eps) */
    if (st == FIRN_OK) st = firn__op_reserve(b, &b->scratch_bytes, 3, channels, sizeof(float));
    return st == FIRN_OK ? firn__op_reserve_norm(b, x.dim[0], rows_of(x) / x.dim[0], channels) : st;
}

static const firn_op *batch_norm_resolve(const firn_op_build *b)
{
    return !b->training || statistics_frozen(b) ? &firn__op_batch_norm_frozen : NULL;
}

static firn_status batch_norm_check(const firn_op_run *r)
{
    if (rows_of(r->in[X].shape) >= 2) return FIRN_OK;
    const firn_op_build b = {.in = r->in, .n_in = 1, .ctx = r->ctx, .op = r->op, .names = r->names};
    return firn_op_fail(&b, FIRN_ERR_ARGUMENT,
                        "batch statistics need at least 2 values a channel: feed more rows, or freeze the running ones");
}

static void update_running(const firn_op_run *r, const double *mean, const double *squares)
{
    const int64_t channels = channels_of(r->in[X].shape), rows = rows_of(r->in[X].shape);
    const double share = (double)momentum_of(r->attr), unbiased = (double)(rows > 1 ? rows - 1 : 1);
    float *running_mean = r->in[MEAN].data, *running_var = r->in[VAR].data;
    for (int64_t c = 0; c < channels; c++) {
        running_mean[c] = (float)((1 - share) * (double)running_mean[c] + share * mean[c]);
        running_var[c] = (float)((1 - share) * (double)running_var[c] + share * (squares[c] / unbiased));
    }
}

static void batch_norm_forward(const firn_op_run *r)
{
    const int64_t channels = channels_of(r->in[X].shape), rows = rows_of(r->in[X].shape);
    const firn__crew crew = firn__op_crew(r);
    const float *w = r->in[W].data;
    void *cursor = r->scratch;
    float *mean = firn__op_take(&cursor, 3, channels, sizeof(float)), *inverse = mean + channels,
          *scale = inverse + channels;
    const double *found = firn__vector_norm_statistics(crew, rows, channels, r->in[X].data, cursor);
    for (int64_t c = 0; c < channels; c++) {
        mean[c] = (float)found[c];
        inverse[c] = (float)(1 / sqrt(found[channels + c] / (double)rows + (double)eps_of(r->attr)));
        scale[c] = w[c] * inverse[c];
    }
    if (r->saved != NULL)
        for (int64_t c = 0; c < 2 * channels; c++) ((float *)r->saved)[c] = mean[c];
    firn__vector_affine(crew, rows,
                        &(firn__affine_args){channels, r->in[X].data, mean, scale, r->in[B].data, r->out->data});
    update_running(r, found, found + channels);
}

/* With x' = (x - mean) * inverse: dx = w inverse (dy - mean(dy) - x' mean(dy x')), dw = sum(dy x'), db = sum(dy). */
static void batch_norm_backward(const firn_op_run *r)
{
    const int64_t channels = channels_of(r->dout->shape), rows = rows_of(r->dout->shape);
    const firn__crew crew = firn__op_crew(r);
    const bool need_x = r->din[X].data != NULL || r->din[W].data != NULL;
    const float *x = need_x ? r->in[X].data : NULL, *mean = r->saved, *inverse = mean + channels, *w = r->in[W].data;
    float *dw = r->din[W].data, *db = r->din[B].data;
    void *cursor = r->scratch;
    float *direct = firn__op_take(&cursor, 3, channels, sizeof(float)), *centred = direct + channels,
          *fixed = centred + channels;
    const double *sum = firn__vector_norm_products(crew, rows, channels, r->dout->data, x, mean, cursor),
                 *sum_x = sum + channels;
    for (int64_t c = 0; c < channels; c++) {
        if (db != NULL) db[c] = (float)sum[c];
        if (dw != NULL) dw[c] = (float)(sum_x[c] * (double)inverse[c]);
        if (r->din[X].data == NULL) continue;
        const double factor = (double)w[c] * (double)inverse[c], n = (double)rows;
        direct[c] = (float)factor;
        centred[c] = (float)(-factor * (double)inverse[c] * (double)inverse[c] * sum_x[c] / n);
        fixed[c] = (float)(-factor * sum[c] / n);
    }
    if (r->din[X].data == NULL) return;
    const firn__norm_grad_args a = {channels, x, r->dout->data, mean, direct, centred, fixed, r->din[X].data};
    firn__vector_norm_grad(crew, rows, &a);
}

const firn_op firn__op_batch_norm = {
    .name = "batch_norm",
    .n_in = INPUTS,
    .states = 1 << MEAN | 1 << VAR,
    .traits = FIRN_OP_INPLACE | FIRN_OP_BATCHMIX,
    .attr_bytes = sizeof(firn_batch_norm_attr),
    .shape = batch_norm_shape,
    .forward = batch_norm_forward,
    .backward = batch_norm_backward,
    .reads = {FIRN_READS_IN(X) | FIRN_READS_IN(W) | FIRN_READS_SAVED, FIRN_READS_IN(X) | FIRN_READS_SAVED, 0},
    .flops = norm_flops,
    .resolve = batch_norm_resolve,
    .check = batch_norm_check,
};

/* ---- running statistics: y = fma(x, scale, shift), both prepared ---- */

static firn_status batch_norm_frozen_shape(firn_op_build *b)
{
    firn_status st = norm_shape(b);
    const firn_shape x = b->in[X].shape;
    if (st == FIRN_OK) st = firn__op_reserve(b, &b->prepared_bytes, 2, channels_of(x), sizeof(float));
    if (st != FIRN_OK || x.dim[0] == FIRN_BATCH || !(b->want & (1 << W | 1 << B))) return st;
    return firn__op_reserve_norm(b, x.dim[0], rows_of(x) / x.dim[0], channels_of(x));
}

static float inverse_deviation(const firn_op_run *r, int64_t c)
{
    return (float)(1 / sqrt((double)((const float *)r->in[VAR].data)[c] + (double)eps_of(r->attr)));
}

static void batch_norm_frozen_prepare(const firn_op_run *r)
{
    const int64_t channels = channels_of(r->in[X].shape);
    const float *w = r->in[W].data, *b = r->in[B].data, *mean = r->in[MEAN].data;
    float *scale = r->prepared, *shift = scale + channels;
    for (int64_t c = 0; c < channels; c++) {
        scale[c] = w[c] * inverse_deviation(r, c);
        shift[c] = (float)((double)b[c] - (double)mean[c] * (double)scale[c]);
    }
}

static void batch_norm_frozen_forward(const firn_op_run *r)
{
    const int64_t channels = channels_of(r->in[X].shape);
    const float *scale = firn__batch_norm_scale(r->prepared), *shift = firn__batch_norm_shift(r->prepared, channels);
    const firn__affine_args a = {channels, r->in[X].data, NULL, scale, shift, r->out->data};
    firn__vector_affine(firn__op_crew(r), rows_of(r->in[X].shape), &a);
}

static void batch_norm_frozen_backward(const firn_op_run *r)
{
    const int64_t channels = channels_of(r->dout->shape), rows = rows_of(r->dout->shape);
    const firn__crew crew = firn__op_crew(r);
    float *dw = r->din[W].data, *db = r->din[B].data;
    if (dw != NULL || db != NULL) {
        const float *x = dw != NULL ? r->in[X].data : NULL;
        const double *sum =
            firn__vector_norm_products(crew, rows, channels, r->dout->data, x, r->in[MEAN].data, r->scratch);
        for (int64_t c = 0; c < channels; c++) {
            if (db != NULL) db[c] = (float)sum[c];
            if (dw != NULL) dw[c] = (float)(sum[channels + c] * (double)inverse_deviation(r, c));
        }
    }
    if (r->din[X].data == NULL) return; /* last: it may lie where dy is */
    const firn__affine_args a = {channels, r->dout->data, NULL, firn__batch_norm_scale(r->prepared), NULL, r->din[X].data};
    firn__vector_affine(crew, rows, &a);
}

const firn_op firn__op_batch_norm_frozen = {
    .name = "batch_norm",
    .n_in = INPUTS,
    .states = 1 << MEAN | 1 << VAR,
    .traits = FIRN_OP_INPLACE,
    .attr_bytes = sizeof(firn_batch_norm_attr),
    .shape = batch_norm_frozen_shape,
    .forward = batch_norm_frozen_forward,
    .backward = batch_norm_frozen_backward,
    .reads = {FIRN_READS_IN(W) | FIRN_READS_IN(VAR), FIRN_READS_IN(X) | FIRN_READS_IN(MEAN) | FIRN_READS_IN(VAR), 0},
    .flops = norm_flops,
    .prepare = batch_norm_frozen_prepare,
};

firn_tensor *firn_batch_norm(firn_tensor *x, firn_tensor *w, firn_tensor *b, firn_tensor *running_mean,
                             firn_tensor *running_var, const firn_batch_norm_attr *attr)
{
    return firn_apply(&firn__op_batch_norm, (firn_tensor *[]){x, w, b, running_mean, running_var}, attr);
}
