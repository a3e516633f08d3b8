#include <string.h>

#include "trainer.h"

static size_t element_count(const firn_trainer *t, size_t i)
{
    return (size_t)firn_shape_count(firn_tensor_at(t->m, i).shape);
}

/* One pointer for every named tensor that the model has by now. */
static firn_status cover(firn_trainer *t)
{
    const size_t need = firn_tensor_count(t->m);
    if (t->n_best >= need) return FIRN_OK;
    float **wider = firn__train_alloc(t->ctx, need, sizeof *wider);
    if (wider == NULL) return FIRN_ERR_MEMORY;
    if (t->n_best > 0) memcpy(wider, t->best, t->n_best * sizeof *wider);
    firn__train_free(t->ctx, t->best, t->n_best, sizeof *wider);
    t->best = wider;
    t->n_best = need;
    return FIRN_OK;
}

/* Makes a copy of the i-th named tensor if there is none yet; fresh: made by this call. */
static firn_status reserve(firn_trainer *t, size_t i, bool *fresh)
{
    *fresh = t->best[i] == NULL;
    if (*fresh) t->best[i] = firn__train_alloc(t->ctx, element_count(t, i), sizeof(float));
    return t->best[i] != NULL ? FIRN_OK : FIRN_ERR_MEMORY;
}

static void copy_from_model(firn_trainer *t, size_t i)
{
    memcpy(t->best[i], firn_tensor_at(t->m, i).data, element_count(t, i) * sizeof(float));
}

firn_status firn__best_extend(firn_trainer *t)
{
    firn_status st = cover(t);
    for (size_t i = 0; st == FIRN_OK && i < t->n_best; i++) {
        bool fresh = false;
        if (!firn_tensor_at(t->m, i).frozen) st = reserve(t, i, &fresh);
        if (st == FIRN_OK && fresh) copy_from_model(t, i);
    }
    return st;
}

firn_status firn__best_take(firn_trainer *t)
{
    const firn_status st = firn__best_extend(t);
    for (size_t i = 0; st == FIRN_OK && i < t->n_best; i++)
        if (t->best[i] != NULL) copy_from_model(t, i);
    return st;
}

/* What has not changed since is not written: features may stand on it. */
firn_status firn__best_restore(firn_trainer *t)
{
    firn_status st = FIRN_OK;
    for (size_t i = 0; st == FIRN_OK && i < t->n_best; i++) {
        const firn_tensor_info now = firn_tensor_at(t->m, i);
        const size_t count = element_count(t, i);
        if (t->best[i] != NULL && memcmp(now.data, t->best[i], count * sizeof(float)) != 0)
            st = firn_write(t->m, now.name, t->best[i], count);
    }
    return st;
}

void firn__best_clear(firn_trainer *t)
{
    for (size_t i = 0; i < t->n_best; i++) firn__train_free(t->ctx, t->best[i], element_count(t, i), sizeof(float));
    firn__train_free(t->ctx, t->best, t->n_best, sizeof *t->best);
    t->best = NULL;
    t->n_best = 0;
}

firn_tensor_info firn_trainer_best_at(const firn_trainer *t, size_t i)
{
    for (size_t k = 0; t != NULL && k < t->n_best; k++) {
        if (t->best[k] == NULL || i-- > 0) continue;
        firn_tensor_info info = firn_tensor_at(t->m, k);
        info.data = t->best[k];
        return info;
    }
    return (firn_tensor_info){0};
}

firn_status firn_trainer_best_set(firn_trainer *t, const char *name, const float *values, size_t count)
{
    if (t == NULL) return FIRN_ERR_ARGUMENT;
    const firn_tensor *tensor = firn_find(t->m, name);
    if (tensor == NULL || values == NULL)
        return firn_fail(t->ctx, FIRN_ERR_NAME, "firn_trainer_best_set: there is no tensor \"%.200s\", or no values for it",
                         name ? name : "(NULL)");
    const firn_status st = cover(t);
    size_t i = 0;
    while (firn_tensor_at(t->m, i).data != firn_data(tensor)) i++;
    if (st == FIRN_OK && count != element_count(t, i))
        return firn_fail(t->ctx, FIRN_ERR_SHAPE, "firn_trainer_best_set: \"%s\" has %zu elements, not %zu", name,
                         element_count(t, i), count);
    bool fresh;
    if (st != FIRN_OK || reserve(t, i, &fresh) != FIRN_OK) return FIRN_ERR_MEMORY;
    memcpy(t->best[i], values, count * sizeof(float));
    return FIRN_OK;
}
