#include <inttypes.h>
#include <string.h>

#include "checkpoint.h"
#include "convert.h"

bool firn__is_kind(const firn__st *st, const char *kind)
{
    const char *is = firn__st_metadata(st, FIRN__META_KIND);
    return is != NULL && strcmp(is, kind) == 0;
}

bool firn__read_values(const firn__st *st, const firn__st_entry *e, float *out)
{
    uint8_t chunk[FIRN__CHUNK];
    const size_t at_once = sizeof chunk * 8 / firn__st_type_bits(e->type);
    uint64_t left = firn__st_elements(e);
    if (!firn__file_seek(st->file, st->data + e->begin)) return false;
    while (left > 0) {
        const size_t some = left < at_once ? (size_t)left : at_once;
        if (!firn__file_read(st->file, chunk, some * firn__st_type_bits(e->type) / 8)) return false;
        firn__convert_in(e->type, chunk, some, out);
        out += some;
        left -= some;
    }
    return true;
}

/* ---- which tensor of the file goes where ---- */

typedef struct load_job {
    const firn__st_entry *from;
    firn_tensor *to;
    float *staged; /* converted values; NULL: none, or not yet */
} load_job;

typedef struct loading {
    firn_model *m;
    const firn_load_options *how;
    firn_load_report report;
    firn__file file;
    firn__st st;
    bool *selected, *loaded; /* of m->named */
    load_job *jobs;
    size_t n_jobs;
    char *name; /* room for a name with another prefix */
    size_t name_size;
    const char *first_missing, *first_unused;
} loading;

/* The parts of "from=to". */
static bool split_rename(const char *rename, size_t *from, const char **to)
{
    const char *equals = rename ? strchr(rename, '=') : NULL;
    if (equals == NULL || strchr(equals + 1, '=') != NULL) return false;
    *from = (size_t)(equals - rename);
    *to = equals + 1;
    return true;
}

/* What a tensor of the model is called in the file. */
static const char *name_in_file(const loading *l, const char *name)
{
    size_t from;
    const char *to;
    if (!split_rename(l->how->rename, &from, &to) || strncmp(name, to, strlen(to)) != 0) return name;
    memcpy(l->name, l->how->rename, from);
    strcpy(l->name + from, name + strlen(to));
    return l->name;
}

static void list_line(const loading *l, const char *what, const char *name, const firn__st_entry *e, const char *why)
{
    char shape[FIRN__ST_SHAPE_TEXT], shown[FIRN__SHOWN];
    if (l->how->list == NULL) return;
    fprintf(l->how->list, "%-9s %s", what, firn__shown(shown, name));
    if (e != NULL) fprintf(l->how->list, " %s %s", firn__st_type_name(e->type), firn__st_shape_text(&l->st, e, shape));
    fprintf(l->how->list, "%s%s\n", *why ? ": " : "", why);
}

static firn_status bad_shape(const loading *l, const char *name, const firn__st_entry *e, firn_shape wanted)
{
    char in_file[FIRN__ST_SHAPE_TEXT], in_model[FIRN__SHAPE_TEXT];
    firn__st_shape_text(&l->st, e, in_file);
    firn__shape_text(wanted, in_model);
    return firn__fail(l->m->ctx, FIRN_ERR_SHAPE, "%s: \"%s\" has shape %s in the file and %s in the model", l->file.path,
                      name, in_file, in_model);
}

/* Do two tensors of the file hold the same values? For the names of a tied tensor. */
static bool same_bytes(loading *l, const firn__st_entry *a, const firn__st_entry *b, bool *same)
{
    uint8_t of_a[FIRN__CHUNK], of_b[FIRN__CHUNK];
    const uint64_t bytes = a->end - a->begin;
    *same = a->type == b->type;
    for (uint64_t done = 0; *same && done < bytes; done += FIRN__CHUNK) {
        const size_t some = bytes - done < FIRN__CHUNK ? (size_t)(bytes - done) : FIRN__CHUNK;
        if (!firn__file_seek(&l->file, l->st.data + a->begin + done) || !firn__file_read(&l->file, of_a, some) ||
            !firn__file_seek(&l->file, l->st.data + b->begin + done) || !firn__file_read(&l->file, of_b, some))
            return false;
        *same = memcmp(of_a, of_b, some) == 0;
    }
    return true;
}

