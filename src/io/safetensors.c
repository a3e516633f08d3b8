#include "safetensors.h"

#include <string.h>

#include "bytes.h"
#include "json.h"
#include "rng.h"

static const struct st_type_row {
    const char *name;
    unsigned bits;
} st_types[] = {
#define FIRN_X(name, bits) {#name, bits},
    FIRN__ST_TYPES(FIRN_X)
#undef FIRN_X
};

const char *firn__st_type_name(firn__st_type type) { return st_types[type].name; }
unsigned firn__st_type_bits(firn__st_type type) { return st_types[type].bits; }

/* ---- the header's JSON ---- */

/* Metadata: texts only. Keys and values are moved together in the text, each with its NUL. */
static bool parse_metadata(firn__st *st, firn__json *j)
{
    bool first = true, more;
    char *key, *value;
    if (!firn__json_char(j, '{')) return false;
    st->metadata = st->metadata_end = j->at;
    for (;;) {
        if (!firn__json_next(j, '}', &first, &more)) return false;
        if (!more) return true;
        if (!firn__json_string(j, &key) || !firn__json_char(j, ':') || !firn__json_string(j, &value)) return false;
        const size_t key_size = strlen(key) + 1, value_size = strlen(value) + 1;
        memmove(st->text + st->metadata_end, key, key_size);
        memmove(st->text + st->metadata_end + key_size, value, value_size);
        st->metadata_end += key_size + value_size;
        st->pairs++;
    }
}

static bool parse_type(firn__json *j, firn__st_entry *e)
{
    char *name;
    if (!firn__json_string(j, &name)) return false;
    for (e->type = 0; e->type < FIRN__ST_TYPE_COUNT; e->type++)
        if (strcmp(st_types[e->type].name, name) == 0) return true;
    char shown[FIRN__SHOWN];
    return firn__file_bad(j->file, j->place + (size_t)(name - j->text), "header: no dtype is called \"%s\"",
                          firn__shown(shown, name));
}

static bool parse_shape(firn__json *j, firn__st_entry *e)
{
    bool first = true, more;
    uint64_t dim;
    if (!firn__json_char(j, '[')) return false;
    e->shape = (uint32_t)j->at;
    for (e->rank = 0;; e->rank++) {
        if (!firn__json_next(j, ']', &first, &more)) return false;
        if (!more) return true;
        if (!firn__json_number(j, &dim)) return false;
    }
}

static bool parse_offsets(firn__json *j, firn__st_entry *e)
{
    return firn__json_char(j, '[') && firn__json_number(j, &e->begin) && firn__json_char(j, ',') &&
           firn__json_number(j, &e->end) && firn__json_char(j, ']');
}

/* A tensor: dtype, shape and data_offsets, each once, in any order. */
static bool parse_entry(firn__json *j, firn__st_entry *e)
{
    static const char *const members[] = {"dtype", "shape", "data_offsets"};
    bool first = true, more, seen[3] = {false};
    char *name;
    if (!firn__json_char(j, '{')) return false;
    for (;;) {
        if (!firn__json_next(j, '}', &first, &more)) return false;
        if (!more) break;
        if (!firn__json_string(j, &name)) return false;
        size_t m = 0;
        while (m < 3 && strcmp(members[m], name) != 0) m++;
        if (m == 3 || seen[m])
            return firn__json_bad(j, "a tensor has dtype, shape and data_offsets, each once, and nothing else");
        seen[m] = true;
        if (!firn__json_char(j, ':')) return false;
        if (!(m == 0 ? parse_type(j, e) : m == 1 ? parse_shape(j, e) : parse_offsets(j, e))) return false;
    }
    return (seen[0] && seen[1] && seen[2]) || firn__json_bad(j, "dtype, shape or data_offsets is missing");
}

static bool parse_header(firn__st *st)
{
    firn__json j = {.file = st->file, .place = 8, .text = st->text, .size = st->text_size};
    bool first = true, more, metadata = false;
    char *name;
    if (st->text_size == 0 || st->text[0] != '{') return firn__json_bad(&j, "it must begin with {");
    j.at = 1;
    for (;;) {
        if (!firn__json_next(&j, '}', &first, &more)) return false;
        if (!more) return firn__json_end(&j);
        if (!firn__json_string(&j, &name) || !firn__json_char(&j, ':')) return false;
        if (strcmp(name, "__metadata__") == 0) {
            if (metadata) return firn__json_bad(&j, "__metadata__ is there twice");
            metadata = true;
            if (!parse_metadata(st, &j)) return false;
            continue;
        }
        firn__st_entry e = {.name = (uint32_t)(name - st->text)};
        if (!parse_entry(&j, &e)) return false;
        if (!firn__file_grow(st->file, (void **)&st->entries, &st->capacity, st->count, sizeof *st->entries)) return false;
        st->entries[st->count++] = e;
    }
}

