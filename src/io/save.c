#include <inttypes.h>
#include <string.h>

#include "convert.h"
#include "model_file.h"
#include "rng.h"

uint64_t firn__base_hash(const firn_model *m, const bool *in_base)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->n_named; i++) {
        const firn_tensor *t = m->named[i];
        if (!in_base[i]) continue;
        uint64_t hash = firn__rng_name((uint64_t)t->shape.rank, t->name);
        for (int d = 0; d < t->shape.rank; d++) hash = firn__rng_mix(hash, (uint64_t)t->shape.dim[d]);
        sum += firn__convert_hash(hash, firn__values(t), t->block.bytes / sizeof(float));
    }
    return sum;
}

static bool is_frozen(const firn_tensor *t) { return t->frozen; }
static bool is_state(const firn_tensor *t) { return t->kind == FIRN__STATE; }

/* All names of those that are so, joined by commas. */
static void write_names(firn__writer *w, const firn_model *m, const char *key, bool (*is)(const firn_tensor *t))
{
    size_t size = 1;
    for (size_t i = 0; i < m->n_names; i++)
        if (is(m->names[i].tensor)) size += strlen(m->names[i].text) + 1;
    if (size == 1 || w->status != FIRN_OK) return;
    char *list = firn__alloc(m->ctx, size, 1);
    if (list == NULL) {
        w->status = FIRN_ERR_MEMORY;
        return;
    }
    size_t used = 0;
    for (size_t i = 0; i < m->n_names; i++)
        if (is(m->names[i].tensor)) {
            const size_t length = strlen(m->names[i].text);
            if (used > 0) list[used++] = ',';
            memcpy(list + used, m->names[i].text, length);
            used += length;
        }
    firn__writer_metadata(w, key, list);
    firn__free(m->ctx, list, size, 1);
}

void firn__write_frozen(firn__writer *w, const firn_model *m) { write_names(w, m, FIRN__META_FROZEN, is_frozen); }
void firn__write_states(firn__writer *w, const firn_model *m) { write_names(w, m, FIRN__META_STATES, is_state); }

/* Is the last component of a state's name running_mean? prefix: the length of what stands before it, with its dot. */
static bool is_running_mean(const firn__name *name, size_t *prefix)
{
    const char *dot = strrchr(name->text, '.');
    *prefix = dot ? (size_t)(dot - name->text) + 1 : 0;
    return name->tensor->kind == FIRN__STATE && strcmp(name->text + *prefix, "running_mean") == 0;
}

/* Batch norm counts batches in PyTorch, and a strict load_state_dict() asks for the number: 0 unless the model has one. */
static void write_batch_counts(firn__writer *w, const firn_model *m)
{
    static const char number[] = "num_batches_tracked";
    for (size_t i = 0; i < m->n_names; i++) {
        size_t prefix;
        if (!is_running_mean(&m->names[i], &prefix)) continue;
        const size_t size = prefix + sizeof number;
        char *full = firn__alloc(m->ctx, size, 1);
        if (full == NULL) {
            w->status = FIRN_ERR_MEMORY;
            return;
        }
        memcpy(full, m->names[i].text, prefix);
        memcpy(full + prefix, number, sizeof number);
        if (firn_find(m, full) == NULL) firn__writer_number(w, "", full, 0);
        firn__free(m->ctx, full, size, 1);
    }
}

static void put_tensor(firn__writer *w, const char *name, const firn_tensor *t)
{
    firn__writer_tensor(w, "", name, t->shape, firn__values(t));
}

static firn_status write_model(const firn_model *m, const char *path, bool delta, const bool *in_base)
{
    firn__writer w;
    char hash[20];
    firn__writer_begin(&w, m->ctx);
    if (delta) {
        snprintf(hash, sizeof hash, "%016" PRIx64, firn__base_hash(m, in_base));
        firn__writer_metadata(&w, FIRN__META_KIND, "delta");
        firn__writer_metadata(&w, FIRN__META_BASE, hash);
    }
    firn__write_frozen(&w, m);
    firn__write_states(&w, m);
    if (!delta) write_batch_counts(&w, m);
    for (size_t i = 0; delta && i < m->n_named; i++)
        if (!in_base[i]) put_tensor(&w, m->named[i]->name, m->named[i]);
    for (size_t i = 0; !delta && i < m->n_names; i++) put_tensor(&w, m->names[i].text, m->names[i].tensor);
    const firn_status st = firn__writer_write(&w, path, &(firn__writer_how){0});
    firn__writer_free(&w);
    return st;
}

static firn_status check_arguments(const firn_model *m, const char *path, const char *what)
{
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    return path != NULL ? FIRN_OK : firn__fail(m->ctx, FIRN_ERR_ARGUMENT, "%s: path is NULL", what);
}

firn_status firn_save(const firn_model *m, const char *path)
{
    const firn_status st = check_arguments(m, path, "firn_save");
    return st == FIRN_OK ? write_model(m, path, false, NULL) : st;
}

firn_status firn_save_delta(const firn_model *m, const char *path)
{
    firn_status st = check_arguments(m, path, "firn_save_delta");
    if (st != FIRN_OK) return st;
    bool *in_base = firn__alloc(m->ctx, m->n_named + 1, sizeof *in_base);
    if (in_base == NULL) return FIRN_ERR_MEMORY;
    for (size_t i = 0; i < m->n_named; i++) in_base[i] = m->named[i]->frozen;
    st = write_model(m, path, true, in_base);
    firn__free(m->ctx, in_base, m->n_named + 1, sizeof *in_base);
    return st;
}
