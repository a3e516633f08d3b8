/* layout.c: which nodes run, and the one sweep from which all savings of freezing follow. */
#include "layout.h"

#include <string.h>

#include "ops.h"

/* ---- memory of the lists ---- */

struct firn__chunk {
    firn__chunk *next;
    size_t bytes;
    max_align_t data[];
};

void *firn__layout_alloc(firn__layout *l, size_t count, size_t size)
{
    size_t bytes;
    if (!firn__mul(count ? count : 1, size, &bytes) || !firn__add(bytes, sizeof(firn__chunk), &bytes)) {
        firn__no_memory(l->ctx);
        return NULL;
    }
    firn__chunk *chunk = firn__alloc(l->ctx, bytes, 1);
    if (chunk == NULL) return NULL;
    *chunk = (firn__chunk){.next = l->chunks, .bytes = bytes};
    l->chunks = chunk;
    l->tables_bytes += bytes;
    return chunk->data;
}

void firn__layout_free(firn__layout *l)
{
    while (l->chunks != NULL) {
        firn__chunk *first = l->chunks;
        l->chunks = first->next;
        firn__free(l->ctx, first, first->bytes, 1);
    }
    *l = (firn__layout){0};
}

firn_shape firn__shape_with_rows(firn_shape s, int64_t rows)
{
    if (s.rank > 0 && s.dim[0] == FIRN_BATCH) s.dim[0] = rows;
    return s;
}

int firn__layout_slot(const firn__layout *l, const firn_tensor *t) { return t->index < l->n_tensors ? l->slot_of[t->index] : FIRN__NONE; }

/* ---- collect ---- */

enum { OF_WATCH = 1, OF_ROOT = 2 }; /* who depends on a tensor */

/* Marks every tensor that root and watch depend on; the number of nodes among their producers. */
static int mark_live(const firn__layout *l, unsigned char *live)
{
    int nodes = 0;
    if (l->options.watch != NULL) live[l->options.watch->index] = OF_WATCH;
    live[l->root->index] |= OF_ROOT;
    for (size_t i = l->model->n_nodes; i-- > 0;) {
        const firn__node *n = l->model->nodes[i];
        if (!live[n->out->index]) continue;
        nodes++;
        for (int k = 0; k < n->op->n_in; k++)
            if (n->in[k] != NULL) live[n->in[k]->index] |= live[n->out->index];
    }
    return nodes;
}

static firn_status slot_fill(firn__layout *l, firn__slot *s, firn_tensor *t)
{
    *s = (firn__slot){.tensor = t, .producer = FIRN__NONE, .base = l->n_slots, .value = FIRN__NONE, .grad = FIRN__NONE, .param_grad = SIZE_MAX, .copy = FIRN__NONE,
                      .whole = SIZE_MAX};
    s->shape = firn__shape_with_rows(t->shape, l->batch);
    const bool batched = t->shape.rank > 0 && t->shape.dim[0] == FIRN_BATCH;
    const firn_shape row = firn__shape_with_rows(t->shape, 1);
    size_t row_bytes;
    char text[FIRN__SHAPE_TEXT];
    if (!firn__shape_bytes(s->shape, firn_dtype_size(t->dtype), &s->bytes) || !firn__shape_bytes(row, firn_dtype_size(t->dtype), &row_bytes))
        return firn__fail(l->ctx, FIRN_ERR_SHAPE, "firn_plan_create: \"%s\" %s is too large for this machine at batch %d", t->name,
                          firn__shape_text(t->shape, text), l->batch);
    s->row_bytes = batched ? row_bytes : 0;
    s->output = t == l->root || t == l->options.watch;
    return FIRN_OK;
}

firn_op_build firn__item_build(const firn__layout *l, const firn__item *item, int rows, firn_view *views)
{
    const int n_in = item->op->n_in;
    for (int k = 0; k < n_in; k++) {
        const firn_tensor *t = item->node->in[k];
        views[k] = t ? (firn_view){NULL, t->dtype, firn__shape_with_rows(t->shape, rows)} : (firn_view){.shape = {.rank = -1}};
    }
    views[n_in] = (firn_view){0};
    return (firn_op_build){.in = views, .n_in = n_in, .attr = item->node->attr, .training = item->training, .frozen = item->frozen,
                           .want = item->want, .out = &views[n_in], .ctx = l->ctx, .op = item->op, .names = item->node->in};
}

