#include <firn/ops.h>
#include <string.h>

#include "graph.h"
#include "ops.h"
#include "pattern.h"

enum { NAME_MAX_BYTES = 1000 };

/* ---- life ---- */

static void tensor_free(firn_ctx *ctx, firn_tensor *t)
{
    firn__free_text(ctx, t->name);
    firn__block_free(ctx, &t->block);
    firn__free(ctx, t, 1, sizeof *t);
}

void firn__node_free(firn_ctx *ctx, firn__node *n)
{
    firn__free(ctx, n->attr, n->op->attr_bytes, 1);
    firn__free_text(ctx, n->scope);
    firn__free(ctx, n, 1, sizeof *n);
}

static void model_destroy(firn_ctx *ctx, firn__owned *self)
{
    firn_model *m = (firn_model *)self;
    for (size_t i = 0; i < m->n_nodes; i++) firn__node_free(ctx, m->nodes[i]);
    for (size_t i = 0; i < m->n_tensors; i++) tensor_free(ctx, m->tensors[i]);
    for (size_t i = 0; i < m->n_names; i++) firn__free_text(ctx, m->names[i].text);
    for (size_t i = 0; i < m->n_masks; i++) firn__mask_free(m, &m->masks[i]);
    firn__free(ctx, m->nodes, m->node_capacity, sizeof *m->nodes);
    firn__free(ctx, m->tensors, m->tensor_capacity, sizeof *m->tensors);
    firn__free(ctx, m->named, m->named_capacity, sizeof *m->named);
    firn__free(ctx, m->names, m->name_capacity, sizeof *m->names);
    firn__free(ctx, m->scope, m->scope_capacity, 1);
    firn__free(ctx, m->scopes, m->scopes_capacity, sizeof *m->scopes);
    firn__free(ctx, m, 1, sizeof *m);
}

firn_model *firn_model_create(firn_ctx *ctx)
{
    if (ctx == NULL) return NULL;
    firn_model *m = firn__alloc(ctx, 1, sizeof *m);
    if (m == NULL) return NULL;
    m->ctx = ctx;
    m->owned = (firn__owned){.next = ctx->owned, .destroy = model_destroy};
    ctx->owned = &m->owned;
    return m;
}

firn_ctx *firn_model_ctx(const firn_model *m) { return m ? m->ctx : NULL; }

/* ---- scopes and names ---- */

/* Room for `need` bytes of scope and one more entry. */
static bool reserve_scope(firn_model *m, size_t need)
{
    if (m->scope_capacity < need) {
        char *wider = firn__resize(m->ctx, m->scope, m->scope_capacity, need * 2, 1);
        if (wider == NULL) return false;
        if (m->scope == NULL) *wider = '\0';
        m->scope = wider;
        m->scope_capacity = need * 2;
    }
    return FIRN__GROW(m->ctx, m->scopes, m->scopes_capacity, m->n_scopes);
}

void firn_scope_push(firn_model *m, const char *name)
{
    if (m == NULL) return;
    const size_t old = m->scope ? strlen(m->scope) : 0;
    const bool valid = firn__name_valid(name) && old + strlen(name) <= NAME_MAX_BYTES;
    if (!valid && m->dead_scopes == 0)
        firn__fail(m->ctx, FIRN_ERR_ARGUMENT,
                   "firn_scope_push: \"%.80s\" is not a valid name: dotted, not empty, no blanks or , ! * ?, at most %d bytes in all",
                   name ? name : "(NULL)", NAME_MAX_BYTES);
    if (m->dead_scopes > 0 || !valid || !reserve_scope(m, old + strlen(name) + 2)) {
        m->dead_scopes++;
        return;
    }
    m->scopes[m->n_scopes++] = (firn__scope){old, m->n_tensors, m->n_named, m->n_names, m->n_nodes};
    if (old > 0) m->scope[old] = '.';
    strcpy(m->scope + old + (old > 0), name);
}

