#include "layer.h"

#include <math.h>

firn_tensor *firn__layer_reject(const firn_tensor *x, firn_status st, const char *layer, const char *name, const char *rule)
{
    const firn_shape s = firn_tensor_shape(x);
    char text[FIRN_MAX_RANK * 22 + 1] = "";
    int used = 0;
    for (int i = 0; i < s.rank; i++) {
        const char *comma = i > 0 ? ", " : "";
        char *end = text + used;
        const size_t room = sizeof text - (size_t)used;
        used += s.dim[i] == FIRN_BATCH ? snprintf(end, room, "%sN", comma)
                                       : snprintf(end, room, "%s%lld", comma, (long long)s.dim[i]);
    }
    firn_model *m = firn_tensor_model(x);
    firn_fail(firn_model_ctx(m), st, "%s \"%s\": x is [%s]; %s", layer, name ? name : "", text, rule);
    firn_scope_push(m, name); /* left like one that fails half-way: NULL may not pass for an input that is left out */
    return firn__layer_leave(m, NULL);
}

bool firn__layer_takes(const firn_tensor *x, firn_init_kind kind, const char *layer, const char *name)
{
    if (kind != FIRN_INIT_UNIFORM && kind != FIRN_INIT_NORMAL) return true;
    firn__layer_reject(x, FIRN_ERR_ARGUMENT, layer, name,
                       "cfg.init must be a kind that needs no value (declare the weight with firn_param() for the others)");
    return false;
}

firn_tensor *firn__layer_leave(firn_model *m, firn_tensor *y)
{
    if (y != NULL)
        firn_scope_pop(m);
    else
        firn_scope_undo(m);
    return y;
}

firn_init firn__layer_bias_init(firn_init_kind weight, double fan_in)
{
    if (weight != FIRN_INIT_PYTORCH) return (firn_init){.kind = FIRN_INIT_ZERO};
    return (firn_init){.kind = FIRN_INIT_UNIFORM, .value = (float)(1 / sqrt(fan_in))};
}
