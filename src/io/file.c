#include "file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

void firn__file_wrap(firn__file *f, firn_ctx *ctx, FILE *stream, const char *path)
{
    f->ctx = ctx;
    f->stream = stream;
    f->path = path;
    f->status = FIRN_OK;
    f->offset = 0;
    f->at = f->end = 0;
}

bool firn__file_open(firn__file *f, firn_ctx *ctx, const char *path)
{
    firn__file_wrap(f, ctx, fopen(path, "rb"), path);
    return f->stream != NULL || firn__file_fail(f, FIRN_ERR_IO, "cannot be opened: %s", strerror(errno));
}

void firn__file_close(firn__file *f)
{
    if (f->stream != NULL) fclose(f->stream);
    f->stream = NULL;
}

/* Reads behind what the buffer holds. */
static bool read_more(firn__file *f)
{
    const size_t got = fread(f->buffer + f->end, 1, sizeof f->buffer - f->end, f->stream);
    f->end += got;
    if (got == 0 && ferror(f->stream))
        firn__file_fail(f, FIRN_ERR_IO, "byte %llu cannot be read: %s", (unsigned long long)(f->offset + f->end),
                        strerror(errno));
    return got > 0;
}

bool firn__file_fill(firn__file *f)
{
    if (f->at < f->end) return true;
    f->offset += f->end;
    f->at = f->end = 0;
    return read_more(f);
}

bool firn__file_peek(firn__file *f, size_t n)
{
    while (f->end - f->at < n)
        if (!read_more(f)) return false;
    return true;
}

bool firn__file_read(firn__file *f, void *to, size_t n)
{
    uint8_t *out = to;
    while (n > 0) {
        if (!firn__file_fill(f))
            return firn__file_bad(f, firn__file_place(f), "the file ends, but %zu more bytes belong here", n);
        const size_t some = n < f->end - f->at ? n : f->end - f->at;
        memcpy(out, f->buffer + f->at, some);
        f->at += some;
        out += some;
        n -= some;
    }
    return true;
}

static bool cannot_seek(firn__file *f)
{
    return firn__file_fail(f, FIRN_ERR_IO, "no place in it can be looked up, so it is not a plain file");
}

bool firn__file_remaining(firn__file *f, uint64_t *bytes)
{
    const uint64_t here = firn__file_place(f);
    if (fseek(f->stream, 0, SEEK_END) != 0) return cannot_seek(f);
    const long size = ftell(f->stream);
    if (size < 0 || (uint64_t)size < here) return cannot_seek(f);
    *bytes = (uint64_t)size - here;
    return firn__file_seek(f, here);
}

bool firn__file_seek(firn__file *f, uint64_t offset)
{
    if (offset > LONG_MAX || fseek(f->stream, (long)offset, SEEK_SET) != 0) return cannot_seek(f);
    f->offset = offset;
    f->at = f->end = 0;
    return true;
}

static void set_status(firn__file *f, firn_status st)
{
    if (f->status == FIRN_OK) f->status = st;
}

bool firn__file_fail(firn__file *f, firn_status st, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    firn__fail(f->ctx, st, "%s: %s", f->path, sentence);
    set_status(f, st);
    return false;
}

bool firn__file_bad(firn__file *f, uint64_t place, const char *format, ...)
{
    char rule[512];
    va_list args;
    va_start(args, format);
    vsnprintf(rule, sizeof rule, format, args);
    va_end(args);
    return firn__file_fail(f, FIRN_ERR_FORMAT, "byte %llu: %s", (unsigned long long)place, rule);
}

void *firn__file_resize(firn__file *f, void *ptr, size_t old_count, size_t count, size_t size)
{
    void *result = firn__resize(f->ctx, ptr, old_count, count, size);
    if (result == NULL) set_status(f, FIRN_ERR_MEMORY);
    return result;
}

bool firn__file_grow(firn__file *f, void **items, size_t *capacity, size_t count, size_t size)
{
    if (firn__grow(f->ctx, items, capacity, count, size)) return true;
    set_status(f, FIRN_ERR_MEMORY);
    return false;
}

const char *firn__shown(char out[FIRN__SHOWN], const char *text)
{
    size_t n = 0;
    for (; text[n] != '\0' && n < FIRN__SHOWN - 4; n++) {
        const unsigned char c = (unsigned char)text[n], next = (unsigned char)text[n + 1];
        const bool above =
            (c == 0xc2 && next < 0xa0) || (n > 0 && text[n - 1] == '\xc2' && c < 0xa0); /* U+0080 to U+009F */
        out[n] = c < ' ' || c == 0x7f || above ? '?' : text[n];
    }
    if (text[n] != '\0') {
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--; /* not inside a UTF-8 sequence */
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = '\0';
    return out;
}
