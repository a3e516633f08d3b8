/* alloc.h: memory from the context's allocator, and size arithmetic that cannot wrap. */
#ifndef FIRN_BASE_ALLOC_H
#define FIRN_BASE_ALLOC_H
#include <firn/tensor.h>

#include "ctx.h"

/* All sizes in the library are computed with these. They return false, and leave *out alone, where the result would
 * not fit. */
bool firn__add(size_t a, size_t b, size_t *out);
bool firn__mul(size_t a, size_t b, size_t *out);
bool firn__round_up(size_t a, size_t multiple, size_t *out); /* multiple: a power of two */
bool firn__shape_bytes(firn_shape s, size_t element_bytes, size_t *out); /* false also for FIRN_BATCH */

/* Each returns NULL after recording FIRN_ERR_MEMORY; count * size is checked. */
void *firn__alloc(firn_ctx *ctx, size_t count, size_t size);  /* zeroed */
void *firn__resize(firn_ctx *ctx, void *ptr, size_t old_count, size_t count, size_t size);
void firn__free(firn_ctx *ctx, void *ptr, size_t count, size_t size); /* NULL does nothing */

/* A copy of text, NUL included; ends with firn__free_text(). */
char *firn__copy_text(firn_ctx *ctx, const char *text);
void firn__free_text(firn_ctx *ctx, char *text);

/* Makes room for one more at the end of a list that doubles: *items, *capacity. */
bool firn__grow(firn_ctx *ctx, void **items, size_t *capacity, size_t count, size_t size);
#define FIRN__GROW(ctx, items, capacity, count) \
    firn__grow((ctx), (void **)&(items), &(capacity), (count), sizeof *(items))

/* A block aligned to 64 bytes, not zeroed; what the plan's arena, gradients and parameters are. bytes 0: data NULL. */
typedef struct firn__block {
    void *data;
    size_t bytes; /* asked for */
    void *raw;
    size_t raw_bytes; /* what the allocator handed out */
} firn__block;
bool firn__block_alloc(firn_ctx *ctx, firn__block *block, size_t bytes);
void firn__block_free(firn_ctx *ctx, firn__block *block);

#endif