static firn_status item_fill(const firn__layout *l, firn__item *item, firn__node *n)
{
    *item = (firn__item){.node = n, .op = n->op, .leader = FIRN__NONE, .affine = FIRN__NONE, .relu = FIRN__NONE, .region = FIRN__NONE,
                         .saved = FIRN__NONE, .scratch = FIRN__NONE, .scratch_back = FIRN__NONE, .out = l->slot_of[n->out->index]};
    const bool eval = n->eval && !l->thawed && (n->op->traits & FIRN_OP_RANDOM);
    item->training = l->options.mode == FIRN_TRAIN && !eval;
    for (int k = 0; k < FIRN_OP_MAX_IN; k++) {
        const firn_tensor *t = k < n->op->n_in ? n->in[k] : NULL;
        item->in[k] = t ? l->slot_of[t->index] : FIRN__NONE;
        if (t != NULL && firn__slot_frozen(l, &l->slots[item->in[k]])) item->frozen |= 1u << k;
        item->target[k].buffer = FIRN__NONE;
    }
    firn_view views[FIRN_OP_MAX_IN + 1];
    const firn_op_build b = firn__item_build(l, item, l->batch, views);
    return firn__op_resolve(&b, &item->op);
}

firn_status firn__layout_collect(firn__layout *l)
{
    const firn_model *m = l->model;
    l->n_tensors = m->n_tensors;
    unsigned char *live = firn__layout_alloc(l, m->n_tensors, sizeof *live);
    l->slot_of = firn__layout_alloc(l, m->n_tensors, sizeof *l->slot_of);
    if (live == NULL || l->slot_of == NULL) return FIRN_ERR_MEMORY;
    const int n_items = mark_live(l, live);
    int n_slots = 0;
    for (size_t i = 0; i < m->n_tensors; i++) n_slots += live[i] != 0;
    l->slots = firn__layout_alloc(l, (size_t)n_slots, sizeof *l->slots);
    l->items = firn__layout_alloc(l, (size_t)n_items, sizeof *l->items);
    if (l->slots == NULL || l->items == NULL) return FIRN_ERR_MEMORY;
    for (size_t i = 0; i < m->n_tensors; i++) {
        l->slot_of[i] = FIRN__NONE;
        if (!live[i]) continue;
        const firn_status st = slot_fill(l, &l->slots[l->n_slots], m->tensors[i]);
        if (st != FIRN_OK) return st;
        l->slots[l->n_slots].rooted = live[i] & OF_ROOT;
        l->slot_of[i] = l->n_slots++;
    }
    for (size_t i = 0; i < m->n_nodes; i++) {
        if (!live[m->nodes[i]->out->index]) continue;
        firn__item *item = &l->items[l->n_items];
        const firn_status st = item_fill(l, item, m->nodes[i]);
        if (st != FIRN_OK) return st;
        l->slots[item->out].producer = l->n_items++;
    }
    return FIRN_OK;
}

/* ---- passes ---- */

/* Rows of a pass: enough for packed weights to pay, and a few for each thread. */
static int pass_rows(const firn_ctx *ctx)
{
    enum { LEAST = 32, A_THREAD = 4 };
    const int threads = firn_ctx_threads(ctx);
    return threads * A_THREAD > LEAST ? threads * A_THREAD : LEAST;
}

/* Does each row go through by itself? What an operator checks, it checks of the whole batch, before anything runs. */
static bool rows_are_independent(const firn__layout *l)
{
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        if (item->op->traits & (FIRN_OP_RANDOM | FIRN_OP_BATCHMIX)) return false;
        if (item->op->check != NULL || l->slots[item->out].row_bytes == 0) return false;
    }
    return true;
}

firn_status firn__layout_passes(firn__layout *l)
{
    const int rows = pass_rows(l->ctx);
    if (l->options.mode != FIRN_EVAL || l->options.features || l->options.layer_by_layer || l->batch <= rows) return FIRN_OK;
    if (!rows_are_independent(l)) return FIRN_OK;
    size_t whole = 0;
    for (int i = 0; i < l->n_slots; i++) {
        firn__slot *s = &l->slots[i];
        s->shape = firn__shape_with_rows(s->tensor->shape, rows);
        if (s->output) s->whole = whole;
        if (s->output && (!firn__add(whole, s->bytes, &whole) || !firn__round_up(whole, 64, &whole))) return firn__no_memory(l->ctx);
        if (s->row_bytes > 0) s->bytes = s->row_bytes * (size_t)rows;
    }
    l->whole_bytes = whole;
    l->batch = rows;
    return FIRN_OK;
}

/* ---- the sweep ---- */

static bool trains(const firn__layout *l, const firn__slot *s) { return s->tensor->kind == FIRN__PARAM && !firn__slot_frozen(l, s); }

static bool has_grad(const firn__layout *l, const firn__item *item, int k)
{
    return item->in[k] >= 0 && l->slots[item->in[k]].need; /* never so of a state, nor of integers */
}

