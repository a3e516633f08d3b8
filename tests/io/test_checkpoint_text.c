/* A position in words, and back. */
#include <string.h>

#include "checkpoint.h"
#include "io_support.h"

static void the_text_of_a_position_is_exact(void **state)
{
    (void)state;
    const firn_trainer_position p = {UINT64_MAX, 2, 3, true, 5, 6, 7, 8, -0.1, 10, 11, 12, 1e300, 14, 15};
    firn_trainer_position back;
    char text[FIRN__POSITION_TEXT + 1];
    firn__position_text(&p, text);
    assert_true(firn__position_parse(text, &back));
    assert_memory_equal(&back.loss_sum, &p.loss_sum, sizeof p.loss_sum);
    assert_int_equal(back.steps, UINT64_MAX);
    assert_int_equal(back.stale, 15);
    assert_true(back.running);
    for (size_t n = strlen(text) - 2; n > 0; n--) { /* cut before its last digits: never whole */
        char cut[FIRN__POSITION_TEXT];
        memcpy(cut, text, n);
        cut[n] = '\0';
        assert_false(firn__position_parse(cut, &back));
    }
    strcat(text, " ");
    assert_false(firn__position_parse(text, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_of_a_position_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
