/* optim.h: optimizers. State is kept per unfrozen parameter, by name, each with its own step count (FREEZE F11, F12).
 * A frozen tensor is never touched: no update, no decay, no momentum, no share in the clip norm. */
#ifndef FIRN_OPTIM_H
#define FIRN_OPTIM_H
#include "plan.h"

FIRN_C_BEGIN

typedef enum firn_optim_kind { FIRN_SGD = 0, FIRN_ADAM, FIRN_ADAMW, FIRN_ADADELTA, FIRN_RMSPROP } firn_optim_kind;

/* Formulas, names and defaults are torch.optim's. Zero fields are what they say, except eps, beta1, beta2, rho and lr,
 * where zero means the default of the kind: make one with the functions below and change what you need.
 *   SGD       d = g + wd*w; v = momentum*v + d; w -= lr * (nesterov ? d + momentum*v : v)
 *   ADAM      g += wd*w; m, v of Kingma, Ba 2015; w -= lr * mhat / (sqrt(vhat) + eps)
 *   ADAMW     w *= 1 - lr*wd, then Adam (Loshchilov, Hutter 2019)
 *   ADADELTA  g += wd*w; s = rho*s + (1-rho) g^2; d = sqrt(u + eps) / sqrt(s + eps) * g; u = rho*u + (1-rho) d^2;
 *             w -= lr*d (Zeiler 2012)
 *   RMSPROP   g += wd*w; s = rho*s + (1-rho) g^2; d = g / (sqrt(s) + eps); with momentum v = momentum*v + d;
 *             w -= lr * (momentum ? v : d) (rho is PyTorch's alpha) */
typedef struct firn_optim {
    firn_optim_kind kind;
    float lr;                              /* default: SGD, RMSprop, Adadelta, Adam(W): 0.01 (PyTorch's: 0.001), 0.01, 1,
                                            * 0.001 */
    float momentum;                        /* SGD, RMSprop */
    float beta1, beta2;                    /* Adam(W): 0.9, 0.999 */
    float rho;                             /* Adadelta 0.9 (PyTorch's; Keras: 0.95), RMSprop 0.99 */
    float eps;                             /* Adam(W), RMSprop 1e-8; Adadelta 1e-6 */
    float weight_decay;
    float clip_norm;                       /* zero: none. Gradients are scaled by min(1, clip_norm / (norm + 1e-6)), norm
                                            * over all unfrozen parameters (torch.nn.utils.clip_grad_norm_) */
    bool nesterov;                         /* SGD, needs momentum */
} firn_optim;

FIRN_API firn_optim firn_sgd(float lr, float momentum);
FIRN_API firn_optim firn_adam(float lr);
FIRN_API firn_optim firn_adamw(float lr);    /* beta 0.9 / 0.999, eps 1e-8, decay 0.01 */
FIRN_API firn_optim firn_adadelta(float lr); /* Keras's: rho 0.95, eps 1e-7 */
FIRN_API firn_optim firn_rmsprop(float lr);

typedef struct firn_optimizer firn_optimizer;

/* how NULL: SGD, lr 0.01. State is allocated when a parameter is first stepped, and released at the first step after it
 * was frozen.
 * Errors  FIRN_ERR_ARGUMENT: out NULL, or a field of how out of range, which is named; FIRN_ERR_MEMORY
 * Owner   the caller; firn_optimizer_destroy() */
FIRN_API FIRN_MUST_USE firn_status firn_optimizer_create(firn_optimizer **out, firn_model *m, const firn_optim *how);
FIRN_API void firn_optimizer_destroy(firn_optimizer *o);

/* Learning-rate multiplier of the selected parameters (discriminative rates); later calls win.
 * Errors  as firn_select(); FIRN_ERR_ARGUMENT: not above zero and finite (zero: "freeze it instead") */
FIRN_API FIRN_MUST_USE firn_status firn_optimizer_set_rate(firn_optimizer *o, const char *selector, float multiplier);
FIRN_API float firn_optimizer_rate(const firn_optimizer *o, const char *param); /* 1 if never set */

