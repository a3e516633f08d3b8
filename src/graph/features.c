/* features.c: the values at the frontier, sample by sample, so that what is below need not run again (FREEZE F14). */
#include <string.h>

#include "rng.h"
#include "run.h"
#include "vector.h"

/* A plan whose mask has changed has other features than it will have at the next step; look at the lists to come. */
static firn_status current_layout(const firn_plan *plan, firn__layout *made, const firn__layout **now)
{
    *made = (firn__layout){0};
    *now = &plan->layout;
    if (plan->mask_version == plan->model->mask_version) return FIRN_OK;
    const firn_status st = firn__layout_build(made, plan->root, &plan->options, false);
    *now = made;
    return st;
}

size_t firn__layout_features_bound(const firn__layout *l)
{
    size_t bytes = 0;
    for (int i = 0; i < l->n_slots; i++)
        if (l->slots[i].frontier && !firn__add(bytes, firn__vector_pack_bound((int64_t)(l->slots[i].row_bytes / sizeof(float))), &bytes)) return 0;
    return bytes;
}

size_t firn_plan_features_bound(const firn_plan *plan, const char **why)
{
    const char *none = "";
    if (why == NULL) why = &none;
    *why = "there is no plan";
    if (plan == NULL) return 0;
    firn__layout made;
    const firn__layout *l;
    const firn_status st = current_layout(plan, &made, &l);
    *why = st == FIRN_ERR_MEMORY ? "out of memory" : "the plan cannot be made under this mask (see firn_message())";
    if (st != FIRN_OK) return 0;
    const size_t bytes = firn__layout_features_bound(l);
    if (l == &made) { /* the sentence must outlive the lists */
        firn_plan *mutable_plan = (firn_plan *)plan;
        memcpy(mutable_plan->why, made.why_no_features, sizeof made.why_no_features);
        *why = plan->why;
    } else {
        *why = l->why_no_features;
    }
    firn__layout_free(&made);
    return bytes;
}

uint64_t firn_plan_features_version(const firn_plan *plan)
{
    if (plan == NULL) return 0;
    firn__layout made;
    const firn__layout *l;
    if (current_layout(plan, &made, &l) != FIRN_OK) return 0;
    uint64_t version = 1;
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        if (!l->slots[item->out].pure) continue;
        version = firn__rng_mix(version, item->node->index * 2 + l->slots[item->out].frontier);
        for (int k = 0; k < item->op->n_in; k++)
            if (item->in[k] >= 0) version = firn__rng_mix(version, item->node->in[k]->version);
    }
    firn__layout_free(&made);
    return version;
}

static float *frontier_row(const firn_plan *plan, int slot, int row)
{
    return (float *)((unsigned char *)firn__slot_data(plan, slot) + (size_t)row * plan->layout.slots[slot].row_bytes);
}

size_t firn_plan_features_pack(const firn_plan *plan, int row, void *dst)
{
    if (plan == NULL || dst == NULL || row < 0 || row >= plan->rows || !plan->options.features) return 0;
    if (plan->mask_version != plan->model->mask_version) return 0; /* the bound is that of other features */
    if (plan->layout.trainable && !plan->pending) return 0;        /* backward has reused their memory */
    unsigned char *at = dst;
    for (int i = 0; i < plan->layout.n_slots; i++) {
        const firn__slot *s = &plan->layout.slots[i];
        if (s->frontier) at += firn__vector_pack(plan->ctx, (int64_t)(s->row_bytes / sizeof(float)), frontier_row(plan, i, row), at);
    }
    return (size_t)(at - (unsigned char *)dst);
}

typedef struct unpacking {
    const firn_plan *plan;
    const void *const *features;
} unpacking;

static void unpack_row(void *arg, int64_t row, int worker)
{
    (void)worker;
    const unpacking *u = arg;
    const unsigned char *at = u->features[row];
    for (int i = 0; at != NULL && i < u->plan->layout.n_slots; i++) {
        const firn__slot *s = &u->plan->layout.slots[i];
        if (s->frontier) at += firn__vector_unpack(u->plan->ctx, (int64_t)(s->row_bytes / sizeof(float)), at, frontier_row(u->plan, i, (int)row));
    }
}

static void move_row(const firn_plan *plan, int slot, int from, int to)
{
    const size_t bytes = plan->layout.slots[slot].row_bytes;
    unsigned char *data = firn__slot_data(plan, slot);
    if (from != to) memcpy(data + (size_t)to * bytes, data + (size_t)from * bytes, bytes);
}

/* The inputs' rows without features come first, the frontier's go back to where they belong. */
static void run_rows_without(firn_plan *plan, const void *const *features)
{
    const firn__slot *slots = plan->layout.slots;
    const int rows = plan->rows;
    int missing = 0;
    for (int row = 0; row < rows; row++) {
        if (features[row] != NULL) continue;
        for (int i = 0; i < plan->layout.n_slots; i++)
            if (slots[i].tensor->kind == FIRN__INPUT && slots[i].base == i) move_row(plan, i, row, missing);
        missing++;
    }
    if (missing == 0) return;
    firn__plan_bind_rows(plan, missing);
    firn__run_forward(plan, FIRN__BELOW);
    firn__plan_bind_rows(plan, rows);
    for (int row = rows - 1; missing > 0; row--) {
        if (features[row] != NULL) continue;
        missing--;
        for (int i = 0; i < plan->layout.n_slots; i++)
            if (slots[i].frontier) move_row(plan, i, missing, row);
    }
}

void firn__features_complete(firn_plan *plan, const void *const *features)
{
    unpacking u = {plan, features};
    run_rows_without(plan, features);
    firn__parallel((firn__crew){plan->ctx, -1}, plan->rows, unpack_row, &u);
}
