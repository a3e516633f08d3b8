/* ops.h: operators. Each records one node and returns its output; NULL in gives NULL out, the first cause stays in
 * firn_message(). NULL for an input that may be left out is refused, too, while the context holds the error of a tensor
 * that could not be built, for it may stand for that one: firn_clear_error() first. All inputs of one call belong to one
 * model, which owns the output. One file per operator in src/ops/, one row each in src/ops/ops.def. Formulas and names are
 * PyTorch's (torch.nn.functional) unless noted.
 *
 * Errors, of all of them: NULL, and in firn_last_error() FIRN_ERR_DTYPE: elements of another type than stands below;
 * FIRN_ERR_SHAPE: shapes that do not fit each other or an attribute; FIRN_ERR_ARGUMENT: an attribute out of range, inputs
 * of two models, statistics that are no firn_state(), labels that are computed and not fed, or an image [N, C, H, W] that
 * is a named tensor and not a computed value (a convolution's weight: the other way round); FIRN_ERR_STATE: a mask that the
 * operator cannot work under (batch norm), or a scope around it that could not be opened; FIRN_ERR_MEMORY. What fits but
 * for a plan's batch or mask, firn_plan_create() refuses. */
#ifndef FIRN_OPS_H
#define FIRN_OPS_H
#include "tensor.h"

FIRN_C_BEGIN

/* y = x * factor, elementwise; makes floats of images and labels.
 *   x       any shape, F32, I32 or U8
 * Gives     the shape of x, F32
 * Grad      dx = dy * factor: reads nothing; U8 and I32 have none */
FIRN_API firn_tensor *firn_scale(firn_tensor *x, float factor);

/* y[n,o] = sum_i x[n,i] * w[o,i] + b[o].
 *   x       [N, I] F32
 *   w       [O, I] F32
 *   b       [O] F32, or NULL
 * Gives     [N, O]
 * Grad      dx reads w; dw reads x; db reads neither */
FIRN_API firn_tensor *firn_linear(firn_tensor *x, firn_tensor *w, firn_tensor *b);

/* Cross-correlation of x with w, plus b (PyTorch's convention: no kernel flip).
 *   x       [N, C, H, W] F32
 *   w       [O, C/groups, KH, KW] F32
 *   b       [O] F32, or NULL
 *   attr    copied; NULL or zero fields mean stride 1, pad 0, dilation 1, groups 1. stride is at most 1024 (or not below
 *           the padded image's size: one window), and (H + 2*pad) * (W + 2*pad) * (C + O) at most 2^48
 * Gives     [N, O, (H + 2*pad - dilation*(KH-1) - 1)/stride + 1, the same for W]
 * Grad      dx reads w; dw reads x; db reads neither
 * Rounding  3 x 3 kernels with stride, dilation and groups 1, C and O of at least 16, C*O of at most 65536 and outputs
 *           of at least 4 x 4 go by Winograd's F(4x4, 3x3) (Lavin and Gray 2015): a quarter of the multiplications,
 *           about twice the error of a plain sum, and a NaN or infinity of x reaches all outputs of its 4 x 4 tile */
typedef struct firn_conv2d_attr {
    int stride, pad, dilation, groups;
} firn_conv2d_attr;
FIRN_API firn_tensor *firn_conv2d(firn_tensor *x, firn_tensor *w, firn_tensor *b, const firn_conv2d_attr *attr);

/* Largest element of each size x size window, windows `stride` apart, no padding; incomplete windows are left out.
 *   x       [N, C, H, W] F32, H and W at least size
 *   size    1 to 256
 *   stride  zero: size
 * Gives     [N, C, (H - size)/stride + 1, (W - size)/stride + 1]; NaN if one is in the window
 * Grad      dx gets dy at the first largest element: reads the position saved (2 bits an output for 2x2/2 windows,
 *           with C rounded up to 8; else 1 or 2 bytes) */
FIRN_API firn_tensor *firn_max_pool2d(firn_tensor *x, int size, int stride);

/* Mean of each window; x, stride and shape as firn_max_pool2d, size any from 1 on. Grad: dx = dy / (size*size), reads
 * nothing. */
FIRN_API firn_tensor *firn_avg_pool2d(firn_tensor *x, int size, int stride);

/* Mean over H and W: [N, C, H, W] gives [N, C]. Grad: dx = dy / (H*W), reads nothing. */
FIRN_API firn_tensor *firn_global_avg_pool2d(firn_tensor *x);

/* y = max(x, 0), elementwise; NaN stays NaN.
 *   x       any shape, F32
 * Gives     the shape of x
 * Grad      dx = dy where y > 0, else 0: reads one bit an element, saved */