/* Takes up one tensor of the file for tensor i of the model, of which `name` is one full name. */
static firn_status take_up(loading *l, size_t i, const char *name, firn__st_entry *e)
{
    firn_tensor *t = l->m->named[i];
    bool same;
    e->marks = 1;
    if (!firn__st_shape_is(&l->st, e, t->shape)) {
        list_line(l, "shape", name, e, "not loaded, for it has another shape in the model");
        return l->how->skip_mismatched ? FIRN_OK : bad_shape(l, name, e, t->shape);
    }
    const char *conversion = firn__convert_how(e->type);
    if (conversion == NULL) {
        list_line(l, "type", name, e, "not loaded, for it has no conversion to F32");
        return firn__fail(l->m->ctx, FIRN_ERR_DTYPE, "%s: \"%s\" is %s, which has no conversion to F32", l->file.path, name,
                          firn__st_type_name(e->type));
    }
    if (l->loaded[i]) {
        size_t first = 0;
        while (l->jobs[first].to != t) first++;
        if (!same_bytes(l, l->jobs[first].from, e, &same)) return l->file.status;
        list_line(l, "tied", name, e, "");
        if (same) return FIRN_OK;
        firn__file_bad(&l->file, l->st.data + e->begin, "\"%s\" is another name of \"%s\", but the values differ", name,
                       t->name);
        return l->file.status;
    }
    l->loaded[i] = true;
    l->jobs[l->n_jobs++] = (load_job){.from = e, .to = t};
    l->report.loaded++;
    if (e->type != FIRN__ST_F32) l->report.converted++;
    list_line(l, "loaded", name, e, e->type == FIRN__ST_F32 ? "" : conversion);
    return FIRN_OK;
}

static bool counts_batches(const char *name)
{
    static const char ending[] = "num_batches_tracked";
    const size_t length = strlen(name), end = sizeof ending - 1;
    return length >= end && strcmp(name + length - end, ending) == 0 && (length == end || name[length - end - 1] == '.');
}

/* Fills in jobs, report and list. An error is what its status says; the report goes on. */
static firn_status match(loading *l)
{
    const firn_model *m = l->m;
    firn_status st = FIRN_OK;
    for (size_t i = 0; i < m->n_named; i++) {
        if (!l->selected[i]) continue;
        bool there = false, fits = true;
        for (size_t n = 0; n < m->n_names; n++) {
            if (m->names[n].tensor != m->named[i]) continue;
            firn__st_entry *e = firn__st_find(&l->st, name_in_file(l, m->names[n].text));
            if (e == NULL) continue;
            const firn_status taken = take_up(l, i, m->names[n].text, e);
            if (st == FIRN_OK) st = taken;
            there = true;
            fits = fits && firn__st_shape_is(&l->st, e, m->named[i]->shape);
        }
        if (!fits) l->report.mismatched++;
        if (there) continue;
        l->report.missing++;
        if (l->first_missing == NULL) l->first_missing = m->named[i]->name;
        list_line(l, firn__is_kind(&l->st, "delta") ? "base" : "missing", m->named[i]->name, NULL, "");
    }
    for (size_t i = 0; i < l->st.count; i++) {
        const firn__st_entry *e = firn__st_at(&l->st, i);
        const char *name = firn__st_name(&l->st, e);
        if (e->marks) continue;
        const bool ignored = counts_batches(name);
        if (!ignored && l->report.unused++ == 0) l->first_unused = name;
        list_line(l, ignored ? "ignored" : "unused", name, e, "");
    }
    return st;
}

/* ---- a delta and its base ---- */

