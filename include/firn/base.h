/* base.h: status codes, context, allocator, export macros. */
#ifndef FIRN_BASE_H
#define FIRN_BASE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define FIRN_MUST_USE __attribute__((warn_unused_result))
#define FIRN_API __attribute__((visibility("default")))
#else
#define FIRN_MUST_USE
#define FIRN_API
#endif

#ifdef __cplusplus
#define FIRN_C_BEGIN extern "C" {
#define FIRN_C_END }
#else
#define FIRN_C_BEGIN
#define FIRN_C_END
#endif

FIRN_C_BEGIN

/* One row per status: name, value, text. Values are pinned: append only, never renumber. */
#define FIRN_STATUS_MAP(X)                                \
    X(OK, 0, "success")                                   \
    X(ERR_ARGUMENT, 1, "invalid argument")                \
    X(ERR_SHAPE, 2, "shapes do not fit the operator")     \
    X(ERR_DTYPE, 3, "element type not supported here")    \
    X(ERR_NAME, 4, "no tensor or input matches the name") \
    X(ERR_STATE, 5, "call not allowed in this state")     \
    X(ERR_MEMORY, 6, "out of memory")                     \
    X(ERR_IO, 7, "file could not be read or written")     \
    X(ERR_FORMAT, 8, "file content is malformed")         \
    X(ERR_NUMERIC, 9, "loss or gradient is not finite")   \
    X(STOPPED, 10, "stopped by the progress callback")    \
    X(ERR_ISA, 11, "instruction set unknown, or not available on this processor")

typedef enum firn_status {
#define FIRN_X(name, value, text) FIRN_##name = value,
    FIRN_STATUS_MAP(FIRN_X)
#undef FIRN_X
        FIRN__STATUS_FORCE_INT = 0x7fffffff
} firn_status;

/* Every function marked FIRN_MUST_USE gives FIRN_ERR_ARGUMENT where the object that it works on is NULL: there is no context
 * then to keep a message. The lists of errors in these headers do not repeat it. */
FIRN_API const char *firn_status_name(firn_status st); /* "ERR_SHAPE"; "?" for an unknown value; never NULL */
FIRN_API const char *firn_status_text(firn_status st); /* never NULL */

/* One function does all: ptr NULL allocates, size 0 frees (and returns NULL), else resizes. old_size is always the
 * exact size given before (0 with ptr NULL). Returned memory is aligned for any type; NULL means out of memory, and
 * then ptr is still valid. Called from the thread that calls firn, never from a worker. */
typedef struct firn_allocator {
    void *(*realloc)(void *user, void *ptr, size_t old_size, size_t size);
    void *user;
} firn_allocator;

typedef struct firn_ctx firn_ctx;

#define FIRN_MAX_THREADS 64
#define FIRN_DEFAULT_SEED 1u

typedef struct firn_ctx_options {
    firn_allocator allocator; /* zero: malloc/free */
    int threads;              /* zero: the number of processors, or 1 where it cannot be told. At most FIRN_MAX_THREADS.
                               * Results do not depend on it */
    uint64_t seed;            /* zero: FIRN_DEFAULT_SEED, never the clock */
    const char *isa;          /* NULL: the environment variable FIRN_ISA, or, where that is not set or empty, the best that
                               * this CPU runs; or "ref" "avx2" "avx512" "neon". Results do not depend on it */
} firn_ctx_options;

/* Makes a context, which owns everything made from it. One of several threads is of no use in a child made by fork(),
 * which does not have them: it would wait for ever. Make contexts after the fork.
 *   out   receives the context; NULL on error
 *   opt   NULL: all defaults
 * Errors  FIRN_ERR_ARGUMENT: out NULL, threads out of range; FIRN_ERR_ISA: isa, or the environment's FIRN_ISA, is
 *         unknown or what this CPU lacks; FIRN_ERR_MEMORY. There is no context yet to keep a message:
 *         firn_status_text() is all there is
 * Owner   the caller; ends with firn_ctx_destroy() */
FIRN_API FIRN_MUST_USE firn_status firn_ctx_create(firn_ctx **out, const firn_ctx_options *opt);

/* Frees the context and the models it owns. Plans, optimizers and trainers must be destroyed before. NULL does
 * nothing. */
FIRN_API void firn_ctx_destroy(firn_ctx *ctx);

FIRN_API int firn_ctx_threads(const firn_ctx *ctx);     /* 0 for NULL */
FIRN_API uint64_t firn_ctx_seed(const firn_ctx *ctx);   /* 0 for NULL */
FIRN_API const char *firn_ctx_isa(const firn_ctx *ctx); /* "ref", "avx2", "avx512", "neon"; "" for NULL */

/* The first error since the last firn_clear_error(), as one sentence that names the operator, the tensor, the shapes
 * and the rule; "" if there was none. Valid until the next call that fails or clears. NULL gives "". */
FIRN_API const char *firn_message(const firn_ctx *ctx);
FIRN_API firn_status firn_last_error(const firn_ctx *ctx); /* the status that belongs to firn_message() */
FIRN_API void firn_clear_error(firn_ctx *ctx);

/* For layers, operators and training loops of your own: the context's allocator (as firn_allocator.realloc; records no
 * error). ctx must not be NULL. */
FIRN_API void *firn_realloc(firn_ctx *ctx, void *ptr, size_t old_size, size_t size);

/* Also for them: records st and the sentence as the first error, unless there
 * is one. Returns st. ctx may be NULL. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
FIRN_API firn_status firn_fail(firn_ctx *ctx, firn_status st, const char *format, ...);

FIRN_C_END
#endif
