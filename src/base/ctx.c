#include "ctx.h"

#include <stdlib.h>

#include "alloc.h"

static void *default_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    (void)user, (void)old_size;
    if (size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size);
}

firn_status firn_ctx_create(firn_ctx **out, const firn_ctx_options *opt)
{
    if (out == NULL) return FIRN_ERR_ARGUMENT;
    *out = NULL;
    firn_ctx_options how = opt ? *opt : (firn_ctx_options){0};
    if (how.allocator.realloc == NULL) how.allocator.realloc = default_realloc;
    if (how.threads < 0 || how.threads > FIRN_MAX_THREADS) return FIRN_ERR_ARGUMENT;
    if (how.threads == 0) how.threads = firn__pool_default_threads();
    const firn__kernels *kernels = firn__kernels_select(how.isa);
    if (kernels == NULL) return FIRN_ERR_ISA;

    firn_ctx *ctx = how.allocator.realloc(how.allocator.user, NULL, 0, sizeof *ctx);
    if (ctx == NULL) return FIRN_ERR_MEMORY;
    *ctx = (firn_ctx){.allocator = how.allocator, .seed = how.seed ? how.seed : FIRN_DEFAULT_SEED, .kernels = kernels};
    const firn_status st = firn__pool_create(ctx, how.threads, &ctx->pool);
    if (st != FIRN_OK) {
        firn_ctx_destroy(ctx);
        return st;
    }
    *out = ctx;
    return FIRN_OK;
}

void firn_ctx_destroy(firn_ctx *ctx)
{
    if (ctx == NULL) return;
    while (ctx->owned != NULL) {
        firn__owned *first = ctx->owned;
        ctx->owned = first->next;
        first->destroy(ctx, first);
    }
    firn__pool_destroy(ctx, ctx->pool);
    ctx->allocator.realloc(ctx->allocator.user, ctx, sizeof *ctx, 0);
}

void *firn_realloc(firn_ctx *ctx, void *ptr, size_t old_size, size_t size)
{
    return ctx->allocator.realloc(ctx->allocator.user, ptr, old_size, size);
}

int firn_ctx_threads(const firn_ctx *ctx)
{
    return ctx ? firn__crew_size((firn__crew){(firn_ctx *)ctx, -1}) : 0;
}

uint64_t firn_ctx_seed(const firn_ctx *ctx) { return ctx ? ctx->seed : 0; }
const char *firn_ctx_isa(const firn_ctx *ctx) { return ctx ? firn__kernels_name(ctx->kernels) : ""; }
