#include <stdlib.h>
#include <string.h>

#include "inflate.h"
#include "io_support.h"

static const char *const path = "firn_test_inflate.bin";
static uint8_t result[1 << 18];
static size_t result_count;

static bool keep_result(void *user, const uint8_t *bytes, size_t count)
{
    (void)user;
    assert_true(count <= sizeof result - result_count);
    if (count > 0) memcpy(result + result_count, bytes, count);
    result_count += count;
    return true;
}

/* Decompresses the stream; what it gives is in result. The message is kept in ctx. */
static bool inflates(firn_ctx *ctx, const bit_writer *w)
{
    firn__file file;
    put_file(path, w->bytes, bytes_written(w));
    assert_true(firn__file_open(&file, ctx, path));
    firn__inflate *z = calloc(1, sizeof *z);
    assert_non_null(z);
    z->file = &file;
    z->sink.take = keep_result;
    result_count = 0;
    const bool good = firn__inflate_stream(z) && firn__inflate_at_end(z);
    free(z);
    firn__file_close(&file);
    remove(path);
    return good;
}

static void accepts(const bit_writer *w, const char *expected)
{
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    if (!inflates(ctx, w)) fail_msg("refused: %s", firn_message(ctx));
    assert_int_equal(result_count, strlen(expected));
    assert_memory_equal(result, expected, result_count);
    firn_ctx_destroy(ctx);
}

static void rejects(const bit_writer *w, const char *words)
{
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    assert_false(inflates(ctx, w));
    assert_int_equal(firn_last_error(ctx), FIRN_ERR_FORMAT);
    assert_message_has(ctx, words);
    assert_message_has(ctx, path);
    assert_one_line(firn_message(ctx));
    firn_ctx_destroy(ctx);
}

/* ---- the fixed codes ---- */

static void put_fixed(bit_writer *w, unsigned symbol)
{
    if (symbol < 144)
        put_code(w, 0x30 + symbol, 8);
    else if (symbol < 256)
        put_code(w, 0x190 + symbol - 144, 9);
    else if (symbol < 280)
        put_code(w, symbol - 256, 7);
    else
        put_code(w, 0xc0 + symbol - 280, 8);
}

static void literals_and_matches_come_out(void **state)
{
    (void)state;
    bit_writer w = {0};
    put_bits(&w, 3, 3);
    for (const char *p = "abc"; *p; p++) put_fixed(&w, (unsigned char)*p);
    put_fixed(&w, 257 + 3); /* length 6 */
    put_code(&w, 2, 5);     /* distance 3: overlaps itself */
    put_fixed(&w, 256);
    accepts(&w, "abcabcabc");
}

static void several_blocks_share_one_window(void **state)
{
    (void)state;
    bit_writer w = {0};
    put_bits(&w, 0, 3); /* stored, not the last */
    w.bits = 8;
    put_bits(&w, 2, 16);
    put_bits(&w, 0xfffd, 16);
    put_bits(&w, 'h', 8);
    put_bits(&w, 'o', 8);
    put_bits(&w, 3, 3);
    put_fixed(&w, 258); /* length 4 */
    put_code(&w, 1, 5); /* distance 2 */
    put_fixed(&w, 256);
    accepts(&w, "hohoho");
}

static void the_window_slides(void **state)
{
    (void)state;
    bit_writer w = {0};
    enum { MATCHES = 700 };
    put_bits(&w, 3, 3);
    put_fixed(&w, 'x');
    put_fixed(&w, 'y');
    for (int i = 0; i < MATCHES; i++) {
        put_fixed(&w, 285); /* length 258 */
        put_code(&w, 1, 5); /* distance 2 */
    }
    put_fixed(&w, 258);  /* length 4 */
    put_code(&w, 29, 5); /* distance 24577 .. 32768 */
    put_bits(&w, 8191, 13);
    put_fixed(&w, 256);
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    assert_true(inflates(ctx, &w));
    firn_ctx_destroy(ctx);
    assert_int_equal(result_count, 2 + 258 * MATCHES + 4);
    for (size_t i = 0; i < result_count; i++) assert_int_equal(result[i], i % 2 ? 'y' : 'x');
}

