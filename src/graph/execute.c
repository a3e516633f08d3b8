/* execute.c: running the items of a plan, layer by layer or depth first. */
#include <string.h>

#include "rng.h"
#include "run.h"
#include "vector.h"

/* ---- one item ---- */

static firn_op_run item_run(const firn_plan *plan, int i)
{
    const firn__item *item = &plan->layout.items[i];
    const firn__bound *b = &plan->bound[i];
    return (firn_op_run){.in = b->in, .out = &b->out, .attr = item->node->attr, .saved = b->saved, .scratch = b->scratch,
                         .prepared = b->prepared, .training = item->training, .frozen = item->frozen, .want = item->want,
                         .rng_key = firn__rng_mix(firn__rng_mix(plan->ctx->seed, plan->drawn), item->node->index),
                         .dout = &b->dout, .din = b->din, .epilogue = &b->epilogue, .ctx = plan->ctx, .op = item->op,
                         .names = item->node->in, .worker = -1};
}

/* Packs weights that have changed since. An operand that is computed in the graph is new each time. */
static void prepare_item(firn_plan *plan, int i)
{
    const firn__item *item = &plan->layout.items[i];
    firn__bound *b = &plan->bound[i];
    if (item->prepared_bytes == 0) return;
    uint64_t clock = 0;
    bool computed = false;
    for (int k = 0; k < item->op->n_in; k++) {
        const firn_tensor *t = item->node->in[k];
        if (t == NULL) continue;
        if (firn__is_named(t) && t->version > clock) clock = t->version;
        computed = computed || (k > 0 && !firn__is_named(t));
    }
    if (clock == b->prepared_clock && !computed) return;
    const firn_op_run r = item_run(plan, i);
    item->op->prepare(&r);
    b->prepared_clock = clock;
}

static void prepare_with_epilogue(firn_plan *plan, int i)
{
    prepare_item(plan, i);
    if (plan->layout.items[i].affine >= 0) prepare_item(plan, plan->layout.items[i].affine);
}

/* Is there nothing to run: a view, or the work of another item's epilogue? */
static bool is_silent(const firn__item *item) { return item->leader >= 0 || (item->op->traits & FIRN_OP_VIEW); }

static bool runs(const firn__item *item, firn__part part)
{
    return !is_silent(item) && (part == FIRN__ALL || (part == FIRN__BELOW ? item->below : item->tail));
}

static void run_item(firn_plan *plan, int i)
{
    const firn__item *item = &plan->layout.items[i];
    prepare_with_epilogue(plan, i);
    const firn_op_run r = item_run(plan, i);
    item->op->forward(&r);
    for (int k = 0; k < item->op->n_in; k++) { /* running statistics move while their operator trains */
        firn_tensor *t = item->node->in[k];
        if (t != NULL && t->kind == FIRN__STATE && item->training && !t->frozen) firn__tensor_changed(t);
    }
}

/* ---- depth first ---- */

typedef struct slices {
    firn_plan *plan;
    const firn__region *region;
    firn__part part;
    bool shared; /* one slice at a time, all threads on it */
} slices;

static void *slice_data(const slices *s, int slot, unsigned char *local, int64_t first)
{
    const firn__layout *l = &s->plan->layout;
    const firn__slot *base = &l->slots[l->slots[slot].base];
    if (base->value >= 0 && l->buffers[base->value].region >= 0) return local + l->buffers[base->value].offset;
    unsigned char *whole = firn__slot_data(s->plan, slot);
    return whole != NULL ? whole + (size_t)first * l->slots[slot].row_bytes : NULL;
}

static firn_view slice_view(const slices *s, int slot, unsigned char *local, int64_t first, int64_t rows)
{
    if (slot < 0) return (firn_view){.shape = {.rank = -1}};
    const firn__slot *t = &s->plan->layout.slots[slot];
    firn_view v = {slice_data(s, slot, local, first), t->tensor->dtype, t->shape};
    if (t->row_bytes > 0) v.shape.dim[0] = rows;
    return v;
}

/* The slot that an item with its epilogue writes. */
static int written_slot(const firn__layout *l, const firn__item *item)
{
    return l->items[item->relu >= 0 ? item->relu : item->affine >= 0 ? item->affine : (int)(item - l->items)].out;
}

