#include <string.h>

#include "io_support.h"
#include "json.h"

static firn_ctx *ctx;

typedef struct reading {
    firn__file file;
    firn__json json;
    char text[512];
} reading;

static void start(reading *r, const char *text)
{
    firn_clear_error(ctx);
    firn__file_wrap(&r->file, ctx, NULL, "file");
    assert_true(strlen(text) < sizeof r->text);
    memset(r->text, '~', sizeof r->text); /* what lies behind must not be touched */
    memcpy(r->text, text, strlen(text));
    r->json = (firn__json){.file = &r->file, .place = 8, .text = r->text, .size = strlen(text)};
}

static void texts_are_unescaped(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text; /* NULL: refused */
        const char *words;
    } rows[] = {
        {"\"\"", "", ""},
        {" \t\r\n\"a b\"", "a b", ""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", ""},
        {"\"\\u0041\\u00e9\\u20AC\\uFFFF\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf", ""},
        {"\"\\ud83d\\ude00\\uDBFF\\uDFFF\"", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", ""},
        {"\"\x7f\xe2\x80\xa8\"", "\x7f\xe2\x80\xa8", ""},
        {"", NULL, "byte 8 \"\"\" must"},
        {"x", NULL, "must stand here"},
        {"\"abc", NULL, "byte 12 does not end"},
        {"\"abc\\", NULL, "no escape"},
        {"\"\\x41\"", NULL, "no escape"},
        {"\"\\u12\"", NULL, "four hexadecimal"},
        {"\"\\u12g4\"", NULL, "four hexadecimal"},
        {"\"\\u12G4\"", NULL, "four hexadecimal"},
        {"\"\\u12/4\"", NULL, "four hexadecimal"},
        {"\"\\u12@4\"", NULL, "four hexadecimal"},
        {"\"\\u12`4\"", NULL, "four hexadecimal"},
        {"\"\\u1", NULL, "four hexadecimal"},
        {"\"\\u0000\"", NULL, "NUL"},
        {"\"\\udc00\"", NULL, "surrogate"},
        {"\"\\ud800\"", NULL, "surrogate"},
        {"\"\\ud800x\"", NULL, "surrogate"},
        {"\"\\ud800\\n\"", NULL, "surrogate"},
        {"\"\\ud800\\u0041\"", NULL, "surrogate"},
        {"\"\\ud800\\ue000\"", NULL, "surrogate"},
        {"\"\\ud800\\", NULL, "surrogate"},
        {"\"\\ud800\\u1", NULL, "surrogate"},
        {"\"\n\"", NULL, "control character"},
        {"\"\xff\"", NULL, "UTF-8"},
        {"\"\xc0\x80\"", NULL, "UTF-8"},
        {"\"\xe0\x9f\xbf\"", NULL, "UTF-8"},
        {"\"\xed\xa0\x80\"", NULL, "UTF-8"},
        {"\"\xf0\x8f\xbf\xbf\"", NULL, "UTF-8"},
        {"\"\xf4\x90\x80\x80\"", NULL, "UTF-8"},
        {"\"\xe2\x80\"", NULL, "UTF-8"},
        {"\"\xe2\x80", NULL, "UTF-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reading r;
        char *text;
        start(&r, rows[i].json);
        const bool good = firn__json_string(&r.json, &text);
        if (good != (rows[i].text != NULL)) fail_msg("row %zu: %s", i, firn_message(ctx));
        if (good) {
            assert_string_equal(text, rows[i].text);
            assert_int_equal(r.json.at, r.json.size);
        } else {
            assert_message_has(ctx, rows[i].words);
            assert_message_has(ctx, "file: byte");
            assert_int_equal(r.file.status, FIRN_ERR_FORMAT);
        }
        assert_int_equal(r.text[r.json.size], '~');
    }
    reading r; /* a raw NUL */
    char *text;
    start(&r, "\"a\"");
    r.text[1] = '\0';
    assert_false(firn__json_string(&r.json, &text));
    assert_message_has(ctx, "control");
}

static void numbers_are_whole_and_in_range(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},    {" 7,", true, 7},  {"18446744073709551615]", true, UINT64_MAX},
        {"00", false, 0},  {"01", false, 0},  {"18446744073709551616", false, 0},
        {"-0", false, 0},  {"-1", false, 0},  {"99999999999999999999999", false, 0},
        {"1.0", false, 0}, {"1e3", false, 0}, {"1E3", false, 0},
        {"", false, 0},    {"x", false, 0},   {"+1", false, 0},
        {"/", false, 0},   {":", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        reading r;
        uint64_t value = 99;
        start(&r, rows[i].json);
        if (firn__json_number(&r.json, &value) != rows[i].good) fail_msg("row %zu: %s", i, rows[i].json);
        if (rows[i].good) assert_true(value == rows[i].value);
    }
}

/* Counts the members of an array of numbers; -1 if it is malformed. */
static int members(const char *text)
{
    reading r;
    bool first = true, more = true;
    uint64_t value;
    int count = 0;
    start(&r, text);
    if (!firn__json_char(&r.json, '[')) return -1;
    for (;; count++) {
        if (!firn__json_next(&r.json, ']', &first, &more)) return -1;
        if (!more) return firn__json_end(&r.json) ? count : -1;
        if (!firn__json_number(&r.json, &value)) return -1;
    }
}

static void members_are_stepped_through(void **state)
{
    (void)state;
    assert_int_equal(members("[]"), 0);
    assert_int_equal(members(" [ ] "), 0);
    assert_int_equal(members("[1]"), 1);
    assert_int_equal(members("[ 1 ,\t2\r,\n3 ]"), 3);
    static const char *const bad[] = {"",      "[",      "]",    "[1",    "[1,", "[1,]", "[,1]",
                                      "[1 2]", "[1,,2]", "[1]]", "[1] x", "{1]", "[\v1]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (members(bad[i]) != -1) fail_msg("accepted: %s", bad[i]);
}

int main(void)
{
    ctx = test_ctx(NULL, 1, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_unescaped),
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(members_are_stepped_through),
    };
    const int failed = cmocka_run_group_tests_name("json", tests, NULL, NULL);
    firn_ctx_destroy(ctx);
    return failed;
}
