#include <math.h>
#include <string.h>

#include "support.h"

static const char *output_of(const firn_progress *p, size_t n)
{
    static char text[4096];
    FILE *f = tmpfile();
    assert_non_null(f);
    for (size_t i = 0; i < n; i++) assert_int_equal(firn_progress_bar(&p[i], f), 0);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void a_file_gets_a_line_an_epoch_and_nothing_else(void **state)
{
    (void)state;
    const firn_progress p[] = {
        {.epoch = 1,
         .epochs = 2,
         .step = 1,
         .steps = 2,
         .loss = 2,
         .accuracy = 0.25f,
         .val_loss = NAN,
         .val_accuracy = NAN},
        {.epoch = 1,
         .epochs = 2,
         .step = 2,
         .steps = 2,
         .loss = 1.5f,
         .accuracy = 0.5f,
         .val_loss = 1.25f,
         .val_accuracy = 0.75f,
         .seconds = 2,
         .samples_per_second = 1000,
         .epoch_end = true},
        {.epoch = 2,
         .epochs = 2,
         .step = 2,
         .steps = 2,
         .loss = 1,
         .accuracy = NAN,
         .val_loss = NAN,
         .val_accuracy = NAN,
         .seconds = 0.5,
         .samples_per_second = 4000,
         .epoch_end = true,
         .cached = true},
    };
    assert_string_equal(
        output_of(p, 3),
        "epoch 1/2  loss 1.5000  accuracy 0.5000  val_loss 1.2500  val_accuracy 0.7500  2.00 s, 1000 samples/s\n"
        "epoch 2/2  loss 1.0000  0.50 s, 4000 samples/s from cached features\n");
}

static void nothing_to_write_to_is_no_crash(void **state)
{
    (void)state;
    const firn_progress p = {.steps = 1};
    assert_int_equal(firn_progress_bar(&p, NULL), 0);
    assert_int_equal(firn_progress_bar(NULL, stderr), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gets_a_line_an_epoch_and_nothing_else),
        cmocka_unit_test(nothing_to_write_to_is_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
