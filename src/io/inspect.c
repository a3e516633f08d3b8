#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "checkpoint.h"
#include "idx.h"

/* ---- IDX ---- */

static bool inspect_idx(firn__file *f, FILE *out)
{
    firn__idx_head head;
    if (!firn__idx_read(f, &head, &(firn__idx_use){0})) return false;
    fprintf(out, "IDX%s: %s [", head.gzip ? ", gzip" : "", firn__idx_type_name(head.type));
    for (int i = 0; i < head.rank; i++) fprintf(out, "%s%" PRIu32, i > 0 ? ", " : "", head.dim[i]);
    fprintf(out, "], %" PRIu64 " bytes\n", head.bytes);
    return true;
}

/* ---- safetensors ---- */

enum { FROZEN = 1, STATE = 2 }; /* marks */

/* Marks the tensors whose names stand in the comma list. */
static void mark_named(firn__st *st, const char *key, uint8_t mark)
{
    char *list = (char *)firn__st_metadata(st, key);
    while (list != NULL) {
        char *comma = strchr(list, ',');
        if (comma != NULL) *comma = '\0';
        firn__st_entry *e = firn__st_find(st, list);
        if (e != NULL) e->marks |= mark;
        if (comma != NULL) *comma = ',';
        list = comma != NULL ? comma + 1 : NULL;
    }
}

static void print_metadata(const firn__st *st, FILE *out)
{
    char shown[FIRN__SHOWN];
    firn__st_pair pair = {0};
    while (firn__st_next_pair(st, &pair)) {
        fprintf(out, "  %s", firn__shown(shown, pair.key));
        fprintf(out, " = %s\n", firn__shown(shown, pair.value));
    }
}

/* Characters, not bytes, so that the columns stand under each other. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void print_tensors(const firn__st *st, FILE *out)
{
    char shown[FIRN__SHOWN], shape[FIRN__ST_SHAPE_TEXT];
    int widest = 4;
    for (size_t i = 0; i < st->count; i++) {
        const int width = width_of(firn__shown(shown, firn__st_name(st, &st->entries[i])));
        if (width > widest) widest = width;
    }
    if (st->count > 0)
        fprintf(out, "%-*s  %-11s  %-5s  %-6s  %12s  shape\n", widest, "name", "type", "role", "frozen", "bytes");
    for (size_t i = 0; i < st->count; i++) {
        const firn__st_entry *e = firn__st_at(st, i);
        const char *name = firn__shown(shown, firn__st_name(st, e));
        fprintf(out, "%s%*s  %-11s  %-5s  %-6s  %12" PRIu64 "  %s\n", name, widest - width_of(name), "",
                firn__st_type_name(e->type), e->marks & STATE ? "state" : "", e->marks & FROZEN ? "yes" : "",
                e->end - e->begin, firn__st_shape_text(st, e, shape));
    }
}

static bool print_safetensors(firn__st *st, FILE *out)
{
    const char *kind = "safetensors";
    uint64_t bytes = 0;
    if (firn__is_kind(st, "delta")) kind = "delta";
    if (firn__is_kind(st, "checkpoint")) {
        kind = "checkpoint";
        if (!firn__checkpoint_verify(st)) return false;
    }
    for (size_t i = 0; i < st->count; i++) bytes += st->entries[i].end - st->entries[i].begin;
    fprintf(out, "%s: %zu tensors, %" PRIu64 " bytes of data behind a header of %zu\n", kind, st->count, bytes,
            st->text_size);
    print_metadata(st, out);
    mark_named(st, FIRN__META_FROZEN, FROZEN);
    mark_named(st, FIRN__META_STATES, STATE);
    print_tensors(st, out);
    return true;
}

static bool inspect_safetensors(firn__file *f, FILE *out)
{
    firn__st st;
    const bool good = firn__st_read(&st, f) && print_safetensors(&st, out);
    firn__st_free(&st);
    return good;
}

/* ---- which of them? ---- */

static bool inspect_file(firn__file *f, FILE *out)
{
    const bool eight = firn__file_peek(f, 8);
    const size_t n = f->end - f->at;
    const uint8_t *b = f->buffer + f->at;
    if (f->status != FIRN_OK) return false;
    if (n >= 2 && b[0] == 0x1f && b[1] == 0x8b) return inspect_idx(f, out);
    /* IDX begins with two zeros; so may the length of a safetensors header, which has zeros at the end too. */
    if (n >= 2 && b[0] == 0 && b[1] == 0 && (!eight || firn__le32(b + 4) != 0)) return inspect_idx(f, out);
    return inspect_safetensors(f, out);
}

firn_status firn_file_inspect(firn_ctx *ctx, const char *path, FILE *out)
{
    if (ctx == NULL || path == NULL || out == NULL)
        return firn__fail(ctx, FIRN_ERR_ARGUMENT, "firn_file_inspect: ctx, path and out must not be NULL");
    firn__file file;
    if (!firn__file_open(&file, ctx, path)) return file.status;
    if (inspect_file(&file, out) && ferror(out)) firn__file_fail(&file, FIRN_ERR_IO, "the table could not be written");
    firn__file_close(&file);
    return file.status;
}
