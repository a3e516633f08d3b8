/* freeze.c: the frozen bits (FREEZE F1 to F8, F18). */
#include <string.h>

#include "graph.h"
#include "pattern.h"
#include "rng.h"

static uint64_t hash_values(const firn_tensor *t) { return firn__hash(0, firn__values(t), t->block.bytes); }

void firn__tensor_changed(firn_tensor *t) { t->version = ++t->model->clock; }

void firn__tensor_written(firn_tensor *t)
{
    firn__tensor_changed(t);
    if (t->frozen) t->frozen_hash = hash_values(t);
}

firn_status firn__model_check_idle(const firn_model *m, const char *what)
{
    if (m->accumulating > 0)
        return firn__fail(m->ctx, FIRN_ERR_STATE, "%s: gradients are being accumulated; call firn_optimizer_step() first", what);
    if (m->pending > 0)
        return firn__fail(m->ctx, FIRN_ERR_STATE,
                          "%s: a training plan is between forward and backward; call firn_plan_backward() or firn_plan_forget() first", what);
    return FIRN_OK;
}

/* ---- a mask: one byte a named tensor, then one a node ---- */

static size_t mask_size(const firn_model *m) { return m->n_named + m->n_nodes; }

void firn__mask_read(const firn_model *m, unsigned char *bits)
{
    for (size_t i = 0; i < m->n_named; i++) bits[i] = m->named[i]->frozen;
    for (size_t i = 0; i < m->n_nodes; i++) bits[m->n_named + i] = m->nodes[i]->eval;
}

/* Tensors and nodes beyond those of the mask keep their bits. */
static void mask_apply(firn_model *m, const firn__mask *mask)
{
    bool changed = false;
    for (size_t i = 0; i < mask->n_named; i++) {
        firn_tensor *t = m->named[i];
        if (t->frozen == (bool)mask->bits[i]) continue;
        t->frozen = !t->frozen;
        if (t->frozen) t->frozen_hash = hash_values(t);
        changed = true;
    }
    for (size_t i = 0; i < mask->n_nodes; i++) {
        firn__node *n = m->nodes[i];
        const bool eval = mask->bits[mask->n_named + i];
        changed = changed || n->eval != eval;
        n->eval = eval;
    }
    if (changed) m->mask_version++;
}

bool firn__mask_alloc(const firn_model *m, firn__mask *mask)
{
    *mask = (firn__mask){m->n_named, m->n_nodes, NULL};
    if (mask_size(m) == 0) return true;
    mask->bits = firn__alloc(m->ctx, mask_size(m), 1);
    return mask->bits != NULL;
}

void firn__mask_free(const firn_model *m, firn__mask *mask)
{
    firn__free(m->ctx, mask->bits, mask->n_named + mask->n_nodes, 1);
    *mask = (firn__mask){0};
}

/* ---- selecting ---- */

static bool term_names(const firn__term *term, const firn_model *m, const firn_tensor *t)
{
    for (size_t i = 0; i < m->n_names; i++)
        if (m->names[i].tensor == t && firn__term_matches(term, m->names[i].text)) return true;
    return false;
}

/* Marks in selected (a mask's bytes) what one term names; the number of tensors that it matched, and, with_nodes, of nodes
 * with an eval bit: a layer of dropout alone has no tensors. */
static size_t select_term(const firn_model *m, const firn__term *term, bool with_nodes, unsigned char *selected)
{
    size_t matches = 0;
    for (size_t i = 0; i < m->n_named; i++)
        if (term_names(term, m, m->named[i])) {
            selected[i] = !term->minus;
            matches++;
        }
    for (size_t i = 0; i < m->n_nodes; i++)
        if (firn__term_matches(term, m->nodes[i]->scope)) { /* "*" and the like match what is outside of all layers */
            selected[m->n_named + i] = !term->minus;
            matches += with_nodes && (m->nodes[i]->op->traits & FIRN_OP_RANDOM);
        }
    return matches;
}

static firn_status select_all(const firn_model *m, const char *what, const char *selector, bool with_nodes,
                              unsigned char *selected)
{
    firn__term term;
    int found;
    bool first = true;
    const char *cursor = selector;
    while ((found = firn__term_next(&cursor, &term)) == 1) {
        if (first && term.minus && selected != NULL) memset(selected, 1, mask_size(m));
        first = false;
        if (select_term(m, &term, with_nodes, selected) == 0 && !term.minus)
            return firn__fail(m->ctx, FIRN_ERR_NAME, "%s: \"%.*s\" matches no %s of the model", what,
                              (int)(term.length < 200 ? term.length : 200), term.text,
                              with_nodes ? "parameter, state or dropout" : "parameter or state");
    }
    if (found < 0)
        return firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "%s: \"%.200s\" has an empty term, or one that begins with two !",
                          what, selector);
    return FIRN_OK;
}

