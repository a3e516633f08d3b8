#include <math.h>
#include <string.h>

#include "graph.h"
#include "optimizer.h"
#include "vector.h"

/* ---- life ---- */

firn_status firn_optimizer_create(firn_optimizer **out, firn_model *m, const firn_optim *how)
{
    if (out != NULL) *out = NULL;
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    firn_ctx *ctx = m->ctx;
    if (out == NULL) return firn_fail(ctx, FIRN_ERR_ARGUMENT, "firn_optimizer_create: out must not be NULL");
    firn_optim filled = how ? *how : (firn_optim){0};
    const firn_status st = firn__optim_check(ctx, &filled);
    if (st != FIRN_OK) return st;
    firn_optimizer *o = firn__alloc(ctx, 1, sizeof *o);
    if (o == NULL) return FIRN_ERR_MEMORY;
    firn__optim_defaults(&filled);
    *o = (firn_optimizer){.ctx = ctx, .m = m, .how = filled};
    o->n_buffers = firn__optim_buffers(&filled, o->buffer_names);
    if (!firn__optim_slots_cover(o)) {
        firn_optimizer_destroy(o);
        return FIRN_ERR_MEMORY;
    }
    *out = o;
    return FIRN_OK;
}

void firn_optimizer_destroy(firn_optimizer *o)
{
    if (o == NULL) return;
    firn_optimizer_forget(o);
    for (size_t i = 0; i < o->n_slots; i++) firn__optim_slot_clear(o, &o->slots[i]);
    firn__free(o->ctx, o->slots, o->n_slots, sizeof *o->slots);
    firn__free(o->ctx, o, 1, sizeof *o);
}

/* ---- a step ---- */

static firn_status check_plan(firn_optimizer *o, const firn_plan *plan, const char *what)
{
    if (o == NULL) return FIRN_ERR_ARGUMENT;
    if (plan == NULL || firn_plan_model(plan) != o->m)
        return firn_fail(o->ctx, FIRN_ERR_ARGUMENT, "%s: the plan must be one of the optimizer's model", what);
    return firn__optim_slots_cover(o) ? FIRN_OK : FIRN_ERR_MEMORY;
}

static firn_status no_gradient(const firn_optimizer *o, const char *what)
{
    return firn_fail(o->ctx, FIRN_ERR_STATE, "%s: the plan has run no backward since the last step", what);
}

/* Of the i-th named tensor; NULL if this step leaves it alone. Frozen since the backward: left alone too. */
static const float *gradient_of(const firn_optimizer *o, const firn_plan *plan, size_t i)
{
    if (o->m->named[i]->frozen) return NULL;
    if (o->rows == 0) return firn__plan_grad(plan, o->m->named[i]);
    return o->slots[i].summed ? o->slots[i].sum : NULL;
}

/* Norm over all gradients, before anything is divided; FIRN_ERR_NUMERIC names a parameter. */
static firn_status measure_gradients(const firn_optimizer *o, const firn_plan *plan, double *norm)
{
    double squares = 0;
    for (size_t i = 0; i < o->n_slots; i++) {
        const float *g = gradient_of(o, plan, i);
        if (g == NULL) continue;
        const firn_tensor *t = o->m->named[i];
        const double sum = firn__vector_sum_of_squares((firn__crew){o->ctx, -1}, firn_shape_count(t->shape), g, NULL);
        if (!isfinite(sum))
            return firn_fail(o->ctx, FIRN_ERR_NUMERIC, "firn_optimizer_step: the gradient of \"%s\" is not finite",
                             t->name);
        squares += sum;
    }
    *norm = sqrt(squares);
    return FIRN_OK;
}

/* State for whoever is stepped for the first time: for all or for none. */
static firn_status fill_slots(firn_optimizer *o, const firn_plan *plan)
{
    for (size_t i = 0; i < o->n_slots; i++) {
        if (gradient_of(o, plan, i) == NULL || firn__optim_slot_fill(o, i)) continue;
        for (size_t j = 0; j < i; j++)
            if (o->slots[j].fresh) firn__optim_slot_drop(o, &o->slots[j]);
        return FIRN_ERR_MEMORY;
    }
    return FIRN_OK;
}