/* ---- what must hold between the tensors ---- */

static bool bad_tensor(const firn__st *st, const firn__st_entry *e, const char *rule)
{
    char shown[FIRN__SHOWN];
    return firn__file_bad(st->file, 8 + (uint64_t)e->name, "tensor \"%s\": %s", firn__shown(shown, firn__st_name(st, e)),
                          rule);
}

static bool multiply(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b != 0 && a > UINT64_MAX / b) return false;
    *out = a * b;
    return true;
}

/* Do shape and dtype need exactly the bytes of the range? */
static bool check_size(const firn__st *st, const firn__st_entry *e)
{
    uint64_t bits = 1;
    size_t cursor = 0;
    for (uint32_t i = 0; i < e->rank; i++)
        if (!multiply(bits, firn__st_dim(st, e, &cursor), &bits))
            return bad_tensor(st, e, "the product of the shape is out of range");
    if (!multiply(bits, st_types[e->type].bits, &bits))
        return bad_tensor(st, e, "the product of the shape is out of range");
    if (bits % 8 != 0) return bad_tensor(st, e, "its elements do not fill whole bytes");
    if (e->begin > e->end) return bad_tensor(st, e, "data_offsets end before they begin");
    return e->end - e->begin == bits / 8 ||
           bad_tensor(st, e, "shape and dtype need another number of bytes than data_offsets give");
}

static bool sort_places(firn__st *st)
{
    st->by_place = firn__file_resize(st->file, NULL, 0, st->count + 1, sizeof *st->by_place);
    if (st->by_place == NULL) return false;
    for (size_t i = 0; i < st->count; i++) {
        const firn__st_entry *e = &st->entries[i];
        st->by_place[i] = firn__key_make(e->begin * 2 + (e->end > e->begin), (uint32_t)i); /* empty ones first */
    }
    firn__key_sort(st->by_place, st->count);
    return true;
}

static bool check_tiling(firn__st *st, uint64_t bytes)
{
    uint64_t end = 0;
    for (size_t i = 0; i < st->count; i++)
        if (st->entries[i].end > bytes) return bad_tensor(st, &st->entries[i], "it ends after the end of the file");
    if (!sort_places(st)) return false;
    for (size_t i = 0; i < st->count; i++) {
        const firn__st_entry *e = firn__st_at(st, i);
        if (e->begin < end) return bad_tensor(st, e, "its bytes overlap with another tensor's");
        if (e->begin > end) return bad_tensor(st, e, "the bytes before it belong to no tensor");
        end = e->end;
    }
    return end == bytes || firn__file_bad(st->file, st->data + end, "the last %llu bytes belong to no tensor",
                                          (unsigned long long)(bytes - end));
}

/* Equal hashes of 64 bits are taken for equal texts. */
static uint64_t hash_text(const char *text) { return firn__hash(0, text, strlen(text)); }

static bool check_names(firn__st *st)
{
    st->by_name = firn__file_resize(st->file, NULL, 0, st->count + 1, sizeof *st->by_name);
    if (st->by_name == NULL) return false;
    for (size_t i = 0; i < st->count; i++)
        st->by_name[i] = firn__key_make(hash_text(firn__st_name(st, &st->entries[i])), (uint32_t)i);
    firn__key_sort(st->by_name, st->count);
    for (size_t i = 1; i < st->count; i++)
        if (firn__key_number(st->by_name[i - 1]) == firn__key_number(st->by_name[i]))
            return bad_tensor(st, &st->entries[st->by_name[i].index], "the name is there twice");
    return true;
}

static bool check_keys(const firn__st *st)
{
    firn__key *keys = firn__file_resize(st->file, NULL, 0, st->pairs + 1, sizeof *keys);
    if (keys == NULL) return false;
    firn__st_pair pair = {0};
    for (size_t i = 0; firn__st_next_pair(st, &pair); i++)
        keys[i] = firn__key_make(hash_text(pair.key), (uint32_t)(pair.key - st->text));
    firn__key_sort(keys, st->pairs);
    bool good = true;
    for (size_t i = 1; good && i < st->pairs; i++)
        if (firn__key_number(keys[i - 1]) == firn__key_number(keys[i])) {
            char shown[FIRN__SHOWN];
            good = firn__file_bad(st->file, 8 + (uint64_t)st->metadata, "header: the key \"%s\" is there twice",
                                  firn__shown(shown, st->text + keys[i].index));
        }
    firn__free(st->file->ctx, keys, st->pairs + 1, sizeof *keys);
    return good;
}

