/* cost.c: what a step costs, counted from the lists before anything runs (FREEZE F13). */
#include "run.h"

/* A block is handed out with room to align it. */
static size_t block_slack(size_t bytes) { return bytes > 0 ? 63 : 0; }

firn_cost firn__layout_cost(const firn__layout *l)
{
    firn_cost c = {.bytes_arena = l->arena_bytes, .bytes_grads = l->grads_bytes, .bytes_packed = l->packed_bytes, .bytes_saved = l->saved_bytes};
    for (int i = 0; i < l->n_slots; i++) {
        const firn_tensor *t = l->slots[i].tensor;
        if (!firn__is_named(t)) continue;
        c.bytes_params += t->block.bytes;
        if (t->kind != FIRN__PARAM || !l->slots[i].rooted) continue;
        c.params += t->block.bytes / sizeof(float);
        if (!firn__slot_frozen(l, &l->slots[i])) c.params_trainable += t->block.bytes / sizeof(float);
    }
    for (int i = 0; i < l->n_items; i++) {
        c.flops_forward += l->items[i].flops;
        c.flops_grad_weight += l->items[i].flops_weight;
        c.flops_grad_input += l->items[i].flops_input;
    }
    c.cache_bytes_per_sample = firn__layout_features_bound(l);
    for (int i = 0; i < l->n_items && c.cache_bytes_per_sample > 0; i++)
        if (!l->items[i].tail) c.flops_cached += l->items[i].flops;
    c.bytes_tables = sizeof(firn_plan) + l->tables_bytes + block_slack(c.bytes_arena) + block_slack(c.bytes_grads) + block_slack(c.bytes_packed);
    return c;
}

static firn_status cost_under(const firn_plan *plan, bool thawed, firn_cost *out)
{
    firn__layout l;
    firn__bound *bound;
    const firn_status st = firn__plan_layout(plan, thawed, &l, &bound);
    if (st != FIRN_OK) return st;
    *out = firn__layout_cost(&l);
    firn__layout_free(&l);
    return FIRN_OK;
}

firn_status firn_plan_cost(const firn_plan *plan, firn_cost *now, firn_cost *unfrozen)
{
    if (plan == NULL) return FIRN_ERR_ARGUMENT;
    firn_status st = now ? cost_under(plan, false, now) : FIRN_OK;
    if (st == FIRN_OK && unfrozen != NULL) st = cost_under(plan, true, unfrozen);
    return st;
}
