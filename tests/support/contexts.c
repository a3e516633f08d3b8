#include "support.h"

firn_ctx *test_ctx(test_memory *memory, int threads, const char *isa)
{
    firn_ctx *ctx = NULL;
    const firn_ctx_options opt = {
        .allocator = memory ? test_memory_allocator(memory) : (firn_allocator){0},
        .threads = threads > 0 ? threads : 1,
        .isa = isa,
    };
    assert_ok(NULL, firn_ctx_create(&ctx, &opt));
    assert_non_null(ctx);
    return ctx;
}

const char *const *test_isas(void)
{
    static const char *const known[] = {"ref", "avx2", "avx512", "neon"};
    static const char *available[sizeof known / sizeof *known + 1];
    size_t n = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        firn_ctx *ctx = NULL;
        if (firn_ctx_create(&ctx, &(firn_ctx_options){.threads = 1, .isa = known[i]}) == FIRN_OK) available[n++] = known[i];
        firn_ctx_destroy(ctx);
    }
    available[n] = NULL;
    return available;
}