bool firn__st_read(firn__st *st, firn__file *file)
{
    uint8_t prefix[8];
    uint64_t left;
    *st = (firn__st){.file = file};
    if (!firn__file_read(file, prefix, sizeof prefix)) return false;
    const uint64_t length = firn__le64(prefix);
    if (!firn__file_remaining(file, &left)) return false;
    const bool torch = memcmp(prefix, "PK\3\4", 4) == 0 || (prefix[0] == 0x80 && prefix[1] < 6); /* zip; pickle */
    if (torch && length > left)
        return firn__file_bad(file, 0, "this is what torch.save() writes; use save_file() of safetensors.torch");
    if (length > FIRN__ST_HEADER_LIMIT)
        return firn__file_bad(file, 0, "this is not safetensors, or its header of %llu bytes is longer than the %d allowed",
                              (unsigned long long)length, FIRN__ST_HEADER_LIMIT);
    if (length > left) return firn__file_bad(file, 0, "the header ends after the end of the file");
    if (length == 0) return firn__file_bad(file, 0, "the header is empty");
    st->text = firn__file_resize(file, NULL, 0, (size_t)length, 1);
    if (st->text == NULL) return false;
    st->text_size = (size_t)length;
    st->data = 8 + length;
    if (!firn__file_read(file, st->text, st->text_size) || !parse_header(st)) return false;
    for (size_t i = 0; i < st->count; i++)
        if (!check_size(st, &st->entries[i])) return false;
    return check_names(st) && check_keys(st) && check_tiling(st, left - length);
}

void firn__st_free(firn__st *st)
{
    firn_ctx *ctx = st->file->ctx;
    firn__free(ctx, st->text, st->text_size, 1);
    firn__free(ctx, st->entries, st->capacity, sizeof *st->entries);
    firn__free(ctx, st->by_place, st->count + 1, sizeof *st->by_place);
    firn__free(ctx, st->by_name, st->count + 1, sizeof *st->by_name);
    *st = (firn__st){.file = st->file};
}

/* ---- looking things up ---- */

firn__st_entry *firn__st_at(const firn__st *st, size_t i) { return &st->entries[st->by_place[i].index]; }
const char *firn__st_name(const firn__st *st, const firn__st_entry *e) { return st->text + e->name; }

firn__st_entry *firn__st_find(const firn__st *st, const char *name)
{
    const uint64_t hash = hash_text(name);
    size_t low = 0, high = st->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (firn__key_number(st->by_name[middle]) < hash)
            low = middle + 1;
        else
            high = middle;
    }
    firn__st_entry *e = low < st->count ? &st->entries[st->by_name[low].index] : NULL;
    return e != NULL && strcmp(name, firn__st_name(st, e)) == 0 ? e : NULL;
}

bool firn__st_next_pair(const firn__st *st, firn__st_pair *pair)
{
    const char *key = pair->key ? pair->value + strlen(pair->value) + 1 : st->text + st->metadata;
    if (key == st->text + st->metadata_end) return false;
    *pair = (firn__st_pair){key, key + strlen(key) + 1};
    return true;
}

const char *firn__st_metadata(const firn__st *st, const char *key)
{
    firn__st_pair pair = {0};
    while (firn__st_next_pair(st, &pair))
        if (strcmp(pair.key, key) == 0) return pair.value;
    return NULL;
}

uint64_t firn__st_dim(const firn__st *st, const firn__st_entry *e, size_t *cursor)
{
    const char *p = st->text + e->shape + *cursor;
    uint64_t value = 0;
    while (*p < '0' || *p > '9') p++;
    for (; *p >= '0' && *p <= '9'; p++) value = value * 10 + (unsigned)(*p - '0');
    *cursor = (size_t)(p - st->text) - e->shape;
    return value;
}

uint64_t firn__st_elements(const firn__st_entry *e) { return (e->end - e->begin) * 8 / st_types[e->type].bits; }

bool firn__st_shape_is(const firn__st *st, const firn__st_entry *e, firn_shape shape)
{
    size_t cursor = 0;
    if (e->rank != (uint32_t)shape.rank) return false;
    for (int i = 0; i < shape.rank; i++)
        if (firn__st_dim(st, e, &cursor) != (uint64_t)shape.dim[i]) return false;
    return true;
}

const char *firn__st_shape_text(const firn__st *st, const firn__st_entry *e, char text[FIRN__ST_SHAPE_TEXT])
{
    enum { ROOM = 32 }; /* for one more dimension and the end */
    size_t cursor = 0, used = 1;
    uint32_t i = 0;
    text[0] = '[';
    for (; i < e->rank && used < FIRN__ST_SHAPE_TEXT - ROOM; i++)
        used += (size_t)snprintf(text + used, ROOM, "%s%llu", i > 0 ? ", " : "",
                                 (unsigned long long)firn__st_dim(st, e, &cursor));
    snprintf(text + used, ROOM, i < e->rank ? ", ...]" : "]");
    return text;
}
