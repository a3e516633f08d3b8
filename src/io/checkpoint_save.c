#include <inttypes.h>
#include <string.h>

#include "checkpoint.h"

static firn_status put_mask(firn__writer *w, const firn_model *m, const char *key, const firn__mask *mask)
{
    const size_t size = mask->n_named + mask->n_nodes + 2;
    char *text = firn__alloc(m->ctx, size, 1);
    if (text == NULL) return FIRN_ERR_MEMORY;
    firn__mask_text(mask, text);
    firn__writer_metadata(w, key, text);
    firn__free(m->ctx, text, size, 1);
    return FIRN_OK;
}

static firn_status put_masks(firn__writer *w, const firn_model *m)
{
    char key[32];
    firn__mask present;
    if (!firn__mask_alloc(m, &present)) return FIRN_ERR_MEMORY;
    firn__mask_read(m, present.bits);
    firn_status st = put_mask(w, m, FIRN__META_MASK, &present);
    firn__mask_free(m, &present);
    for (size_t i = 0; st == FIRN_OK && i < m->n_masks; i++) {
        snprintf(key, sizeof key, FIRN__META_MASK ".%zu", i);
        st = put_mask(w, m, key, &m->masks[i]);
    }
    return st;
}

static firn_status put_metadata(firn__writer *w, const firn_trainer *t)
{
    char run[FIRN__RUN_TEXT], position[FIRN__POSITION_TEXT];
    const firn_trainer_position p = firn_trainer_position_get(t);
    firn__run_text(t, run);
    firn__position_text(&p, position);
    firn__writer_metadata(w, FIRN__META_KIND, "checkpoint");
    firn__writer_metadata(w, FIRN__META_VERSION, FIRN__CHECKPOINT_VERSION);
    firn__writer_checksum(w);
    firn__writer_metadata(w, FIRN__META_RUN, run);
    firn__writer_metadata(w, FIRN__META_POSITION, position);
    firn__write_frozen(w, t->m);
    firn__write_states(w, t->m);
    return put_masks(w, t->m);
}

static void put_joined(firn__writer *w, const char *what, const char *name, firn_shape shape, const float *data)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s" FIRN__OF, what);
    firn__writer_tensor(w, prefix, name, shape, data);
}

static void put_tensors(firn__writer *w, const firn_trainer *t, float *rates)
{
    const firn_optimizer *o = t->optimizer;
    const size_t entries = firn_optimizer_entries(o);
    for (size_t i = 0; i < entries; i++) {
        const firn_optimizer_entry e = firn_optimizer_entry_at(o, i);
        if (i == 0 || strcmp(e.param, firn_optimizer_entry_at(o, i - 1).param) != 0)
            firn__writer_number(w, "step" FIRN__OF, e.param, e.step);
    }
    for (size_t i = 0; i < t->m->n_named; i++) {
        const firn_tensor *tensor = t->m->named[i];
        firn__writer_tensor(w, "", tensor->name, tensor->shape, firn__values(tensor));
        rates[i] = firn_optimizer_rate(o, tensor->name);
        if (rates[i] < 1 || rates[i] > 1) put_joined(w, "rate", tensor->name, FIRN_SCALAR, &rates[i]);
    }
    for (size_t i = 0; i < entries; i++) {
        const firn_optimizer_entry e = firn_optimizer_entry_at(o, i);
        put_joined(w, e.buffer, e.param, firn_tensor_shape(firn_find(t->m, e.param)), e.data);
    }
    firn_tensor_info best;
    for (size_t i = 0; (best = firn_trainer_best_at(t, i)).data != NULL; i++)
        put_joined(w, "best", best.name, best.shape, best.data);
}

static firn_status save_checkpoint(const firn_trainer *t, const char *path, const firn_checkpoint_options *opt,
                                   float *rates)
{
    firn__writer w;
    firn__writer_begin(&w, t->ctx);
    firn_status st = put_metadata(&w, t);
    if (st == FIRN_OK) {
        put_tensors(&w, t, rates);
        st = firn__writer_write(
            &w, path,
            &(firn__writer_how){.keep_old = true, .sync = opt ? opt->sync : NULL, .user = opt ? opt->user : NULL});
    }
    firn__writer_free(&w);
    return st;
}

firn_status firn_checkpoint_save(const firn_trainer *t, const char *path, const firn_checkpoint_options *opt)
{
    if (t == NULL) return FIRN_ERR_ARGUMENT;
    if (path == NULL) return firn__fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_checkpoint_save: path is NULL");
    firn_status st = firn__model_check_idle(t->m, "firn_checkpoint_save");
    if (st != FIRN_OK) return st;
    const size_t n = t->m->n_named + 1;
    float *rates = firn__alloc(t->ctx, n, sizeof *rates);
    if (rates == NULL) return FIRN_ERR_MEMORY;
    st = save_checkpoint(t, path, opt, rates);
    firn__free(t->ctx, rates, n, sizeof *rates);
    return st;
}
