/* io.h: files. All are untrusted input: every length is checked before it is used, memory follows the data, nothing
 * recurses. Messages name the file, the place and the rule. */
#ifndef FIRN_IO_H
#define FIRN_IO_H
#include "train.h"

FIRN_C_BEGIN

/* IDX (MNIST and its relatives), plain or gzip, recognised by content; element type unsigned byte.
 *   shape   as in the file, at most FIRN_MAX_RANK dimensions
 *   data    firn_shape_count(shape) bytes
 * firn_idx_load() also tries "-idx" for ".idx" in the name and the other way round, and with ".gz" added or removed.
 * Errors    FIRN_ERR_IO; FIRN_ERR_FORMAT; FIRN_ERR_DTYPE: another element type; FIRN_ERR_SHAPE: too many dimensions;
 *           FIRN_ERR_MEMORY
 * Owner     the caller; firn_idx_free() */
typedef struct firn_idx {
    firn_shape shape;
    uint8_t *data;
} firn_idx;
FIRN_API FIRN_MUST_USE firn_status firn_idx_load(firn_ctx *ctx, const char *path, firn_idx *out);
FIRN_API void firn_idx_free(firn_ctx *ctx, firn_idx *idx);

FIRN_C_END
#endif
