#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_program.h"

static program_run r;

static size_t longest_line(const char *text)
{
    size_t longest = 0;
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        if (length > longest) longest = length;
        text += length + (text[length] == '\n');
    }
    return longest;
}

static void every_net_has_a_table_of_120_columns(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        size_t lines;
    } nets[] = {{"", 8}, {"--net mlp", 7}, {"--net residual --batch 7", 10}};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        run_program(PROGRAM, nets[i].arguments, &r);
        assert_int_equal(r.status, 0);
        assert_string_equal(r.err, "");
        assert_int_equal(count_lines(r.out), nets[i].lines);
        assert_true(longest_line(r.out) <= 120);
    }
}

/* FREEZE, the reference job, in multiply-adds a sample: 18.09 M with nothing frozen, 6.69 M with the features
 * frozen (2.7 times less), 1.18 M with them cached (15.3 times less). */
static void the_reference_net_has_the_known_cost(void **state)
{
    (void)state;
    run_program(PROGRAM, "features", &r);
    const char *row = strstr(r.out, "\nfeatures");
    double v[13];
    assert_non_null(row);
    assert_int_equal(sscanf(row, "\nfeatures %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf", &v[0], &v[1], &v[2],
                            &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10], &v[11], &v[12]),
                     13);
    assert_close(v[0], 590.6, 1e-3, 0);              /* thousands of trained parameters */
    assert_close(v[1] + v[2] + v[3], 13.4, 1e-2, 0); /* MFLOP */
    assert_close(v[11], 2.7, 0, 0.06);
    assert_close(v[12], 15.3, 0, 0.2);
}

static void a_selector_without_a_match_is_a_failure_of_one_line(void **state)
{
    (void)state;
    static const char *const selectors[] = {"nothere", "features.dropout"}; /* which has no tensors */
    for (size_t i = 0; i < 2; i++) {
        char arguments[64];
        snprintf(arguments, sizeof arguments, "features %s", selectors[i]);
        run_program(PROGRAM, arguments, &r);
        assert_int_equal(r.status, 1);
        assert_string_equal(r.out, "");
        assert_int_equal(count_lines(r.err), 1);
        assert_non_null(strstr(r.err, selectors[i]));
    }
}

static void wrong_usage_is_told_apart(void **state)
{
    (void)state;
    static const char *const wrong[] = {"--nat cnn", "--net resnet", "--net", "--batch 0", "--batch 7x", "--batch"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        run_program(PROGRAM, wrong[i], &r);
        assert_int_equal(r.status, 2);
        assert_int_equal(count_lines(r.err), 1);
        assert_string_equal(r.out, "");
    }
    run_program(PROGRAM, "--help", &r);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "usage: what_if"));
    run_program(PROGRAM, "--net residual --list", &r);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "stage2.0.down.bn.running_var"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_net_has_a_table_of_120_columns),
        cmocka_unit_test(the_reference_net_has_the_known_cost),
        cmocka_unit_test(a_selector_without_a_match_is_a_failure_of_one_line),
        cmocka_unit_test(wrong_usage_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
