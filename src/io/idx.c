#include "idx.h"

#include <errno.h>
#include <firn/io.h>
#include <string.h>

#include "bytes.h"
#include "inflate.h"

static const struct idx_type {
    uint8_t type, bytes;
    const char *name;
} idx_types[] = {{0x08, 1, "U8"}, {0x09, 1, "I8"}, {0x0b, 2, "I16"}, {0x0c, 4, "I32"}, {0x0d, 4, "F32"}, {0x0e, 8, "F64"}};

static const struct idx_type *find_idx_type(uint8_t type)
{
    for (size_t i = 0; i < sizeof idx_types / sizeof *idx_types; i++)
        if (idx_types[i].type == type) return &idx_types[i];
    return NULL;
}

const char *firn__idx_type_name(uint8_t type)
{
    const struct idx_type *found = find_idx_type(type);
    return found ? found->name : NULL;
}

/* ---- the format ---- */

typedef struct idx_stream {
    firn__file *file;
    firn__idx_head *head;
    const firn__idx_use *use;
    uint64_t seen;  /* bytes, header included */
    uint64_t total; /* bytes that belong here, as far as it is known: magic, then header, then all */
    uint8_t header[4 + 4 * FIRN__IDX_MAX_RANK];
} idx_stream;

static bool bad_idx(const idx_stream *s, const char *rule)
{
    return firn__file_bad(s->file, s->seen, "IDX%s: %s", s->head->gzip ? " inside gzip" : "", rule);
}

static bool parse_magic(idx_stream *s)
{
    if (s->header[0] != 0 || s->header[1] != 0) return bad_idx(s, "the first two bytes must be zero");
    if (find_idx_type(s->header[2]) == NULL) return bad_idx(s, "the element type must be 08, 09, 0b, 0c, 0d or 0e");
    if (s->header[3] == 0) return bad_idx(s, "there must be at least one dimension");
    s->head->type = s->header[2];
    s->head->rank = s->header[3];
    s->total = 4 + 4 * (uint64_t)s->head->rank;
    return true;
}

static bool parse_dimensions(idx_stream *s)
{
    uint64_t bytes = find_idx_type(s->head->type)->bytes;
    for (int i = 0; i < s->head->rank; i++) {
        const uint32_t dim = firn__be32(s->header + 4 + 4 * i);
        if (dim == 0) return bad_idx(s, "a dimension is zero");
        if (bytes > (INT64_MAX - sizeof s->header) / dim)
            return bad_idx(s, "the product of the dimensions is out of range");
        s->head->dim[i] = dim;
        bytes *= dim;
    }
    s->head->bytes = bytes;
    s->total += bytes;
    return s->use->head == NULL || s->use->head(s->use->user, s->head);
}

static bool take_idx(void *user, const uint8_t *bytes, size_t count)
{
    idx_stream *s = user;
    while (count > 0) {
        if (s->seen == s->total) return bad_idx(s, "there are bytes after the last element");
        const size_t some = count < s->total - s->seen ? count : (size_t)(s->total - s->seen);
        const bool in_header = s->head->bytes == 0;
        if (in_header)
            memcpy(s->header + s->seen, bytes, some);
        else if (s->use->data != NULL && !s->use->data(s->use->user, bytes, some))
            return false;
        s->seen += some;
        bytes += some;
        count -= some;
        if (in_header && s->seen == s->total && !(s->seen == 4 ? parse_magic(s) : parse_dimensions(s))) return false;
    }
    return true;
}

bool firn__idx_read(firn__file *file, firn__idx_head *head, const firn__idx_use *use)
{
    *head = (firn__idx_head){0};
    idx_stream s = {.file = file, .head = head, .use = use, .total = 4};
    head->gzip = firn__file_peek(file, 2) && file->buffer[file->at] == 0x1f && file->buffer[file->at + 1] == 0x8b;
    if (head->gzip) {
        if (!firn__gunzip(file, (firn__sink){take_idx, &s})) return false;
    } else {
        for (; firn__file_fill(file); file->at = file->end)
            if (!take_idx(&s, file->buffer + file->at, file->end - file->at)) return false;
    }
    if (file->status != FIRN_OK) return false;
    return s.seen == s.total ? true : bad_idx(&s, "the data end before the last element");
}

/* ---- firn_idx_load ---- */

typedef struct idx_loading {
    firn__file *file;
    firn_idx *out;
    size_t have, capacity, total;
} idx_loading;

