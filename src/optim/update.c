#include <math.h>

#include "optimizer.h"
#include "vector.h"

int firn__optim_buffers(const firn_optim *how, const char *names[FIRN__OPTIM_MAX_BUFFERS])
{
    static const char *const adam[] = {"exp_avg", "exp_avg_sq"}, *const adadelta[] = {"square_avg", "acc_delta"},
                             *const sgd[] = {"momentum_buffer", NULL}, *const rmsprop[] = {"square_avg", "momentum_buffer"};
    static const char *const *const by_kind[] = {sgd, adam, adam, adadelta, rmsprop};
    const bool momentum = how->momentum > 0;
    const int count[] = {momentum, 2, 2, 2, 1 + momentum};
    for (int i = 0; i < FIRN__OPTIM_MAX_BUFFERS; i++) names[i] = by_kind[how->kind][i];
    return count[how->kind];
}

double firn__optim_power(double base, uint64_t exponent)
{
    double power = 1;
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1) power *= base;
    return power;
}

static void update_adam(firn__crew crew, const firn_optim *how, const firn__update *u)
{
    const bool decoupled = how->kind == FIRN_ADAMW;
    const double correction1 = 1 - firn__optim_power((double)how->beta1, u->step);
    const double correction2 = 1 - firn__optim_power((double)how->beta2, u->step);
    firn__vector_adam(crew, (int64_t)u->count,
                      &(firn__adam_args){.w = u->w,
                                         .g = u->g,
                                         .m = u->buffer[0],
                                         .v = u->buffer[1],
                                         .grad_factor = (float)u->grad_factor,
                                         .weight_decay = decoupled ? 0 : how->weight_decay,
                                         .shrink = decoupled ? (float)(1 - u->lr * (double)how->weight_decay) : 1,
                                         .beta1 = how->beta1,
                                         .beta2 = how->beta2,
                                         .eps = how->eps,
                                         .rate = (float)(u->lr / correction1),
                                         .root = (float)(1 / sqrt(correction2))});
}

void firn__optim_update(firn__crew crew, const firn_optim *how, const firn__update *u)
{
    const int64_t count = (int64_t)u->count;
    const float factor = (float)u->grad_factor, lr = (float)u->lr;
    switch (how->kind) {
    case FIRN_SGD:
        firn__vector_sgd(
            crew, count,
            &(firn__sgd_args){u->w, u->g, u->buffer[0], factor, lr, how->weight_decay, how->momentum, how->nesterov});
        break;
    case FIRN_ADAM:
    case FIRN_ADAMW:
        update_adam(crew, how, u);
        break;
    case FIRN_ADADELTA:
        firn__vector_adadelta(crew, count,
                              &(firn__adadelta_args){u->w, u->g, u->buffer[0], u->buffer[1], factor, how->weight_decay, lr,
                                                     how->rho, how->eps});
        break;
    case FIRN_RMSPROP:
        firn__vector_rmsprop(crew, count,
                             &(firn__rmsprop_args){u->w, u->g, u->buffer[0], u->buffer[1], factor, how->weight_decay, lr,
                                                   how->rho, how->eps, how->momentum});
        break;
    }
}
