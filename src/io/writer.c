#include "writer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "convert.h"
#include "rng.h"
#include "utf8.h"

/* ---- the text of the header ---- */

static bool text_room(firn__writer *w, size_t more)
{
    size_t wanted;
    if (w->status != FIRN_OK) return false;
    if (w->capacity - w->size >= more) return true;
    char *moved = NULL;
    if (firn__add(w->size, more, &wanted) && firn__add(wanted, wanted / 2 + 256, &wanted))
        moved = firn__resize(w->ctx, w->text, w->capacity, wanted, 1);
    if (moved == NULL) {
        w->status = FIRN_ERR_MEMORY;
        return false;
    }
    w->text = moved;
    w->capacity = wanted;
    return true;
}

static void put_text(firn__writer *w, const char *text, size_t size)
{
    if (!text_room(w, size)) return;
    memcpy(w->text + w->size, text, size);
    w->size += size;
}

static void put_plain(firn__writer *w, const char *text) { put_text(w, text, strlen(text)); }

/* The inside of a JSON string. */
static void put_escaped(firn__writer *w, const char *text)
{
    const char *end = text + strlen(text);
    for (const char *p = text; p < end;) {
        const size_t length = firn__utf8_length(p, (size_t)(end - p));
        char escaped[8];
        if (length == 0) {
            if (w->status == FIRN_OK)
                w->status =
                    firn__fail(w->ctx, FIRN_ERR_NAME, "\"%.200s\" is not valid UTF-8, so no file can hold it", text);
            return;
        }
        if (*p == '"' || *p == '\\') {
            put_text(w, "\\", 1);
            put_text(w, p, 1);
        } else if ((unsigned char)*p < ' ') {
            put_text(w, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*p));
        } else {
            put_text(w, p, length);
        }
        p += length;
    }
}

static void put_number(firn__writer *w, uint64_t number)
{
    char text[24];
    put_text(w, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, number));
}

void firn__writer_begin(firn__writer *w, firn_ctx *ctx)
{
    *w = (firn__writer){.ctx = ctx};
    put_text(w, "        {", 9);
    put_plain(w, "\"__metadata__\":{\"format\":\"pt\"");
}

void firn__writer_metadata(firn__writer *w, const char *key, const char *value)
{
    put_plain(w, ",\"");
    put_escaped(w, key);
    put_plain(w, "\":\"");
    put_escaped(w, value);
    put_plain(w, "\"");
}

static const char no_checksum[] = "0000000000000000";

void firn__writer_checksum(firn__writer *w)
{
    firn__writer_metadata(w, "firn.checksum", no_checksum);
    w->checksum = w->size - sizeof no_checksum; /* its closing quote stands where the NUL does */
}

static const char metadata_key[] = "__metadata__"; /* of the format itself: no tensor can be called so */

/* One entry; its bytes follow those of the last. */
static void put_entry(firn__writer *w, const char *prefix, const char *name, const char *type, firn_shape shape,
                      firn__writer_item item, uint64_t bytes)
{
    if (w->status == FIRN_OK && *prefix == '\0' && strcmp(name, metadata_key) == 0)
        w->status =
            firn__fail(w->ctx, FIRN_ERR_NAME,
                       "\"%s\" is what files call their own description, so no tensor in a file can have this name", name);
    put_plain(w, w->n_items == 0 ? "},\"" : ",\"");
    put_escaped(w, prefix);
    put_escaped(w, name);
    put_plain(w, "\":{\"dtype\":\"");
    put_plain(w, type);
    put_plain(w, "\",\"shape\":[");
    for (int i = 0; i < shape.rank; i++) {
        if (i > 0) put_plain(w, ",");
        put_number(w, (uint64_t)shape.dim[i]);
    }
    put_plain(w, "],\"data_offsets\":[");
    put_number(w, w->bytes);
    put_plain(w, ",");
    w->bytes += bytes;
    put_number(w, w->bytes);
    put_plain(w, "]}");
    if (w->status != FIRN_OK) return;
    if (!FIRN__GROW(w->ctx, w->items, w->item_capacity, w->n_items)) {
        w->status = FIRN_ERR_MEMORY;
        return;
    }
    w->items[w->n_items++] = item;
}

void firn__writer_number(firn__writer *w, const char *prefix, const char *name, uint64_t number)
{
    put_entry(w, prefix, name, "I64", FIRN_SCALAR, (firn__writer_item){.count_or_number = number}, 8);
}

void firn__writer_tensor(firn__writer *w, const char *prefix, const char *name, firn_shape shape, const float *data)
{
    const uint64_t count = (uint64_t)firn_shape_count(shape);
    put_entry(w, prefix, name, "F32", shape, (firn__writer_item){data, count}, count * sizeof(float));
}

void firn__writer_free(firn__writer *w)
{
    firn__free(w->ctx, w->text, w->capacity, 1);
    firn__free(w->ctx, w->items, w->item_capacity, sizeof *w->items);
}

