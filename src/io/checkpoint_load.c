#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "bytes.h"
#include "checkpoint.h"
#include "convert.h"
#include "optimizer.h"
#include "rng.h"

/* ---- the checksum ---- */

typedef struct checksum {
    firn__file *file;
    uint64_t hash;
    char said[17];
} checksum;

/* Hashes `bytes` bytes from here, in the same pieces as the writer: a piece ends at FIRN__CHUNK. */
static bool hash_bytes(checksum *sum, uint64_t bytes)
{
    uint8_t chunk[FIRN__CHUNK];
    while (bytes > 0) {
        const size_t some = bytes < sizeof chunk ? (size_t)bytes : sizeof chunk;
        if (!firn__file_read(sum->file, chunk, some)) return false;
        sum->hash = firn__hash(sum->hash, chunk, some);
        bytes -= some;
    }
    return true;
}

/* The header as it stands in the file; its size is 8 + st->text_size. NULL with the error recorded. */
static char *read_header(const firn__st *st)
{
    char *header = firn__file_resize(st->file, NULL, 0, 8 + st->text_size, 1);
    if (header == NULL) return NULL;
    if (firn__file_seek(st->file, 0) && firn__file_read(st->file, header, 8 + st->text_size)) return header;
    firn__free(st->file->ctx, header, 8 + st->text_size, 1);
    return NULL;
}

/* The header is hashed as it was before the checksum was filled in. */
static bool hash_header(const firn__st *st, checksum *sum)
{
    static const char key[] = "\"" FIRN__META_CHECKSUM "\":\"";
    const size_t size = 8 + st->text_size, length = sizeof key - 1;
    char *header = read_header(st);
    if (header == NULL) return false;
    size_t at = 8;
    while (at + length + 16 <= size && memcmp(header + at, key, length) != 0) at++;
    const bool good =
        at + length + 16 <= size || firn__file_bad(sum->file, 8, "checkpoint: there is no checksum of 16 digits");
    if (good) {
        memcpy(sum->said, header + at + length, 16);
        memset(header + at + length, '0', 16);
        sum->hash = firn__hash(0, header, size);
    }
    firn__free(sum->file->ctx, header, size, 1);
    return good;
}

bool firn__checkpoint_verify(firn__st *st)
{
    checksum sum = {.file = st->file};
    char here[17];
    if (!hash_header(st, &sum)) return false;
    for (size_t i = 0; i < st->count; i++) {
        const firn__st_entry *e = firn__st_at(st, i);
        if (!hash_bytes(&sum, e->end - e->begin)) return false;
    }
    snprintf(here, sizeof here, "%016" PRIx64, sum.hash);
    return strcmp(here, sum.said) == 0 ||
           firn__file_bad(st->file, 0, "checkpoint: its checksum says %.16s, its bytes say %s: it is damaged",
                          firn__shown((char[FIRN__SHOWN]){0}, sum.said), here);
}

/* ---- everything that the file holds, in memory, before anything is changed ---- */

typedef struct staged_tensor { /* of one tensor of the model; NULL: the file has none */
    float *weight, *best, *buffers[FIRN__OPTIM_MAX_BUFFERS], rate;
    uint64_t step;
} staged_tensor;

typedef struct resuming {
    firn_trainer *t;
    firn__file *file;
    firn__st st;
    staged_tensor *tensors; /* of m->named */
    bool has_best;
    firn_trainer_position position;
    firn__mask present, masks[FIRN_MAX_MASKS];
    size_t n_masks;
} resuming;

static size_t elements_of(const firn_tensor *t) { return t->block.bytes / sizeof(float); }

static firn_status wrong_run(resuming *r, firn_status status, const char *sentence, const char *name)
{
    char shown[FIRN__SHOWN];
    firn__file_fail(r->file, status, "the checkpoint belongs to another run: %s \"%s\"", sentence,
                    firn__shown(shown, name));
    return status;
}

/* Splits "what of name" in place; what is NULL for a weight. */
static const char *split_name(char *full, const char **what)
{
    char *of = strstr(full, FIRN__OF);
    *what = of ? full : NULL;
    if (of == NULL) return full;
    *of = '\0';
    return of + strlen(FIRN__OF);
}