static firn_status check_base(loading *l)
{
    const char *said = firn__st_metadata(&l->st, FIRN__META_BASE);
    char here[20];
    for (size_t i = 0; i < l->m->n_named; i++) l->selected[i] = !l->loaded[i];
    snprintf(here, sizeof here, "%016" PRIx64, firn__base_hash(l->m, l->selected));
    if (said != NULL && strcmp(said, here) == 0) return FIRN_OK;
    char shown[FIRN__SHOWN];
    return firn__fail(l->m->ctx, FIRN_ERR_STATE,
                      "%s: the delta belongs to a base of hash %s, but the rest of this model has hash %s", l->file.path,
                      said ? firn__shown(shown, said) : "(none)", here);
}

static firn_status check_match(loading *l)
{
    firn_ctx *ctx = l->m->ctx;
    char shown[FIRN__SHOWN];
    if (firn__is_kind(&l->st, "checkpoint") && !firn__checkpoint_verify(&l->st)) return l->file.status;
    if (firn__is_kind(&l->st, "delta")) {
        if (l->report.unused > 0)
            return firn__fail(ctx, FIRN_ERR_NAME, "%s: the model lacks \"%s\" of the delta (%zu of its tensors in all)",
                              l->file.path, firn__shown(shown, l->first_unused), l->report.unused);
        l->report.missing = 0; /* they are the base */
        return check_base(l);
    }
    if (l->report.missing == 0 || l->how->allow_missing) return FIRN_OK;
    const char *there = name_in_file(l, l->first_missing);
    const bool renamed = strcmp(there, l->first_missing) != 0;
    return firn__fail(ctx, FIRN_ERR_NAME,
                      "%s: \"%s\" of the model is missing in the file%s%s%s (%zu tensors are, of %zu that were asked for)",
                      l->file.path, l->first_missing, renamed ? ", which has no \"" : "", renamed ? there : "",
                      renamed ? "\"" : "", l->report.missing, l->report.missing + l->report.mismatched + l->report.loaded);
}

/* ---- the values ---- */

static void drop_staged(loading *l)
{
    for (size_t i = 0; i < l->n_jobs; i++) {
        firn__free(l->m->ctx, l->jobs[i].staged, l->jobs[i].to->block.bytes, 1);
        l->jobs[i].staged = NULL;
    }
}

/* Everything in memory, before anything is written. False, too, where memory does not suffice. */
static bool stage_all(loading *l)
{
    for (size_t i = 0; i < l->n_jobs; i++) {
        load_job *job = &l->jobs[i];
        job->staged = firn_realloc(l->m->ctx, NULL, 0, job->to->block.bytes);
        if (job->staged == NULL || !firn__read_values(&l->st, job->from, job->staged)) {
            drop_staged(l);
            return false;
        }
    }
    return true;
}

static firn_status write_one(const load_job *job, const float *values)
{
    return firn_write(job->to->model, job->to->name, values, job->to->block.bytes / sizeof(float));
}

/* Without memory for all: one reading to see that everything can be read, then another. */
static firn_status write_one_by_one(loading *l, bool freeze)
{
    size_t most = 0;
    for (size_t i = 0; i < l->n_jobs; i++)
        if (l->jobs[i].to->block.bytes > most) most = l->jobs[i].to->block.bytes;
    float *values = firn__alloc(l->m->ctx, most, 1);
    if (values == NULL) return FIRN_ERR_MEMORY;
    firn_status st = FIRN_OK;
    for (size_t i = 0; st == FIRN_OK && i < l->n_jobs; i++)
        if (!firn__read_values(&l->st, l->jobs[i].from, values)) st = l->file.status;
    if (st == FIRN_OK && freeze) st = firn__freeze_exactly(l->m, l->loaded);
    for (size_t i = 0; st == FIRN_OK && i < l->n_jobs; i++)
        st = firn__read_values(&l->st, l->jobs[i].from, values) ? write_one(&l->jobs[i], values) : l->file.status;
    firn__free(l->m->ctx, values, most, 1);
    return st;
}

