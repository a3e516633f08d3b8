#include <string.h>

#include "bytes.h"
#include "inflate.h"
#include "io_support.h"

static const char *const path = "firn_test_gzip.gz";

/* A member that stores a text, with the header fields that the flags ask for. */
static size_t make_member(uint8_t *out, uint8_t flags, const char *text)
{
    const size_t length = strlen(text);
    uint8_t *p = out;
    const uint8_t head[] = {0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255};
    memcpy(p, head, sizeof head);
    p += sizeof head;
    if (flags & 4) memcpy(p, "\2\0ex", 4), p += 4;
    if (flags & 8) memcpy(p, "name", 5), p += 5;
    if (flags & 16) memcpy(p, "comment", 8), p += 8;
    if (flags & 2) {
        const uint32_t crc = reference_crc32(out, (size_t)(p - out));
        *p++ = (uint8_t)crc;
        *p++ = (uint8_t)(crc >> 8);
    }
    *p++ = 1;
    firn__put_le32(p, (uint32_t)length | ~(uint32_t)length << 16);
    p += 4;
    memcpy(p, text, length);
    p += length;
    firn__put_le32(p, reference_crc32(text, length));
    firn__put_le32(p + 4, (uint32_t)length);
    return (size_t)(p + 8 - out);
}

static char result[256];
static size_t result_count;

static bool keep_text(void *user, const uint8_t *bytes, size_t count)
{
    (void)user;
    assert_true(result_count + count < sizeof result);
    memcpy(result + result_count, bytes, count);
    result_count += count;
    result[result_count] = '\0';
    return true;
}

static firn_status gunzip_bytes(firn_ctx *ctx, const uint8_t *bytes, size_t count)
{
    firn__file file;
    put_file(path, bytes, count);
    assert_true(firn__file_open(&file, ctx, path));
    result_count = 0;
    const bool good = firn__gunzip(&file, (firn__sink){keep_text, NULL});
    assert_int_equal(good, file.status == FIRN_OK);
    firn__file_close(&file);
    remove(path);
    return file.status;
}

static void every_header_field_is_skipped(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    for (unsigned flags = 0; flags < 32; flags++) {
        uint8_t bytes[256];
        const size_t n = make_member(bytes, (uint8_t)flags, "some text");
        assert_ok(ctx, gunzip_bytes(ctx, bytes, n));
        assert_string_equal(result, "some text");
    }
    firn_ctx_destroy(ctx);
}

static void members_are_joined(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    uint8_t bytes[256];
    size_t n = make_member(bytes, 8, "one ");
    n += make_member(bytes + n, 0, "");
    n += make_member(bytes + n, 2, "two");
    assert_ok(ctx, gunzip_bytes(ctx, bytes, n));
    assert_string_equal(result, "one two");
    firn_ctx_destroy(ctx);
}

static void every_cut_and_every_changed_bit_is_refused(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    uint8_t bytes[256], changed[256];
    const size_t n = make_member(bytes, 2 + 4 + 8 + 16, "text");
    for (size_t cut = 0; cut < n; cut++) {
        firn_clear_error(ctx);
        assert_status(ctx, FIRN_ERR_FORMAT, gunzip_bytes(ctx, bytes, cut));
        assert_one_line(firn_message(ctx));
    }
    for (size_t bit = 0; bit < n * 8; bit++) {
        firn_clear_error(ctx);
        memcpy(changed, bytes, n);
        changed[bit / 8] = (uint8_t)(changed[bit / 8] ^ 1u << bit % 8);
        const firn_status st = gunzip_bytes(ctx, changed, n);
        /* the header has a CRC; of what follows, only the unused bits behind "stored, last block" may be anything */
        const size_t block = n - 8 - 4 - 5;
        if (bit / 8 == block && bit % 8 > 2)
            assert_ok(ctx, st);
        else
            assert_status(ctx, FIRN_ERR_FORMAT, st);
    }
    firn_ctx_destroy(ctx);
}

static void each_rule_has_its_words(void **state)
{
    (void)state;
    static const struct {
        uint8_t flags;
        int at; /* from the end if negative */
        uint8_t change;
        const char *words;
    } rows[] = {
        {0, 0, 1, "byte 1: 1f 8b"},     {0, 1, 1, "byte 2: 1f 8b"},      {0, 2, 1, "method 8"},
        {0, 3, 0x20, "reserved flags"}, {2, 10, 1, "CRC of the header"}, {0, -8, 1, "CRC-32"},
        {0, -1, 1, "size of the data"},
    };
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t bytes[256];
        const size_t n = make_member(bytes, rows[i].flags, "text");
        bytes[rows[i].at < 0 ? n - (size_t)-rows[i].at : (size_t)rows[i].at] ^= rows[i].change;
        assert_fails(ctx, FIRN_ERR_FORMAT, gunzip_bytes(ctx, bytes, n), rows[i].words);
    }
    uint8_t bytes[256];
    const size_t n = make_member(bytes, 0, "text");
    bytes[n] = 0;
    assert_fails(ctx, FIRN_ERR_FORMAT, gunzip_bytes(ctx, bytes, n + 1), "further member");
    firn_ctx_destroy(ctx);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    uint8_t bytes[256];
    const size_t n = make_member(bytes, 0, "text");
    memory.fail_at = memory.calls + 1;
    assert_status(ctx, FIRN_ERR_MEMORY, gunzip_bytes(ctx, bytes, n));
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_header_field_is_skipped),
        cmocka_unit_test(members_are_joined),
        cmocka_unit_test(every_cut_and_every_changed_bit_is_refused),
        cmocka_unit_test(each_rule_has_its_words),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests_name("gzip", tests, NULL, NULL);
}
