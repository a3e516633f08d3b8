/* nn.h: layers. A layer is a function that opens a scope, declares parameters by PyTorch's names and applies
 * operators; it uses the public API alone. The same name again shares the weights. NULL in gives NULL out.
 *
 * Errors, of all of them: NULL, nothing of the layer stays declared, and in firn_last_error() FIRN_ERR_SHAPE: x has another
 * rank than stands below, or the name has been used with other shapes; FIRN_ERR_ARGUMENT: cfg is NULL where it has a required
 * field, a field of it is out of range, or the name is not valid; FIRN_ERR_NAME: the name has been used for a tensor of
 * another role; and those of the operator (ops.h). */
#ifndef FIRN_NN_H
#define FIRN_NN_H
#include "model.h"
#include "ops.h"

FIRN_C_BEGIN

/* torch.nn.Linear: parameters weight [out, I], bias [out].
 *   x       [N, I]
 *   init    FIRN_INIT_PYTORCH: bias U(-b, b), b = 1/sqrt(I); any other: bias zero. Not UNIFORM or NORMAL, which need a
 *           value */
typedef struct firn_nn_linear_cfg {
    int out;      /* required, at least 1 */
    bool no_bias;
    firn_init_kind init;
} firn_nn_linear_cfg;
FIRN_API firn_tensor *firn_nn_linear(firn_tensor *x, const char *name, const firn_nn_linear_cfg *cfg);

/* torch.nn.Conv2d: parameters weight [out, C/groups, kernel, kernel], bias [out].
 *   x       [N, C, H, W]
 *   init    as firn_nn_linear, with fan_in = C/groups * kernel^2 */
typedef struct firn_nn_conv2d_cfg {
    int out, kernel;                   /* required, at least 1 */
    int stride, pad, dilation, groups; /* zero: 1, 0, 1, 1 */
    bool no_bias;
    firn_init_kind init;
} firn_nn_conv2d_cfg;
FIRN_API firn_tensor *firn_nn_conv2d(firn_tensor *x, const char *name, const firn_nn_conv2d_cfg *cfg);

/* torch.nn.BatchNorm1d / BatchNorm2d: parameters weight, bias [C]; states running_mean, running_var [C].
 *   x       [N, C] or [N, C, H, W]
 *   cfg     NULL: eps 1e-5, momentum 0.1 */
typedef struct firn_nn_batch_norm_cfg {
    float eps, momentum; /* zero: 1e-5, 0.1 */
} firn_nn_batch_norm_cfg;
FIRN_API firn_tensor *firn_nn_batch_norm(firn_tensor *x, const char *name, const firn_nn_batch_norm_cfg *cfg);

/* firn_dropout() inside the scope `name`, so that firn_freeze_eval(m, name) finds it. */
FIRN_API firn_tensor *firn_nn_dropout(firn_tensor *x, const char *name, float p);

FIRN_C_END
#endif