static size_t count_named(const firn_model *m, const unsigned char *bits)
{
    size_t count = 0;
    for (size_t i = 0; i < m->n_named; i++) count += bits[i];
    return count;
}

firn_status firn_select(const firn_model *m, const char *selector, bool *selected, size_t *count)
{
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    if (selector == NULL) return firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "firn_select: the selector is NULL");
    firn__mask mask;
    if (!firn__mask_alloc(m, &mask)) return FIRN_ERR_MEMORY;
    const firn_status st = select_all(m, "firn_select", selector, true, mask.bits);
    if (st == FIRN_OK && count != NULL) *count = count_named(m, mask.bits);
    for (size_t i = 0; st == FIRN_OK && selected != NULL && i < m->n_named; i++) selected[i] = mask.bits[i];
    firn__mask_free(m, &mask);
    return st;
}

/* What a freeze call does: bits |= or &= the selection, or the selection itself; nodes get the bit only if eval is meant,
 * and lose it with what is unfrozen. */
typedef enum freeze_rule { RULE_FREEZE, RULE_FREEZE_EVAL, RULE_UNFREEZE, RULE_ONLY } freeze_rule;

static void apply_rule(firn_model *m, freeze_rule rule, firn__mask *selected)
{
    for (size_t i = 0; i < m->n_named + m->n_nodes; i++) {
        const bool node = i >= m->n_named, was = node ? m->nodes[i - m->n_named]->eval : m->named[i]->frozen;
        bool is = selected->bits[i];
        if (rule == RULE_UNFREEZE) is = was && !is;
        else if (rule == RULE_ONLY)
            is = is && (was || !node);
        else
            is = was || (is && (rule == RULE_FREEZE_EVAL || !node));
        selected->bits[i] = is;
    }
    mask_apply(m, selected);
}

static firn_status freeze_by(firn_model *m, const char *what, freeze_rule rule, const char *selector, size_t *count)
{
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    if (selector == NULL) return firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "%s: the selector is NULL", what);
    firn_status st = firn__model_check_idle(m, what);
    firn__mask selected;
    if (st != FIRN_OK) return st;
    if (!firn__mask_alloc(m, &selected)) return FIRN_ERR_MEMORY;
    st = select_all(m, what, selector, rule == RULE_FREEZE_EVAL || rule == RULE_UNFREEZE, selected.bits);
    if (st == FIRN_OK) {
        if (count != NULL) *count = count_named(m, selected.bits);
        apply_rule(m, rule, &selected);
    }
    firn__mask_free(m, &selected);
    return st;
}

firn_status firn_freeze(firn_model *m, const char *selector, size_t *count)
{
    return freeze_by(m, "firn_freeze", RULE_FREEZE, selector, count);
}

firn_status firn_freeze_eval(firn_model *m, const char *selector, size_t *count)
{
    return freeze_by(m, "firn_freeze_eval", RULE_FREEZE_EVAL, selector, count);
}

firn_status firn_unfreeze(firn_model *m, const char *selector, size_t *count)
{
    return freeze_by(m, "firn_unfreeze", RULE_UNFREEZE, selector, count);
}

firn_status firn_freeze_only(firn_model *m, const char *selector, size_t *count)
{
    return freeze_by(m, "firn_freeze_only", RULE_ONLY, selector, count);
}

/* Is the node in a layer that is frozen whole? The nearest around it that has tensors counts. */
static bool in_frozen_layer(const firn_model *m, const firn__node *n, const bool *frozen)
{
    firn__term layer = {n->scope, strlen(n->scope), false};
    while (layer.length > 0) {
        bool any = false, all = true;
        for (size_t i = 0; i < m->n_named; i++) {
            if (!term_names(&layer, m, m->named[i])) continue;
            any = true;
            all = all && frozen[i];
        }
        if (any) return all;
        while (layer.length > 0 && layer.text[--layer.length] != '.') continue;
    }
    return false;
}