static bool load_head(void *user, const firn__idx_head *head)
{
    idx_loading *l = user;
    if (head->type != 0x08)
        return firn__file_fail(l->file, FIRN_ERR_DTYPE, "the elements are %s; only U8 can be loaded",
                               firn__idx_type_name(head->type));
    firn_shape *shape = &l->out->shape;
    for (int i = 0; i < head->rank && i < FIRN_MAX_RANK; i++) shape->dim[shape->rank++] = head->dim[i];
    if (head->rank > FIRN_MAX_RANK || !firn__shape_bytes(*shape, 1, &l->total))
        return firn__file_fail(l->file, FIRN_ERR_SHAPE,
                               "%d dimensions of %llu bytes in all cannot be loaded; at most %d can", head->rank,
                               (unsigned long long)head->bytes, FIRN_MAX_RANK);
    return true;
}

/* Memory doubles as data arrive: what the header promises is only its limit. */
static bool load_data(void *user, const uint8_t *bytes, size_t count)
{
    enum { FIRST = 1 << 16 };
    idx_loading *l = user;
    while (l->capacity - l->have < count) {
        const size_t wanted = l->capacity > 0 ? l->capacity : FIRST / 2;
        const size_t capacity = wanted > l->total / 2 ? l->total : wanted * 2;
        uint8_t *moved = firn__file_resize(l->file, l->out->data, l->capacity, capacity, 1);
        if (moved == NULL) return false;
        l->out->data = moved;
        l->capacity = capacity;
    }
    memcpy(l->out->data + l->have, bytes, count);
    l->have += count;
    return true;
}

/* The name itself, then its relatives: bit 0 exchanges "-idx" and ".idx", bit 1 adds or removes ".gz". NULL: none. */
static const char *other_name(char *name, size_t size, const char *path, int how)
{
    const size_t length = strlen(path);
    if (length + sizeof ".gz" > size) return NULL;
    memcpy(name, path, length + 1);
    if (how & 1) {
        char *last = NULL;
        for (char *p = name; (p = strstr(p, "idx")) != NULL; p++)
            if (p > name && (p[-1] == '-' || p[-1] == '.')) last = p - 1;
        if (last == NULL) return NULL;
        *last = *last == '-' ? '.' : '-';
    }
    if (how & 2) {
        if (length > 3 && strcmp(name + length - 3, ".gz") == 0)
            name[length - 3] = '\0';
        else
            memcpy(name + length, ".gz", sizeof ".gz");
    }
    return name;
}

enum { NAME_ROOM = 4096 };

/* Under its own name or another one, which then becomes *path. */
static FILE *open_idx(const char **path, char name[NAME_ROOM])
{
    FILE *stream = fopen(*path, "rb");
    const int reason = errno;
    for (int how = 1; stream == NULL && how < 4; how++)
        if (other_name(name, NAME_ROOM, *path, how) != NULL && (stream = fopen(name, "rb")) != NULL) *path = name;
    errno = reason; /* of path itself */
    return stream;
}

firn_status firn_idx_load(firn_ctx *ctx, const char *path, firn_idx *out)
{
    if (out != NULL) *out = (firn_idx){0};
    if (ctx == NULL || path == NULL || out == NULL)
        return firn__fail(ctx, FIRN_ERR_ARGUMENT, "firn_idx_load: ctx, path and out must not be NULL");
    char name[NAME_ROOM];
    FILE *stream = open_idx(&path, name);
    if (stream == NULL)
        return firn__fail(ctx, FIRN_ERR_IO, "%s: cannot be opened, with or without .gz, with -idx or .idx: %s", path,
                          strerror(errno));
    firn__file file;
    firn__idx_head head;
    idx_loading loading = {.file = &file, .out = out};
    firn__file_wrap(&file, ctx, stream, path);
    const bool good = firn__idx_read(&file, &head, &(firn__idx_use){load_head, load_data, &loading});
    firn__file_close(&file);
    if (good) return FIRN_OK;
    firn__free(ctx, out->data, loading.capacity, 1);
    *out = (firn_idx){0};
    return file.status;
}

void firn_idx_free(firn_ctx *ctx, firn_idx *idx)
{
    if (ctx == NULL || idx == NULL) return;
    firn__free(ctx, idx->data, (size_t)firn_shape_count(idx->shape), 1);
    *idx = (firn_idx){0};
}
