#include <math.h>

#include "graph.h"
#include "rng.h"

/* fan_in = product of dim[1..], fan_out = dim[0] * product of dim[2..] (torch.nn.init._calculate_fan_in_and_fan_out). */
static void fans(firn_shape s, double *in, double *out)
{
    double field = 1;
    for (int i = 2; i < s.rank; i++) field *= (double)s.dim[i];
    *in = s.rank > 1 ? (double)s.dim[1] * field : 1;
    *out = s.rank > 0 ? (double)s.dim[0] * field : 1;
}

/* One rule: values are centre + width * draw, the draw uniform in (-1, 1) or normal. */
firn_status firn__init_fill(const firn_model *m, const char *name, firn_shape shape, firn_init init, float *values)
{
    double fan_in, fan_out, width = 0, centre = 0;
    bool normal = false;
    fans(shape, &fan_in, &fan_out);
    switch (init.kind) {
    case FIRN_INIT_DEFAULT: width = shape.rank > 1 ? 1 / sqrt(fan_in) : 0; break;
    case FIRN_INIT_ZERO: break;
    case FIRN_INIT_ONE: centre = 1; break;
    case FIRN_INIT_UNIFORM: width = (double)init.value; break;
    case FIRN_INIT_NORMAL: width = (double)init.value, normal = true; break;
    case FIRN_INIT_KAIMING_UNIFORM: width = sqrt(6 / fan_in); break;
    case FIRN_INIT_KAIMING_NORMAL: width = sqrt(2 / fan_in), normal = true; break;
    case FIRN_INIT_GLOROT_UNIFORM: width = sqrt(6 / (fan_in + fan_out)); break;
    case FIRN_INIT_GLOROT_NORMAL: width = sqrt(2 / (fan_in + fan_out)), normal = true; break;
    default: return firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "\"%s\": initialiser %d is unknown", name, (int)init.kind);
    }
    if (!isfinite(width)) return firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "\"%s\": the initialiser's value must be finite", name);
    const uint64_t key = firn__rng_name(m->ctx->seed, name);
    const float w = (float)width, c = (float)centre;
    const int64_t count = firn_shape_count(shape);
    for (int64_t i = 0; i < count; i++) {
        const uint64_t at = (uint64_t)i;
        values[i] = c + w * (normal ? firn__rng_normal(key, at) : 2 * firn__rng_uniform(key, at) - 1);
    }
    return FIRN_OK;
}