void firn_scope_pop(firn_model *m)
{
    if (m == NULL) return;
    if (m->dead_scopes > 0)
        m->dead_scopes--;
    else if (m->n_scopes > 0)
        m->scope[m->scopes[--m->n_scopes].length] = '\0';
    else
        firn__fail(m->ctx, FIRN_ERR_STATE, "firn_scope_pop: no scope is open");
}

void firn_scope_undo(firn_model *m)
{
    if (m == NULL) return;
    if (m->dead_scopes == 0 && m->n_scopes > 0) {
        const firn__scope *was = &m->scopes[m->n_scopes - 1];
        while (m->n_nodes > was->n_nodes) firn__node_free(m->ctx, m->nodes[--m->n_nodes]);
        while (m->n_names > was->n_names) firn__free_text(m->ctx, m->names[--m->n_names].text);
        while (m->n_tensors > was->n_tensors) tensor_free(m->ctx, m->tensors[--m->n_tensors]);
        m->n_named = was->n_named;
    }
    firn__unbuilt(m->ctx); /* what the layer returns in its place */
    firn_scope_pop(m);
}

static const char *open_scope(const firn_model *m) { return m->n_scopes > 0 ? m->scope : ""; }

/* Can the open scope take this name? A push that failed has said why, unless that was cleared since. */
static firn_status check_name(const firn_model *m, const char *what, const char *name)
{
    const char *shown = name ? name : "(NULL)";
    if (m->dead_scopes > 0)
        return firn__fail(m->ctx, FIRN_ERR_STATE, "%s: \"%.80s\" lies in a scope that could not be opened", what, shown);
    if (firn__name_valid(name) && strlen(open_scope(m)) + strlen(name) <= NAME_MAX_BYTES) return FIRN_OK;
    return firn__fail(m->ctx, FIRN_ERR_ARGUMENT,
                      "%s: \"%.80s\" is not a valid name: dotted, not empty, no blanks or , ! * ?, at most %d bytes in all", what,
                      shown, NAME_MAX_BYTES);
}

char *firn__scope_join(const firn_model *m, const char *name)
{
    const char *scope = open_scope(m);
    const size_t bytes = strlen(scope) + strlen(name) + (*scope ? 2 : 1);
    char *text = firn__alloc(m->ctx, bytes, 1);
    if (text != NULL) snprintf(text, bytes, "%s%s%s", scope, *scope ? "." : "", name);
    return text;
}

firn_tensor *firn_find(const firn_model *m, const char *name)
{
    if (m == NULL || name == NULL) return NULL;
    for (size_t i = 0; i < m->n_names; i++)
        if (strcmp(m->names[i].text, name) == 0) return m->names[i].tensor;
    return NULL;
}

/* ---- tensors ---- */

firn_tensor *firn__tensor_add(firn_model *m, firn__tensor_kind kind, char *name, firn_dtype dtype, firn_shape shape)
{
    firn_tensor *t = name ? firn__alloc(m->ctx, 1, sizeof *t) : NULL;
    if (t == NULL || !FIRN__GROW(m->ctx, m->tensors, m->tensor_capacity, m->n_tensors)) {
        firn__free_text(m->ctx, name);
        firn__free(m->ctx, t, 1, sizeof *t);
        return NULL;
    }
    *t = (firn_tensor){.model = m, .kind = kind, .name = name, .dtype = dtype, .shape = shape, .index = m->n_tensors};
    m->tensors[m->n_tensors++] = t;
    return t;
}

bool firn__dims_positive(firn_shape s, int from)
{
    if (s.rank < from || s.rank > FIRN_MAX_RANK) return false;
    for (int i = from; i < s.rank; i++)
        if (s.dim[i] < 1) return false;
    return true;
}

