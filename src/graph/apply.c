/* apply.c: recording a node, and the sentences that say why one was refused. */
#include <string.h>

#include "graph.h"
#include "ops.h"

const char *firn__shape_text(firn_shape s, char *text)
{
    size_t at = (size_t)snprintf(text, FIRN__SHAPE_TEXT, "[");
    for (int i = 0; i < s.rank && i < FIRN_MAX_RANK && at < FIRN__SHAPE_TEXT - 24; i++) {
        const size_t left = FIRN__SHAPE_TEXT - at;
        const bool batch = i == 0 && s.dim[0] == FIRN_BATCH;
        const int wrote = batch ? snprintf(text + at, left, "N") : snprintf(text + at, left, "%s%lld", i ? ", " : "", (long long)s.dim[i]);
        at += (size_t)wrote;
    }
    snprintf(text + at, FIRN__SHAPE_TEXT - at, "]");
    return text;
}

firn_status firn_op_fail(const firn_op_build *b, firn_status st, const char *rule)
{
    char list[640] = "", shape[FIRN__SHAPE_TEXT];
    size_t at = 0;
    for (int i = 0; i < b->n_in && at < sizeof list; i++) {
        if (b->in[i].shape.rank < 0) continue;
        const char *name = b->names && b->names[i] ? b->names[i]->name : "";
        const int wrote =
            snprintf(list + at, sizeof list - at, "%s\"%.120s\" %s", at ? ", " : "", name, firn__shape_text(b->in[i].shape, shape));
        if (wrote > 0) at += (size_t)wrote;
    }
    return firn__fail(b->ctx, st, "%s of %s: %s", b->op ? b->op->name : "operator", list, rule);
}

firn_status firn_op_bad_value(const firn_op_run *r, int input, int64_t row, double value, const char *rule)
{
    const char *name = r->names && r->names[input] ? r->names[input]->name : "";
    return firn__fail(r->ctx, FIRN_ERR_ARGUMENT, "%s: input \"%s\", row %lld, is %.10g: %s",
                      r->op ? r->op->name : "operator", name, (long long)row, value, rule);
}

/* ---- firn_apply ---- */

static firn__node *node_create(firn_model *m, const firn_op *op, firn_tensor *const *in, const void *attr)
{
    firn__node *n = firn__alloc(m->ctx, 1, sizeof *n);
    if (n == NULL) return NULL;
    n->op = op;
    n->index = m->n_nodes;
    for (int i = 0; i < op->n_in; i++) n->in[i] = in[i];
    n->scope = firn__copy_text(m->ctx, m->n_scopes > 0 ? m->scope : "");
    if (op->attr_bytes > 0) n->attr = firn__alloc(m->ctx, op->attr_bytes, 1);
    if (n->attr != NULL && attr != NULL) memcpy(n->attr, attr, op->attr_bytes);
    if (n->scope == NULL || (op->attr_bytes > 0 && n->attr == NULL)) {
        firn__node_free(m->ctx, n);
        return NULL;
    }
    return n;
}

/* Of the first input that is there; there is room for one whatever n_in says. */
static firn_ctx *ctx_of_inputs(const firn_op *op, firn_tensor *const *in)
{
    for (int i = 0; i == 0 || (i < op->n_in && i < FIRN_OP_MAX_IN); i++)
        if (in[i] != NULL) return in[i]->model->ctx;
    return NULL;
}

static bool op_usable(const firn_op *op, firn_tensor *const *in)
{
    const char *flaw = firn__op_flaw(op);
    if (flaw != NULL)
        firn__fail(ctx_of_inputs(op, in), FIRN_ERR_ARGUMENT, "firn_apply: operator \"%s\" %s", op->name ? op->name : "",
                   flaw);
    return flaw == NULL;
}

/* The one model of all inputs; NULL if there are two, or if one is NULL that is required or that may be what could not be
 * built (the cause is known). */
static firn_model *model_of_inputs(const firn_op *op, firn_tensor *const *in)
{
    const firn_tensor *first = NULL;
    const firn_ctx *ctx = ctx_of_inputs(op, in);
    for (int i = 0; i < op->n_in; i++) {
        if (in[i] == NULL) {
            if (!(op->optional >> i & 1) || (ctx != NULL && ctx->unbuilt)) return NULL;
            continue;
        }
        if (first == NULL) first = in[i];
        if (in[i]->model != first->model) {
            firn__fail(first->model->ctx, FIRN_ERR_ARGUMENT, "%s: \"%s\" and \"%s\" belong to different models", op->name, first->name,
                       in[i]->name);
            return NULL;
        }
    }
    return first ? first->model : NULL;
}

/* A push that failed has said why, unless that was cleared since. */
static bool scope_open(const firn_model *m, const firn_op *op)
{
    if (m->dead_scopes > 0) firn__fail(m->ctx, FIRN_ERR_STATE, "%s lies in a scope that could not be opened", op->name);
    return m->dead_scopes == 0;
}

static bool moves_nothing(const firn__node *n)
{
    return n->op == &firn__op_reshape && !firn__is_turned(n->in[0]->shape) && !firn__is_turned(n->out->shape);
}

