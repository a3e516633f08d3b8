/* plan.c: making a plan, keeping it in step with the mask, and handing out what it computed. */
#include <string.h>

#include "run.h"

/* ---- pointers ---- */

static void *arena_at(const firn_plan *plan, int buffer)
{
    if (buffer < 0 || plan->layout.buffers[buffer].region >= 0) return NULL;
    return (unsigned char *)plan->arena.data + plan->layout.buffers[buffer].offset;
}

void *firn__slot_data(const firn_plan *plan, int slot)
{
    const firn__slot *base = &plan->layout.slots[plan->layout.slots[slot].base];
    return firn__is_named(base->tensor) ? firn__values(base->tensor) : arena_at(plan, base->value);
}

static float *param_grad_at(const firn_plan *plan, const firn__slot *s)
{
    return s->param_grad == SIZE_MAX ? NULL : (float *)((unsigned char *)plan->grads.data + s->param_grad);
}

static firn_view slot_view(const firn__layout *l, int slot, void *data)
{
    if (slot < 0) return (firn_view){.shape = {.rank = -1}};
    const firn__slot *s = &l->slots[slot];
    return (firn_view){data, s->tensor->dtype, s->shape};
}

static void bind_item(firn_plan *plan, int i)
{
    const firn__layout *l = &plan->layout;
    const firn__item *item = &l->items[i];
    firn__bound *b = &plan->bound[i];
    void *out = firn__slot_data(plan, item->out);
    b->out = slot_view(l, item->out, out);
    b->kept_out = slot_view(l, item->out, item->keep & FIRN_READS_OUT ? out : NULL);
    b->dout = slot_view(l, item->out, arena_at(plan, l->slots[item->out].grad));
    for (int k = 0; k < item->op->n_in; k++) {
        const int s = item->in[k];
        void *value = s >= 0 ? firn__slot_data(plan, s) : NULL;
        b->in[k] = slot_view(l, s, value);
        b->kept[k] = slot_view(l, s, item->keep & FIRN_READS_IN(k) ? value : NULL);
        const firn__target *t = &item->target[k];
        void *grad = t->buffer >= 0 ? arena_at(plan, t->buffer) : s >= 0 ? param_grad_at(plan, &l->slots[s]) : NULL;
        b->din[k] = slot_view(l, s, t->wanted ? grad : NULL);
    }
    b->saved = arena_at(plan, item->saved);
    b->scratch = arena_at(plan, item->scratch);
    b->scratch_back = arena_at(plan, item->scratch_back);
    b->prepared = item->prepared_bytes ? (unsigned char *)plan->packed.data + item->prepared : NULL;
}

/* The epilogue of a product is made of what lies behind it, so all items must be bound. */
static void bind_epilogue(firn_plan *plan, int i)
{
    const firn__item *item = &plan->layout.items[i];
    firn__bound *b = &plan->bound[i];
    if (item->affine >= 0) {
        const firn__bound *norm = &plan->bound[item->affine];
        b->epilogue.scale = firn__batch_norm_scale(norm->prepared);
        b->epilogue.shift = firn__batch_norm_shift(norm->prepared, norm->in[0].shape.dim[1]);
        b->out = norm->out;
    }
    if (item->relu >= 0) {
        b->epilogue.relu = true;
        b->epilogue.relu_bits = plan->bound[item->relu].saved;
        b->out = plan->bound[item->relu].out;
    }
}

static void set_rows(firn_view *v, const firn__layout *l, int slot, int rows)
{
    if (slot >= 0 && l->slots[slot].row_bytes > 0) v->shape.dim[0] = rows;
}

void firn__plan_bind_rows(firn_plan *plan, int rows)
{
    const firn__layout *l = &plan->layout;
    if (plan->rows == rows) return;
    plan->rows = rows;
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        firn__bound *b = &plan->bound[i];
        set_rows(&b->out, l, item->out, rows); /* the epilogue's result has the same rows */
        set_rows(&b->kept_out, l, item->out, rows);
        set_rows(&b->dout, l, item->out, rows);
        for (int k = 0; k < item->op->n_in; k++) {
            set_rows(&b->in[k], l, item->in[k], rows);
            set_rows(&b->kept[k], l, item->in[k], rows);
            set_rows(&b->din[k], l, item->in[k], rows);
        }
    }
}