/* ---- header and data, piece by piece, to a file or into a hash ---- */

static void finish_header(firn__writer *w)
{
    put_plain(w, w->n_items == 0 ? "}}" : "}");
    while (w->size % 8 != 0 && w->status == FIRN_OK) put_text(w, " ", 1);
    if (w->status == FIRN_OK) firn__put_le64((uint8_t *)w->text, w->size - 8);
}

typedef bool (*piece_fn)(void *user, const void *bytes, size_t count);

static bool each_piece(const firn__writer *w, piece_fn take, void *user)
{
    uint8_t chunk[FIRN__CHUNK];
    enum { FLOATS = FIRN__CHUNK / 4 };
    if (!take(user, w->text, w->size)) return false;
    for (size_t i = 0; i < w->n_items; i++) {
        const firn__writer_item *item = &w->items[i];
        if (item->data == NULL) {
            firn__put_le64(chunk, item->count_or_number);
            if (!take(user, chunk, 8)) return false;
            continue;
        }
        for (uint64_t done = 0; done < item->count_or_number; done += FLOATS) {
            const uint64_t left = item->count_or_number - done;
            const size_t some = left < FLOATS ? (size_t)left : FLOATS;
            firn__convert_out(item->data + done, some, chunk);
            if (!take(user, chunk, some * 4)) return false;
        }
    }
    return true;
}

static bool hash_piece(void *user, const void *bytes, size_t count)
{
    uint64_t *hash = user;
    *hash = firn__hash(*hash, bytes, count);
    return true;
}

static bool write_piece(void *user, const void *bytes, size_t count) { return fwrite(bytes, 1, count, user) == count; }

static void fill_in_checksum(firn__writer *w)
{
    char digits[sizeof no_checksum];
    uint64_t hash = 0;
    each_piece(w, hash_piece, &hash);
    snprintf(digits, sizeof digits, "%016" PRIx64, hash);
    memcpy(w->text + w->checksum, digits, sizeof digits - 1);
}

/* ---- the file ---- */

static char *join(firn_ctx *ctx, const char *path, const char *ending)
{
    const size_t length = strlen(path), more = strlen(ending) + 1;
    char *joined = firn__alloc(ctx, length + more, 1);
    if (joined == NULL) return NULL;
    memcpy(joined, path, length);
    memcpy(joined + length, ending, more);
    return joined;
}

static firn_status cannot_write(const firn__writer *w, const char *path, const char *what)
{
    return firn__fail(w->ctx, FIRN_ERR_IO, "%s: %s: %s", path, what, strerror(errno));
}

static firn_status write_stream(const firn__writer *w, const char *path, const firn__writer_how *how)
{
    FILE *stream = fopen(path, "wb");
    if (stream == NULL) return cannot_write(w, path, "cannot be opened for writing");
    firn_status st = FIRN_OK;
    if (!each_piece(w, write_piece, stream) || fflush(stream) != 0) st = cannot_write(w, path, "cannot be written");
    if (st == FIRN_OK && how->sync != NULL && how->sync(stream, how->user) != 0)
        st = firn__fail(w->ctx, FIRN_ERR_IO, "%s: the sync function reports an error", path);
    if (fclose(stream) != 0 && st == FIRN_OK) st = cannot_write(w, path, "cannot be closed");
    if (st != FIRN_OK) remove(path);
    return st;
}

/* At no moment is there neither path nor old. */
static firn_status put_in_place(const firn__writer *w, const char *from, const char *path, const char *old)
{
    FILE *there = old != NULL ? fopen(path, "rb") : NULL;
    const bool exists = there != NULL, folder = exists && fgetc(there) == EOF && ferror(there);
    if (exists) fclose(there);
    const bool kept = old != NULL && !folder && rename(path, old) == 0; /* which would move a folder, too */
    if (exists && !kept) return cannot_write(w, path, "cannot be kept under another name");
    if (rename(from, path) == 0) return FIRN_OK;
    const firn_status st = cannot_write(w, path, "cannot take its place");
    if (kept) rename(old, path);
    return st;
}

firn_status firn__writer_write(firn__writer *w, const char *path, const firn__writer_how *how)
{
    finish_header(w);
    if (w->status != FIRN_OK) return w->status;
    if (w->checksum != 0) fill_in_checksum(w);
    char *temporary = join(w->ctx, path, ".tmp"), *old = how->keep_old ? join(w->ctx, path, ".1") : NULL;
    firn_status st = FIRN_ERR_MEMORY;
    if (temporary != NULL && (old != NULL || !how->keep_old)) {
        st = write_stream(w, temporary, how);
        if (st == FIRN_OK && (st = put_in_place(w, temporary, path, old)) != FIRN_OK) remove(temporary);
    }
    firn__free_text(w->ctx, temporary);
    firn__free_text(w->ctx, old);
    return st;
}
