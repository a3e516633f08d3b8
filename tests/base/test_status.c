/* Statuses and the one sentence that a context keeps. */
#include <stdio.h>
#include <string.h>

#include "support.h"

static void every_status_has_a_name_and_a_text(void **state)
{
    (void)state;
    assert_string_equal(firn_status_name(FIRN_OK), "OK");
    assert_string_equal(firn_status_name(FIRN_ERR_SHAPE), "ERR_SHAPE");
    assert_string_equal(firn_status_name(FIRN_STOPPED), "STOPPED");
    assert_string_equal(firn_status_text(FIRN_ERR_MEMORY), "out of memory");
    assert_string_equal(firn_status_name((firn_status)12), "?");
    assert_string_equal(firn_status_text((firn_status)-1), "unknown status");
}

static void the_first_error_stays_until_it_is_cleared(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    assert_int_equal(firn_last_error(ctx), FIRN_OK);
    assert_int_equal(firn_fail(ctx, FIRN_ERR_IO, "number %d", 1), FIRN_ERR_IO);
    assert_int_equal(firn_fail(ctx, FIRN_ERR_NAME, "number %d", 2), FIRN_ERR_NAME);
    assert_int_equal(firn_last_error(ctx), FIRN_ERR_IO);
    assert_string_equal(firn_message(ctx), "number 1");
    firn_clear_error(ctx);
    assert_int_equal(firn_last_error(ctx), FIRN_OK);
    assert_string_equal(firn_message(ctx), "");
    assert_int_equal(firn_fail(NULL, FIRN_ERR_NAME, "nobody hears"), FIRN_ERR_NAME);
    firn_ctx_destroy(ctx);
}

static void a_sentence_that_is_too_long_ends_in_dots(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    assert_int_equal(firn_fail(ctx, FIRN_ERR_IO, "%05000d", 7), FIRN_ERR_IO);
    const char *message = firn_message(ctx);
    const size_t length = strlen(message);
    assert_true(length > 500 && length < 5000);
    assert_string_equal(message + length - 4, "0...");
    firn_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_and_a_text),
        cmocka_unit_test(the_first_error_stays_until_it_is_cleared),
        cmocka_unit_test(a_sentence_that_is_too_long_ends_in_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