/* Why this cannot be an input, recorded; FIRN_OK if it can. */
static firn_status check_input(const firn_model *m, const char *name, firn_dtype dtype, firn_shape shape)
{
    char text[FIRN__SHAPE_TEXT];
    if (!firn__name_valid(name) || strlen(name) > NAME_MAX_BYTES)
        return firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "firn_input: \"%.80s\" is not a valid name", name ? name : "(NULL)");
    if (firn_dtype_size(dtype) == 0)
        return firn__fail(m->ctx, FIRN_ERR_DTYPE, "firn_input \"%s\": element type %d is unknown", name, (int)dtype);
    firn_shape sample = shape;
    sample.dim[0] = 1;
    size_t bytes;
    if (!firn__dims_positive(shape, 1) || shape.dim[0] != FIRN_BATCH || !firn__shape_bytes(sample, firn_dtype_size(dtype), &bytes))
        return firn__fail(m->ctx, FIRN_ERR_SHAPE,
                          "firn_input \"%s\": shape %s must be FIRN_BATCH followed by positive dimensions, rank at most %d", name,
                          firn__shape_text(shape, text), FIRN_MAX_RANK);
    for (size_t i = 0; i < m->n_tensors; i++)
        if (m->tensors[i]->kind == FIRN__INPUT && strcmp(m->tensors[i]->name, name) == 0)
            return firn__fail(m->ctx, FIRN_ERR_NAME, "firn_input \"%s\": there is already an input of this name", name);
    return FIRN_OK;
}

firn_tensor *firn_input(firn_model *m, const char *name, firn_dtype dtype, firn_shape shape)
{
    if (m == NULL) return NULL;
    firn_tensor *t = NULL;
    if (check_input(m, name, dtype, shape) == FIRN_OK)
        t = firn__tensor_add(m, FIRN__INPUT, firn__copy_text(m->ctx, name), dtype, shape);
    return t ? t : firn__unbuilt(m->ctx);
}

/* The tensor that already has this name, if it may be shared; else NULL with the reason. */
static firn_tensor *share(firn_tensor *t, const char *name, firn__tensor_kind kind, firn_shape shape)
{
    static const char *const role[] = {[FIRN__PARAM] = "parameter", [FIRN__STATE] = "state"};
    char have[FIRN__SHAPE_TEXT], want[FIRN__SHAPE_TEXT];
    if (t->kind != kind) {
        firn__fail(t->model->ctx, FIRN_ERR_NAME, "\"%s\" is already a %s; it cannot also be a %s", name, role[t->kind], role[kind]);
        return NULL;
    }
    if (!firn_shape_equal(t->shape, shape)) {
        firn__fail(t->model->ctx, FIRN_ERR_SHAPE,
                   "\"%s\" already has shape %s; the same name again (shared weights) must have it too, not %s", name,
                   firn__shape_text(t->shape, have), firn__shape_text(shape, want));
        return NULL;
    }
    return t;
}

/* A new named tensor under the full name, which it takes over on success. */
static firn_tensor *named_add(firn_model *m, const char *what, char *full, firn__tensor_kind kind, firn_shape shape, firn_init init)
{
    char text[FIRN__SHAPE_TEXT];
    size_t bytes;
    if (!firn__dims_positive(shape, 0) || !firn__shape_bytes(shape, sizeof(float), &bytes)) {
        firn__fail(m->ctx, FIRN_ERR_SHAPE, "%s \"%s\": shape %s must have positive dimensions, rank at most %d and fit in memory", what,
                   full, firn__shape_text(shape, text), FIRN_MAX_RANK);
        return NULL;
    }
    firn__block block = {0};
    firn_tensor *t = NULL;
    if (firn__block_alloc(m->ctx, &block, bytes) && firn__init_fill(m, full, shape, init, block.data) == FIRN_OK &&
        FIRN__GROW(m->ctx, m->named, m->named_capacity, m->n_named) && FIRN__GROW(m->ctx, m->names, m->name_capacity, m->n_names))
        t = firn__tensor_add(m, kind, firn__copy_text(m->ctx, full), FIRN_F32, shape);
    if (t == NULL) {
        firn__block_free(m->ctx, &block);
        return NULL;
    }
    t->block = block;
    firn__tensor_changed(t);
    m->named[m->n_named++] = t;
    m->names[m->n_names++] = (firn__name){full, t};
    return t;
}

