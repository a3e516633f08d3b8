/* io.h: files. All are untrusted input: every length is checked before it is used, memory follows the data, nothing
 * recurses. Messages name the file, the place and the rule. */
#ifndef FIRN_IO_H
#define FIRN_IO_H
#include "train.h"

FIRN_C_BEGIN

/* ---- safetensors: a PyTorch state_dict's names, shapes and layouts ----
 * Python's save_file(model.state_dict(), path) loads as it is, and model.load_state_dict(load_file(path)) takes what
 * firn_save() writes. A model's frozen bits travel in the metadata, for the reader to see; loading leaves the model's. */

typedef struct firn_load_options {
    const char *select;   /* which of the model's tensors to load; NULL: all. "!head": all but the head */
    const char *rename;   /* "backbone.=features.": what begins with "features." in the model is called "backbone." in
                           * the file. Either side may be empty. NULL: names agree */
    bool allow_missing;   /* a selected tensor that the file lacks keeps its values; else FIRN_ERR_NAME */
    bool skip_mismatched; /* a selected tensor of another shape keeps its values; else FIRN_ERR_SHAPE */
    bool freeze_loaded;   /* freezes exactly what was loaded, and unfreezes the rest */
    FILE *list;           /* receives a line a tensor: what becomes of it, and why; NULL: none */
} firn_load_options;

typedef struct firn_load_report {
    size_t loaded;     /* tensors of the model that the file gave */
    size_t converted;  /* of those: not F32 in the file. F16, BF16, BOOL and integers up to 16 bits convert exactly; F64
                        * and wider integers are rounded to the nearest float */
    size_t missing;    /* selected tensors of the model that the file lacks */
    size_t mismatched; /* selected tensors of the model that have another shape in the file */
    size_t unused;     /* tensors of the file that are neither. Batch norm's num_batches_tracked is understood and not
                        * counted: firn has no use for it, and firn_save() writes 0 */
} firn_load_report;

/* Replaces the values of named tensors by those of a file, tensor by tensor.
 *   opt       NULL: everything must be there and fit
 *   report    filled in as soon as the file's header could be read, on an error too; may be NULL
 * A delta file (firn_save_delta) is loaded whole, onto the base that it was made with: select and rename must be NULL.
 * All or nothing: on an error the model is as it was. (Where memory for a second copy is short, the file is read twice
 * instead; then, and only then, a disk that fails in the second reading leaves some tensors replaced.)
 * Errors      FIRN_ERR_IO; FIRN_ERR_FORMAT; FIRN_ERR_NAME: missing, or the selector matches nothing; FIRN_ERR_SHAPE;
 *             FIRN_ERR_DTYPE: a type that has no conversion; FIRN_ERR_STATE: between forward and backward, or a delta
 *             of another base, naming both hashes; FIRN_ERR_ARGUMENT; FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_load(firn_model *m, const char *path, const firn_load_options *opt,
                                             firn_load_report *report);

/* Writes all named tensors, under all their names. The file appears at path when it is complete, by rename().
 * Errors      FIRN_ERR_IO: and what was at path is still there; FIRN_ERR_NAME: a name is not UTF-8; FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_save(const firn_model *m, const char *path);

/* Writes what is not frozen, and all states, and a hash of the rest, the base. The same errors. */
FIRN_API FIRN_MUST_USE firn_status firn_save_delta(const firn_model *m, const char *path);

/* ---- data sets ----
 * IDX (MNIST and its relatives), plain or gzip, recognised by content; element type unsigned byte.
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