static size_t named_index(const firn_model *m, const char *name)
{
    size_t i = 0;
    while (i < m->n_named && strcmp(m->named[i]->name, name) != 0) i++;
    return i;
}

static firn_status stage_values(resuming *r, const firn__st_entry *e, const firn_tensor *t, float **values)
{
    if (e->type != FIRN__ST_F32 || !firn__st_shape_is(&r->st, e, t->shape))
        return wrong_run(r, FIRN_ERR_SHAPE, "another shape has", t->name);
    *values = firn__alloc(r->t->ctx, elements_of(t), sizeof(float));
    if (*values == NULL) return FIRN_ERR_MEMORY;
    return firn__read_values(&r->st, e, *values) ? FIRN_OK : r->file->status;
}

static firn_status stage_number(resuming *r, const firn__st_entry *e, uint64_t *number)
{
    uint8_t bytes[8] = {0};
    if (e->rank != 0 || !firn__file_seek(r->file, r->st.data + e->begin) ||
        !firn__file_read(r->file, bytes, (size_t)(e->end - e->begin))) {
        firn__file_bad(r->file, r->st.data + e->begin, "checkpoint: a number must stand here");
        return r->file->status;
    }
    *number = firn__le64(bytes);
    return FIRN_OK;
}

/* One tensor of the file, `what` of the model's tensor i. */
static firn_status stage_part(resuming *r, const firn__st_entry *e, const char *what, size_t i)
{
    const firn_tensor *t = r->t->m->named[i];
    staged_tensor *s = &r->tensors[i];
    const firn_optimizer *o = r->t->optimizer;
    if (what == NULL) return stage_values(r, e, t, &s->weight);
    if (strcmp(what, "best") == 0) {
        r->has_best = true;
        return stage_values(r, e, t, &s->best);
    }
    if (strcmp(what, "step") == 0) return stage_number(r, e, &s->step);
    if (strcmp(what, "rate") == 0) {
        if (e->rank == 0 && e->type == FIRN__ST_F32)
            return firn__read_values(&r->st, e, &s->rate) ? FIRN_OK : r->file->status;
    }
    for (int b = 0; b < o->n_buffers; b++)
        if (strcmp(what, o->buffer_names[b]) == 0 && t->kind == FIRN__PARAM) return stage_values(r, e, t, &s->buffers[b]);
    return wrong_run(r, FIRN_ERR_NAME, "this optimizer keeps no such buffer:", what);
}

static firn_status stage_tensors(resuming *r)
{
    const firn_model *m = r->t->m;
    for (size_t i = 0; i < m->n_named; i++) r->tensors[i].rate = 1;
    for (size_t i = 0; i < r->st.count; i++) {
        const firn__st_entry *e = firn__st_at(&r->st, i);
        const char *what, *name = split_name(r->st.text + e->name, &what);
        const size_t of = named_index(m, name);
        if (of == m->n_named) return wrong_run(r, FIRN_ERR_NAME, "the model lacks", name);
        const firn_status st = stage_part(r, e, what, of);
        if (st != FIRN_OK) return st;
    }
    for (size_t i = 0; i < m->n_named; i++) {
        const staged_tensor *s = &r->tensors[i];
        int buffers = 0;
        for (int b = 0; b < r->t->optimizer->n_buffers; b++) buffers += s->buffers[b] != NULL;
        if (s->weight == NULL) return wrong_run(r, FIRN_ERR_NAME, "it lacks", m->named[i]->name);
        if (buffers != 0 && buffers != r->t->optimizer->n_buffers)
            return wrong_run(r, FIRN_ERR_NAME, "it lacks a buffer of", m->named[i]->name);
        if (!(s->rate > 0 && isfinite(s->rate)))
            return wrong_run(r, FIRN_ERR_STATE, "no usable rate has", m->named[i]->name);
    }
    return FIRN_OK;
}

static firn_status stage_mask(resuming *r, const char *key, firn__mask *mask)
{
    const firn_model *m = r->t->m;
    const char *text = firn__st_metadata(&r->st, key);
    if (text == NULL || !firn__mask_measure(text, &mask->n_named, &mask->n_nodes) || mask->n_named > m->n_named ||
        mask->n_nodes > m->n_nodes) {
        *mask = (firn__mask){0};
        return wrong_run(r, FIRN_ERR_STATE, "no mask that fits the model is", key);
    }
    if (mask->n_named + mask->n_nodes == 0) return FIRN_OK;
    mask->bits = firn__alloc(r->t->ctx, mask->n_named + mask->n_nodes, 1);
    if (mask->bits == NULL) return FIRN_ERR_MEMORY;
    firn__mask_fill(text, mask);
    return FIRN_OK;
}

