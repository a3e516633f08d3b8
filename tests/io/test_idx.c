#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "idx.h"
#include "io_support.h"

static const char *const folder = FIRN_TESTS_DIR "/corpus/";

static const char *corpus_path(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s%s", folder, name);
    return path;
}

static void plain_and_gzip_files_load(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_idx labels, images;
    assert_ok(ctx, firn_idx_load(ctx, corpus_path("idx/ok_labels.idx"), &labels));
    assert_int_equal(labels.shape.rank, 1);
    assert_int_equal(labels.shape.dim[0], 10);
    assert_int_equal(reference_crc32(labels.data, 10), 0x456cd746);
    assert_ok(ctx, firn_idx_load(ctx, corpus_path("idxgz/ok_dynamic.idx.gz"), &images));
    assert_true(firn_shape_equal(images.shape, FIRN_SHAPE(250, 20, 40)));
    assert_int_equal(reference_crc32(images.data, 200000), 0x99ea4d85);
    firn_idx_free(ctx, &labels);
    firn_idx_free(ctx, &images);
    assert_null(images.data);
    firn_idx_free(ctx, &images);
    firn_idx_free(ctx, NULL);
    firn_idx_free(NULL, &images);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

static const uint8_t two_bytes[] = {0, 0, 8, 1, 0, 0, 0, 2, 'h', 'i'};

static void the_other_spelling_of_a_name_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *on_disk, *asked;
        bool found;
    } rows[] = {
        {"firn_train-idx1-ubyte", "firn_train-idx1-ubyte", true},
        {"firn_train-idx1-ubyte", "firn_train.idx1-ubyte", true},
        {"firn_train.idx1-ubyte", "firn_train-idx1-ubyte", true},
        {"firn_train-idx1-ubyte.gz", "firn_train-idx1-ubyte", true},
        {"firn_train-idx1-ubyte", "firn_train-idx1-ubyte.gz", true},
        {"firn_train.idx1-ubyte.gz", "firn_train-idx1-ubyte", true},
        {"firn_train.idx1-ubyte", "firn_train-idx1-ubyte.gz", true},
        {"firn_train.idx", "firn_train-idx", true},
        {"firn_train.idx", "firn_trainidx", false},
        {"firn_train.idx", "firn_train.ubyte", false},
        {"firn-idx_a.idx1", "firn-idx_a-idx1", true}, /* the last one is exchanged */
        {"idx.gz", "idx", true},
        {"x.idx", "x_idx", false},
        {".gz", ".gy", false},
    };
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        firn_idx idx;
        put_file(rows[i].on_disk, two_bytes, sizeof two_bytes);
        firn_clear_error(ctx);
        const firn_status st = firn_idx_load(ctx, rows[i].asked, &idx);
        remove(rows[i].on_disk);
        assert_status(ctx, rows[i].found ? FIRN_OK : FIRN_ERR_IO, st);
        if (rows[i].found)
            assert_memory_equal(idx.data, "hi", 2);
        else
            assert_message_has(ctx, rows[i].asked);
        firn_idx_free(ctx, &idx);
    }
    firn_idx idx;
    put_file("firn_train-idx1-ubyte", two_bytes, 9); /* cut: the message names the file that is there */
    assert_fails(ctx, FIRN_ERR_FORMAT, firn_idx_load(ctx, "firn_train.idx1-ubyte.gz", &idx), "firn_train-idx1-ubyte: byte");
    remove("firn_train-idx1-ubyte");
    /* The reason is that of the name asked for: with ".gz" this one would be too long. */
    char longest[256];
    memset(longest, 'x', 254);
    longest[254] = '\0';
    assert_fails(ctx, FIRN_ERR_IO, firn_idx_load(ctx, longest, &idx), strerror(ENOENT));
    char *endless = malloc(5001);
    memset(endless, 'x', 5000);
    endless[5000] = '\0';
    assert_fails(ctx, FIRN_ERR_IO, firn_idx_load(ctx, endless, &idx), "xxx");
    free(endless);
    firn_ctx_destroy(ctx);
}

