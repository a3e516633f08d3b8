/* safetensors.h: the header of a safetensors file: read, checked in every respect, and looked up. */
#ifndef FIRN_IO_SAFETENSORS_H
#define FIRN_IO_SAFETENSORS_H
#include "file.h"
#include "key_sort.h"

#define FIRN__ST_HEADER_LIMIT 100000000 /* bytes; of the reference implementation */

/* name, bits an element. */
#define FIRN__ST_TYPES(X)                                                                                                  \
    X(BOOL, 8)                                                                                                             \
    X(U8, 8)                                                                                                               \
    X(I8, 8)                                                                                                               \
    X(I16, 16)                                                                                                             \
    X(U16, 16)                                                                                                             \
    X(F16, 16)                                                                                                             \
    X(BF16, 16)                                                                                                            \
    X(I32, 32)                                                                                                             \
    X(U32, 32)                                                                                                             \
    X(F32, 32)                                                                                                             \
    X(I64, 64)                                                                                                             \
    X(U64, 64)                                                                                                             \
    X(F64, 64)                                                                                                             \
    X(C64, 64)                                                                                                             \
    X(F4, 4)                                                                                                               \
    X(F6_E2M3, 6)                                                                                                          \
    X(F6_E3M2, 6)                                                                                                          \
    X(F8_E5M2, 8)                                                                                                          \
    X(F8_E4M3, 8)                                                                                                          \
    X(F8_E8M0, 8)                                                                                                          \
    X(F8_E4M3FNUZ, 8)                                                                                                      \
    X(F8_E5M2FNUZ, 8)

typedef enum firn__st_type {
#define FIRN_X(name, bits) FIRN__ST_##name,
    FIRN__ST_TYPES(FIRN_X)
#undef FIRN_X
        FIRN__ST_TYPE_COUNT
} firn__st_type;

const char *firn__st_type_name(firn__st_type type);
unsigned firn__st_type_bits(firn__st_type type);

typedef struct firn__st_entry {
    uint64_t begin, end;  /* of its bytes, counted from the first byte of the data */
    uint32_t name, shape; /* in text: a C text; the dimensions as they stand in JSON, behind "[" */
    uint32_t rank;
    uint8_t type;
    uint8_t marks; /* the reader's own */
} firn__st_entry;

typedef struct firn__st {
    firn__file *file;
    char *text; /* the header; strings are unescaped in place */
    size_t text_size;
    uint64_t data; /* place in the file of the first byte of the data */
    firn__st_entry *entries;
    size_t count, capacity;
    firn__key *by_place, *by_name; /* count each: by range, and by hash of the name */
    size_t metadata, metadata_end; /* places in text: key, value, key, value ..., each a C text */
    size_t pairs;                  /* of metadata */
} firn__st;

/* Reads the header from the beginning of the file. Accepts only what is right in every respect: then names are unique
 * and the tensors' ranges tile the data up to the end of the file. firn__st_free() in any case. */
bool firn__st_read(firn__st *st, firn__file *file);
void firn__st_free(firn__st *st);

firn__st_entry *firn__st_at(const firn__st *st, size_t i); /* in the order of the data */
const char *firn__st_name(const firn__st *st, const firn__st_entry *e);
firn__st_entry *firn__st_find(const firn__st *st, const char *name); /* NULL if there is none */
const char *firn__st_metadata(const firn__st *st, const char *key);  /* NULL if there is none */

/* Steps through the metadata: *pair begins with zero; false at the end. */
typedef struct firn__st_pair {
    const char *key, *value;
} firn__st_pair;
bool firn__st_next_pair(const firn__st *st, firn__st_pair *pair);

/* The dimension at *cursor, which begins with 0 and moves on: call it rank times. */
uint64_t firn__st_dim(const firn__st *st, const firn__st_entry *e, size_t *cursor);
uint64_t firn__st_elements(const firn__st_entry *e); /* the product of the dimensions */
bool firn__st_shape_is(const firn__st *st, const firn__st_entry *e, firn_shape shape);
/* "[2, 3]", cut with "..." where it does not fit. Returns text. */
#define FIRN__ST_SHAPE_TEXT 128
const char *firn__st_shape_text(const firn__st *st, const firn__st_entry *e, char text[FIRN__ST_SHAPE_TEXT]);

#endif
