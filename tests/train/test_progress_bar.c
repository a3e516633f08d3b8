#define _XOPEN_SOURCE 700 /* pipes, pseudo terminals and the environment, for what counts as a terminal */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
        "epoch 2/2  loss 1.0000  0.50 s, 4000 samples/s with cached features\n");
}

/* A pipe cannot be positioned: like a terminal. */
static const char *piped(const firn_progress *p, const char *term, const char *ci)
{
    static char text[512];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    if (term != NULL)
        setenv("TERM", term, 1);
    else
        unsetenv("TERM");
    if (ci != NULL)
        setenv("CI", ci, 1);
    else
        unsetenv("CI");
    FILE *f = fdopen(ends[1], "w");
    assert_int_equal(firn_progress_bar(p, f), 0);
    fclose(f);
    const ssize_t n = read(ends[0], text, sizeof text - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    close(ends[0]);
    return text;
}

/* What comes out at the other end where stdout leads to `to`. */
static const char *printed_to(int to, int other, const firn_progress *p)
{
    static char text[512];
    fflush(stdout);
    const int kept = dup(1);
    setenv("TERM", "xterm", 1);
    unsetenv("CI");
    assert_true(kept >= 0 && dup2(to, 1) == 1);
    firn_progress_bar(p, stdout);
    assert_int_equal(dup2(kept, 1), 1);
    close(kept);
    close(to);
    const ssize_t n = read(other, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    close(other);
    return text;
}

static void stdout_is_a_terminal_only_where_it_leads_to_one(void **state)
{
    (void)state;
    const firn_progress p = {
        .epoch = 1, .epochs = 2, .step = 30, .steps = 100, .loss = 0.5f, .accuracy = NAN, .seconds = 3};
    FILE *linux = fopen("/proc/self/fdinfo/1", "r");
    if (linux == NULL) skip();
    fclose(linux);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_string_equal(printed_to(ends[1], ends[0], &p), "");
    const int other = posix_openpt(O_RDWR | O_NOCTTY);
    if (other < 0 || grantpt(other) != 0 || unlockpt(other) != 0) skip();
    const int terminal = open(ptsname(other), O_RDWR | O_NOCTTY);
    if (terminal < 0) skip();
    assert_non_null(strstr(printed_to(terminal, other, &p), "epoch 1/2 [####"));
}

static void a_terminal_gets_a_bar_with_the_time_left(void **state)
{
    (void)state;
    firn_progress p = {.epoch = 1,
                       .epochs = 2,
                       .step = 30,
                       .steps = 100,
                       .loss = 0.5f,
                       .accuracy = NAN,
                       .val_loss = NAN,
                       .val_accuracy = NAN,
                       .seconds = 3,
                       .samples_per_second = 1280};
    assert_string_equal(piped(&p, "xterm", NULL),
                        "\repoch 1/2 [#########.....................]  loss 0.5000  1280/s  ETA 17 s   ");
    p.seconds = 60;
    assert_non_null(strstr(piped(&p, "xterm", NULL), "ETA 5:40 min "));
    p.seconds = 3000;
    assert_non_null(strstr(piped(&p, "xterm", NULL), "ETA 4:43:20 h "));
    p.seconds = 1e30;
    assert_non_null(strstr(piped(&p, "xterm", NULL), " h "));
    p.epoch_end = true;
    p.step = 100;
    assert_non_null(strstr(piped(&p, "xterm", NULL), "\repoch 1/2  loss 0.5000"));
}

static void a_log_gets_no_bar(void **state)
{
    (void)state;
    const firn_progress p = {.epoch = 1, .epochs = 2, .step = 1, .steps = 2, .loss = 1};
    assert_string_equal(piped(&p, NULL, NULL), "");
    assert_string_equal(piped(&p, "", NULL), "");
    assert_string_equal(piped(&p, "dumb", NULL), "");
    assert_string_equal(piped(&p, "xterm", "true"), "");
}

static void a_long_epoch_draws_a_hundred_bars(void **state)
{
    (void)state;
    int drawn = 0;
    for (size_t step = 1; step < 5000; step++) {
        const firn_progress p = {.epoch = 1, .epochs = 1, .step = step, .steps = 5000, .loss = 1};
        drawn += *piped(&p, "xterm", NULL) != '\0';
    }
    assert_int_equal(drawn, 99);
}

static void nothing_to_write_is_no_crash(void **state)
{
    (void)state;
    const firn_progress p = {.steps = 1}, no_steps = {.epoch = 1, .epochs = 1};
    assert_string_equal(piped(&no_steps, "xterm", NULL), "");
    assert_int_equal(firn_progress_bar(&p, NULL), 0);
    assert_int_equal(firn_progress_bar(NULL, stderr), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gets_a_line_an_epoch_and_nothing_else),
        cmocka_unit_test(a_terminal_gets_a_bar_with_the_time_left),
        cmocka_unit_test(stdout_is_a_terminal_only_where_it_leads_to_one),
        cmocka_unit_test(a_log_gets_no_bar),
        cmocka_unit_test(a_long_epoch_draws_a_hundred_bars),
        cmocka_unit_test(nothing_to_write_is_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
