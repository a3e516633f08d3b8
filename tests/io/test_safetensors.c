#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "io_support.h"
#include "safetensors.h"

static const char *const path = "firn_test_st.safetensors";
static test_memory memory;
static size_t of_context; /* its blocks */
static firn_ctx *ctx;

/* Reads the file; st and file stay open if it is good. */
static bool reads(firn__st *st, firn__file *file)
{
    firn_clear_error(ctx);
    assert_true(firn__file_open(file, ctx, path));
    const bool good = firn__st_read(st, file);
    assert_int_equal(good, file->status == FIRN_OK);
    if (!good) {
        assert_one_line(firn_message(ctx));
        firn__st_free(st);
        firn__file_close(file);
    }
    return good;
}

static void done(firn__st *st, firn__file *file)
{
    firn__st_free(st);
    firn__file_close(file);
    remove(path);
    assert_int_equal(memory.blocks, of_context);
}

#define ENTRY(name, type, shape, begin, end)                                                                               \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void every_rule_has_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t bytes;
        const char *words; /* NULL: accepted */
    } rows[] = {
        {"{}", 0, NULL},
        {"{} \n\t\r", 0, NULL},
        {"{" ENTRY("w", "F32", "[2]", 0, 8) "}", 8, NULL},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ twice"},
        {"{\"__metadata__\":{\"a\":\"1\",\"b\":\"2\",\"a\":\"3\"}}", 0, "a twice"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "must stand here"},
        {"{\"__metadata__\":{\"a\" \"1\"}}", 0, "\":\""},
        {"{\"__metadata__\":{1}}", 0, "must stand here"},
        {"{\"__metadata__\":{\"a\":\"1\" \"b\":\"1\"}}", 0, "\",\""},
        {"{\"__metadata__\":1}", 0, "\"{\""},
        {"{\"w\" 1}", 0, "\":\""},
        {"{1}", 0, "must stand here"},
        {"{" ENTRY("w", "F32", "[2]", 0, 8) " " ENTRY("v", "F32", "[0]", 0, 0) "}", 8, "\",\""},
        {"{" ENTRY("w", "F32", "[2]", 0, 8) "} {}", 8, "only white space"},
        {"[]", 0, "begin {"},
        {"{\"w\":1}", 0, "\"{\""},
        {"{\"w\":{}}", 0, "missing"},
        {"{\"w\":{\"dtype\":\"F32\"}}", 0, "missing"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, "missing"},
        {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "missing"},
        {"{\"w\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4, "missing"},
        {"{\"w\":{1}}", 0, "must stand here"},
        {"{\"w\":{\"dtype\" 1}}", 0, "\":\""},
        {"{\"w\":{\"dtype\":\"F32\" 1}}", 0, "\",\""},
        {"{\"w\":{\"other\":1}}", 0, "nothing else"},
        {"{\"w\":{\"shape\":[],\"shape\":[]}}", 0, "each once"},
        {"{\"w\":{\"dtype\":1}}", 0, "must stand here"},
        {"{\"w\":{\"dtype\":\"f32\"}}", 0, "no dtype f32"},
        {"{\"w\":{\"shape\":1}}", 0, "\"[\""},
        {"{\"w\":{\"shape\":[1 1]}}", 0, "\",\""},
        {"{\"w\":{\"shape\":[x]}}", 0, "whole number"},
        {"{\"w\":{\"data_offsets\":1}}", 0, "\"[\""},
        {"{\"w\":{\"data_offsets\":[x,1]}}", 0, "whole number"},
        {"{\"w\":{\"data_offsets\":[1]}}", 0, "\",\""},
        {"{\"w\":{\"data_offsets\":[1,x]}}", 0, "whole number"},
        {"{\"w\":{\"data_offsets\":[1,2,3]}}", 0, "\"]\""},
        {"{" ENTRY("w", "F32", "[4611686018427387904]", 0, 0) "}", 0, "w product out of range"},
        {"{" ENTRY("w", "F32", "[4294967296,4294967296]", 0, 0) "}", 0, "w product out of range"},
        {"{" ENTRY("w", "F4", "[3]", 0, 2) "}", 2, "w whole bytes"},
        {"{" ENTRY("w", "F32", "[0]", 8, 0) "}", 8, "w end before they begin"},
        {"{" ENTRY("w", "F32", "[2]", 0, 7) "}", 7, "w another number of bytes"},
        {"{" ENTRY("w", "F32", "[2]", 1, 9) "}", 9, "w before it belong to no tensor"},
        {"{" ENTRY("w", "F32", "[2]", 0, 8) "}", 7, "w after the end of the file"},
        {"{" ENTRY("w", "F32", "[2]", 0, 8) "}", 9, "last 1 bytes"},
        {"{" ENTRY("w", "U8", "[8]", 0, 8) "," ENTRY("v", "U8", "[8]", 4, 12) "}", 12, "v overlap"},
        {"{" ENTRY("w", "U8", "[8]", 0, 8) "," ENTRY("\\u0077", "U8", "[8]", 8, 16) "}", 16, "w twice"},
        {"{" ENTRY("a\\nb", "F32", "[2]", 0, 7) "}", 7, "a?b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        firn__st st;
        firn__file file;
        put_safetensors(path, rows[i].header, rows[i].bytes);
        const bool good = reads(&st, &file);
        if (good != (rows[i].words == NULL)) fail_msg("row %zu, %s: %s", i, rows[i].header, firn_message(ctx));
        if (good)
            done(&st, &file);
        else
            assert_message_has(ctx, rows[i].words);
    }
    remove(path);
}

static void entries_metadata_and_shapes_are_found(void **state)
{
    (void)state;
    firn__st st;
    firn__file file;
    char text[FIRN__ST_SHAPE_TEXT];
    put_safetensors(
        path,
        "{" ENTRY("b", "U8", "[ 2 , 3 ]", 4, 10) ",\"__metadata__\":{\"k\":\"v\",\"\":\"\",\"a\\u0041\":\"\\n\"}," ENTRY(
            "a", "F32", "[]", 0, 4) "," ENTRY("z", "F64",
                                              "[0,99999999999,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,"
                                              "24,25,26,27,28,29,30,31,32,33]",
                                              4, 4) "}",
        10);
    assert_true(reads(&st, &file));
    assert_int_equal(st.count, 3);
    const firn__st_entry *b = firn__st_find(&st, "b"), *z = firn__st_find(&st, "z");
    assert_null(firn__st_find(&st, "c"));
    assert_null(firn__st_find(&st, ""));
    assert_int_equal(firn__st_elements(b), 6);
    assert_string_equal(firn__st_shape_text(&st, b, text), "[2, 3]");
    assert_true(firn__st_shape_is(&st, b, FIRN_SHAPE(2, 3)));
    assert_false(firn__st_shape_is(&st, b, FIRN_SHAPE(3, 2)));
    assert_false(firn__st_shape_is(&st, b, FIRN_SHAPE(2)));
    assert_true(firn__st_shape_is(&st, firn__st_find(&st, "a"), FIRN_SCALAR));
    assert_string_equal(firn__st_shape_text(&st, firn__st_find(&st, "a"), text), "[]");
    assert_true(strlen(firn__st_shape_text(&st, z, text)) < sizeof text);
    assert_non_null(strstr(text, ", ...]"));
    assert_string_equal(firn__st_metadata(&st, "k"), "v");
    assert_string_equal(firn__st_metadata(&st, ""), "");
    assert_string_equal(firn__st_metadata(&st, "aA"), "\n");
    assert_null(firn__st_metadata(&st, "K"));
    assert_string_equal(firn__st_type_name(z->type), "F64");
    done(&st, &file);
}

static void the_length_of_the_header_is_not_trusted(void **state)
{
    (void)state;
    static const struct {
        uint64_t length;
        const char *words;
    } rows[] = {{0, "empty"},          {3, "after the end"},   {100000000, "after the end"},
                {100000001, "longer"}, {UINT64_MAX, "longer"}, {UINT64_MAX - 7, "longer"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        firn__st st;
        firn__file file;
        uint8_t bytes[10] = {0};
        firn__put_le64(bytes, rows[i].length);
        bytes[8] = '{', bytes[9] = '}';
        put_file(path, bytes, sizeof bytes);
        memory.peak = memory.bytes;
        assert_false(reads(&st, &file));
        assert_message_has(ctx, rows[i].words);
        assert_true(memory.peak - memory.bytes < 1000);
        for (size_t n = 0; n < 8; n++) {
            put_file(path, bytes, n);
            assert_false(reads(&st, &file));
            assert_message_has(ctx, "the file ends");
        }
    }
    remove(path);
}

/* 0x280 and 0x580 begin like a pickle, but are lengths. */
static void a_header_may_have_any_length(void **state)
{
    (void)state;
    char header[1600];
    for (size_t length = 2; length < sizeof header - 1; length++) {
        firn__st st;
        firn__file file;
        memset(header, ' ', length);
        memcpy(header, "{}", 2);
        header[length] = '\0';
        put_safetensors(path, header, 0);
        if (!reads(&st, &file)) fail_msg("%s", firn_message(ctx));
        done(&st, &file);
    }
}

/* 2 MB of names, ranges and keys in the orders that hurt a careless sort. */
static void many_tensors_take_little_time_and_memory(void **state)
{
    (void)state;
    enum { N = 20000 };
    for (int order = 0; order < 3; order++) {
        char *header = malloc(N * 140), *p = header;
        assert_non_null(header);
        p += sprintf(p, "{\"__metadata__\":{");
        for (int i = 0; i < N; i++)
            p += sprintf(p, "%s\"k%d\":\"\"", i ? "," : "", order == 0 ? i : order == 1 ? N - i : i * 7919 % N);
        *p++ = '}';
        for (int i = 0; i < N; i++) {
            const int at = order == 0 ? i : order == 1 ? N - 1 - i : i * 7919 % N;
            p += sprintf(p, ",\"tensor.%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}", at, at, at + 1);
        }
        strcpy(p, "}");
        firn__st st;
        firn__file file;
        put_safetensors(path, header, N);
        memory.peak = memory.bytes;
        assert_true(reads(&st, &file));
        assert_int_equal(st.count, N);
        assert_int_equal(st.pairs, N);
        assert_true(memory.peak - memory.bytes < strlen(header) * 3);
        for (int i = 0; i < N; i += 97) {
            char name[32];
            sprintf(name, "tensor.%d", i);
            assert_int_equal(firn__st_find(&st, name)->begin, i);
        }
        done(&st, &file);
        free(header);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    firn__st st;
    firn__file file;
    bool good = false;
    put_safetensors(path, "{\"__metadata__\":{\"a\":\"b\"}," ENTRY("w", "F32", "[2]", 0, 8) "}", 8);
    size_t k = 0;
    for (; !good; k++) {
        firn_clear_error(ctx);
        assert_true(firn__file_open(&file, ctx, path));
        memory.fail_at = memory.calls + 1 + k;
        good = firn__st_read(&st, &file);
        memory.fail_at = 0;
        assert_int_equal(file.status, good ? FIRN_OK : FIRN_ERR_MEMORY);
        assert_int_equal(firn_last_error(ctx), file.status);
        firn__st_free(&st);
        firn__file_close(&file);
        assert_int_equal(memory.blocks, of_context);
    }
    assert_int_equal(k, 6);
    remove(path);
}

int main(void)
{
    ctx = test_ctx(&memory, 1, NULL);
    of_context = memory.blocks;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_has_its_words),
        cmocka_unit_test(entries_metadata_and_shapes_are_found),
        cmocka_unit_test(the_length_of_the_header_is_not_trusted),
        cmocka_unit_test(a_header_may_have_any_length),
        cmocka_unit_test(many_tensors_take_little_time_and_memory),
        cmocka_unit_test(every_allocation_may_fail),
    };
    const int failed = cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
    firn_ctx_destroy(ctx);
    return failed;
}
