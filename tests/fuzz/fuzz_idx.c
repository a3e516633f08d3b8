/* Accepted means: the bytes seen are the product of the dimensions, and written plainly they are read back the same. */
#include "idx.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

__extension__ typedef unsigned __int128 wide;

typedef struct collected {
    uint8_t *bytes;
    size_t count, capacity;
    firn__idx_head head;
    int heads;
} collected;

enum { KEEP = 1 << 16 }; /* a small input may be the beginning of much data */

static bool collect_head(void *user, const firn__idx_head *head)
{
    collected *c = user;
    MUST(c->count == 0);
    c->head = *head;
    c->heads++;
    return true;
}

static bool collect(void *user, const uint8_t *bytes, size_t count)
{
    collected *c = user;
    MUST(c->heads == 1 && count > 0 && count <= c->head.bytes - c->count);
    if (c->count + count <= KEEP) memcpy(c->bytes + c->count, bytes, count);
    c->count += count;
    return true;
}

static void check_again(firn_ctx *ctx, const collected *c)
{
    static uint8_t plain[4 + 4 * FIRN__IDX_MAX_RANK + KEEP], second[KEEP];
    size_t n = 4;
    memcpy(plain, (uint8_t[]){0, 0, c->head.type, (uint8_t)c->head.rank}, 4);
    for (int i = 0; i < c->head.rank; i++)
        for (int shift = 24; shift >= 0; shift -= 8) plain[n++] = (uint8_t)(c->head.dim[i] >> shift);
    memcpy(plain + n, c->bytes, c->count);
    collected again = {.bytes = second};
    firn__idx_head head;
    firn__file file;
    fuzz_open(&file, ctx, plain, n + c->count);
    MUST(firn__idx_read(&file, &head, &(firn__idx_use){collect_head, collect, &again}));
    firn__file_close(&file);
    MUST(!head.gzip && again.count == c->count && memcmp(second, c->bytes, c->count) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[KEEP];
    firn_ctx *ctx = fuzz_ctx(size);
    const size_t before = fuzz_memory();
    collected c = {.bytes = bytes};
    firn__file file;
    firn__idx_head head;
    fuzz_open(&file, ctx, data, size);
    const bool good = firn__idx_read(&file, &head, &(firn__idx_use){collect_head, collect, &c});
    MUST(good == (file.status == FIRN_OK) && good == (firn_last_error(ctx) == FIRN_OK));
    firn__file_close(&file);
    if (good) {
        wide product = strcmp(firn__idx_type_name(head.type), "F64") == 0 ? 8
                       : head.type > 11                                   ? 4
                       : head.type == 11                                  ? 2
                                                                          : 1;
        for (int i = 0; i < head.rank; i++) product *= head.dim[i];
        MUST(product == head.bytes && c.count == head.bytes && c.heads == 1);
        MUST(head.gzip || size == 4 + 4 * (size_t)head.rank + c.count);
        if (c.count <= KEEP) check_again(ctx, &c);
    }
    MUST(fuzz_memory() == before);
    return 0;
}