/* ---- making ---- */

/* Memory is touched once and kept: a block that has the right size stays. */
static bool block_fit(firn_ctx *ctx, firn__block *block, size_t bytes)
{
    if (block->bytes == bytes) return true;
    firn__block_free(ctx, block);
    return firn__block_alloc(ctx, block, bytes);
}

static firn_status plan_allocate(firn_plan *plan)
{
    const firn__layout *l = &plan->layout;
    plan->ready = false;
    plan->rows = 0;
    plan->has_grads = false;
    plan->grad_rows = 0;
    if (!block_fit(plan->ctx, &plan->arena, l->arena_bytes) || !block_fit(plan->ctx, &plan->grads, l->grads_bytes) ||
        !block_fit(plan->ctx, &plan->packed, l->packed_bytes))
        return FIRN_ERR_MEMORY;
    for (int i = 0; i < l->n_items; i++) bind_item(plan, i);
    for (int i = 0; i < l->n_items; i++) bind_epilogue(plan, i);
    plan->ready = true;
    return FIRN_OK;
}

firn_status firn__plan_layout(const firn_plan *plan, bool thawed, firn__layout *layout, firn__bound **bound)
{
    const firn_status st = firn__layout_build(layout, plan->root, &plan->options, thawed);
    if (st != FIRN_OK) return st;
    *bound = firn__layout_alloc(layout, (size_t)layout->n_items, sizeof **bound);
    if (*bound != NULL) return FIRN_OK;
    firn__layout_free(layout);
    return FIRN_ERR_MEMORY;
}

firn_status firn__plan_refresh(firn_plan *plan)
{
    const bool current = plan->mask_version == plan->model->mask_version && plan->bound != NULL;
    if (current) return plan->ready ? FIRN_OK : plan_allocate(plan);
    firn__layout layout;
    firn__bound *bound;
    const firn_status st = firn__plan_layout(plan, false, &layout, &bound);
    if (st != FIRN_OK) return st;
    firn__layout_free(&plan->layout);
    plan->layout = layout;
    plan->bound = bound;
    plan->mask_version = plan->model->mask_version;
    return plan_allocate(plan);
}

/* Root or watch: what firn_plan_value() shows as floats. */
static firn_status check_output(const firn_tensor *t, const firn_model *m, const char *role)
{
    char text[FIRN__SHAPE_TEXT];
    if (t->model != m || t->producer == NULL)
        return firn__fail(m->ctx, FIRN_ERR_ARGUMENT,
                          "firn_plan_create: %s \"%s\" is not the result of an operator of the same model", role, t->name);
    if (t->dtype == FIRN_F32) return FIRN_OK;
    return firn__fail(
        m->ctx, FIRN_ERR_DTYPE,
        "firn_plan_create: %s \"%s\" %s must be F32, for it is read as floats (firn_scale() makes them of integers)", role,
        t->name, firn__shape_text(t->shape, text));
}

static firn_status check_options(const firn_tensor *root, const firn_plan_options *opt)
{
    firn_ctx *ctx = root->model->ctx;
    static const char what[] = "firn_plan_create";
    char text[FIRN__SHAPE_TEXT];
    if (opt == NULL) return firn__fail(ctx, FIRN_ERR_ARGUMENT, "%s: options is NULL", what);
    if (opt->mode != FIRN_TRAIN && opt->mode != FIRN_EVAL) return firn__fail(ctx, FIRN_ERR_ARGUMENT, "%s: mode %d is unknown", what, (int)opt->mode);
    if (opt->batch < 1) return firn__fail(ctx, FIRN_ERR_ARGUMENT, "%s: batch must be at least 1, not %d", what, opt->batch);
    if (opt->mode == FIRN_TRAIN && root->shape.rank != 0)
        return firn__fail(ctx, FIRN_ERR_SHAPE, "%s: a training plan needs a scalar F32 to minimise; \"%s\" is %s", what, root->name,
                          firn__shape_text(root->shape, text));
    const firn_status st = check_output(root, root->model, "root");
    return st == FIRN_OK && opt->watch != NULL ? check_output(opt->watch, root->model, "watch") : st;
}

