/* step.c: forward and backward as a user calls them: what is fed, what is refused, what is remembered. */
#include <string.h>

#include "run.h"
#include "vector.h"

/* ---- feeds ---- */

static const firn_tensor *find_input(const firn_model *m, const char *name)
{
    for (size_t i = 0; i < m->n_tensors && name != NULL; i++)
        if (m->tensors[i]->kind == FIRN__INPUT && strcmp(m->tensors[i]->name, name) == 0) return m->tensors[i];
    return NULL;
}

static const firn_feed *find_feed(const firn_feed *feeds, size_t n_feeds, const char *name)
{
    for (size_t i = 0; i < n_feeds; i++)
        if (strcmp(feeds[i].input, name) == 0) return &feeds[i];
    return NULL;
}

/* Is the slot an input that this forward reads? */
static bool is_fed(const firn__layout *l, int slot, bool tail)
{
    if (l->slots[slot].tensor->kind != FIRN__INPUT) return false;
    for (int i = 0; i < l->n_items; i++)
        for (int k = 0; k < l->items[i].op->n_in; k++)
            if (l->items[i].in[k] == slot && (!tail || l->items[i].tail)) return true;
    return false;
}

static firn_status check_feeds(const firn_plan *plan, const char *what, const firn_feed *feeds, size_t n_feeds, bool tail)
{
    if (feeds == NULL && n_feeds > 0) return firn__fail(plan->ctx, FIRN_ERR_ARGUMENT, "%s: feeds is NULL", what);
    for (size_t i = 0; i < n_feeds; i++) {
        if (feeds[i].input == NULL || find_input(plan->model, feeds[i].input) == NULL)
            return firn__fail(plan->ctx, FIRN_ERR_NAME, "%s: the model has no input called \"%.200s\"", what,
                              feeds[i].input ? feeds[i].input : "(NULL)");
        if (find_feed(feeds, i, feeds[i].input) != NULL)
            return firn__fail(plan->ctx, FIRN_ERR_NAME, "%s: input \"%s\" is fed twice", what, feeds[i].input);
        if (feeds[i].data == NULL) return firn__fail(plan->ctx, FIRN_ERR_ARGUMENT, "%s: the data of input \"%s\" is NULL", what, feeds[i].input);
    }
    for (int i = 0; i < plan->layout.n_slots; i++) {
        const char *name = plan->layout.slots[i].tensor->name;
        if (is_fed(&plan->layout, i, tail) && find_feed(feeds, n_feeds, name) == NULL)
            return firn__fail(plan->ctx, FIRN_ERR_NAME, "%s: input \"%s\" is needed and not fed", what, name);
    }
    return FIRN_OK;
}

/* Takes the bound rows, which begin at row first of the feeds. A user gives N, C, H, W. */
static void take_feeds(firn_plan *plan, const firn_feed *feeds, size_t n_feeds, int first)
{
    const firn__layout *l = &plan->layout;
    for (int i = 0; i < l->n_slots; i++) {
        const firn__slot *s = &l->slots[i];
        const firn_feed *feed = s->tensor->kind == FIRN__INPUT ? find_feed(feeds, n_feeds, s->tensor->name) : NULL;
        if (feed == NULL) continue;
        const int64_t *dim = s->shape.dim;
        const unsigned char *data = (const unsigned char *)feed->data + (size_t)first * s->row_bytes;
        if (firn__is_turned(s->shape))
            firn__vector_transpose((firn__crew){plan->ctx, -1}, plan->rows,
                                   &(firn__transpose_args){.rows = dim[1], .columns = dim[2] * dim[3], .dtype = s->tensor->dtype,
                                                           .x = data, .y = firn__slot_data(plan, i)});
        else
            memcpy(firn__slot_data(plan, i), data, (size_t)plan->rows * s->row_bytes);
    }
}

static firn_status check_values(const firn_plan *plan, bool tail)
{
    const firn__layout *l = &plan->layout;
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        const firn__bound *b = &plan->bound[i];
        if (item->op->check == NULL || (tail && !item->tail)) continue;
        firn_view in[FIRN_OP_MAX_IN], out = b->out;
        out.data = NULL;
        for (int k = 0; k < item->op->n_in; k++) {
            in[k] = b->in[k];
            if (!(item->node->op->fed >> k & 1)) in[k].data = NULL;
        }
        const firn_op_run r = {.in = in,
                               .out = &out,
                               .attr = item->node->attr,
                               .training = item->training,
                               .frozen = item->frozen,
                               .ctx = plan->ctx,
                               .op = item->op,
                               .names = item->node->in,
                               .worker = -1};
        const firn_status st = item->op->check(&r);
        if (st != FIRN_OK) /* heard only if check() gave no reason */
            return firn_op_fail(
                &(firn_op_build){
                    .in = b->in, .n_in = item->op->n_in, .ctx = plan->ctx, .op = item->op, .names = item->node->in},
                st, "the operator refuses what it was fed");
    }
    return FIRN_OK;
}

