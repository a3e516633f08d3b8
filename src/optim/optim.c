#include <float.h>

#include "optimizer.h"

firn_optim firn_sgd(float lr, float momentum) { return (firn_optim){.kind = FIRN_SGD, .lr = lr, .momentum = momentum}; }
firn_optim firn_adam(float lr) { return (firn_optim){.kind = FIRN_ADAM, .lr = lr}; }
firn_optim firn_adamw(float lr) { return (firn_optim){.kind = FIRN_ADAMW, .lr = lr, .weight_decay = 0.01f}; }
firn_optim firn_adadelta(float lr) { return (firn_optim){.kind = FIRN_ADADELTA, .lr = lr, .rho = 0.95f, .eps = 1e-7f}; }
firn_optim firn_rmsprop(float lr) { return (firn_optim){.kind = FIRN_RMSPROP, .lr = lr}; }

static void set_default(float *field, float value)
{
    if (*field == 0.0f) *field = value;
}

void firn__optim_defaults(firn_optim *how)
{
    static const float lr[] = {0.01f, 0.001f, 0.001f, 1.0f, 0.01f}; /* by kind */
    set_default(&how->lr, lr[how->kind]);
    set_default(&how->beta1, 0.9f);
    set_default(&how->beta2, 0.999f);
    set_default(&how->rho, how->kind == FIRN_ADADELTA ? 0.9f : 0.99f);
    set_default(&how->eps, how->kind == FIRN_ADADELTA ? 1e-6f : 1e-8f);
}

firn_status firn__optim_check(firn_ctx *ctx, const firn_optim *how)
{
    if ((int)how->kind < FIRN_SGD || (int)how->kind > FIRN_RMSPROP)
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "optimizer: there is no kind %d", (int)how->kind);
    const struct {
        const char *name;
        float value, limit; /* 0 <= value < limit, or <= FLT_MAX: finite */
    } fields[] = {
        {"lr", how->lr, FLT_MAX},
        {"momentum", how->momentum, FLT_MAX},
        {"beta1", how->beta1, 1},
        {"beta2", how->beta2, 1},
        {"rho", how->rho, 1},
        {"eps", how->eps, FLT_MAX},
        {"clip_norm", how->clip_norm, FLT_MAX},
        {"weight_decay", how->weight_decay, FLT_MAX},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!(fields[i].value >= 0 && fields[i].value < fields[i].limit))
            return firn_fail(ctx, FIRN_ERR_ARGUMENT, "optimizer: %s is %g; it must be at least 0 and %s", fields[i].name,
                             (double)fields[i].value, fields[i].limit < FLT_MAX ? "below 1" : "finite");
    const bool takes_momentum = how->kind == FIRN_SGD || how->kind == FIRN_RMSPROP;
    if (how->momentum > 0 && !takes_momentum)
        return firn_fail(ctx, FIRN_ERR_ARGUMENT,
                         "optimizer: momentum is for SGD and RMSprop; Adam has beta1, Adadelta none");
    if (how->nesterov && (how->kind != FIRN_SGD || how->momentum <= 0))
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "optimizer: nesterov is for SGD with momentum above 0");
    return FIRN_OK;
}
