/* memory.c: which tensors share storage, how long each buffer lives, and where it lies. */
#include <stdlib.h>
#include <string.h>

#include "layout.h"

enum { BUFFER_ALIGN = 64 };

/* ---- buffers ---- */

/* Adds a buffer that lives in slots first..last of the plan's arena; its index, or FIRN__NONE if memory is out. */
static int buffer_add(firn__layout *l, size_t bytes, int first, int last)
{
    if (l->n_buffers == l->buffer_capacity) {
        const int wider = l->buffer_capacity ? l->buffer_capacity * 2 : 3 * l->n_slots + 4 * l->n_items + 8;
        firn__buffer *moved = firn__layout_alloc(l, (size_t)wider, sizeof *moved);
        if (moved == NULL) return FIRN__NONE;
        if (l->n_buffers > 0) memcpy(moved, l->buffers, (size_t)l->n_buffers * sizeof *moved);
        l->buffers = moved;
        l->buffer_capacity = wider;
    }
    if (!firn__round_up(bytes, BUFFER_ALIGN, &bytes)) {
        firn__no_memory(l->ctx);
        return FIRN__NONE;
    }
    l->buffers[l->n_buffers] = (firn__buffer){.bytes = bytes, .first = first, .last = last, .region = FIRN__NONE};
    return l->n_buffers++;
}

static void buffer_extend(firn__layout *l, int buffer, int slot)
{
    firn__buffer *b = &l->buffers[buffer];
    if (slot > b->last) b->last = slot;
    if (slot < b->first) b->first = slot;
}

/* ---- values ---- */

static void note_read(firn__layout *l, int slot, int when)
{
    if (slot >= 0 && l->slots[slot].last_read < when) l->slots[slot].last_read = when;
}

static void find_last_reads(firn__layout *l)
{
    for (int i = 0; i < l->n_slots; i++) {
        const firn__slot *s = &l->slots[i];
        if (s->held) note_read(l, i, firn__end_slot(l));
        if (s->output) note_read(l, i, l->options.mode == FIRN_TRAIN ? firn__last_slot(l) : firn__end_slot(l));
    }
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        for (int k = 0; k < item->op->n_in; k++) {
            note_read(l, item->in[k], firn__forward_slot(i));
            if (item->keep & FIRN_READS_IN(k)) note_read(l, item->in[k], firn__backward_slot(l, i));
        }
        if (item->keep & FIRN_READS_OUT) note_read(l, item->out, firn__backward_slot(l, i));
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
    return !firn__is_named(base->tensor) && in->bytes == l->slots[item->out].bytes && base->last_read <= firn__forward_slot(i);
}

/* Is the item's result only ever in registers, on the way to the epilogue's last step? */
static bool fused_away(const firn__layout *l, int i)
{
    const firn__item *item = &l->items[i];
    if (item->leader < 0) return item->affine >= 0 || item->relu >= 0;
    return l->items[item->leader].affine == i && l->items[item->leader].relu >= 0;
}

/* From here on a base slot's last_read is that of all that share its storage. */
static void share_storage(firn__layout *l)
{
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        if (!(item->op->traits & FIRN_OP_VIEW) && !in_place(l, i)) continue;
        firn__slot *out = &l->slots[item->out];
        out->base = l->slots[item->in[0]].base;
        note_read(l, out->base, out->last_read);
    }
}

static firn_status add_values(firn__layout *l)
{
    for (int i = 0; i < l->n_slots; i++) {
        firn__slot *s = &l->slots[i];
        if (s->base != i || firn__is_named(s->tensor) || (s->producer >= 0 && fused_away(l, s->producer))) continue;
        const int first = s->producer < 0 || s->held ? 0 : firn__forward_slot(firn__writer(l, s->producer));
        s->value = buffer_add(l, s->bytes, first, s->last_read);
        if (s->value < 0) return FIRN_ERR_MEMORY;
    }
    for (int i = 0; i < l->n_slots; i++) {
        firn__slot *s = &l->slots[i];
        const int base = l->slots[s->base].value;
        if (s->held && base >= 0) buffer_extend(l, base, 0); /* a view at the frontier: filled before forward starts */
        const firn_shape *f = &s->shape;
        if (!s->output || f->rank != 4 || f->dim[1] == 1 || f->dim[2] * f->dim[3] == 1) continue;
        s->copy = buffer_add(l, s->bytes, firn__end_slot(l), s->last_read);
        if (s->copy < 0) return FIRN_ERR_MEMORY;
    }
    return FIRN_OK;
}