/* What check() looks at must be there before anything runs. */
static bool fed_inputs_fit(const firn_op *op, firn_tensor *const *in)
{
    char text[FIRN__SHAPE_TEXT];
    for (int i = 0; i < op->n_in; i++) {
        const firn_tensor *t = in[i];
        while (t != NULL && t->producer != NULL && moves_nothing(t->producer)) t = t->producer->in[0];
        if (t == NULL || !(op->fed >> i & 1) || t->kind == FIRN__INPUT) continue;
        firn__fail(
            t->model->ctx, FIRN_ERR_ARGUMENT,
            "%s: input %d, \"%s\" %s, must be a firn_input() or a reshape of one, for it is checked before anything runs",
            op->name, i, in[i]->name, firn__shape_text(in[i]->shape, text));
        return false;
    }
    return true;
}

/* Rank-4 activations are stored channels-last, named tensors in PyTorch's order: one cannot stand for the other. */
static bool layouts_fit(const firn_op *op, firn_tensor *const *in)
{
    for (int i = 0; i < op->n_in; i++) {
        if (in[i] == NULL || in[i]->shape.rank != 4) continue;
        const bool weight = op->params >> i & 1, named = firn__is_named(in[i]);
        if (weight == named) continue;
        firn__fail(in[i]->model->ctx, FIRN_ERR_ARGUMENT, "%s: input %d, \"%s\", of rank 4, must be %s", op->name, i, in[i]->name,
                   weight ? "a parameter, not a computed value" : "a computed value, not a named tensor");
        return false;
    }
    return true;
}

/* What forward writes must not be trained, nor be a value that is computed anew. */
static bool states_fit(const firn_op *op, firn_tensor *const *in)
{
    char text[FIRN__SHAPE_TEXT];
    for (int i = 0; i < op->n_in; i++) {
        if (in[i] == NULL || !(op->states >> i & 1) || in[i]->kind == FIRN__STATE) continue;
        firn__fail(in[i]->model->ctx, FIRN_ERR_ARGUMENT,
                   "%s: input %d, \"%s\" %s, must be a firn_state(), for training writes it", op->name, i, in[i]->name,
                   firn__shape_text(in[i]->shape, text));
        return false;
    }
    return true;
}

/* Asks the operator what comes out; false with the reason recorded. */
static bool infer(firn_model *m, firn__node *n, firn_view *out)
{
    firn_view views[FIRN_OP_MAX_IN];
    firn_op_build b = {.in = views, .n_in = n->op->n_in, .attr = n->attr, .training = true, .out = out, .ctx = m->ctx, .op = n->op, .names = n->in};
    for (int i = 0; i < n->op->n_in; i++) {
        const firn_tensor *t = n->in[i];
        views[i] = t ? (firn_view){NULL, t->dtype, t->shape} : (firn_view){.shape = {.rank = -1}};
        if (t != NULL && t->frozen) b.frozen |= 1u << i;
    }
    if (n->op->shape(&b) != FIRN_OK) {
        firn_op_fail(&b, FIRN_ERR_SHAPE, "the operator refuses these inputs"); /* heard only if shape() gave no reason */
        return false;
    }
    const bool batched = out->shape.rank > 0 && out->shape.dim[0] == FIRN_BATCH;
    firn_shape row = out->shape;
    if (batched) row.dim[0] = 1;
    size_t bytes;
    if (!firn__dims_positive(out->shape, batched ? 1 : 0) || firn_dtype_size(out->dtype) == 0)
        firn_op_fail(&b, FIRN_ERR_SHAPE, "the result would have an empty or invalid shape");
    else if (!firn__shape_bytes(row, firn_dtype_size(out->dtype), &bytes))
        firn_op_fail(&b, FIRN_ERR_SHAPE, "the result would be too large for this machine");
    else
        return true;
    return false;
}

/* NULL with the reason in the context. */
static firn_tensor *record(const firn_op *op, firn_tensor *const *in, const void *attr)
{
    if (!op_usable(op, in)) return NULL;
    firn_model *m = model_of_inputs(op, in);
    if (m == NULL || !scope_open(m, op) || !layouts_fit(op, in) || !fed_inputs_fit(op, in)) return NULL;
    firn__node *n = node_create(m, op, in, attr);
    if (n == NULL) return NULL;
    firn_view out = {0};
    if (states_fit(op, in) && infer(m, n, &out) && FIRN__GROW(m->ctx, m->nodes, m->node_capacity, m->n_nodes))
        n->out = firn__tensor_add(m, FIRN__VALUE, firn__scope_join(m, op->name), out.dtype, out.shape);
    if (n->out == NULL) {
        firn__node_free(m->ctx, n);
        return NULL;
    }
    n->out->producer = n;
    m->nodes[m->n_nodes++] = n;
    return n->out;
}

firn_tensor *firn_apply(const firn_op *op, firn_tensor *const *in, const void *attr)
{
    if (op == NULL || in == NULL) return NULL;
    firn_tensor *out = record(op, in, attr);
    return out ? out : firn__unbuilt(ctx_of_inputs(op, in));
}