static firn_status stage_masks(resuming *r)
{
    char key[32];
    firn_status st = stage_mask(r, FIRN__META_MASK, &r->present);
    for (r->n_masks = 0; st == FIRN_OK && r->n_masks < FIRN_MAX_MASKS; r->n_masks++) {
        snprintf(key, sizeof key, FIRN__META_MASK ".%zu", r->n_masks);
        if (firn__st_metadata(&r->st, key) == NULL) break;
        st = stage_mask(r, key, &r->masks[r->n_masks]);
    }
    return st;
}

/* The first word in which two texts of words differ. */
static const char *first_difference(const char *a, const char *b, char out[FIRN__SHOWN])
{
    size_t i = 0, begin = 0;
    for (; a[i] != '\0' && a[i] == b[i]; i++)
        if (a[i] == ' ') begin = i + 1;
    const size_t length = strcspn(a + begin, " ");
    snprintf(out, FIRN__SHOWN, "%.*s", (int)length, a + begin);
    return out;
}

static firn_status stage_run(resuming *r)
{
    char here[FIRN__RUN_TEXT], there[FIRN__SHOWN], ours[FIRN__SHOWN];
    const char *version = firn__st_metadata(&r->st, FIRN__META_VERSION), *run = firn__st_metadata(&r->st, FIRN__META_RUN),
               *position = firn__st_metadata(&r->st, FIRN__META_POSITION);
    if (!firn__is_kind(&r->st, "checkpoint")) {
        firn__file_fail(r->file, FIRN_ERR_FORMAT, "this is not a checkpoint");
        return r->file->status;
    }
    if (!firn__checkpoint_verify(&r->st)) return r->file->status;
    if (version == NULL || strcmp(version, FIRN__CHECKPOINT_VERSION) != 0 || run == NULL || position == NULL ||
        !firn__position_parse(position, &r->position)) {
        firn__file_fail(r->file, FIRN_ERR_STATE, "the checkpoint is of another version of firn");
        return r->file->status;
    }
    firn__run_text(r->t, here);
    if (strcmp(here, run) == 0) return FIRN_OK;
    firn__shown(there, first_difference(run, here, ours));
    firn__file_fail(r->file, FIRN_ERR_STATE, "the checkpoint belongs to another run: %s there, %s here", there,
                    first_difference(here, run, ours));
    return r->file->status;
}

static firn_status stage_checkpoint(resuming *r)
{
    firn_status st = firn__st_read(&r->st, r->file) ? stage_run(r) : r->file->status;
    if (st == FIRN_OK) st = stage_masks(r);
    if (st == FIRN_OK) st = stage_tensors(r);
    return st;
}

static void free_staged(resuming *r)
{
    const firn_model *m = r->t->m;
    for (size_t i = 0; i < m->n_named; i++) {
        staged_tensor *s = &r->tensors[i];
        const size_t n = elements_of(m->named[i]);
        firn__free(m->ctx, s->weight, n, sizeof(float));
        firn__free(m->ctx, s->best, n, sizeof(float));
        for (int b = 0; b < FIRN__OPTIM_MAX_BUFFERS; b++) firn__free(m->ctx, s->buffers[b], n, sizeof(float));
        *s = (staged_tensor){0};
    }
    firn__mask_free(m, &r->present);
    for (size_t i = 0; i < FIRN_MAX_MASKS; i++) firn__mask_free(m, &r->masks[i]);
    firn__st_free(&r->st);
}

/* ---- the change: first what can fail and does no harm, then what cannot fail ---- */

static firn_status reserve_slots(resuming *r)
{
    firn_optimizer *o = r->t->optimizer;
    if (!firn__optim_slots_cover(o)) return FIRN_ERR_MEMORY;
    for (size_t i = 0; i < r->t->m->n_named; i++)
        if (r->tensors[i].buffers[0] != NULL && !firn__optim_slot_fill(o, i)) return FIRN_ERR_MEMORY;
    return FIRN_OK;
}

