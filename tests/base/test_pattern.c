#include "pattern.h"
#include "support.h"

static bool matches(const char *pattern, const char *name)
{
    firn__term term;
    const char *cursor = pattern;
    assert_int_equal(firn__term_next(&cursor, &term), 1);
    return firn__term_matches(&term, name);
}

static void a_layer_name_takes_everything_below_it(void **state)
{
    (void)state;
    assert_true(matches("conv1", "conv1"));
    assert_true(matches("conv1", "conv1.weight"));
    assert_true(matches("a.b", "a.b.c.weight"));
    assert_false(matches("conv1", "conv10.weight"));
    assert_false(matches("conv1", "conv"));
    assert_false(matches("conv1.weight", "conv1"));
    assert_false(matches("weight", "conv1.weight"));
}

static void a_star_is_any_run_and_a_question_mark_one_character(void **state)
{
    (void)state;
    assert_true(matches("*", "a.b.c"));
    assert_true(matches("*.weight", "a.b.weight"));
    assert_true(matches("a.*", "a.b.c"));
    assert_false(matches("a.*", "a"));
    assert_true(matches("bn?.running_*", "bn1.running_mean"));
    assert_false(matches("bn?.running_*", "bn12.running_mean"));
    assert_false(matches("bn?", "bn.x"));
    assert_false(matches("bn?x", "bn.x"));
    assert_true(matches("bn?x", "bn1x"));
    assert_true(matches("*a*b*c", "xxaxxbxaxbxxc"));
    assert_false(matches("*a*b*c", "xxaxxbxaxbxx"));
    assert_true(matches("f*.bias", "features.3.bias"));
}

static void wildcards_do_not_take_exponential_time(void **state)
{
    (void)state;
    char name[1001];
    for (int i = 0; i < 1000; i++) name[i] = 'a';
    name[1000] = '\0';
    assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
}

static void a_selector_is_a_list_of_terms(void **state)
{
    (void)state;
    firn__term term;
    const char *cursor = " features.* , !features.3.bias,head";
    assert_int_equal(firn__term_next(&cursor, &term), 1);
    assert_int_equal(term.length, 10);
    assert_false(term.minus);
    assert_int_equal(firn__term_next(&cursor, &term), 1);
    assert_true(term.minus);
    assert_memory_equal(term.text, "features.3.bias", term.length);
    assert_int_equal(firn__term_next(&cursor, &term), 1);
    assert_int_equal(term.length, 4);
    assert_int_equal(firn__term_next(&cursor, &term), 0);
    static const char *const malformed[] = {"", " ", ",", "a,", "!", "a,,b", "a, !", "!!a", "a, ! !b"};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        int found;
        cursor = malformed[i];
        while ((found = firn__term_next(&cursor, &term)) == 1) {
        }
        assert_int_equal(found, -1);
    }
}

static void names_are_dotted_without_blanks_or_wildcards(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a.b", "features.0.weight", "_x-y/z", "\xc3\xa9t\xc3\xa9"};
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a b", "a,b", "!a", "a*", "a?", "a\n", "a\x7f"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(firn__name_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(firn__name_valid(bad[i]));
    assert_false(firn__name_valid(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_name_takes_everything_below_it),
        cmocka_unit_test(a_star_is_any_run_and_a_question_mark_one_character),
        cmocka_unit_test(wildcards_do_not_take_exponential_time),
        cmocka_unit_test(a_selector_is_a_list_of_terms),
        cmocka_unit_test(names_are_dotted_without_blanks_or_wildcards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