/* ---- forward ---- */

/* features: NULL, or by row a packed sample that stands for all below the frontier, or NULL. */
static firn_status forward_rows(firn_plan *plan, const char *what, const void *const *features, const firn_feed *feeds, size_t n_feeds, int rows)
{
    bool tail = features != NULL;
    if (rows < 1 || rows > plan->options.batch)
        return firn__fail(plan->ctx, FIRN_ERR_ARGUMENT, "%s: rows must be 1 to %d (the plan's batch), not %d", what, plan->options.batch, rows);
    for (int i = 0; i < rows; i++) tail = tail && features[i] != NULL;
    firn_status st = firn__plan_refresh(plan);
    if (st == FIRN_OK) st = check_feeds(plan, what, feeds, n_feeds, tail);
    if (st != FIRN_OK) return st;
    firn_plan_forget(plan); /* from here on the values of the forward before are lost */
    plan->drawn = plan->step;
    plan->all_rows = rows;
    for (int first = 0; first < rows; first += plan->rows) {
        const int left = rows - first;
        firn__plan_bind_rows(plan, left < plan->layout.batch ? left : plan->layout.batch);
        take_feeds(plan, feeds, n_feeds, first);
        st = check_values(plan, tail);
        if (st != FIRN_OK) {
            plan->rows = 0;
            return st;
        }
        if (features != NULL) firn__features_complete(plan, features);
        if (features != NULL && !tail) take_feeds(plan, feeds, n_feeds, first);
        firn__run_forward(plan, features ? FIRN__TAIL : FIRN__ALL);
        firn__copy_outputs(plan, first);
    }
    if (plan->options.mode != FIRN_TRAIN) return FIRN_OK;
    plan->step++;
    if (plan->layout.trainable) {
        plan->pending = true;
        plan->model->pending++;
    }
    return FIRN_OK;
}

firn_status firn_plan_forward(firn_plan *plan, const firn_feed *feeds, size_t n_feeds, int rows)
{
    return plan ? forward_rows(plan, "firn_plan_forward", NULL, feeds, n_feeds, rows) : FIRN_ERR_ARGUMENT;
}

firn_status firn_plan_forward_features(firn_plan *plan, const void *const *features, const firn_feed *feeds, size_t n_feeds, int rows)
{
    static const char what[] = "firn_plan_forward_features";
    if (plan == NULL) return FIRN_ERR_ARGUMENT;
    if (features == NULL) return firn__fail(plan->ctx, FIRN_ERR_ARGUMENT, "%s: features is NULL", what);
    if (!plan->options.features) return firn__fail(plan->ctx, FIRN_ERR_STATE, "%s: the plan was made without options.features", what);
    const char *why;
    if (firn_plan_features_bound(plan, &why) == 0) return firn__fail(plan->ctx, FIRN_ERR_STATE, "%s: nothing can be cached: %s", what, why);
    return forward_rows(plan, what, features, feeds, n_feeds, rows);
}

static firn_tensor *nth_input(const firn_plan *plan, size_t n, bool tail)
{
    for (int i = 0; plan != NULL && i < plan->layout.n_slots; i++)
        if (is_fed(&plan->layout, i, tail) && n-- == 0) return plan->layout.slots[i].tensor;
    return NULL;
}

firn_tensor *firn_plan_input(const firn_plan *plan, size_t i) { return nth_input(plan, i, false); }
firn_tensor *firn_plan_features_input(const firn_plan *plan, size_t i) { return nth_input(plan, i, true); }

/* ---- backward ---- */

firn_status firn_plan_backward(firn_plan *plan)
{
    static const char what[] = "firn_plan_backward";
    if (plan == NULL) return FIRN_ERR_ARGUMENT;
    if (plan->options.mode != FIRN_TRAIN) return firn__fail(plan->ctx, FIRN_ERR_STATE, "%s: this is an evaluation plan", what);
    const firn_status st = firn__plan_refresh(plan);
    if (st != FIRN_OK) return st;
    if (!plan->layout.trainable)
        return firn__fail(plan->ctx, FIRN_ERR_STATE, "%s: nothing to train: every parameter that \"%s\" depends on is frozen", what, plan->root->name);
    if (!plan->pending) return firn__fail(plan->ctx, FIRN_ERR_STATE, "%s: call firn_plan_forward() first", what);
    firn__run_backward(plan);
    firn_plan_forget(plan);
    plan->has_grads = true;
    plan->grad_rows = plan->all_rows;
    return FIRN_OK;
}
