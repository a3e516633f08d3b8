/* memory.c: which tensors share storage, and how long each buffer lives. */
#include <string.h>

#include "layout.h"

/* ---- buffers ---- */

int firn__layout_buffer(firn__layout *l, size_t bytes, int first, int last)
{
    if (l->n_buffers == l->buffer_capacity) {
        const int wider = l->buffer_capacity ? l->buffer_capacity * 2 : 3 * l->n_slots + 4 * l->n_items + 8;
        firn__buffer *moved = firn__layout_alloc(l, (size_t)wider, sizeof *moved);
        if (moved == NULL) return FIRN__NONE;
        if (l->n_buffers > 0) memcpy(moved, l->buffers, (size_t)l->n_buffers * sizeof *moved);
        l->buffers = moved;
        l->buffer_capacity = wider;
    }
    if (!firn__round_up(bytes, FIRN__BUFFER_ALIGN, &bytes)) {
        firn__no_memory(l->ctx);
        return FIRN__NONE;
    }
    l->buffers[l->n_buffers] = (firn__buffer){.bytes = bytes, .first = first, .last = last, .region = FIRN__NONE};
    return l->n_buffers++;
}

void firn__layout_extend(firn__layout *l, int buffer, int tick)
{
    firn__buffer *b = &l->buffers[buffer];
    if (tick > b->last) b->last = tick;
    if (tick < b->first) b->first = tick;
}

/* ---- values ---- */

static void note_read(firn__layout *l, int slot, int when)
{
    if (slot >= 0 && l->slots[slot].last_read < when) l->slots[slot].last_read = when;
}

static void note_backward_read(firn__layout *l, int slot, int item)
{
    if (slot < 0) return;
    note_read(l, slot, firn__backward_tick(l, item));
    l->slots[slot].saved = true;
}

static void find_last_reads(firn__layout *l)
{
    for (int i = 0; i < l->n_slots; i++) {
        const firn__slot *s = &l->slots[i];
        if (s->held) note_read(l, i, firn__end_tick(l));
        if (s->output) note_read(l, i, l->options.mode == FIRN_TRAIN ? firn__last_tick(l) : firn__end_tick(l));
    }
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        for (int k = 0; k < item->op->n_in; k++) {
            note_read(l, item->in[k], firn__forward_tick(i));
            if (item->keep & FIRN_READS_IN(k)) note_backward_read(l, item->in[k], i);
        }
        if (item->keep & FIRN_READS_OUT) note_backward_read(l, item->out, i);
    }
}

/* May the result overwrite the first input? Only if nobody reads that storage afterwards. */
static bool in_place(const firn__layout *l, int i)
{
    const firn__item *item = &l->items[i];
    if (!(item->op->traits & FIRN_OP_INPLACE) || item->leader >= 0 || l->slots[item->out].held) return false;
    const firn__slot *in = &l->slots[item->in[0]], *base = &l->slots[in->base];
    for (int k = 1; k < item->op->n_in; k++)
        if (item->in[k] >= 0 && l->slots[item->in[k]].base == in->base) return false;
    return !firn__is_named(base->tensor) && in->bytes == l->slots[item->out].bytes && base->last_read <= firn__forward_tick(i);
}

/* Is the item's result only ever in registers, on the way to the epilogue's last step? */
static bool fused_away(const firn__layout *l, int i)
{
    const firn__item *item = &l->items[i];
    if (item->leader < 0) return item->affine >= 0 || item->relu >= 0;
    return l->items[item->leader].affine == i && l->items[item->leader].relu >= 0;
}

/* From here on a base slot's last_read and saved are those of all that share its storage. */
static void share_storage(firn__layout *l)
{
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        if (!(item->op->traits & FIRN_OP_VIEW) && !in_place(l, i)) continue;
        firn__slot *out = &l->slots[item->out];
        out->base = l->slots[item->in[0]].base;
        note_read(l, out->base, out->last_read);
        l->slots[out->base].saved |= out->saved;
    }
}

static firn_status add_values(firn__layout *l)
{
    for (int i = 0; i < l->n_slots; i++) {
        firn__slot *s = &l->slots[i];
        if (s->base != i || firn__is_named(s->tensor) || (s->producer >= 0 && fused_away(l, s->producer))) continue;
        const int first = s->producer < 0 || s->held ? 0 : firn__forward_tick(firn__writer(l, s->producer));
        s->value = firn__layout_buffer(l, s->bytes, first, s->last_read);
        if (s->value < 0) return FIRN_ERR_MEMORY;
        l->buffers[s->value].saved = s->saved;
    }
    for (int i = 0; i < l->n_slots; i++) {
        firn__slot *s = &l->slots[i];
        const int base = l->slots[s->base].value;
        if (s->held && base >= 0) firn__layout_extend(l, base, 0); /* a view at the frontier: filled before forward starts */
        if (!s->output || s->whole != SIZE_MAX || !firn__is_turned(s->shape)) continue;
        s->copy = firn__layout_buffer(l, s->bytes, firn__end_tick(l), s->last_read);
        if (s->copy < 0) return FIRN_ERR_MEMORY;
    }
    return FIRN_OK;
}

/* ---- gradients ---- */