static void sweep_need(firn__layout *l)
{
    for (int i = 0; i < l->n_slots; i++) l->slots[i].need = trains(l, &l->slots[i]);
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        firn__slot *out = &l->slots[item->out];
        for (int k = 0; k < item->op->n_in; k++)
            if (has_grad(l, item, k) && out->tensor->dtype == FIRN_F32) out->need = true;
    }
}

/* From root down: which gradients are wanted, and what their formulas read. */
static firn_status sweep_want(firn__layout *l)
{
    bool *flows = firn__layout_alloc(l, (size_t)l->n_slots, sizeof *flows);
    if (flows == NULL) return FIRN_ERR_MEMORY;
    const int root = l->slot_of[l->root->index];
    flows[root] = l->slots[root].need;
    for (int i = l->n_items - 1; i >= 0; i--) {
        firn__item *item = &l->items[i];
        if (!flows[item->out]) continue;
        for (int k = 0; k < item->op->n_in; k++) {
            if (!has_grad(l, item, k)) continue;
            item->want |= 1u << k;
            item->keep |= item->op->reads[k];
            flows[item->in[k]] = true;
        }
        if (item->want != 0 && item->op->backward == NULL && !(item->op->traits & FIRN_OP_VIEW))
            return firn__fail(l->ctx, FIRN_ERR_STATE, "firn_plan_create: \"%s\" has no gradient, but a trainable parameter lies below it",
                              item->node->out->name);
        l->trainable = l->trainable || item->want != 0;
    }
    return FIRN_OK;
}

static void sweep_purity(firn__layout *l)
{
    for (int i = 0; i < l->n_slots; i++) {
        firn__slot *s = &l->slots[i];
        if (firn__is_named(s->tensor)) s->pure = s->deep = firn__slot_frozen(l, s);
        else s->pure = s->tensor->kind == FIRN__INPUT;
    }
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        firn__slot *out = &l->slots[item->out];
        out->pure = out->row_bytes > 0 && !(item->op->traits & (FIRN_OP_RANDOM | FIRN_OP_BATCHMIX));
        for (int k = 0; k < item->op->n_in; k++) {
            if (item->in[k] < 0) continue;
            const firn__slot *in = &l->slots[item->in[k]];
            out->pure = out->pure && in->pure && (in->row_bytes > 0 || firn__is_named(in->tensor));
            out->deep = out->deep || in->deep;
        }
        out->deep = out->deep && out->pure;
    }
}

/* Why nothing can be cached: what only the size of odd forbids (NULL: nothing), or the first item that is not pure. */
static void explain_no_features(firn__layout *l, const firn__slot *odd)
{
    const size_t room = sizeof l->why_no_features;
    for (int i = 0; i < l->n_slots; i++)
        if (l->slots[i].frontier) return;
    if (odd != NULL) {
        snprintf(l->why_no_features, room, "\"%.100s\" has %zu bytes a sample, which is no whole number of floats",
                 odd->tensor->name, odd->row_bytes);
        return;
    }
    snprintf(l->why_no_features, room, "nothing is frozen");
    bool frozen = false;
    for (int i = 0; i < l->n_slots; i++) frozen = frozen || (firn__is_named(l->slots[i].tensor) && l->slots[i].deep);
    for (int i = 0; i < l->n_items && frozen; i++) {
        const firn__item *item = &l->items[i];
        const char *name = item->node->out->name;
        if (l->slots[item->out].pure) continue;
        snprintf(l->why_no_features, room, "\"%.100s\" comes before any frozen layer and %s", name,
                 item->op->traits & FIRN_OP_RANDOM     ? "draws random numbers"
                 : item->op->traits & FIRN_OP_BATCHMIX ? "mixes the samples of a batch"
                                                       : "is not made sample by sample");
        for (int k = item->op->n_in - 1; k >= 0; k--)
            if (item->in[k] >= 0 && firn__is_named(l->slots[item->in[k]].tensor) && !l->slots[item->in[k]].deep)
                snprintf(l->why_no_features, room, "\"%.100s\" comes before any frozen layer and is not frozen", l->slots[item->in[k]].tensor->name);
        return;
    }
}