static firn_status apply_tensor(resuming *r, size_t i)
{
    const staged_tensor *s = &r->tensors[i];
    const firn_tensor *t = r->t->m->named[i];
    firn_optimizer *o = r->t->optimizer;
    firn_status st = firn_write(r->t->m, t->name, s->weight, elements_of(t));
    if (s->buffers[0] == NULL) firn__optim_slot_clear(o, &o->slots[i]);
    o->slots[i].rate = s->rate;
    for (int b = 0; st == FIRN_OK && b < o->n_buffers && s->buffers[b] != NULL; b++)
        st = firn_optimizer_restore(
            o, &(firn_optimizer_entry){t->name, o->buffer_names[b], s->buffers[b], elements_of(t), s->step});
    return st;
}

static firn_status apply_checkpoint(resuming *r)
{
    firn_trainer *t = r->t;
    const size_t n = t->m->n_named;
    float **best = r->has_best ? firn__alloc(t->ctx, n, sizeof *best) : NULL;
    if (r->has_best && best == NULL) return FIRN_ERR_MEMORY;
    firn_status st = reserve_slots(r);
    if (st == FIRN_OK) st = firn_trainer_position_set(t, &r->position);
    if (st != FIRN_OK) {
        firn__free(t->ctx, best, n, sizeof *best);
        return st;
    }
    for (size_t i = 0; st == FIRN_OK && i < n; i++) st = apply_tensor(r, i);
    firn__masks_replace(t->m, &r->present, r->masks, r->n_masks);
    for (size_t i = 0; best != NULL && i < n; i++) {
        best[i] = r->tensors[i].best;
        r->tensors[i].best = NULL;
    }
    t->best = best;
    t->n_best = best ? n : 0;
    return st;
}

firn_status firn__checkpoint_resume(firn_trainer *t, firn__file *file)
{
    const size_t n = t->m->n_named + 1;
    resuming r = {.t = t, .file = file};
    r.tensors = firn__alloc(t->ctx, n, sizeof *r.tensors);
    if (r.tensors == NULL) return FIRN_ERR_MEMORY;
    firn_status st = stage_checkpoint(&r);
    if (st == FIRN_OK) st = apply_checkpoint(&r);
    free_staged(&r);
    firn__free(t->ctx, r.tensors, n, sizeof *r.tensors);
    return st;
}

static firn_status resume_from(firn_trainer *t, const char *path)
{
    firn__file file;
    if (!firn__file_open(&file, t->ctx, path)) return file.status;
    const firn_status st = firn__checkpoint_resume(t, &file);
    firn__file_close(&file);
    return st;
}

static bool is_bad_file(firn_status st) { return st == FIRN_ERR_IO || st == FIRN_ERR_FORMAT; }

/* path, and path.1 if path is not there or damaged. */
static firn_status resume_from_either(firn_trainer *t, const char *path, int *generation)
{
    const bool clean = firn_last_error(t->ctx) == FIRN_OK;
    const size_t size = strlen(path) + sizeof ".1";
    const firn_status st = resume_from(t, path);
    if (!is_bad_file(st)) return st;
    char *older = firn__alloc(t->ctx, size, 1);
    if (older == NULL) return st;
    memcpy(older, path, size - sizeof ".1");
    memcpy(older + size - sizeof ".1", ".1", sizeof ".1");
    firn_status second = resume_from(t, older);
    if (!is_bad_file(second) && clean) {
        firn_clear_error(t->ctx);
        if (second != FIRN_OK) second = resume_from(t, older); /* once more, for its message */
    }
    firn__free(t->ctx, older, size, 1);
    *generation = second == FIRN_OK;
    return is_bad_file(second) ? st : second;
}

firn_status firn_checkpoint_load(firn_trainer *t, const char *path, int *generation)
{
    int used = 0;
    if (t == NULL) return FIRN_ERR_ARGUMENT;
    if (path == NULL) return firn__fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_checkpoint_load: path is NULL");
    if (t->fitting) return firn__fail(t->ctx, FIRN_ERR_STATE, "firn_checkpoint_load: a fit of this trainer is running");
    firn_status st = firn__model_check_idle(t->m, "firn_checkpoint_load");
    if (st == FIRN_OK) st = resume_from_either(t, path, &used);
    if (generation != NULL) *generation = used;
    return st;
}
