#include "alloc.h"

#include <string.h>

enum { BLOCK_ALIGN = 64 };

bool firn__add(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}

bool firn__mul(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}

bool firn__round_up(size_t a, size_t multiple, size_t *out)
{
    size_t sum;
    if (!firn__add(a, multiple - 1, &sum)) return false;
    *out = sum & ~(multiple - 1);
    return true;
}

bool firn__shape_bytes(firn_shape s, size_t element_bytes, size_t *out)
{
    const int64_t count = firn_shape_count(s);
    if (count < 0 || (uint64_t)count > SIZE_MAX) return false;
    return firn__mul((size_t)count, element_bytes, out);
}

void *firn__resize(firn_ctx *ctx, void *ptr, size_t old_count, size_t count, size_t size)
{
    size_t bytes;
    void *result = NULL;
    if (firn__mul(count, size, &bytes) && bytes > 0)
        result = ctx->allocator.realloc(ctx->allocator.user, ptr, old_count * size, bytes);
    if (result == NULL) firn__no_memory(ctx);
    return result;
}

void *firn__alloc(firn_ctx *ctx, size_t count, size_t size)
{
    void *result = firn__resize(ctx, NULL, 0, count, size);
    if (result != NULL) memset(result, 0, count * size);
    return result;
}

void firn__free(firn_ctx *ctx, void *ptr, size_t count, size_t size)
{
    if (ptr != NULL) ctx->allocator.realloc(ctx->allocator.user, ptr, count * size, 0);
}

char *firn__copy_text(firn_ctx *ctx, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = firn__alloc(ctx, bytes, 1);
    if (copy != NULL) memcpy(copy, text, bytes);
    return copy;
}

void firn__free_text(firn_ctx *ctx, char *text)
{
    if (text != NULL) firn__free(ctx, text, strlen(text) + 1, 1);
}

bool firn__grow(firn_ctx *ctx, void **items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) return true;
    const size_t wider = *capacity ? *capacity * 2 : 8;
    void *moved = firn__resize(ctx, *items, *capacity, wider, size);
    if (moved == NULL) return false;
    *items = moved;
    *capacity = wider;
    return true;
}

bool firn__block_alloc(firn_ctx *ctx, firn__block *block, size_t bytes)
{
    *block = (firn__block){0};
    if (bytes == 0) return true;
    size_t raw_bytes;
    if (!firn__add(bytes, BLOCK_ALIGN - 1, &raw_bytes)) {
        firn__no_memory(ctx);
        return false;
    }
    unsigned char *raw = firn__resize(ctx, NULL, 0, raw_bytes, 1);
    if (raw == NULL) return false;
    const size_t past = (size_t)((uintptr_t)raw % BLOCK_ALIGN);
    *block = (firn__block){.data = raw + (past ? BLOCK_ALIGN - past : 0), .bytes = bytes, .raw = raw, .raw_bytes = raw_bytes};
    return true;
}

void firn__block_free(firn_ctx *ctx, firn__block *block)
{
    firn__free(ctx, block->raw, block->raw_bytes, 1);
    *block = (firn__block){0};
}