/* The frontier, and what still runs when its values are given. */
static firn_status sweep_frontier(firn__layout *l)
{
    const firn__slot *odd = NULL;
    for (int i = 0; i < l->n_slots; i++) {
        firn__slot *s = &l->slots[i];
        s->frontier = s->output && s->deep;
    }
    for (int i = 0; i < l->n_items; i++) {
        const firn__item *item = &l->items[i];
        for (int k = 0; k < item->op->n_in; k++) {
            firn__slot *in = item->in[k] >= 0 ? &l->slots[item->in[k]] : NULL;
            if (in == NULL) continue;
            in->readers++;
            if (in->producer < 0 || !in->deep || l->slots[item->out].pure) continue;
            if (in->row_bytes % sizeof(float) == 0)
                in->frontier = true;
            else
                odd = in;
        }
    }
    for (int i = 0; i < l->n_slots; i++) l->slots[i].held = l->slots[i].frontier && l->options.features;
    bool *live = firn__layout_alloc(l, (size_t)l->n_slots, sizeof *live), *asked = firn__layout_alloc(l, (size_t)l->n_slots, sizeof *asked);
    if (live == NULL || asked == NULL) return FIRN_ERR_MEMORY;
    for (int i = 0; i < l->n_slots; i++) {
        live[i] = l->slots[i].output;
        asked[i] = l->slots[i].frontier;
    }
    for (int i = l->n_items - 1; i >= 0; i--) {
        firn__item *item = &l->items[i];
        firn__slot *out = &l->slots[item->out];
        if ((item->op->traits & FIRN_OP_VIEW) && out->held) l->slots[item->in[0]].held = true; /* the same storage */
        item->tail = live[item->out] && !out->frontier;
        item->below = asked[item->out];
        for (int k = 0; k < item->op->n_in; k++) {
            if (item->in[k] < 0) continue;
            live[item->in[k]] = live[item->in[k]] || item->tail;
            asked[item->in[k]] = asked[item->in[k]] || item->below;
        }
    }
    explain_no_features(l, odd);
    return FIRN_OK;
}

/* Of the whole batch, also where it goes in passes. */
static uint64_t flops_of(const firn__layout *l, const firn__item *item, int grad_of)
{
    firn_view views[FIRN_OP_MAX_IN + 1];
    const firn_op_build b = firn__item_build(l, item, l->options.batch, views);
    if (item->op->flops != NULL) return item->op->flops(&b, grad_of);
    if (item->op->traits & FIRN_OP_VIEW) return 0;
    const firn_tensor *t = grad_of < 0 ? item->node->out : item->node->in[grad_of];
    return (uint64_t)firn_shape_count(firn__shape_with_rows(t->shape, l->options.batch));
}

static bool same_memory(const firn__slot *a, const firn__slot *b)
{
    return a->bytes == b->bytes && a->row_bytes == b->row_bytes;
}

static firn_status sweep_sizes(firn__layout *l)
{
    firn_view views[FIRN_OP_MAX_IN + 1];
    for (int i = 0; i < l->n_items; i++) {
        firn__item *item = &l->items[i];
        firn_op_build b = firn__item_build(l, item, l->batch, views);
        const firn_status st = item->op->shape(&b);
        if (st != FIRN_OK) return firn_op_fail(&b, st, "the operator refuses this batch");
        if (!firn_shape_equal(b.out->shape, l->slots[item->out].shape) || b.out->dtype != item->node->out->dtype)
            return firn_op_fail(&b, FIRN_ERR_SHAPE, "dimension 0 of the result must be the batch, or not depend on it");
        if ((item->op->traits & FIRN_OP_VIEW) && !same_memory(&l->slots[item->in[0]], &l->slots[item->out]))
            return firn_op_fail(&b, FIRN_ERR_SHAPE, "a view must have as many bytes as its first input, of each sample");
        if (item->keep & FIRN_READS_SAVED) item->saved_bytes = b.saved_bytes;
        item->scratch_bytes = b.scratch_bytes;
        item->prepared_bytes = item->op->prepare ? b.prepared_bytes : 0;
        item->flops = flops_of(l, item, -1);
        for (int k = 0; k < item->op->n_in; k++) {
            if (!(item->want >> k & 1)) continue;
            const bool weight = firn__is_named(item->node->in[k]);
            *(weight ? &item->flops_weight : &item->flops_input) += flops_of(l, item, k);
        }
    }
    return FIRN_OK;
}

firn_status firn__layout_sweep(firn__layout *l)
{
    sweep_need(l);
    firn_status st = FIRN_OK;
    if (l->options.mode == FIRN_TRAIN) st = sweep_want(l);
    sweep_purity(l);
    if (st == FIRN_OK) st = sweep_frontier(l);
    if (st == FIRN_OK) st = sweep_sizes(l);
    return st;
}

firn_status firn__layout_build(firn__layout *l, firn_tensor *root, const firn_plan_options *options, bool thawed)
{
    *l = (firn__layout){.ctx = root->model->ctx, .model = root->model, .root = root, .options = *options, .thawed = thawed, .batch = options->batch};
    firn_status st = firn__layout_collect(l);
    if (st == FIRN_OK) st = firn__layout_passes(l);
    if (st == FIRN_OK) st = firn__layout_sweep(l);
    if (st == FIRN_OK) firn__layout_fuse(l);
    if (st == FIRN_OK) st = firn__layout_regions(l);
    if (st == FIRN_OK) st = firn__layout_memory(l);
    if (st != FIRN_OK) firn__layout_free(l);
    return st;
}