static firn_tensor *declare(firn_model *m, const char *what, const char *name, firn__tensor_kind kind, firn_shape shape, firn_init init)
{
    if (m == NULL) return NULL;
    char *full = check_name(m, what, name) == FIRN_OK ? firn__scope_join(m, name) : NULL;
    if (full == NULL) return firn__unbuilt(m->ctx);
    firn_tensor *known = firn_find(m, full);
    firn_tensor *t = known ? share(known, full, kind, shape) : named_add(m, what, full, kind, shape, init);
    if (known != NULL || t == NULL) firn__free_text(m->ctx, full);
    return t ? t : firn__unbuilt(m->ctx);
}

firn_tensor *firn_param(firn_model *m, const char *name, firn_shape shape, firn_init init)
{
    return declare(m, "firn_param", name, FIRN__PARAM, shape, init);
}

firn_tensor *firn_state(firn_model *m, const char *name, firn_shape shape, firn_init init)
{
    return declare(m, "firn_state", name, FIRN__STATE, shape, init);
}

firn_status firn_alias(firn_model *m, const char *name, firn_tensor *t)
{
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    if (t == NULL || t->model != m || !firn__is_named(t))
        return firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "firn_alias \"%.80s\": the tensor must be a parameter or state of this model",
                          name ? name : "(NULL)");
    firn_status st = check_name(m, "firn_alias", name);
    if (st != FIRN_OK) return st;
    char *full = firn__scope_join(m, name);
    if (full == NULL) return FIRN_ERR_MEMORY;
    const firn_tensor *known = firn_find(m, full);
    if (known == NULL && FIRN__GROW(m->ctx, m->names, m->name_capacity, m->n_names)) {
        m->names[m->n_names++] = (firn__name){full, t};
        return FIRN_OK;
    }
    if (known == NULL) st = FIRN_ERR_MEMORY;
    else if (known != t) st = firn__fail(m->ctx, FIRN_ERR_NAME, "firn_alias: \"%s\" is already another tensor", full);
    firn__free_text(m->ctx, full);
    return st;
}

/* ---- what others ask ---- */

firn_shape firn_tensor_shape(const firn_tensor *t) { return t ? t->shape : (firn_shape){0}; }
firn_dtype firn_tensor_dtype(const firn_tensor *t) { return t ? t->dtype : FIRN_F32; }
const char *firn_tensor_name(const firn_tensor *t) { return t ? t->name : ""; }
firn_model *firn_tensor_model(const firn_tensor *t) { return t ? t->model : NULL; }
size_t firn_tensor_count(const firn_model *m) { return m ? m->n_named : 0; }
bool firn_is_frozen(const firn_tensor *t) { return t != NULL && t->frozen; }
const float *firn_data(const firn_tensor *t) { return t ? firn__values(t) : NULL; }

bool firn_cross_entropy_of(const firn_tensor *loss, firn_tensor **label, firn_cross_entropy_attr *attr)
{
    const firn__node *n = loss ? loss->producer : NULL;
    while (n != NULL && n->op == &firn__op_scale) n = n->in[0]->producer;
    if (n == NULL || n->op != &firn__op_cross_entropy) return false;
    firn_tensor *t = n->in[1];
    while (t->producer != NULL && t->producer->op == &firn__op_reshape) t = t->producer->in[0];
    if (label != NULL) *label = t->kind == FIRN__INPUT ? t : NULL;
    if (attr != NULL) memcpy(attr, n->attr, sizeof *attr);
    return true;
}

firn_tensor_info firn_tensor_at(const firn_model *m, size_t i)
{
    if (m == NULL || i >= m->n_named) return (firn_tensor_info){0};
    const firn_tensor *t = m->named[i];
    return (firn_tensor_info){t->name, t->shape, firn__values(t), t->frozen, t->kind == FIRN__STATE};
}
