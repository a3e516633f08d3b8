#include <math.h>
#include <string.h>

#include "graph.h"
#include "optimizer.h"

/* ---- slots ---- */

bool firn__optim_slots_cover(firn_optimizer *o)
{
    const size_t need = o->m->n_named;
    if (o->n_slots >= need) return true;
    firn__optim_slot *wider = firn__resize(o->ctx, o->slots, o->n_slots, need, sizeof *wider);
    if (wider == NULL) return false;
    for (size_t i = o->n_slots; i < need; i++)
        wider[i] = (firn__optim_slot){.count = (size_t)firn_shape_count(o->m->named[i]->shape), .rate = 1};
    o->slots = wider;
    o->n_slots = need;
    return true;
}

bool firn__optim_slot_fill(firn_optimizer *o, size_t i)
{
    firn__optim_slot *slot = &o->slots[i];
    if (slot->state != NULL || o->n_buffers == 0) return true;
    slot->state = firn__alloc(o->ctx, slot->count, (size_t)o->n_buffers * sizeof(float));
    slot->fresh = slot->state != NULL;
    return slot->state != NULL;
}

bool firn__optim_slot_sum(firn_optimizer *o, size_t i)
{
    firn__optim_slot *slot = &o->slots[i];
    if (slot->sum == NULL) slot->sum = firn__alloc(o->ctx, slot->count, sizeof(float));
    return slot->sum != NULL;
}

void firn__optim_slot_drop(firn_optimizer *o, firn__optim_slot *slot)
{
    firn__free(o->ctx, slot->state, slot->count, (size_t)o->n_buffers * sizeof(float));
    slot->state = NULL;
    slot->fresh = false;
}

void firn__optim_slot_clear(firn_optimizer *o, firn__optim_slot *slot)
{
    firn__optim_slot_drop(o, slot);
    firn__free(o->ctx, slot->sum, slot->count, sizeof(float));
    *slot = (firn__optim_slot){.count = slot->count, .rate = slot->rate};
}

/* ---- rates ---- */

firn_status firn_optimizer_set_rate(firn_optimizer *o, const char *selector, float multiplier)
{
    if (o == NULL) return FIRN_ERR_ARGUMENT;
    if (!(multiplier > 0 && isfinite(multiplier)))
        return firn_fail(o->ctx, FIRN_ERR_ARGUMENT,
                         "firn_optimizer_set_rate: the multiplier of \"%.200s\" is %g; it must be above 0 and finite%s",
                         selector ? selector : "(NULL)", (double)multiplier, multiplier == 0 ? " (freeze it instead)" : "");
    if (!firn__optim_slots_cover(o)) return FIRN_ERR_MEMORY;
    bool *selected = firn__alloc(o->ctx, o->n_slots + 1, sizeof *selected);
    if (selected == NULL) return FIRN_ERR_MEMORY;
    const firn_status st = firn_select(o->m, selector, selected, NULL);
    for (size_t i = 0; st == FIRN_OK && i < o->n_slots; i++)
        if (selected[i]) o->slots[i].rate = multiplier;
    firn__free(o->ctx, selected, o->n_slots + 1, sizeof *selected);
    return st;
}

/* Index of a parameter by any of its names; n_slots if there is none. */
static size_t param_index(const firn_optimizer *o, const char *name)
{
    const firn_tensor *t = firn_find(o->m, name);
    size_t i = 0;
    while (i < o->n_slots && o->m->named[i] != t) i++;
    return t != NULL && t->kind == FIRN__PARAM ? i : o->n_slots;
}

float firn_optimizer_rate(const firn_optimizer *o, const char *param)
{
    if (o == NULL) return 1;
    const size_t i = param_index(o, param);
    return i < o->n_slots ? o->slots[i].rate : 1;
}

/* ---- entries ---- */

size_t firn_optimizer_entries(const firn_optimizer *o)
{
    size_t entries = 0;
    for (size_t i = 0; o != NULL && i < o->n_slots; i++)
        if (o->slots[i].state != NULL) entries += (size_t)o->n_buffers;
    return entries;
}

firn_optimizer_entry firn_optimizer_entry_at(const firn_optimizer *o, size_t i)
{
    size_t first = 0;
    for (size_t s = 0; o != NULL && s < o->n_slots; s++) {
        const firn__optim_slot *slot = &o->slots[s];
        if (slot->state == NULL) continue;
        const size_t b = i - first;
        if (b < (size_t)o->n_buffers)
            return (firn_optimizer_entry){o->m->named[s]->name, o->buffer_names[b], slot->state + b * slot->count,
                                          slot->count, slot->step};
        first += (size_t)o->n_buffers;
    }
    return (firn_optimizer_entry){0};
}

firn_status firn_optimizer_restore(firn_optimizer *o, const firn_optimizer_entry *entry)
{
    if (o == NULL) return FIRN_ERR_ARGUMENT;
    if (entry == NULL || entry->param == NULL || entry->buffer == NULL || entry->data == NULL)
        return firn_fail(o->ctx, FIRN_ERR_ARGUMENT, "firn_optimizer_restore: the entry is not complete");
    if (!firn__optim_slots_cover(o)) return FIRN_ERR_MEMORY;
    const size_t i = param_index(o, entry->param);
    int b = 0;
    while (b < o->n_buffers && strcmp(entry->buffer, o->buffer_names[b]) != 0) b++;
    if (i == o->n_slots || b == o->n_buffers)
        return firn_fail(o->ctx, FIRN_ERR_NAME, "firn_optimizer_restore: this optimizer keeps no \"%.80s\" of \"%.200s\"",
                         entry->buffer, entry->param);
    firn__optim_slot *slot = &o->slots[i];
    if (entry->count != slot->count)
        return firn_fail(o->ctx, FIRN_ERR_SHAPE, "firn_optimizer_restore: \"%s\" of \"%s\" has %zu elements, not %zu",
                         entry->buffer, entry->param, slot->count, entry->count);
    if (!firn__optim_slot_fill(o, i)) return FIRN_ERR_MEMORY;
    memcpy(slot->state + (size_t)b * slot->count, entry->data, slot->count * sizeof(float));
    slot->fresh = false;
    slot->step = entry->step;
    return FIRN_OK;
}

size_t firn_optimizer_bytes(const firn_optimizer *o, uint64_t elements)
{
    size_t bytes = 0;
    if (o != NULL && elements <= SIZE_MAX) firn__mul((size_t)elements, (size_t)o->n_buffers * sizeof(float), &bytes);
    return bytes;
}