static firn_status add_param_gradient(firn__layout *l, firn__slot *s, firn__target *t, int now)
{
    t->add = s->param_grad != SIZE_MAX;
    if (t->add) {
        t->buffer = firn__layout_buffer(l, s->bytes, now, now);
        return t->buffer < 0 ? FIRN_ERR_MEMORY : FIRN_OK;
    }
    size_t end;
    if (!firn__add(l->grads_bytes, s->bytes, &end) || !firn__round_up(end, FIRN__BUFFER_ALIGN, &end)) return firn__no_memory(l->ctx);
    s->param_grad = l->grads_bytes;
    l->grads_bytes = end;
    return FIRN_OK;
}

static firn_status add_gradient(firn__layout *l, const firn__item *item, int k, firn__target *t, int now)
{
    firn__slot *s = &l->slots[item->in[k]];
    const firn__slot *out = &l->slots[item->out];
    const bool view = item->op->traits & FIRN_OP_VIEW;
    if (firn__is_named(s->tensor)) {
        const firn_status st = add_param_gradient(l, s, t, now);
        if (view) t->buffer = out->grad; /* copied or added from there */
        return st;
    }
    t->add = s->grad >= 0;
    const bool alias = view || (!t->add && k == 0 && (item->op->traits & FIRN_OP_INPLACE) && s->bytes == out->bytes);
    t->buffer = alias ? out->grad : firn__layout_buffer(l, s->bytes, now, now);
    if (t->buffer < 0) return FIRN_ERR_MEMORY;
    if (!t->add) s->grad = t->buffer;
    return FIRN_OK;
}

static firn_status add_gradients(firn__layout *l)
{
    firn__slot *root = &l->slots[l->slot_of[l->root->index]];
    if (!l->trainable) return FIRN_OK;
    root->grad = firn__layout_buffer(l, root->bytes, firn__end_tick(l), firn__end_tick(l));
    if (root->grad < 0) return FIRN_ERR_MEMORY;
    for (int i = l->n_items - 1; i >= 0; i--) {
        firn__item *item = &l->items[i];
        const int now = firn__backward_tick(l, i);
        if (item->want == 0) continue;
        firn__layout_extend(l, l->slots[item->out].grad, now);
        for (int k = 0; k < item->op->n_in; k++) {
            if (!(item->want >> k & 1)) continue;
            item->target[k].wanted = true;
            const firn_status st = add_gradient(l, item, k, &item->target[k], now);
            if (st != FIRN_OK) return st;
            if (l->slots[item->in[k]].grad >= 0) firn__layout_extend(l, l->slots[item->in[k]].grad, now);
        }
    }
    return FIRN_OK;
}

/* ---- what an operator keeps for itself ---- */

static firn_status add_working_memory(firn__layout *l)
{
    for (int i = 0; i < l->n_items; i++) {
        firn__item *item = &l->items[i];
        const int forward = firn__forward_tick(i), backward = firn__backward_tick(l, i);
        if (item->saved_bytes > 0) {
            item->saved = firn__layout_buffer(l, item->saved_bytes, firn__forward_tick(firn__writer(l, i)), backward);
            if (item->saved < 0) return FIRN_ERR_MEMORY;
            l->buffers[item->saved].saved = true;
        }
        if (item->scratch_bytes > 0 && item->leader < 0 && item->region < 0) {
            item->scratch = firn__layout_buffer(l, item->scratch_bytes, forward, forward);
            if (item->scratch < 0) return FIRN_ERR_MEMORY;
        }
        if (item->scratch_bytes > 0 && item->want != 0) {
            item->scratch_back = firn__layout_buffer(l, item->scratch_bytes, backward, backward);
            if (item->scratch_back < 0) return FIRN_ERR_MEMORY;
        }
        if (item->prepared_bytes == 0) continue;
        size_t end;
        if (!firn__add(l->packed_bytes, item->prepared_bytes, &end) || !firn__round_up(end, FIRN__BUFFER_ALIGN, &end)) return firn__no_memory(l->ctx);
        item->prepared = l->packed_bytes;
        l->packed_bytes = end;
    }
    return FIRN_OK;
}

static void measure(firn__layout *l)
{
    for (int now = 0; now <= firn__last_tick(l); now++) {
        size_t alive = 0;
        for (int i = 0; i < l->n_buffers; i++) {
            const firn__buffer *b = &l->buffers[i];
            if (b->region < 0 && b->first <= now && b->last >= now) alive += b->bytes;
        }
        if (alive > l->peak_bytes) l->peak_bytes = alive;
    }
    for (int i = 0; i < l->n_buffers; i++)
        if (l->buffers[i].saved) l->saved_bytes += l->buffers[i].bytes;
}

firn_status firn__layout_memory(firn__layout *l)
{
    find_last_reads(l);
    share_storage(l);
    firn_status st = add_values(l);
    if (st == FIRN_OK) st = add_gradients(l);
    if (st == FIRN_OK) st = add_working_memory(l);
    if (st == FIRN_OK) st = firn__layout_region_memory(l);
    if (st != FIRN_OK) return st;
    measure(l);
    st = firn__layout_place(l, FIRN__NONE, &l->arena_bytes);
    if (st != FIRN_OK) return st;
    if (!firn__add(l->arena_bytes, l->whole_bytes, &l->arena_bytes)) return firn__no_memory(l->ctx);
    for (int i = 0; i < l->n_buffers; i++)
        if (l->buffers[i].region < 0) l->buffers[i].offset += l->whole_bytes;
    l->peak_bytes += l->whole_bytes;
    return FIRN_OK;
}
