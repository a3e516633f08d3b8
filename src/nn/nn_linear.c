#include "layer.h"

firn_tensor *firn_nn_linear(firn_tensor *x, const char *name, const firn_nn_linear_cfg *cfg)
{
    static const char layer[] = "linear";
    if (x == NULL) return NULL;
    if (cfg == NULL || cfg->out < 1)
        return firn__layer_reject(x, FIRN_ERR_ARGUMENT, layer, name, "cfg.out must be at least 1");
    const firn_shape s = firn_tensor_shape(x);
    if (s.rank != 2) return firn__layer_reject(x, FIRN_ERR_SHAPE, layer, name, "it must be [N, I] (see firn_flatten)");
    if (!firn__layer_takes(x, cfg->init, layer, name)) return NULL;

    firn_model *m = firn_tensor_model(x);
    firn_tensor *bias = NULL;
    firn_scope_push(m, name);
    firn_tensor *weight = firn_param(m, "weight", FIRN_SHAPE(cfg->out, s.dim[1]), (firn_init){.kind = cfg->init});
    if (weight != NULL && !cfg->no_bias)
        bias = firn_param(m, "bias", FIRN_SHAPE(cfg->out), firn__layer_bias_init(cfg->init, (double)s.dim[1]));
    firn_tensor *y = bias != NULL || cfg->no_bias ? firn_linear(x, weight, bias) : NULL;
    return firn__layer_leave(m, y);
}
