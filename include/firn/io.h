/* io.h: files. All are untrusted input: every length is checked before it is used, memory follows the data, nothing
 * recurses. Messages name the file, the place and the rule. */
#ifndef FIRN_IO_H
#define FIRN_IO_H
#include "train.h"

FIRN_C_BEGIN

/* ---- safetensors: a PyTorch state_dict's names, shapes and layouts ----
 * Python's save_file(model.state_dict(), path) loads as it is, and model.load_state_dict(load_file(path)) takes what
 * firn_save() writes. A model's frozen bits and the names of its states travel in the metadata, for the reader to see;
 * loading leaves the model's. */

typedef struct firn_load_options {
    const char *select;   /* which of the model's tensors to load; NULL: all. "!head": all but the head */
    const char *rename;   /* "backbone.=features.": what begins with "features." in the model is called "backbone." in
                           * the file. Either side may be empty. NULL: names agree */
    bool allow_missing;   /* a selected tensor that the file lacks keeps its values; else FIRN_ERR_NAME */
    bool skip_mismatched; /* a selected tensor of another shape keeps its values; else FIRN_ERR_SHAPE */
    bool freeze_loaded;   /* freezes exactly what was loaded, and unfreezes the rest, dropout included */
    FILE *list;           /* receives a line a tensor: what becomes of it, and why; NULL: none */
} firn_load_options;

typedef struct firn_load_report {
    size_t loaded;     /* tensors of the model that the file gave */
    size_t converted;  /* of those: not F32 in the file. F16, BF16, BOOL and integers up to 16 bits convert exactly; F64
                        * and wider integers are rounded to the nearest float */
    size_t missing;    /* selected tensors of the model that the file lacks */
    size_t mismatched; /* selected tensors of the model that have another shape in the file */
    size_t unused;     /* tensors of the file that are neither. Batch norm's num_batches_tracked is understood and not
                        * counted: firn has no use for it, and firn_save() writes 0 (unless the model has a tensor of
                        * that name) */
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
 * Errors      FIRN_ERR_IO: and what was at path is still there; FIRN_ERR_NAME: a name is not UTF-8, or is
 *             "__metadata__"; FIRN_ERR_ARGUMENT: path NULL; FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_save(const firn_model *m, const char *path);

/* Writes what is not frozen, and a hash of the rest, the base. The same errors. */
FIRN_API FIRN_MUST_USE firn_status firn_save_delta(const firn_model *m, const char *path);

/* ---- checkpoints: everything that a run needs to go on to the same bits ----
 * Weights, masks and the stack of masks, optimizer state by name with step counts and rates, early stopping's best
 * weights, the position, and the seed and options that the bits depend on. Resumed, a run equals the one that was not
 * interrupted, in the middle of an epoch, across an unfreeze, with any number of threads. firn_load() takes the weights
 * out of a checkpoint. */

typedef struct firn_checkpoint_options {
    int (*sync)(FILE *stream, void *user); /* called with everything flushed, before the file is closed and takes its
                                            * place: where an application forces it to disk (fsync(fileno(stream))).
                                            * Nonzero: that failed, and FIRN_ERR_IO is returned. NULL: not called */
    void *user;
} firn_checkpoint_options;

/* Writes a checkpoint at path; the one that was there becomes path.1. To be called between calls on t, or in its progress
 * callback. Written as path.tmp, then renamed: at every moment path or path.1 is a whole checkpoint.
 *   opt       may be NULL
 * Errors      FIRN_ERR_IO: the file at path is as it was; FIRN_ERR_STATE: between forward and backward, or inside gradient
 *             accumulation; FIRN_ERR_NAME: as firn_save(); FIRN_ERR_ARGUMENT; FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_checkpoint_save(const firn_trainer *t, const char *path,
                                                        const firn_checkpoint_options *opt);

/* Puts a trainer of the same model, options and seed, and its model, where the checkpoint was taken; the next firn_fit()
 * with the same data and options goes on from there. All or nothing.
 *   generation  receives which file was used: 0 for path; 1 for path.1, if path is not there or damaged. May be NULL
 * Errors      FIRN_ERR_IO, FIRN_ERR_FORMAT: neither is there and whole (the message is about path); FIRN_ERR_STATE: it
 *             belongs to a run with another seed or option, which is named, or a fit is running; FIRN_ERR_NAME,
 *             FIRN_ERR_SHAPE: to another model; FIRN_ERR_ARGUMENT; FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_checkpoint_load(firn_trainer *t, const char *path, int *generation);

/* ---- inspection ----
 * Writes what a file holds as a table: names, shapes, types, states, frozen bits, bytes, metadata. Any safetensors file,
 * delta, checkpoint, or IDX file (plain or gzip) is recognised by its content; also with element types that cannot be loaded.
 * Nothing is written unless the file is valid in every respect.
 * Errors  FIRN_ERR_IO, FIRN_ERR_FORMAT: file, place and rule are named; FIRN_ERR_ARGUMENT; FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_file_inspect(firn_ctx *ctx, const char *path, FILE *out);

/* ---- data sets ----
 * IDX (MNIST and its relatives), plain or gzip, recognised by content; element type unsigned byte.
 *   shape   as in the file, at most FIRN_MAX_RANK dimensions
 *   data    firn_shape_count(shape) bytes
 * firn_idx_load() also tries "-idx" for ".idx" in the name and the other way round, and with ".gz" added or removed.
 * Errors    FIRN_ERR_IO; FIRN_ERR_FORMAT; FIRN_ERR_DTYPE: another element type; FIRN_ERR_SHAPE: too many dimensions;
 *           FIRN_ERR_ARGUMENT; FIRN_ERR_MEMORY
 * Owner     the caller; firn_idx_free() */
typedef struct firn_idx {
    firn_shape shape;
    uint8_t *data;
} firn_idx;
FIRN_API FIRN_MUST_USE firn_status firn_idx_load(firn_ctx *ctx, const char *path, firn_idx *out);
FIRN_API void firn_idx_free(firn_ctx *ctx, firn_idx *idx);

FIRN_C_END
#endif
