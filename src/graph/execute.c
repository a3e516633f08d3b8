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

/* Rows of a batch that go through an item at once. */
typedef struct rows_run {
    int64_t first, count;
    unsigned char *local; /* where the values of a region lie; NULL outside of one */
    void *scratch;
    int worker;
} rows_run;

static void *data_of_rows(const firn_plan *plan, int slot, const rows_run *rows)
{
    const firn__layout *l = &plan->layout;
    const firn__slot *base = &l->slots[l->slots[slot].base];
    if (base->value >= 0 && l->buffers[base->value].region >= 0) return rows->local + l->buffers[base->value].offset;
    unsigned char *whole = firn__slot_data(plan, slot);
    return whole != NULL ? whole + (size_t)rows->first * l->slots[slot].row_bytes : NULL;
}

static firn_view view_of_rows(const firn_plan *plan, int slot, const rows_run *rows)
{
    if (slot < 0) return (firn_view){.shape = {.rank = -1}};
    const firn__slot *s = &plan->layout.slots[slot];
    firn_view v = {data_of_rows(plan, slot, rows), s->tensor->dtype, s->shape};
    if (s->row_bytes > 0) v.shape.dim[0] = rows->count;
    return v;
}

/* The slot that an item with its epilogue writes. */
static int written_slot(const firn__layout *l, const firn__item *item)
{
    return l->items[item->relu >= 0 ? item->relu : item->affine >= 0 ? item->affine : (int)(item - l->items)].out;
}

static void run_rows(const firn_plan *plan, int i, const rows_run *rows)
{
    const firn__item *item = &plan->layout.items[i];
    firn_view in[FIRN_OP_MAX_IN];
    for (int k = 0; k < item->op->n_in; k++) in[k] = view_of_rows(plan, item->in[k], rows);
    const firn_view out = view_of_rows(plan, written_slot(&plan->layout, item), rows);
    firn_op_run r = item_run(plan, i);
    r.in = in;
    r.out = &out;
    r.scratch = rows->scratch;
    r.worker = rows->worker;
    item->op->forward(&r);
}

/* ---- rows with features and rows without: of the latter, what is below the frontier runs ---- */

static bool is_given(const void *const *features, int64_t row) { return features != NULL && features[row] != NULL; }

/* Behind the last row that is like the first. */
static int64_t alike_until(const void *const *features, int64_t first, int64_t end)
{
    int64_t row = first + 1;
    while (row < end && is_given(features, row) == is_given(features, first)) row++;
    return row;
}

static bool all_given(const firn_plan *plan, const void *const *features)
{
    return is_given(features, 0) && alike_until(features, 0, plan->rows) == plan->rows;
}

static void run_item(firn_plan *plan, int i, const void *const *features)
{
    const firn__item *item = &plan->layout.items[i];
    if (is_silent(item) || (!item->tail && all_given(plan, features))) return;
    prepare_with_epilogue(plan, i);
    rows_run rows = {.scratch = plan->bound[i].scratch, .worker = -1};
    for (; rows.first < plan->rows; rows.first += rows.count) {
        rows.count = (item->tail ? plan->rows : alike_until(features, rows.first, plan->rows)) - rows.first;
        if (item->tail || !is_given(features, rows.first)) run_rows(plan, i, &rows);
    }
    for (int k = 0; k < item->op->n_in; k++) { /* running statistics move while their operator trains */
        firn_tensor *t = item->node->in[k];
        if (t != NULL && t->kind == FIRN__STATE && item->training && !t->frozen) firn__tensor_changed(t);
    }
}

/* ---- depth first ---- */

typedef struct slices {
    firn_plan *plan;
    const firn__region *region;
    const void *const *features;
    bool shared; /* one slice at a time, all threads on it */
} slices;

static void run_slice(void *arg, int64_t part, int worker)
{
    const slices *s = arg;
    const firn__layout *l = &s->plan->layout;
    const firn__region *region = s->region;
    rows_run rows = {.first = part * region->slice, .worker = s->shared ? -1 : worker};
    const int64_t next = rows.first + region->slice, end = next < s->plan->rows ? next : s->plan->rows;
    if (region->buffer >= 0) {
        rows.local = (unsigned char *)s->plan->arena.data + l->buffers[region->buffer].offset + (size_t)worker * region->worker_bytes;
        rows.scratch = rows.local + region->worker_bytes - region->scratch_bytes;
    }
    for (; rows.first < end; rows.first += rows.count) {
        const bool tail = is_given(s->features, rows.first);
        rows.count = alike_until(s->features, rows.first, end) - rows.first;
        for (int i = region->first; i <= region->last; i++)
            if (!is_silent(&l->items[i]) && (!tail || l->items[i].tail)) run_rows(s->plan, i, &rows);
    }
}

static void run_region(firn_plan *plan, const firn__region *region, const void *const *features)
{
    const bool tail = all_given(plan, features);
    for (int i = region->first; i <= region->last; i++) {
        const firn__item *item = &plan->layout.items[i];
        if (!is_silent(item) && (!tail || item->tail)) prepare_with_epilogue(plan, i);
    }
    const int parts = (plan->rows - 1) / region->slice + 1;
    slices s = {.plan = plan, .region = region, .features = features, .shared = parts < firn_ctx_threads(plan->ctx)};
    if (s.shared) {
        for (int part = 0; part < parts; part++) run_slice(&s, part, 0);
    } else {
        firn__parallel((firn__crew){plan->ctx, -1}, parts, run_slice, &s);
    }
}

/* ---- the passes ---- */

/* A user reads N, C, H, W, and all rows whatever passes they came in. */
static void copy_outputs(firn_plan *plan, int first)
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

void firn__run_forward(firn_plan *plan, int first, const void *const *features)
{
    const firn__layout *l = &plan->layout;
    for (int i = 0; i < l->n_items;) {
        const firn__item *item = &l->items[i];
        if (item->region >= 0) {
            run_region(plan, &l->regions[item->region], features);
            i = l->regions[item->region].last + 1;
        } else {
            run_item(plan, i, features);
            i++;
        }
    }
    copy_outputs(plan, first);
}

static void add_contribution(firn_plan *plan, int slot, const firn_view *from)
{
    const firn__slot *s = &plan->layout.slots[slot];
    const size_t offset = s->grad >= 0 ? plan->layout.buffers[s->grad].offset : s->param_grad;
    unsigned char *block = s->grad >= 0 ? plan->arena.data : plan->grads.data;
    firn__vector_axpy((firn__crew){plan->ctx, -1}, firn_shape_count(from->shape),
                      &(firn__axpy_args){.factor = 1, .x = from->data, .y = (float *)(block + offset)});
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
