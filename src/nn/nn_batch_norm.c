#include "layer.h"

firn_tensor *firn_nn_batch_norm(firn_tensor *x, const char *name, const firn_nn_batch_norm_cfg *cfg)
{
    static const char layer[] = "batch_norm";
    if (x == NULL) return NULL;
    const firn_shape s = firn_tensor_shape(x);
    if (s.rank != 2 && s.rank != 4)
        return firn__layer_reject(x, FIRN_ERR_SHAPE, layer, name, "it must be [N, C] or [N, C, H, W]");

    firn_model *m = firn_tensor_model(x);
    const firn_shape channels = FIRN_SHAPE(s.dim[1]);
    const firn_init zero = {.kind = FIRN_INIT_ZERO}, one = {.kind = FIRN_INIT_ONE};
    firn_scope_push(m, name);
    firn_tensor *weight = firn_param(m, "weight", channels, one);
    firn_tensor *bias = firn_param(m, "bias", channels, zero);
    firn_tensor *mean = firn_state(m, "running_mean", channels, zero);
    firn_tensor *var = firn_state(m, "running_var", channels, one);
    const firn_batch_norm_attr attr = {cfg ? cfg->eps : 0, cfg ? cfg->momentum : 0};
    firn_tensor *y = firn_batch_norm(x, weight, bias, mean, var, &attr);
    return firn__layer_leave(m, y);
}