static void a_distance_before_the_beginning_is_refused(void **state)
{
    (void)state;
    bit_writer w = {0};
    put_bits(&w, 3, 3);
    put_fixed(&w, 'a');
    put_fixed(&w, 257);
    put_code(&w, 1, 5); /* distance 2, but there is one byte */
    put_fixed(&w, 256);
    rejects(&w, "distance before the beginning");
}

static void symbols_without_meaning_are_refused(void **state)
{
    (void)state;
    for (unsigned symbol = 286; symbol < 288; symbol++) {
        bit_writer w = {0};
        put_bits(&w, 3, 3);
        put_fixed(&w, symbol);
        put_bits(&w, 0, 30);
        rejects(&w, "286 287");
    }
    for (unsigned symbol = 30; symbol < 32; symbol++) {
        bit_writer w = {0};
        put_bits(&w, 3, 3);
        put_fixed(&w, 'a');
        put_fixed(&w, 257);
        put_code(&w, symbol, 5);
        put_bits(&w, 0, 30);
        rejects(&w, "distance 30 31");
    }
    bit_writer w = {0};
    put_bits(&w, 7, 3);
    rejects(&w, "block type 3");
}

/* ---- dynamic codes: code lengths sent one by one, each in four bits, so that a test can say what it wants ---- */

static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

static void put_dynamic_head(bit_writer *w, unsigned literals, unsigned distances)
{
    put_bits(w, 1, 1);
    put_bits(w, 2, 2);
    put_bits(w, literals - 257, 5);
    put_bits(w, distances - 1, 5);
    put_bits(w, 15, 4);
    for (int i = 0; i < 19; i++) put_bits(w, order[i] < 15 || order[i] == 18 ? 4 : 0, 3); /* 0-14 and 18: 16 codes */
}

static void put_length(bit_writer *w, unsigned length) { put_code(w, length, 4); }

static void put_zeros(bit_writer *w, unsigned count) /* 11 to 138 a time */
{
    while (count > 0) {
        const unsigned some = count > 138 ? (count < 149 ? 100 : 138) : count;
        put_code(w, 15, 4);
        put_bits(w, some - 11, 7);
        count -= some;
    }
}

/* 'a': length a; end of block: length end; then n distance lengths. */
static void put_dynamic(bit_writer *w, unsigned a, unsigned end, const unsigned *distances, unsigned n)
{
    put_dynamic_head(w, 257, n);
    put_zeros(w, 97);
    put_length(w, a);
    put_zeros(w, 158);
    put_length(w, end);
    for (unsigned i = 0; i < n; i++) put_length(w, distances[i]);
}

static void a_block_may_do_without_distances(void **state)
{
    (void)state;
    bit_writer w = {0};
    put_dynamic(&w, 1, 1, (unsigned[]){0}, 1);
    put_bits(&w, 0, 2); /* aa */
    put_bits(&w, 1, 1); /* end */
    accepts(&w, "aa");
}

static void one_code_of_one_bit_is_enough(void **state)
{
    (void)state;
    bit_writer w = {0};
    put_dynamic(&w, 0, 1, (unsigned[]){1}, 1);
    put_bits(&w, 0, 1);
    accepts(&w, "");

    bit_writer other = {0}; /* the other bit begins no code */
    put_dynamic(&other, 0, 1, (unsigned[]){1}, 1);
    put_bits(&other, 0xffff, 16);
    rejects(&other, "no code");
}

static void codes_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    bit_writer over = {0}, under = {0}, no_end = {0}, far_over = {0}, far_under = {0};
    put_dynamic_head(&over, 257, 1);
    for (int i = 0; i < 3; i++) put_length(&over, 1);
    put_zeros(&over, 253);
    put_length(&over, 1);
    put_length(&over, 1);
    rejects(&over, "literals over-subscribed");

    put_dynamic(&under, 0, 2, (unsigned[]){1}, 1);
    rejects(&under, "literals incomplete");
    put_dynamic(&no_end, 1, 0, (unsigned[]){1}, 1);
    rejects(&no_end, "end of the block");
    put_dynamic(&far_over, 1, 1, (unsigned[]){1, 1, 1}, 3);
    rejects(&far_over, "distances over-subscribed");
    put_dynamic(&far_under, 1, 1, (unsigned[]){2, 2}, 2);
    rejects(&far_under, "distances incomplete");
}

