#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_program.h"

static program_run r;

/* ---- is it XML? Enough of the rules for what a program writes without a library: https://www.w3.org/TR/xml/ ---- */

static size_t name_length(const char *x)
{
    return strspn(x, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:-.");
}

/* Behind the attributes, at '>' or "/>"; NULL if there is something else. */
static const char *skip_attributes(const char *x)
{
    while (isspace((unsigned char)*x)) {
        x += strspn(x, " \t\r\n");
        if (*x == '>' || *x == '/') return x;
        const size_t n = name_length(x);
        if (n == 0 || x[n] != '=' || x[n + 1] != '"') return NULL;
        x += n + 2;
        const size_t value = strcspn(x, "\"<&");
        if (x[value] != '"') return NULL;
        x += value + 1;
    }
    return *x == '>' || *x == '/' ? x : NULL;
}

static const char *skip_text(const char *x)
{
    for (; *x != '\0' && *x != '<'; x++)
        if (*x == '&' && strncmp(x, "&amp;", 5) != 0 && strncmp(x, "&lt;", 4) != 0) return NULL;
    return x;
}

/* One element from its '<' to behind its end; NULL if it is not well formed. */
static const char *skip_elements(const char *x)
{
    enum { DEEPEST = 20 };
    char open[DEEPEST][20];
    int depth = 0;
    do {
        const bool end = x[1] == '/';
        const char *name = x + 1 + end;
        const size_t n = name_length(name);
        if (*x != '<' || n == 0 || n >= sizeof open[0]) return NULL;
        if (end) {
            if (depth == 0 || strlen(open[--depth]) != n || memcmp(open[depth], name, n) != 0 || name[n] != '>')
                return NULL;
            x = name + n + 1;
        } else {
            x = skip_attributes(name + n);
            if (x == NULL) return NULL;
            if (*x == '/')
                x++;
            else if (depth == DEEPEST)
                return NULL;
            else
                snprintf(open[depth++], sizeof open[0], "%.*s", (int)n, name);
            if (*x++ != '>') return NULL;
        }
        if (depth > 0 && (x = skip_text(x)) == NULL) return NULL;
    } while (depth > 0);
    return x;
}

static bool is_xml(const char *x)
{
    static const char declaration[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    if (strncmp(x, declaration, strlen(declaration)) != 0) return false;
    x = skip_elements(x + strlen(declaration));
    return x != NULL && x[strspn(x, " \t\r\n")] == '\0';
}

static void the_check_for_xml_knows_what_is_none(void **state)
{
    (void)state;
    char text[200];
    static const struct {
        const char *body;
        bool good;
    } cases[] = {
        {"<a b=\"1\"><c/>x &amp; y</a>", true},
        {"<a><b></a></b>", false},
        {"<a b=1/>", false},
        {"<a b=\"1\"c=\"2\"/>", false},
        {"<a>1 & 2</a>", false},
        {"<a>", false},
        {"<a/><b/>", false},
        {"<a b=\"<\"/>", false},
        {"<a/>\n", true},
        {"", false},
        {"<a>x</a>rest", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n%s", cases[i].body);
        if (is_xml(text) != cases[i].good) fail_msg("%s", cases[i].body);
    }
}

/* ---- the program ---- */

enum { FIELDS = 13, FROM = 0, TO, IMAGES, DEPTH, LAST, MODE, SEED, ACCURACY, LOSS, SECONDS, PEAK, CACHE, TRAINED };

/* Copies line to fields; the number of fields. */
static int split(const char *line, char fields[FIELDS][40])
{
    int n = 0;
    for (;;) {
        const size_t length = strcspn(line, ",\n");
        if (n < FIELDS) snprintf(fields[n], sizeof fields[0], "%.*s", (int)length, line);
        n++;
        if (line[length] != ',') return n;
        line += length + 1;
    }
}

static const char *field(char fields[FIELDS][40], int which) { return fields[which]; }

/* 2 directions x 2 sizes x (nothing transferred, and 5 depths x 3 modes). */
static void check_table(const char *csv)
{
    char now[FIELDS][40], before[FIELDS][40] = {""};
    assert_int_equal(count_lines(csv), 1 + 2 * 2 * (1 + 5 * 3));
    for (const char *line = csv; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_int_equal(split(line, now), FIELDS);
        if (line == csv) continue;
        const double accuracy = strtod(field(now, ACCURACY), NULL);
        assert_true(accuracy >= 0 && accuracy <= 1);
        assert_true(strtod(field(now, SECONDS), NULL) > 0 && strtod(field(now, PEAK), NULL) > 0);
        if (strcmp(field(now, MODE), "frozen-uncached") == 0) { /* the line before is the same run with the cache */
            assert_string_equal(field(before, MODE), "frozen");
            assert_string_equal(field(now, LOSS), field(before, LOSS));
            assert_string_equal(field(now, ACCURACY), field(before, ACCURACY));
            assert_string_equal(field(now, CACHE), "0");
        }
        if (strcmp(field(now, DEPTH), "5") == 0 && strcmp(field(now, MODE), "frozen") == 0)
            assert_string_equal(field(now, TRAINED), "325");
        memcpy(before, now, sizeof now);
    }
}

static void a_quick_run_writes_a_table_and_a_chart(void **state)
{
    (void)state;
    run_program(PROGRAM, "--quick --epochs 2 --threads 1 --csv sweep.csv --svg sweep.svg", &r);
    assert_string_equal(r.err, "");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "10 images a class"));
    check_table(read_text("sweep.csv"));
    const char *svg = read_text("sweep.svg");
    assert_true(is_xml(svg));
    int panels = 0;
    for (const char *g = svg; (g = strstr(g, "<g transform")) != NULL; g++) panels++;
    assert_int_equal(panels, 6);
    static const char *const words[] = {"test accuracy, %", "training time, s", "peak memory, MB", "layers transferred",
                                        "Digits 5-9 to 0-4"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) assert_non_null(strstr(svg, words[i]));
    assert_null(strstr(svg, "nan"));
    remove("sweep.csv");
    remove("sweep.svg");
}

static void a_failure_is_one_line_that_names_the_file(void **state)
{
    (void)state;
    static const char *const failing[][2] = {{"--quick --data nowhere", "nowhere"},
                                             {"--quick --csv no/such/folder.csv", "no/such/folder.csv"}};
    for (size_t i = 0; i < 2; i++) {
        run_program(PROGRAM, failing[i][0], &r);
        assert_int_equal(r.status, 1);
        assert_int_equal(count_lines(r.err), 1);
        assert_non_null(strstr(r.err, failing[i][1]));
    }
}

static void test_images_that_do_not_fit_are_named(void **state)
{
    (void)state;
    put_images("train", 28, 28);
    put_images("t10k", 28, 16);
    run_program(PROGRAM, "--quick --data .", &r);
    assert_int_equal(r.status, 1);
    assert_string_equal(r.err, "freeze_sweep: .: the training images are 28 x 28, but the test images 28 x 16\n");
    static const char *const left[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                       "t10k-labels-idx1-ubyte"};
    for (size_t i = 0; i < 20; i++) put_byte("t10k-labels-idx1-ubyte", 8 + (long)i, 7);
    run_program(PROGRAM, "--quick --data .", &r);
    assert_int_equal(r.status, 1);
    assert_string_equal(r.err, "freeze_sweep: ./t10k-labels-idx1-ubyte.gz: one half of the digits has no images\n");
    put_byte("t10k-labels-idx1-ubyte", 8, 10);
    run_program(PROGRAM, "--quick --data .", &r);
    assert_int_equal(r.status, 1);
    assert_string_equal(r.err, "freeze_sweep: ./t10k-labels-idx1-ubyte.gz: label 0 is 10: digits were expected\n");
    for (size_t i = 0; i < 4; i++) remove(left[i]);
}

static void a_table_that_cannot_be_written_is_a_failure(void **state)
{
    (void)state;
    run_program(PROGRAM, "--quick --csv sweep.csv --svg sweep.svg >/dev/full 2>/dev/null; echo $?", &r);
    assert_string_equal(r.out, "1\n");
    remove("sweep.csv");
    remove("sweep.svg");
}

static void wrong_usage_is_told_apart(void **state)
{
    (void)state;
    static const char *const wrong[] = {"--nothing", "--seeds", "--seeds 0", "--epochs x", "--threads 1000", "file"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        run_program(PROGRAM, wrong[i], &r);
        assert_int_equal(r.status, 2);
        assert_int_equal(count_lines(r.err), 1);
    }
    run_program(PROGRAM, "--help", &r);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "usage: freeze_sweep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_for_xml_knows_what_is_none),
        cmocka_unit_test(a_quick_run_writes_a_table_and_a_chart),
        cmocka_unit_test(a_failure_is_one_line_that_names_the_file),
        cmocka_unit_test(test_images_that_do_not_fit_are_named),
        cmocka_unit_test(a_table_that_cannot_be_written_is_a_failure),
        cmocka_unit_test(wrong_usage_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