/* ---- gradients ---- */

static firn_status add_param_gradient(firn__layout *l, firn__slot *s, firn__target *t, int now)
{
    t->add = s->param_grad != SIZE_MAX;
    if (t->add) {
        t->buffer = buffer_add(l, s->bytes, now, now);
        return t->buffer < 0 ? FIRN_ERR_MEMORY : FIRN_OK;
    }
    size_t end;
    if (!firn__add(l->grads_bytes, s->bytes, &end) || !firn__round_up(end, BUFFER_ALIGN, &end)) return firn__no_memory(l->ctx);
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
    t->buffer = alias ? out->grad : buffer_add(l, s->bytes, now, now);
    if (t->buffer < 0) return FIRN_ERR_MEMORY;
    if (!t->add) s->grad = t->buffer;
    return FIRN_OK;
}

static firn_status add_gradients(firn__layout *l)
{
    firn__slot *root = &l->slots[l->slot_of[l->root->index]];
    if (!l->trainable) return FIRN_OK;
    root->grad = buffer_add(l, root->bytes, firn__end_slot(l), firn__end_slot(l));
    if (root->grad < 0) return FIRN_ERR_MEMORY;
    for (int i = l->n_items - 1; i >= 0; i--) {
        firn__item *item = &l->items[i];
        const int now = firn__backward_slot(l, i);
        if (item->want == 0) continue;
        buffer_extend(l, l->slots[item->out].grad, now);
        for (int k = 0; k < item->op->n_in; k++) {
            if (!(item->want >> k & 1)) continue;
            item->target[k].wanted = true;
            const firn_status st = add_gradient(l, item, k, &item->target[k], now);
            if (st != FIRN_OK) return st;
            if (l->slots[item->in[k]].grad >= 0) buffer_extend(l, l->slots[item->in[k]].grad, now);
        }
    }
    return FIRN_OK;
}

/* ---- what an operator keeps for itself ---- */

static firn_status add_working_memory(firn__layout *l)
{
    for (int i = 0; i < l->n_items; i++) {
        firn__item *item = &l->items[i];
        const int forward = firn__forward_slot(i), backward = firn__backward_slot(l, i);
        if (item->saved_bytes > 0) {
            item->saved = buffer_add(l, item->saved_bytes, firn__forward_slot(firn__writer(l, i)), backward);
            if (item->saved < 0) return FIRN_ERR_MEMORY;
        }
        if (item->scratch_bytes > 0 && item->leader < 0 && item->region < 0) {
            item->scratch = buffer_add(l, item->scratch_bytes, forward, forward);
            if (item->scratch < 0) return FIRN_ERR_MEMORY;
        }
        if (item->scratch_bytes > 0 && item->want != 0) {
            item->scratch_back = buffer_add(l, item->scratch_bytes, backward, backward);
            if (item->scratch_back < 0) return FIRN_ERR_MEMORY;
        }
        if (item->prepared_bytes == 0) continue;
        size_t end;
        if (!firn__add(l->packed_bytes, item->prepared_bytes, &end) || !firn__round_up(end, BUFFER_ALIGN, &end)) return firn__no_memory(l->ctx);
        item->prepared = l->packed_bytes;
        l->packed_bytes = end;
    }
    return FIRN_OK;
}

/* ---- placing: first fit, in whichever of three orders takes least ---- */

typedef struct placing {
    size_t bytes;
    int first, last, buffer;
} placing;

static int by_number(const placing *x, const placing *y) { return (x->buffer > y->buffer) - (x->buffer < y->buffer); }

static int larger_first(const void *a, const void *b)
{
    const placing *x = a, *y = b;
    return x->bytes == y->bytes ? by_number(x, y) : x->bytes < y->bytes ? 1 : -1;
}

static int longer_first(const void *a, const void *b)
{
    const placing *x = a, *y = b;
    const int lives = (y->last - y->first) - (x->last - x->first);
    return lives == 0 ? larger_first(a, b) : lives;
}

static int earlier_first(const void *a, const void *b)
{
    const placing *x = a, *y = b;
    return x->first == y->first ? larger_first(a, b) : x->first - y->first;
}

/* Gives the buffers of order, one after the other, the lowest offset at which they overlap none that lives at the same
 * time. placed: room for n, kept sorted by offset. False: the sum does not fit a size. */
