#include "layer.h"

/* Zero fields are stride 1, pad 0, dilation 1, groups 1; firn_conv2d() looks after the rest. */
firn_tensor *firn_nn_conv2d(firn_tensor *x, const char *name, const firn_nn_conv2d_cfg *cfg)
{
    static const char layer[] = "conv2d";
    if (x == NULL) return NULL;
    if (cfg == NULL || cfg->out < 1 || cfg->kernel < 1)
        return firn__layer_reject(x, FIRN_ERR_ARGUMENT, layer, name, "cfg.out and cfg.kernel must be at least 1");
    const firn_shape s = firn_tensor_shape(x);
    if (s.rank != 4) return firn__layer_reject(x, FIRN_ERR_SHAPE, layer, name, "it must be [N, C, H, W]");
    const int groups = cfg->groups ? cfg->groups : 1;
    if (groups < 1 || s.dim[1] % groups != 0 || cfg->out % groups != 0)
        return firn__layer_reject(x, FIRN_ERR_ARGUMENT, layer, name, "cfg.groups must divide C and cfg.out");
    if (!firn__layer_takes(x, cfg->init, layer, name)) return NULL;

    firn_model *m = firn_tensor_model(x);
    const int64_t inputs = s.dim[1] / groups;
    const double fan_in = (double)inputs * cfg->kernel * cfg->kernel;
    firn_tensor *bias = NULL;
    firn_scope_push(m, name);
    firn_tensor *weight =
        firn_param(m, "weight", FIRN_SHAPE(cfg->out, inputs, cfg->kernel, cfg->kernel), (firn_init){.kind = cfg->init});
    if (weight != NULL && !cfg->no_bias)
        bias = firn_param(m, "bias", FIRN_SHAPE(cfg->out), firn__layer_bias_init(cfg->init, fan_in));
    const firn_conv2d_attr attr = {cfg->stride, cfg->pad, cfg->dilation, cfg->groups};
    firn_tensor *y = bias != NULL || cfg->no_bias ? firn_conv2d(x, weight, bias, &attr) : NULL;
    return firn__layer_leave(m, y);
}
