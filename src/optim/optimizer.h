/* optimizer.h: what the files of this floor share. */
#ifndef FIRN_OPTIM_OPTIMIZER_H
#define FIRN_OPTIM_OPTIMIZER_H
#include <firn/optim.h>

#include "alloc.h"

enum { FIRN__OPTIM_MAX_BUFFERS = 2 };

/* What is kept for one parameter. */
typedef struct firn__optim_slot {
    float *state; /* the kind's buffers, one after the other; NULL before the first step */
    float *sum;   /* of gradients times rows, for accumulation; NULL before the first time */
    size_t count; /* elements of the parameter */
    uint64_t step;
    float rate;
    bool fresh;  /* state was made for the step that is being prepared */
    bool summed; /* sum belongs to the step that is being accumulated */
} firn__optim_slot;

struct firn_optimizer {
    firn_ctx *ctx;
    firn_model *m;
    firn_optim how;
    int n_buffers;
    const char *buffer_names[FIRN__OPTIM_MAX_BUFFERS];
    firn__optim_slot *slots; /* by a named tensor's index in the model */
    size_t n_slots;
    uint64_t rows; /* accumulated since the last step */
    double grad_norm;
};

/* Puts the kind's defaults where a field is zero. Only after the check. */
void firn__optim_defaults(firn_optim *how);
firn_status firn__optim_check(firn_ctx *ctx, const firn_optim *how);

/* Number and names of the buffers of state. */
int firn__optim_buffers(const firn_optim *how, const char *names[FIRN__OPTIM_MAX_BUFFERS]);

/* One step of one parameter. */
typedef struct firn__update {
    float *w;
    const float *g;
    float *buffer[FIRN__OPTIM_MAX_BUFFERS];
    size_t count;
    uint64_t step;      /* this one, from 1 */
    double grad_factor; /* of the clip norm and of accumulation */
    double lr;          /* schedule and multiplier included */
} firn__update;
void firn__optim_update(firn__crew crew, const firn_optim *how, const firn__update *u);

/* By squaring: libm's pow differs between machines. */
double firn__optim_power(double base, uint64_t exponent);

/* A slot for every named tensor that the model has by now; false if memory is out. */
bool firn__optim_slots_cover(firn_optimizer *o);
/* Gives the i-th slot its state, zeroed, or its sum, not zeroed, if it has none; false if memory is out. */
bool firn__optim_slot_fill(firn_optimizer *o, size_t i);
bool firn__optim_slot_sum(firn_optimizer *o, size_t i);
void firn__optim_slot_drop(firn_optimizer *o, firn__optim_slot *slot);  /* takes back a state that was just filled */
void firn__optim_slot_clear(firn_optimizer *o, firn__optim_slot *slot); /* back to step 0; the rate stays */

#endif