static bool place_in_order(firn__layout *l, const placing *order, int n, int *placed, size_t *total)
{
    *total = 0;
    for (int i = 0; i < n; i++) {
        firn__buffer *b = &l->buffers[order[i].buffer];
        b->offset = 0;
        for (int j = 0; j < i; j++) {
            const firn__buffer *other = &l->buffers[placed[j]];
            if (other->last < b->first || b->last < other->first) continue;
            if (other->offset >= b->offset + b->bytes) break;
            if (other->offset + other->bytes > b->offset) b->offset = other->offset + other->bytes;
        }
        size_t end;
        if (!firn__add(b->offset, b->bytes, &end)) return false;
        if (end > *total) *total = end;
        int at = i;
        while (at > 0 && l->buffers[placed[at - 1]].offset > b->offset) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = order[i].buffer;
    }
    return true;
}

/* Places the buffers of one region (FIRN__NONE: of the plan). order and placed: room for all buffers. */
static bool place(firn__layout *l, int region, placing *order, int *placed, size_t *total)
{
    static int (*const orders[])(const void *, const void *) = {larger_first, longer_first, earlier_first};
    int n = 0, best = 0;
    for (int i = 0; i < l->n_buffers; i++) {
        const firn__buffer *b = &l->buffers[i];
        if (b->region == region) order[n++] = (placing){b->bytes, b->first, b->last, i};
    }
    size_t least = SIZE_MAX;
    for (int i = 0; i < 3; i++) {
        qsort(order, (size_t)n, sizeof *order, orders[i]);
        if (!place_in_order(l, order, n, placed, total)) return false;
        if (*total < least) best = i;
        if (*total < least) least = *total;
    }
    qsort(order, (size_t)n, sizeof *order, orders[best]);
    return place_in_order(l, order, n, placed, total);
}

/* ---- regions ---- */

static int region_of_item(const firn__layout *l, int item) { return l->items[firn__writer(l, item)].region; }

/* Values that are born and die inside one region move to the workers' arenas. */
static firn_status localise(firn__layout *l)
{
    enum { UNSEEN = -2 };
    int *home = firn__layout_alloc(l, (size_t)l->n_buffers, sizeof *home); /* region of each buffer, NONE if of several */
    if (home == NULL) return FIRN_ERR_MEMORY;
    for (int i = 0; i < l->n_buffers; i++) home[i] = UNSEEN;
    for (int i = 0; i < l->n_slots; i++) {
        const firn__slot *s = &l->slots[i];
        const int b = l->slots[s->base].value;
        if (b < 0) continue;
        const int region = s->producer >= 0 && !s->output && !s->held ? region_of_item(l, s->producer) : FIRN__NONE;
        home[b] = home[b] == UNSEEN || home[b] == region ? region : FIRN__NONE;
    }
    for (int i = 0; i < l->n_items; i++)
        for (int k = 0; k < l->items[i].op->n_in; k++) {
            const int s = l->items[i].in[k], b = s >= 0 ? l->slots[l->slots[s].base].value : FIRN__NONE;
            if (b >= 0 && home[b] != region_of_item(l, i)) home[b] = FIRN__NONE;
        }
    for (int i = 0; i < l->n_buffers; i++)
        if (home[i] >= 0) l->buffers[i].region = home[i];
    return FIRN_OK;
}

static size_t item_row_bytes(const firn__layout *l, const firn__item *item)
{
    size_t bytes = l->slots[item->out].row_bytes;
    for (int k = 0; k < item->op->n_in; k++)
        if (item->in[k] >= 0) bytes += l->slots[item->in[k]].row_bytes;
    return bytes;
}

/* How many rows go through at once: what the largest step reads and writes should stay in a second-level cache of 512 KiB
 * and more; but a slice for every worker. */
static int slice_rows(const firn__layout *l, const firn__region *r)
{
    enum { STEP_BYTES = 384 << 10 };
    size_t most = 1;
    for (int i = r->first; i <= r->last; i++) {
        const size_t bytes = item_row_bytes(l, &l->items[i]);
        if (bytes > most) most = bytes;
    }
    const int threads = firn_ctx_threads(l->ctx), batch = l->batch, share = (batch + threads - 1) / threads;
    const size_t fit = STEP_BYTES / most;
    return fit < 1 ? 1 : fit > (size_t)share ? share : (int)fit;
}