static void update_tensor(firn_optimizer *o, size_t i, const float *g, double grad_factor, double lr)
{
    firn_tensor *t = o->m->named[i];
    firn__optim_slot *slot = &o->slots[i];
    slot->fresh = false;
    slot->step++;
    firn__update u = {.w = firn__values(t),
                      .g = g,
                      .count = slot->count,
                      .step = slot->step,
                      .grad_factor = grad_factor,
                      .lr = lr * (double)slot->rate};
    for (int b = 0; b < o->n_buffers; b++) u.buffer[b] = slot->state + (size_t)b * slot->count;
    firn__optim_update((firn__crew){o->ctx, -1}, &o->how, &u);
    firn__tensor_changed(t);
}

firn_status firn_optimizer_step(firn_optimizer *o, firn_plan *plan, float lr_scale)
{
    firn_status st = check_plan(o, plan, "firn_optimizer_step");
    if (st != FIRN_OK) return st;
    if (!(lr_scale >= 0 && isfinite(lr_scale)))
        return firn_fail(o->ctx, FIRN_ERR_ARGUMENT, "firn_optimizer_step: lr_scale is %g; it must be at least 0 and finite",
                         (double)lr_scale);
    if (o->m->pending > 0)
        return firn_fail(o->ctx, FIRN_ERR_STATE,
                         "firn_optimizer_step: a training plan is between forward and backward, which needs the weights of "
                         "its forward; call firn_plan_backward() or firn_plan_forget() first");
    if (o->rows == 0 && firn__plan_grad_rows(plan) == 0) return no_gradient(o, "firn_optimizer_step");
    double norm = 0;
    st = measure_gradients(o, plan, &norm);
    if (st == FIRN_OK) st = fill_slots(o, plan);
    if (st != FIRN_OK) return st;

    /* From here on nothing can fail. */
    const double rows = o->rows > 0 ? (double)o->rows : 1;
    const double clip = (double)o->how.clip_norm;
    o->grad_norm = norm / rows;
    const double shrink = clip > 0 && clip < o->grad_norm + 1e-6 ? clip / (o->grad_norm + 1e-6) : 1;
    for (size_t i = 0; i < o->n_slots; i++) {
        const float *g = gradient_of(o, plan, i);
        if (g != NULL)
            update_tensor(o, i, g, shrink / rows, (double)o->how.lr * (double)lr_scale);
        else if (o->m->named[i]->frozen)
            firn__optim_slot_clear(o, &o->slots[i]);
    }
    firn__plan_take_grads(plan);
    firn_optimizer_forget(o);
    return FIRN_OK;
}

/* ---- accumulation ---- */

firn_status firn_optimizer_accumulate(firn_optimizer *o, firn_plan *plan)
{
    const firn_status st = check_plan(o, plan, "firn_optimizer_accumulate");
    if (st != FIRN_OK) return st;
    const int rows = firn__plan_grad_rows(plan);
    if (rows == 0) return no_gradient(o, "firn_optimizer_accumulate");
    for (size_t i = 0; i < o->n_slots; i++)
        if (firn__plan_grad(plan, o->m->named[i]) != NULL && !firn__optim_slot_sum(o, i)) return FIRN_ERR_MEMORY;

    for (size_t i = 0; i < o->n_slots; i++) {
        const float *g = firn__plan_grad(plan, o->m->named[i]);
        if (g == NULL) continue;
        firn__optim_slot *slot = &o->slots[i];
        if (!slot->summed) memset(slot->sum, 0, slot->count * sizeof(float));
        slot->summed = true;
        const firn__combine_args a = {slot->sum, g, (float)rows, 1, slot->sum};
        firn__vector_combine((firn__crew){o->ctx, -1}, (int64_t)slot->count, &a);
    }
    if (o->rows == 0) o->m->accumulating++;
    o->rows += (uint64_t)rows;
    firn__plan_take_grads(plan);
    return FIRN_OK;
}

void firn_optimizer_forget(firn_optimizer *o)
{
    if (o == NULL || o->rows == 0) return;
    o->rows = 0;
    o->m->accumulating--;
    for (size_t i = 0; i < o->n_slots; i++) o->slots[i].summed = false;
}

double firn_optimizer_grad_norm(const firn_optimizer *o) { return o ? o->grad_norm : 0; }
