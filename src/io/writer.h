/* writer.h: a safetensors file that is collected, then written in one go and put in its place by renaming. */
#ifndef FIRN_IO_WRITER_H
#define FIRN_IO_WRITER_H
#include <firn/io.h>

#include "alloc.h"

typedef struct firn__writer_item {
    const float *data; /* borrowed; NULL: one number of 64 bits */
    uint64_t count_or_number;
} firn__writer_item;

typedef struct firn__writer {
    firn_ctx *ctx;
    firn_status status; /* of the first failure: then the other calls do nothing */
    char *text;         /* eight bytes for its own length, then JSON */
    size_t size, capacity;
    firn__writer_item *items;
    size_t n_items, item_capacity;
    uint64_t bytes;  /* of data so far */
    size_t checksum; /* place in text of the value, zero: none */
} firn__writer;

/* In this order: begin, metadata, then numbers, then tensors, write, free. Names are prefix and name joined. */
void firn__writer_begin(firn__writer *w, firn_ctx *ctx);
void firn__writer_metadata(firn__writer *w, const char *key, const char *value);
void firn__writer_number(firn__writer *w, const char *prefix, const char *name, uint64_t number); /* an I64 scalar */
void firn__writer_tensor(firn__writer *w, const char *prefix, const char *name, firn_shape shape, const float *data);
void firn__writer_free(firn__writer *w);

/* Adds the metadata "firn.checksum" over header and data, which firn__checkpoint_verify() checks. */
void firn__writer_checksum(firn__writer *w);

/* How a file takes its place. */
typedef struct firn__writer_how {
    bool keep_old;                         /* as path.1 */
    int (*sync)(FILE *stream, void *user); /* called before the file is closed; nonzero: it failed. May be NULL */
    void *user;
} firn__writer_how;

/* Writes path.tmp, then renames it to path; on an error the file that was at path is still there, and path.tmp is
 * not, unless something stands there that cannot be written. FIRN_ERR_IO; FIRN_ERR_MEMORY; FIRN_ERR_NAME: a name is not
 * UTF-8. */
firn_status firn__writer_write(firn__writer *w, const char *path, const firn__writer_how *how);

#endif
