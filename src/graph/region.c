/* region.c: runs of items that keep nothing go depth first, a slice of samples through all of them, each worker in an
 * arena of its own. */
#include "layout.h"

/* ---- which items ---- */

/* Larger packed weights would be read again from far memory for every slice: such an item runs on the whole batch. */
enum { WEIGHT_BYTES = 256 << 10 };

/* What forward writes into a state is of the whole batch, and written once. */
static bool updates_state(const firn__item *item) { return item->training && (item->op->states & ~item->frozen) != 0; }

static bool eligible(const firn__layout *l, const firn__item *item)
{
    if (item->want != 0 || (item->op->traits & (FIRN_OP_RANDOM | FIRN_OP_BATCHMIX)) || item->prepared_bytes > WEIGHT_BYTES) return false;
    if (updates_state(item) || l->slots[item->out].row_bytes == 0) return false;
    for (int k = 0; k < item->op->n_in; k++) {
        const firn__slot *in = item->in[k] >= 0 ? &l->slots[item->in[k]] : NULL;
        if (in == NULL || firn__is_named(in->tensor)) continue;
        if (in->row_bytes == 0 || (k > 0 && item->prepared_bytes > 0)) return false;
    }
    return true;
}

/* An item with all that its epilogue does. */
static bool group_eligible(const firn__layout *l, const firn__item *item)
{
    return eligible(l, item) && (item->affine < 0 || eligible(l, &l->items[item->affine])) &&
           (item->relu < 0 || eligible(l, &l->items[item->relu]));
}

firn_status firn__layout_regions(firn__layout *l)
{
    l->regions = firn__layout_alloc(l, (size_t)l->n_items, sizeof *l->regions);
    if (l->regions == NULL) return FIRN_ERR_MEMORY;
    for (int i = 0; i < l->n_items && !l->options.layer_by_layer;) {
        int last = i - 1, steps = 0;
        for (int j = i;
             j < l->n_items && (l->items[j].leader >= i || (l->items[j].leader < 0 && group_eligible(l, &l->items[j])));
             j++) {
            steps += l->items[j].leader < 0 && !(l->items[j].op->traits & FIRN_OP_VIEW);
            last = j;
        }
        if (steps > 1) {
            for (int j = i; j <= last; j++) l->items[j].region = l->n_regions;
            l->regions[l->n_regions++] = (firn__region){.first = i, .last = last, .slice = 1, .buffer = FIRN__NONE};
        }
        i = last >= i ? last + 1 : i + 1;
    }
    return FIRN_OK;
}

/* ---- their memory ---- */

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
    const int threads = firn_ctx_threads(l->ctx), batch = l->batch, share = (batch - 1) / threads + 1;
    const size_t fit = STEP_BYTES / most;
    return fit < 1 ? 1 : fit > (size_t)share ? share : (int)fit;
}

static firn_status size_region(firn__layout *l, int index)
{
    firn__region *r = &l->regions[index];
    r->slice = slice_rows(l, r);
    for (int i = 0; i < l->n_slots; i++) { /* from bytes of the batch to bytes of a slice */
        const firn__slot *s = &l->slots[i];
        if (s->base != i || s->value < 0 || l->buffers[s->value].region != index) continue;
        size_t bytes;
        if (!firn__mul(s->row_bytes, (size_t)r->slice, &bytes) || !firn__round_up(bytes, FIRN__BUFFER_ALIGN, &bytes)) return firn__no_memory(l->ctx);
        l->buffers[s->value].bytes = bytes;
    }
    firn_view views[FIRN_OP_MAX_IN + 1];
    for (int i = r->first; i <= r->last; i++) {
        firn_op_build b = firn__item_build(l, &l->items[i], r->slice, views);
        b.alone = true; /* where all threads share a slice, scratch goes on in the arenas of the others */
        const firn_status st = l->items[i].op->shape(&b);
        if (st != FIRN_OK) return firn_op_fail(&b, st, "the operator refuses a slice of the batch");
        if (b.scratch_bytes > r->scratch_bytes) r->scratch_bytes = b.scratch_bytes;
    }
    size_t values, bytes;
    const firn_status st = firn__layout_place(l, index, &values);
    if (st != FIRN_OK) return st;
    if (!firn__add(values, r->scratch_bytes, &bytes) || !firn__round_up(bytes, FIRN__BUFFER_ALIGN, &r->worker_bytes) ||
        !firn__mul(r->worker_bytes, (size_t)firn_ctx_threads(l->ctx), &bytes))
        return firn__no_memory(l->ctx);
    r->scratch_bytes = r->worker_bytes - values; /* it lies at the end */
    if (bytes == 0) return FIRN_OK;
    r->buffer = firn__layout_buffer(l, bytes, firn__forward_tick(r->first), firn__forward_tick(r->last));
    return r->buffer < 0 ? FIRN_ERR_MEMORY : FIRN_OK;
}

/* All steps of a region run as one: what touches one of its ticks lives through all of them. */
static void stretch_over_regions(firn__layout *l)
{
    for (int i = 0; i < l->n_buffers; i++) {
        if (l->buffers[i].region >= 0) continue;
        for (int j = 0; j < l->n_regions; j++) {
            const int first = firn__forward_tick(l->regions[j].first), last = firn__forward_tick(l->regions[j].last);
            if (l->buffers[i].last < first || l->buffers[i].first > last) continue;
            firn__layout_extend(l, i, first);
            firn__layout_extend(l, i, last);
        }
    }
}

firn_status firn__layout_region_memory(firn__layout *l)
{
    firn_status st = localise(l);
    for (int i = 0; i < l->n_regions && st == FIRN_OK; i++) st = size_region(l, i);
    if (st == FIRN_OK) stretch_over_regions(l);
    return st;
}