firn_status firn__freeze_exactly(firn_model *m, const bool *frozen)
{
    firn__mask mask;
    if (!firn__mask_alloc(m, &mask)) return FIRN_ERR_MEMORY;
    for (size_t i = 0; i < m->n_named; i++) mask.bits[i] = frozen[i];
    for (size_t i = 0; i < m->n_nodes; i++)
        mask.bits[m->n_named + i] = m->nodes[i]->eval && in_frozen_layer(m, m->nodes[i], frozen);
    mask_apply(m, &mask);
    firn__mask_free(m, &mask);
    return FIRN_OK;
}

firn_status firn_freeze_to(firn_model *m, const char *layer, size_t *count)
{
    static const char what[] = "firn_freeze_to";
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    if (!firn__name_valid(layer))
        return firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "%s: the layer must be one name, without wildcards", what);
    firn_status st = firn__model_check_idle(m, what);
    if (st != FIRN_OK) return st;
    const firn__term term = {layer, strlen(layer), false};
    size_t first = 0;
    while (first < m->n_named && !term_names(&term, m, m->named[first])) first++;
    if (first == m->n_named)
        return firn__fail(m->ctx, FIRN_ERR_NAME, "%s: no parameter or state lies in \"%.200s\"", what, layer);
    bool *frozen = firn__alloc(m->ctx, m->n_named, sizeof *frozen);
    if (frozen == NULL) return FIRN_ERR_MEMORY;
    for (size_t i = 0; i < first; i++) frozen[i] = true;
    st = firn__freeze_exactly(m, frozen);
    firn__free(m->ctx, frozen, m->n_named, sizeof *frozen);
    if (st == FIRN_OK && count != NULL) *count = first;
    return st;
}

/* ---- the stack ---- */

firn_status firn_mask_push(firn_model *m)
{
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    if (m->n_masks == FIRN_MAX_MASKS) return firn__fail(m->ctx, FIRN_ERR_STATE, "firn_mask_push: %d masks are saved already", FIRN_MAX_MASKS);
    firn__mask *mask = &m->masks[m->n_masks];
    if (!firn__mask_alloc(m, mask)) return FIRN_ERR_MEMORY;
    firn__mask_read(m, mask->bits);
    m->n_masks++;
    return FIRN_OK;
}

firn_status firn_mask_pop(firn_model *m)
{
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    if (m->n_masks == 0) return firn__fail(m->ctx, FIRN_ERR_STATE, "firn_mask_pop: no mask is saved");
    const firn_status st = firn__model_check_idle(m, "firn_mask_pop");
    if (st != FIRN_OK) return st;
    firn__mask *mask = &m->masks[--m->n_masks];
    mask_apply(m, mask);
    firn__mask_free(m, mask);
    return FIRN_OK;
}

void firn__masks_replace(firn_model *m, firn__mask *present, firn__mask *saved, size_t n)
{
    while (m->n_masks > 0) firn__mask_free(m, &m->masks[--m->n_masks]);
    while (m->n_masks < n) {
        m->masks[m->n_masks] = saved[m->n_masks];
        saved[m->n_masks++] = (firn__mask){0};
    }
    mask_apply(m, present);
    firn__mask_free(m, present);
}

/* ---- the proof, and writing by hand ---- */

firn_status firn_verify_frozen(const firn_model *m)
{
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    for (size_t i = 0; i < m->n_named; i++) {
        const firn_tensor *t = m->named[i];
        if (t->frozen && hash_values(t) != t->frozen_hash)
            return firn__fail(m->ctx, FIRN_ERR_STATE, "firn_verify_frozen: \"%s\" is frozen, but its bytes have changed since", t->name);
    }
    return FIRN_OK;
}

firn_status firn_write(firn_model *m, const char *name, const float *values, size_t count)
{
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    firn_tensor *t = firn_find(m, name);
    if (t == NULL) return firn__fail(m->ctx, FIRN_ERR_NAME, "firn_write: no parameter or state is called \"%.200s\"", name ? name : "(NULL)");
    const firn_status st = firn__model_check_idle(m, "firn_write");
    if (st != FIRN_OK) return st;
    char text[FIRN__SHAPE_TEXT];
    if (values == NULL) return firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "firn_write \"%s\": values is NULL", t->name);
    if (count != t->block.bytes / sizeof(float))
        return firn__fail(m->ctx, FIRN_ERR_SHAPE, "firn_write \"%s\": %zu values do not fill shape %s", t->name, count,
                          firn__shape_text(t->shape, text));
    memcpy(firn__values(t), values, t->block.bytes);
    firn__tensor_written(t);
    return FIRN_OK;
}