firn_status firn_plan_create(firn_plan **out, firn_tensor *root, const firn_plan_options *opt)
{
    if (out != NULL) *out = NULL;
    if (root == NULL) return FIRN_ERR_ARGUMENT; /* what building it has left in the context says why */
    if (out == NULL) return firn__fail(root->model->ctx, FIRN_ERR_ARGUMENT, "firn_plan_create: out is NULL");
    firn_status st = check_options(root, opt);
    if (st != FIRN_OK) return st;
    firn_ctx *ctx = root->model->ctx;
    firn_plan *plan = firn__alloc(ctx, 1, sizeof *plan);
    if (plan == NULL) return FIRN_ERR_MEMORY;
    *plan = (firn_plan){.ctx = ctx, .model = root->model, .root = root, .options = *opt};
    st = firn__plan_refresh(plan);
    if (st != FIRN_OK) {
        firn_plan_destroy(plan);
        return st;
    }
    *out = plan;
    return FIRN_OK;
}

void firn_plan_forget(firn_plan *plan)
{
    if (plan == NULL || !plan->pending) return;
    plan->pending = false;
    plan->model->pending--;
}

void firn_plan_destroy(firn_plan *plan)
{
    if (plan == NULL) return;
    firn_plan_forget(plan);
    firn__layout_free(&plan->layout);
    firn__block_free(plan->ctx, &plan->arena);
    firn__block_free(plan->ctx, &plan->grads);
    firn__block_free(plan->ctx, &plan->packed);
    firn__free(plan->ctx, plan, 1, sizeof *plan);
}

/* ---- what it computed ---- */

firn_model *firn_plan_model(const firn_plan *plan) { return plan ? plan->model : NULL; }
int firn_plan_batch(const firn_plan *plan) { return plan ? plan->options.batch : 0; }
int firn_plan_rows(const firn_plan *plan) { return plan && plan->rows > 0 ? plan->all_rows : 0; }
uint64_t firn_plan_step(const firn_plan *plan) { return plan ? plan->step : 0; }

void firn_plan_set_step(firn_plan *plan, uint64_t step)
{
    if (plan != NULL) plan->step = step;
}

const float *firn_plan_value(const firn_plan *plan, const firn_tensor *t)
{
    if (plan == NULL || plan->rows == 0 || !plan->ready) return NULL;
    if (t == NULL) t = plan->root;
    if (t != plan->root && t != plan->options.watch) return NULL;
    const int slot = plan->layout.slot_of[t->index], copy = plan->layout.slots[slot].copy;
    const size_t whole = plan->layout.slots[slot].whole;
    if (whole != SIZE_MAX) return (const float *)((unsigned char *)plan->arena.data + whole);
    return copy >= 0 ? arena_at(plan, copy) : firn__slot_data(plan, slot);
}

int firn__plan_grad_rows(const firn_plan *plan) { return plan->grad_rows; }
void firn__plan_take_grads(firn_plan *plan) { plan->grad_rows = 0; }

const float *firn__plan_grad(const firn_plan *plan, const firn_tensor *t)
{
    const int slot = plan->has_grads && !t->frozen ? firn__layout_slot(&plan->layout, t) : FIRN__NONE;
    return slot < 0 ? NULL : param_grad_at(plan, &plan->layout.slots[slot]);
}

const float *firn_plan_grad(const firn_plan *plan, const char *param)
{
    const firn_tensor *t = plan ? firn_find(plan->model, param) : NULL;
    return t ? firn__plan_grad(plan, t) : NULL;
}
