/* fuse.c: what runs together: a product with the scale-shift and relu behind it, and runs of items depth first. */
#include "epilogue.h"
#include "layout.h"
#include "ops.h"

/* ---- epilogues ---- */

/* The item that alone reads s, and reads it as its first input, if nothing else needs s to exist. */
static int only_reader(const firn__layout *l, int slot)
{
    const firn__slot *s = &l->slots[slot];
    if (s->readers != 1 || s->output || s->held) return FIRN__NONE;
    for (int j = s->producer + 1; j < l->n_items; j++)
        if (l->items[j].in[0] == slot) return (l->items[j].keep & FIRN_READS_IN(0)) ? FIRN__NONE : j;
    return FIRN__NONE;
}

void firn__layout_fuse(firn__layout *l)
{
    for (int i = 0; i < l->n_items; i++) {
        firn__item *item = &l->items[i];
        if (!(item->op->traits & FIRN_OP_EPILOGUE) || (item->keep & FIRN_READS_OUT)) continue;
        int next = only_reader(l, item->out);
        if (next >= 0 && l->items[next].op == &firn__op_batch_norm_frozen) {
            item->affine = next;
            l->items[next].leader = i;
            next = (l->items[next].keep & FIRN_READS_OUT) ? FIRN__NONE : only_reader(l, l->items[next].out);
        }
        if (next >= 0 && l->items[next].op == &firn__op_relu) {
            item->relu = next;
            l->items[next].leader = i;
        }
    }
}

/* ---- regions ---- */

/* Larger packed weights would be read again from far memory for every slice: such an item runs on the whole batch. */
enum { WEIGHT_BYTES = 256 << 10 };

static bool eligible(const firn__layout *l, const firn__item *item)
{
    if (item->want != 0 || (item->op->traits & (FIRN_OP_RANDOM | FIRN_OP_BATCHMIX)) || item->prepared_bytes > WEIGHT_BYTES) return false;
    if (l->slots[item->out].row_bytes == 0) return false;
    for (int k = 0; k < item->op->n_in; k++) {
        const firn__slot *in = item->in[k] >= 0 ? &l->slots[item->in[k]] : NULL;
        if (in == NULL || firn__is_named(in->tensor)) continue;
        if (in->row_bytes == 0 || (k > 0 && item->prepared_bytes > 0)) return false;
    }
    return true;
}

/* An item with all that its epilogue does; the last item of it. */
static bool group_eligible(const firn__layout *l, int i, int *last)
{
    const firn__item *item = &l->items[i];
    *last = i;
    if (!eligible(l, item)) return false;
    if (item->affine >= 0 && !eligible(l, &l->items[*last = item->affine])) return false;
    return item->relu < 0 || eligible(l, &l->items[*last = item->relu]);
}

firn_status firn__layout_regions(firn__layout *l)
{
    l->regions = firn__layout_alloc(l, (size_t)l->n_items, sizeof *l->regions);
    if (l->regions == NULL) return FIRN_ERR_MEMORY;
    for (int i = 0; i < l->n_items && !l->options.layer_by_layer;) {
        int last = i - 1, steps = 0, end;
        for (int j = i; j < l->n_items && (l->items[j].leader >= i || (l->items[j].leader < 0 && group_eligible(l, j, &end))); j++) {
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