/* Adds the gradients of the plan's last backward to an accumulator, weighted by its rows; the next step uses their
 * mean instead of the plan's own. The mask must not change until that step.
 * Errors  FIRN_ERR_ARGUMENT: a plan of another model; FIRN_ERR_STATE: no backward since its gradients were last used;
 *         FIRN_ERR_MEMORY: nothing was added */
FIRN_API FIRN_MUST_USE firn_status firn_optimizer_accumulate(firn_optimizer *o, firn_plan *plan);
/* Drops what was accumulated, so that the mask may change again. */
FIRN_API void firn_optimizer_forget(firn_optimizer *o);

/* Applies the gradients of the plan's last backward (or the accumulated ones) to the unfrozen parameters.
 *   lr_scale  factor of the schedule, at least 0
 * Errors      FIRN_ERR_ARGUMENT: a plan of another model, lr_scale out of range; FIRN_ERR_STATE: no backward since the last
 *             step, or a plan of the model, this or another, waits for its backward; FIRN_ERR_NUMERIC: a gradient is not
 *             finite; FIRN_ERR_MEMORY: state could not be allocated. On any of them nothing has changed */
FIRN_API FIRN_MUST_USE firn_status firn_optimizer_step(firn_optimizer *o, firn_plan *plan, float lr_scale);
FIRN_API double firn_optimizer_grad_norm(const firn_optimizer *o); /* before clipping, of the last step */

/* State, for files and for tests: each entry is one buffer of one parameter. */
typedef struct firn_optimizer_entry {
    const char *param, *buffer; /* buffer: torch.optim's name: "momentum_buffer" "exp_avg" "exp_avg_sq" "square_avg" "acc_delta" */
    const float *data;
    size_t count;
    uint64_t step;              /* steps this parameter has taken */
} firn_optimizer_entry;
FIRN_API size_t firn_optimizer_entries(const firn_optimizer *o);
FIRN_API firn_optimizer_entry firn_optimizer_entry_at(const firn_optimizer *o, size_t i);
/* Puts one buffer back, and the parameter's step count; any of the parameter's names will do.
 * Errors  FIRN_ERR_ARGUMENT: a pointer of entry is NULL; FIRN_ERR_NAME: there is no such parameter, or the kind keeps no
 *         such buffer; FIRN_ERR_SHAPE: count is not the parameter's; FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_optimizer_restore(firn_optimizer *o, const firn_optimizer_entry *entry);

/* Bytes of state that so many trained elements take: with firn_cost.params_trainable, what stepping a plan allocates
 * (without accumulators). */
FIRN_API size_t firn_optimizer_bytes(const firn_optimizer *o, uint64_t elements);

/* ---- learning-rate schedules: a factor on lr as a function of the step ---- */
typedef enum firn_schedule_kind { FIRN_CONSTANT = 0, FIRN_STEP_DECAY, FIRN_COSINE, FIRN_ONE_CYCLE } firn_schedule_kind;
typedef struct firn_schedule {
    firn_schedule_kind kind;
    uint64_t warmup;      /* steps over which the factor rises linearly from 1/warmup of the kind's first; in front of
                           * every kind, which then has warmup fewer steps */
    uint64_t total;       /* COSINE, ONE_CYCLE: steps in all; zero: firn_fit() fills in its own number */
    uint64_t every;       /* STEP_DECAY: factor gamma^(step / every) */
    float gamma;          /* STEP_DECAY; zero: 0.1 */
    float floor;          /* COSINE: factor at the end; zero: 0 (torch CosineAnnealingLR's eta_min / lr) */
} firn_schedule;
/* ONE_CYCLE is torch's OneCycleLR: max_lr is firn_optim.lr, pct_start 0.3, div_factor 25, final_div_factor 1e4, cosine;
 * momentum is not cycled. Behind total, COSINE and ONE_CYCLE stay where they ended. */
FIRN_API float firn_schedule_at(const firn_schedule *s, uint64_t step); /* NULL: 1 */

FIRN_C_END
#endif