static firn_status size_region(firn__layout *l, int index, placing *order, int *placed)
{
    firn__region *r = &l->regions[index];
    r->slice = slice_rows(l, r);
    for (int i = 0; i < l->n_slots; i++) { /* from bytes of the batch to bytes of a slice */
        const firn__slot *s = &l->slots[i];
        if (s->base != i || s->value < 0 || l->buffers[s->value].region != index) continue;
        size_t bytes;
        if (!firn__mul(s->row_bytes, (size_t)r->slice, &bytes) || !firn__round_up(bytes, BUFFER_ALIGN, &bytes)) return firn__no_memory(l->ctx);
        l->buffers[s->value].bytes = bytes;
    }
    firn_view views[FIRN_OP_MAX_IN + 1];
    for (int i = r->first; i <= r->last; i++) {
        firn_op_build b = firn__item_build(l, &l->items[i], r->slice, views);
        if (l->items[i].op->shape(&b) == FIRN_OK && b.scratch_bytes > r->scratch_bytes) r->scratch_bytes = b.scratch_bytes;
    }
    size_t values, bytes;
    if (!place(l, index, order, placed, &values) || !firn__add(values, r->scratch_bytes, &bytes) ||
        !firn__round_up(bytes, BUFFER_ALIGN, &r->worker_bytes) || !firn__mul(r->worker_bytes, (size_t)firn_ctx_threads(l->ctx), &bytes))
        return firn__no_memory(l->ctx);
    r->scratch_bytes = r->worker_bytes - values; /* it lies at the end */
    if (bytes == 0) return FIRN_OK;
    r->buffer = buffer_add(l, bytes, firn__forward_slot(r->first), firn__forward_slot(r->last));
    return r->buffer < 0 ? FIRN_ERR_MEMORY : FIRN_OK;
}

/* All steps of a region run as one: what touches one of its slots lives through all of them. */
static void stretch_over_regions(firn__layout *l)
{
    for (int i = 0; i < l->n_buffers; i++) {
        if (l->buffers[i].region >= 0) continue;
        for (int j = 0; j < l->n_regions; j++) {
            const int first = firn__forward_slot(l->regions[j].first), last = firn__forward_slot(l->regions[j].last);
            if (l->buffers[i].last < first || l->buffers[i].first > last) continue;
            buffer_extend(l, i, first);
            buffer_extend(l, i, last);
        }
    }
}

static void measure(firn__layout *l)
{
    for (int now = 0; now <= firn__last_slot(l); now++) {
        size_t alive = 0, kept = 0;
        for (int i = 0; i < l->n_buffers; i++) {
            const firn__buffer *b = &l->buffers[i];
            if (b->region >= 0 || b->first > now || b->last < now) continue;
            alive += b->bytes;
            kept += b->first < firn__end_slot(l) && b->last > firn__end_slot(l) ? b->bytes : 0;
        }
        if (alive > l->peak_bytes) l->peak_bytes = alive;
        if (now == firn__end_slot(l)) l->saved_bytes = kept;
    }
}

firn_status firn__layout_memory(firn__layout *l)
{
    find_last_reads(l);
    share_storage(l);
    firn_status st = add_values(l);
    if (st == FIRN_OK) st = add_gradients(l);
    if (st == FIRN_OK) st = add_working_memory(l);
    if (st == FIRN_OK) st = localise(l);
    if (st != FIRN_OK) return st;
    const size_t room = (size_t)l->n_buffers + (size_t)l->n_regions;
    placing *order = firn__layout_alloc(l, room, sizeof *order);
    int *placed = firn__layout_alloc(l, room, sizeof *placed);
    if (order == NULL || placed == NULL) return FIRN_ERR_MEMORY;
    for (int i = 0; i < l->n_regions && st == FIRN_OK; i++) st = size_region(l, i, order, placed);
    if (st != FIRN_OK) return st;
    stretch_over_regions(l);
    measure(l);
    if (!place(l, FIRN__NONE, order, placed, &l->arena_bytes) || !firn__add(l->arena_bytes, l->whole_bytes, &l->arena_bytes))
        return firn__no_memory(l->ctx);
    for (int i = 0; i < l->n_buffers; i++)
        if (l->buffers[i].region < 0) l->buffers[i].offset += l->whole_bytes;
    l->peak_bytes += l->whole_bytes;
    return FIRN_OK;
}
