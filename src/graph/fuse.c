/* fuse.c: the scale-shift and relu behind a product become its epilogue. */
#include "epilogue.h"
#include "layout.h"
#include "ops.h"

/* The item that alone reads s, and reads it as its first input, if nothing else needs s to exist. */
static int only_reader(const firn__layout *l, int slot)
{
    const firn__slot *s = &l->slots[slot];
    if (s->readers != 1 || s->output || s->held) return FIRN__NONE;
    for (int j = s->producer + 1; j < l->n_items; j++)
        if (l->items[j].in[0] == slot) return (l->items[j].keep & FIRN_READS_IN(0)) ? FIRN__NONE : j;
    return FIRN__NONE;
}

/* Is the item a scale-shift that can be prepared before the product runs? One that is computed may come behind it. */
static bool is_affine(const firn__layout *l, const firn__item *item)
{
    if (item->op != &firn__op_batch_norm_frozen) return false;
    for (int k = 1; k < item->op->n_in; k++)
        if (!firn__is_named(l->slots[item->in[k]].tensor)) return false;
    return true;
}

void firn__layout_fuse(firn__layout *l)
{
    for (int i = 0; i < l->n_items; i++) {
        firn__item *item = &l->items[i];
        if (!(item->op->traits & FIRN_OP_EPILOGUE) || (item->keep & FIRN_READS_OUT)) continue;
        int next = only_reader(l, item->out);
        if (next >= 0 && is_affine(l, &l->items[next])) {
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