static void what_cannot_be_loaded_is_named(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_idx idx;
    assert_fails(ctx, FIRN_ERR_DTYPE, firn_idx_load(ctx, corpus_path("idx/ok_f64.idx"), &idx), "ok_f64.idx F64 U8");
    assert_fails(ctx, FIRN_ERR_SHAPE, firn_idx_load(ctx, corpus_path("idx/pol_ndim_8.idx"), &idx), "8 dimensions 6");
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_idx_load(ctx, NULL, &idx), "path NULL");
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_idx_load(ctx, "x", NULL), "out NULL");
    assert_status(NULL, FIRN_ERR_ARGUMENT, firn_idx_load(NULL, "x", &idx));
    assert_fails(ctx, FIRN_ERR_IO, firn_idx_load(ctx, ".", &idx), "read"); /* a folder opens but does not read */
    assert_null(idx.data);
    firn_ctx_destroy(ctx);
}

static void every_cut_and_every_surplus_is_refused(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    const char *path = "firn_test_idx.idx";
    uint8_t bytes[sizeof two_bytes + 1] = {0};
    memcpy(bytes, two_bytes, sizeof two_bytes);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        firn_idx idx;
        put_file(path, bytes, n);
        firn_clear_error(ctx);
        assert_status(ctx, n == sizeof two_bytes ? FIRN_OK : FIRN_ERR_FORMAT, firn_idx_load(ctx, path, &idx));
        if (n != sizeof two_bytes) assert_one_line(firn_message(ctx));
        firn_idx_free(ctx, &idx);
    }
    remove(path);
    firn_ctx_destroy(ctx);
}

static void only_two_zeros_and_a_type_begin_an_idx_file(void **state)
{
    (void)state;
    static const uint8_t wrong[][10] = {{0, 1, 8, 1, 0, 0, 0, 2, 1, 1},    {1, 0, 8, 1, 0, 0, 0, 2, 1, 1},
                                        {0x1f, 0, 8, 1, 0, 0, 0, 2, 1, 1}, {0, 0, 8, 0, 0, 0, 0, 2, 1, 1},
                                        {0, 0, 7, 1, 0, 0, 0, 2, 1, 1},    {0, 0, 8, 1, 0, 0, 0, 0, 1, 1}};
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_idx idx;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put_file("firn_test_idx_wrong", wrong[i], 10);
        assert_fails(ctx, FIRN_ERR_FORMAT, firn_idx_load(ctx, "firn_test_idx_wrong", &idx), "firn_test_idx_wrong IDX byte");
    }
    remove("firn_test_idx_wrong");
    assert_null(firn__idx_type_name(10));
    firn_ctx_destroy(ctx);
}

/* What a header promises costs nothing: 3.3 TB in a file of 800 bytes. */
static void memory_follows_the_data(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    const size_t before = memory.peak;
    firn_idx idx;
    assert_fails(ctx, FIRN_ERR_FORMAT, firn_idx_load(ctx, corpus_path("idx/idx_mnist_3tb.idx"), &idx), "end before");
    assert_fails(ctx, FIRN_ERR_FORMAT, firn_idx_load(ctx, corpus_path("idxgz/gzi_4g_items.idx.gz"), &idx), "end before");
    assert_true(memory.peak - before < 512 << 10);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_status st = FIRN_ERR_MEMORY;
    for (size_t k = 1; st == FIRN_ERR_MEMORY; k++) {
        firn_idx idx;
        firn_clear_error(ctx);
        const size_t held = memory.bytes;
        memory.fail_at = memory.calls + k;
        st = firn_idx_load(ctx, corpus_path("idxgz/ok_stored_max.idx.gz"), &idx);
        assert_true(k > 1 || st == FIRN_ERR_MEMORY);
        firn_idx_free(ctx, &idx);
        assert_int_equal(memory.bytes, held);
    }
    assert_ok(ctx, st);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_gzip_files_load),
        cmocka_unit_test(the_other_spelling_of_a_name_is_found),
        cmocka_unit_test(what_cannot_be_loaded_is_named),
        cmocka_unit_test(every_cut_and_every_surplus_is_refused),
        cmocka_unit_test(only_two_zeros_and_a_type_begin_an_idx_file),
        cmocka_unit_test(memory_follows_the_data),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("idx", tests, NULL, NULL);
}
