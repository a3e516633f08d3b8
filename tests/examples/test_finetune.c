#include <stdio.h>
#include <string.h>

#include "run_program.h"

static program_run r;

static void wrong_usage_is_told_apart(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",         "in",        "in out more", "--epochs",     "--epochs 0 in out",
                                        "--images", "-x in out", "--threads 0", "--threads 7x", "--threads 65 a b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        run_program(PROGRAM, wrong[i], &r);
        assert_int_equal(r.status, 2);
        assert_non_null(strstr(r.err, "usage: finetune"));
        assert_string_equal(r.out, "");
    }
    char in_out[1100] = "in ";
    memset(in_out + 3, 'x', sizeof in_out - 4);
    run_program(PROGRAM, in_out, &r);
    assert_int_equal(r.status, 2);
    assert_string_equal(r.err, "finetune: the path of OUT is too long\n");
    run_program(PROGRAM, "--help", &r);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "usage: finetune"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
