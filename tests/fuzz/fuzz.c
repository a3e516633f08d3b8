#define _POSIX_C_SOURCE 200809L /* fmemopen */
#include "fuzz.h"

#include <stdlib.h>

static size_t held, limit;

static void *bounded_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    (void)user;
    if (size > old_size) MUST(held + (size - old_size) <= limit);
    held += size - old_size;
    if (size > 0) return realloc(ptr, size);
    free(ptr);
    return NULL;
}

firn_ctx *fuzz_ctx(size_t input_size)
{
    static firn_ctx *ctx;
    limit = (size_t)8 << 20;
    limit += 100 * input_size;
    const firn_ctx_options how = {.allocator = {bounded_realloc, NULL}, .threads = 1, .isa = "ref"};
    if (ctx == NULL) MUST(firn_ctx_create(&ctx, &how) == FIRN_OK);
    firn_clear_error(ctx);
    return ctx;
}

size_t fuzz_memory(void) { return held; }

void fuzz_open(firn__file *file, firn_ctx *ctx, const void *data, size_t size)
{
    FILE *stream = size > 0 ? fmemopen((void *)data, size, "rb") : fopen("/dev/null", "rb");
    MUST(stream != NULL);
    firn__file_wrap(file, ctx, stream, "input");
}

uint8_t *fuzz_read(const char *path, size_t *size)
{
    enum { MOST = 1 << 20 };
    uint8_t *bytes = malloc(MOST);
    FILE *f = fopen(path, "rb");
    MUST(bytes != NULL && f != NULL);
    *size = fread(bytes, 1, MOST, f);
    fclose(f);
    return bytes;
}

void fuzz_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}
