/* Sizes that cannot wrap, and blocks that lie right whatever the allocator hands out. */
#include "alloc.h"

#include <stdlib.h>

#include "support.h"

static void sizes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    size_t out = 77;
    assert_false(firn__add(SIZE_MAX, 1, &out));
    assert_false(firn__mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_false(firn__round_up(SIZE_MAX - 62, 64, &out));
    assert_false(firn__shape_bytes(FIRN_SHAPE(INT64_MAX), 4, &out));
    assert_false(firn__shape_bytes(FIRN_SHAPE(FIRN_BATCH, 2), 4, &out));
    assert_int_equal(out, 77);
    assert_true(firn__add(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
    assert_true(firn__mul(SIZE_MAX, 0, &out));
    assert_int_equal(out, 0);
    assert_true(firn__round_up(65, 64, &out));
    assert_int_equal(out, 128);
    assert_true(firn__round_up(64, 64, &out));
    assert_int_equal(out, 64);
}

/* Hands out addresses that are `shift` bytes behind a multiple of 64. */
static void *shifted_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    const size_t shift = *(const size_t *)user;
    (void)old_size;
    if (size == 0) {
        if (ptr != NULL) free((unsigned char *)ptr - shift);
        return NULL;
    }
    assert_null(ptr);
    unsigned char *raw = aligned_alloc(64, (size + shift + 63) / 64 * 64);
    return raw != NULL ? raw + shift : NULL;
}

static void blocks_begin_at_multiples_of_64(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 64; shift += 16) {
        size_t now = shift;
        firn_ctx *ctx;
        const firn_ctx_options how = {.threads = 1, .allocator = {shifted_realloc, &now}};
        assert_int_equal(firn_ctx_create(&ctx, &how), FIRN_OK);
        firn__block block;
        assert_true(firn__block_alloc(ctx, &block, 100));
        assert_int_equal((uintptr_t)block.data % 64, 0);
        assert_true((unsigned char *)block.data >= (unsigned char *)block.raw);
        assert_true((unsigned char *)block.data + 100 <= (unsigned char *)block.raw + block.raw_bytes);
        firn__block_free(ctx, &block);
        assert_true(firn__block_alloc(ctx, &block, 0));
        assert_null(block.data);
        firn_ctx_destroy(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(blocks_begin_at_multiples_of_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