static void code_lengths_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    bit_writer few = {0}, many = {0}, first = {0};
    put_bits(&few, 5, 3);
    put_bits(&few, 0, 14);
    put_bits(&few, 1, 3); /* a single code of one bit */
    put_bits(&few, 0, 9);
    rejects(&few, "code lengths not complete");

    put_dynamic_head(&many, 257, 1);
    put_zeros(&many, 249);
    put_code(&many, 15, 4);
    put_bits(&many, 0, 7); /* 11 more: 260 of 258 */
    rejects(&many, "more code lengths");

    put_bits(&first, 5, 3);
    put_bits(&first, 0, 14);
    put_bits(&first, 1, 3); /* symbols 16 and 17 in one bit each */
    put_bits(&first, 1, 3);
    put_bits(&first, 0, 6);
    put_bits(&first, 0, 8);
    rejects(&first, "repeats nothing");
}

static void lengths_may_repeat_from_literals_into_distances(void **state)
{
    (void)state;
    bit_writer w = {0};
    put_bits(&w, 5, 3);
    put_bits(&w, 0, 5);
    put_bits(&w, 3, 5); /* 4 distances */
    put_bits(&w, 15, 4);
    for (int i = 0; i < 19; i++)
        put_bits(&w, order[i] == 16 || order[i] == 2 || order[i] == 18 || order[i] == 0 ? 2 : 0, 3);
    /* codes 0: 00, 2: 01, 16: 10, 18: 11 */
    put_code(&w, 3, 2), put_bits(&w, 127, 7); /* 138 zeros */
    put_code(&w, 3, 2), put_bits(&w, 104, 7); /* 115: 253 */
    put_code(&w, 1, 2);                       /* 2 at 253 */
    put_code(&w, 2, 2), put_bits(&w, 3, 2);   /* six more: 254 to 256, and 3 distances */
    put_code(&w, 1, 2);                       /* and the last */
    put_code(&w, 0, 2);                       /* 253 */
    put_code(&w, 3, 2);
    accepts(&w, "\xfd");
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    bit_writer w = {0};
    put_dynamic(&w, 1, 1, (unsigned[]){1, 1}, 2);
    put_bits(&w, 2, 2);
    bit_writer stored = {0};
    put_bits(&stored, 1, 8);
    put_bits(&stored, 3 | 0xfffcu << 16, 32);
    put_bits(&stored, 0x616161, 24);
    accepts(&stored, "aaa");
    bit_writer fixed = {0};
    put_bits(&fixed, 3, 3);
    put_fixed(&fixed, 'a');
    put_fixed(&fixed, 284);
    put_bits(&fixed, 0, 5);
    put_code(&fixed, 0, 5);
    put_fixed(&fixed, 256);
    const bit_writer *all[] = {&w, &stored, &fixed};
    for (int i = 0; i < 3; i++)
        for (size_t n = 0; n < bytes_written(all[i]); n++) {
            bit_writer cut = *all[i];
            cut.bits = n * 8;
            rejects(&cut, "ends inside");
        }
}

static void a_stored_length_needs_its_complement(void **state)
{
    (void)state;
    bit_writer w = {0};
    put_bits(&w, 1, 8);
    put_bits(&w, 3 | 3u << 16, 32);
    rejects(&w, "complement");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_and_matches_come_out),
        cmocka_unit_test(several_blocks_share_one_window),
        cmocka_unit_test(the_window_slides),
        cmocka_unit_test(a_distance_before_the_beginning_is_refused),
        cmocka_unit_test(symbols_without_meaning_are_refused),
        cmocka_unit_test(a_block_may_do_without_distances),
        cmocka_unit_test(one_code_of_one_bit_is_enough),
        cmocka_unit_test(codes_that_do_not_add_up_are_refused),
        cmocka_unit_test(code_lengths_that_do_not_add_up_are_refused),
        cmocka_unit_test(lengths_may_repeat_from_literals_into_distances),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(a_stored_length_needs_its_complement),
    };
    return cmocka_run_group_tests_name("inflate", tests, NULL, NULL);
}