static void run_slice(void *arg, int64_t part, int worker)
{
    const slices *s = arg;
    const firn__layout *l = &s->plan->layout;
    const firn__region *region = s->region;
    const int64_t first = part * region->slice, left = s->plan->rows - first, rows = left < region->slice ? left : region->slice;
    unsigned char *local = region->buffer < 0 ? NULL
                                              : (unsigned char *)s->plan->arena.data + l->buffers[region->buffer].offset +
                                                    (size_t)worker * region->worker_bytes;
    for (int i = region->first; i <= region->last; i++) {
        const firn__item *item = &l->items[i];
        if (!runs(item, s->part)) continue;
        firn_view in[FIRN_OP_MAX_IN];
        for (int k = 0; k < item->op->n_in; k++) in[k] = slice_view(s, item->in[k], local, first, rows);
        const firn_view out = slice_view(s, written_slot(l, item), local, first, rows);
        firn_op_run r = item_run(s->plan, i);
        r.in = in;
        r.out = &out;
        r.scratch = local != NULL ? local + region->worker_bytes - region->scratch_bytes : NULL;
        r.worker = s->shared ? -1 : worker;
        item->op->forward(&r);
    }
}

static void run_region(firn_plan *plan, const firn__region *region, firn__part part)
{
    for (int i = region->first; i <= region->last; i++)
        if (runs(&plan->layout.items[i], part)) prepare_with_epilogue(plan, i);
    const int parts = (plan->rows - 1) / region->slice + 1;
    slices s = {.plan = plan, .region = region, .part = part, .shared = parts < firn_ctx_threads(plan->ctx)};
    if (s.shared) {
        for (int i = 0; i < parts; i++) run_slice(&s, i, 0);
    } else {
        firn__parallel((firn__crew){plan->ctx, -1}, parts, run_slice, &s);
    }
}

/* ---- the passes ---- */

/* A user reads N, C, H, W, and all rows whatever passes they came in. */
void firn__copy_outputs(firn_plan *plan, int first)
{
    const firn__layout *l = &plan->layout;
    for (int i = 0; i < l->n_slots; i++) {
        const firn__slot *s = &l->slots[i];
        const void *from = firn__slot_data(plan, i);
        unsigned char *arena = plan->arena.data;
        unsigned char *to = s->whole != SIZE_MAX ? arena + s->whole + (size_t)first * s->row_bytes
                            : s->copy >= 0       ? arena + l->buffers[s->copy].offset
                                                 : NULL;
        if (to == NULL) continue;
        if (firn__is_turned(s->shape))
            firn__vector_transpose((firn__crew){plan->ctx, -1}, s->row_bytes > 0 ? plan->rows : s->shape.dim[0],
                                   &(firn__transpose_args){.rows = s->shape.dim[2] * s->shape.dim[3], .columns = s->shape.dim[1],
                                                           .dtype = s->tensor->dtype, .x = from, .y = to});
        else
            memcpy(to, from, (size_t)plan->rows * s->row_bytes);
    }
}

void firn__run_forward(firn_plan *plan, firn__part part)
{
    const firn__layout *l = &plan->layout;
    for (int i = 0; i < l->n_items;) {
        const firn__item *item = &l->items[i];
        if (item->region >= 0) {
            run_region(plan, &l->regions[item->region], part);
            i = l->regions[item->region].last + 1;
        } else {
            if (runs(item, part)) run_item(plan, i);
            i++;
        }
    }
}

static void add_contribution(firn_plan *plan, int slot, const firn_view *from)
{
    const firn__slot *s = &plan->layout.slots[slot];
    const size_t offset = s->grad >= 0 ? plan->layout.buffers[s->grad].offset : s->param_grad;
    unsigned char *block = s->grad >= 0 ? plan->arena.data : plan->grads.data;
    float *to = (float *)(block + offset);
    firn__vector_combine((firn__crew){plan->ctx, -1}, firn_shape_count(from->shape),
                         &(firn__combine_args){to, from->data, 1, 1, to});
}

static void run_backward_item(firn_plan *plan, int i)
{
    const firn__item *item = &plan->layout.items[i];
    const firn__bound *b = &plan->bound[i];
    const bool view = item->op->traits & FIRN_OP_VIEW;
    if (!view) {
        firn_op_run r = item_run(plan, i);
        r.in = b->kept;
        r.out = &b->kept_out;
        r.scratch = b->scratch_back;
        item->op->backward(&r);
    }
    for (int k = 0; k < item->op->n_in; k++) {
        const firn__slot *s = item->in[k] >= 0 ? &plan->layout.slots[item->in[k]] : NULL;
        if (!item->target[k].wanted) continue;
        if (item->target[k].add) add_contribution(plan, item->in[k], &b->din[k]);
        else if (view && s->param_grad != SIZE_MAX) memcpy((unsigned char *)plan->grads.data + s->param_grad, b->din[k].data, s->bytes);
    }
}

void firn__run_backward(firn_plan *plan)
{
    const firn__layout *l = &plan->layout;
    const firn__slot *root = &l->slots[firn__layout_slot(l, plan->root)];
    *(float *)((unsigned char *)plan->arena.data + l->buffers[root->grad].offset) = 1;
    for (int i = l->n_items - 1; i >= 0; i--)
        if (l->items[i].want != 0) run_backward_item(plan, i);
}