static firn_status write_values(loading *l)
{
    firn_status st = FIRN_OK;
    if (!stage_all(l)) {
        if (l->file.status != FIRN_OK) return l->file.status;
        return write_one_by_one(l, l->how->freeze_loaded);
    }
    if (l->how->freeze_loaded) st = firn__freeze_exactly(l->m, l->loaded);
    for (size_t i = 0; st == FIRN_OK && i < l->n_jobs; i++) st = write_one(&l->jobs[i], l->jobs[i].staged);
    drop_staged(l);
    return st;
}

/* ---- firn_load ---- */

static firn_status check_load_options(const loading *l, const char *path)
{
    size_t from;
    const char *to;
    firn_ctx *ctx = l->m->ctx;
    if (path == NULL) return firn__fail(ctx, FIRN_ERR_ARGUMENT, "firn_load: path is NULL");
    if (l->how->rename != NULL && !split_rename(l->how->rename, &from, &to))
        return firn__fail(ctx, FIRN_ERR_ARGUMENT,
                          "firn_load: rename must be \"prefix in the file=prefix in the model\", not \"%.200s\"",
                          l->how->rename);
    return firn__model_check_idle(l->m, "firn_load");
}

static firn_status make_lists(loading *l)
{
    firn_ctx *ctx = l->m->ctx;
    const char *renamed = l->how->rename ? l->how->rename : "";
    l->name_size = strlen(renamed) + 1;
    for (size_t i = 0; i < l->m->n_names; i++) {
        const size_t size = strlen(renamed) + strlen(l->m->names[i].text) + 1;
        if (size > l->name_size) l->name_size = size;
    }
    l->name = firn__alloc(ctx, l->name_size, 1);
    l->jobs = firn__alloc(ctx, l->m->n_named + 1, sizeof *l->jobs);
    l->selected = firn__alloc(ctx, l->m->n_named + 1, sizeof *l->selected);
    l->loaded = firn__alloc(ctx, l->m->n_named + 1, sizeof *l->loaded);
    return l->name && l->jobs && l->selected && l->loaded ? FIRN_OK : FIRN_ERR_MEMORY;
}

static firn_status select_tensors(loading *l)
{
    if (firn__is_kind(&l->st, "delta") && (l->how->select != NULL || l->how->rename != NULL))
        return firn__fail(l->m->ctx, FIRN_ERR_ARGUMENT, "%s: a delta is loaded whole: select and rename must be NULL",
                          l->file.path);
    if (l->how->select != NULL) return firn_select(l->m, l->how->select, l->selected, NULL);
    for (size_t i = 0; i < l->m->n_named; i++) l->selected[i] = true;
    return FIRN_OK;
}

static firn_status load_opened(loading *l)
{
    if (!firn__st_read(&l->st, &l->file)) return l->file.status;
    firn_status st = make_lists(l);
    if (st == FIRN_OK) st = select_tensors(l);
    if (st == FIRN_OK) st = match(l);
    if (st == FIRN_OK) st = check_match(l);
    if (st == FIRN_OK) st = write_values(l);
    return st;
}

firn_status firn_load(firn_model *m, const char *path, const firn_load_options *opt, firn_load_report *report)
{
    if (report != NULL) *report = (firn_load_report){0};
    if (m == NULL) return FIRN_ERR_ARGUMENT;
    loading l = {.m = m, .how = opt ? opt : &(firn_load_options){0}};
    firn_status st = check_load_options(&l, path);
    if (st != FIRN_OK) return st;
    if (!firn__file_open(&l.file, m->ctx, path)) return l.file.status;
    st = load_opened(&l);
    firn__file_close(&l.file);
    firn__st_free(&l.st);
    firn__free(m->ctx, l.name, l.name_size, 1);
    firn__free(m->ctx, l.jobs, m->n_named + 1, sizeof *l.jobs);
    firn__free(m->ctx, l.selected, m->n_named + 1, sizeof *l.selected);
    firn__free(m->ctx, l.loaded, m->n_named + 1, sizeof *l.loaded);
    if (report != NULL) *report = l.report;
    return st;
}