FIRN_API firn_tensor *firn_relu(firn_tensor *x);

/* y = a + b, elementwise, equal shapes, F32. Grad: da = dy, db = dy: reads nothing. */
FIRN_API firn_tensor *firn_add(firn_tensor *a, firn_tensor *b);

/* The same elements in the same (N, C, H, W) order under another shape.
 *   x       any shape, any dtype
 *   shape   the same number of elements a sample; dim[0] FIRN_BATCH if x has the batch there
 * Grad      dx = dy reshaped: reads nothing */
FIRN_API firn_tensor *firn_reshape(firn_tensor *x, firn_shape shape);

/* Joins dimensions axis .. last into one: flatten([N, C, H, W], 1) is [N, C*H*W]. axis at least 1. */
FIRN_API firn_tensor *firn_flatten(firn_tensor *x, int axis);

/* In training: zero with probability p, else x / (1 - p) (Srivastava et al. 2014, scaled as in PyTorch). In
 * evaluation, and under firn_freeze_eval() of the scope it was made in ("*" if it was in none): y = x.
 *   p       0 <= p < 1
 * Grad      dx = dy times the same mask, drawn again from (seed, step, node, element): reads nothing */
FIRN_API firn_tensor *firn_dropout(firn_tensor *x, float p);

/* Softmax over the last dimension: y_c = exp(x_c - max) / sum exp(x - max).
 *   x       F32, any rank but 4 (reshape images first), with a last dimension that is not the batch
 * Grad      dx = y * (dy - sum(dy * y)): reads y */
FIRN_API firn_tensor *firn_softmax(firn_tensor *x);

/* Mean over samples of -sum_c q_c log softmax(logits)_c, q = (1 - smoothing) * onehot(label) + smoothing / C
 * (torch.nn.CrossEntropyLoss with label_smoothing).
 *   logits  [N, C] F32
 *   label   [N] U8 or I32, a firn_input() or a reshape of one, each in 0..C-1 or equal to ignore_index; checked when a
 *           plan is fed
 *   attr    copied; NULL: no smoothing, nothing ignored
 * Gives     scalar; the mean runs over the samples not ignored, and is 0 if there are none (PyTorch: NaN)
 * Grad      dlogits = (softmax - q) / count: reads logits' softmax, saved, and label */
typedef struct firn_cross_entropy_attr {
    float label_smoothing; /* 0 <= smoothing < 1 */
    bool has_ignore_index;
    int32_t ignore_index;
} firn_cross_entropy_attr;
FIRN_API firn_tensor *firn_cross_entropy(firn_tensor *logits, firn_tensor *label, const firn_cross_entropy_attr *attr);
/* Is loss what firn_cross_entropy() gave, or a firn_scale() of that?
 *   label   receives the input that its labels are fed to; may be NULL
 *   attr    receives its attributes; may be NULL
 * Gives     false for all other tensors, and leaves label and attr alone */
FIRN_API bool firn_cross_entropy_of(const firn_tensor *loss, firn_tensor **label, firn_cross_entropy_attr *attr);

/* Mean over all elements of (x - target)^2; equal shapes, F32. Gives a scalar.
 * Grad      dx = 2 (x - target) / count, dtarget = -dx: both read x and target */
FIRN_API firn_tensor *firn_mse(firn_tensor *x, firn_tensor *target);

/* y = (x - mean) / sqrt(var + eps) * w + b per channel (Ioffe, Szegedy 2015; torch.nn.BatchNorm1d and 2d).
 * In training with unfrozen statistics: mean and biased variance of the batch, over N (and H, W), and then
 *   running = (1 - momentum) * running + momentum * batch   (the unbiased variance for running_var)
 * In evaluation, or when running_mean and running_var are frozen (FREEZE F3): the running ones, left alone.
 *   x                   [N, C] or [N, C, H, W] F32; in batch statistics at least 2 values a channel
 *   w, b                [C] parameters
 *   running_mean, _var  [C] states, both frozen or neither
 *   eps, momentum       zero: 1e-5, 0.1
 * Grad      frozen statistics: dx reads w and the statistics; dw reads x and the statistics; db nothing.
 *           batch statistics: dx and dw read x, w and the batch's statistics, saved */
typedef struct firn_batch_norm_attr {
    float eps, momentum;
} firn_batch_norm_attr;
FIRN_API firn_tensor *firn_batch_norm(firn_tensor *x, firn_tensor *w, firn_tensor *b, firn_tensor *running_mean,
                                      firn_tensor *running_var, const firn_batch_norm_attr *attr);

FIRN_C_END
#endif
