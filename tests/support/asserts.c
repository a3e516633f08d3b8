#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support.h"

/* A plain failure line, and cmocka's way out. */
#define FAIL(file, line, ...)                                                                                              \
    do {                                                                                                                   \
        print_error(__VA_ARGS__);                                                                                          \
        print_error("\n");                                                                                                 \
        _fail((file), (line));                                                                                             \
    } while (0)

static bool close_enough(double actual, double expected, double rtol, double atol)
{
    return actual == expected || (isfinite(expected) && fabs(actual - expected) <= atol + rtol * fabs(expected));
}

void test_close(double actual, double expected, double rtol, double atol, const char *what, const char *file, int line)
{
    if (!close_enough(actual, expected, rtol, atol))
        FAIL(file, line, "%s is %.9g, not %.9g: off by %.3g (rtol %g, atol %g)", what, actual, expected,
             fabs(actual - expected), rtol, atol);
}

/* How far out of tolerance; a NaN is farther than anything. */
static double excess(double actual, double expected, double rtol, double atol)
{
    if (close_enough(actual, expected, rtol, atol)) return 0;
    const double error = fabs(actual - expected);
    return isfinite(error) ? error / (atol + rtol * fabs(expected) + 1e-300) : HUGE_VAL;
}

typedef struct worst {
    size_t index, wrong;
    double excess;
} worst;

static void note_excess(worst *w, size_t index, double value)
{
    if (value == 0) return;
    if (w->wrong++ == 0 || value > w->excess) w->index = index, w->excess = value;
}

void test_close_array(const float *actual, const float *expected, size_t count, double rtol, double atol, const char *what,
                      const char *file, int line)
{
    worst w = {0};
    for (size_t i = 0; i < count; i++) note_excess(&w, i, excess((double)actual[i], (double)expected[i], rtol, atol));
    if (w.wrong > 0)
        FAIL(file, line, "%zu of %zu elements are off; worst: %s[%zu] is %.9g, not %.9g (rtol %g, atol %g)", w.wrong, count,
             what, w.index, (double)actual[w.index], (double)expected[w.index], rtol, atol);
}

void test_close_to_double(const float *actual, const double *expected, size_t count, double rtol, double atol,
                          const char *what, const char *file, int line)
{
    worst w = {0};
    for (size_t i = 0; i < count; i++) note_excess(&w, i, excess((double)actual[i], expected[i], rtol, atol));
    if (w.wrong > 0)
        FAIL(file, line, "%zu of %zu elements are off; worst: %s[%zu] is %.9g, not %.9g (rtol %g, atol %g)", w.wrong, count,
             what, w.index, (double)actual[w.index], expected[w.index], rtol, atol);
}

void test_bits_equal(const float *actual, const float *expected, size_t count, const char *what, const char *file, int line)
{
    if (count == 0 || memcmp(actual, expected, count * sizeof *actual) == 0) return;
    size_t wrong = 0, first = 0;
    for (size_t i = count; i-- > 0;)
        if (memcmp(&actual[i], &expected[i], sizeof *actual) != 0) wrong++, first = i;
    uint32_t bits[2];
    memcpy(&bits[0], &actual[first], sizeof bits[0]);
    memcpy(&bits[1], &expected[first], sizeof bits[1]);
    FAIL(file, line, "%zu of %zu elements differ; first: %s[%zu] is %.9g (%08lx), not %.9g (%08lx)", wrong, count, what,
         first, (double)actual[first], (unsigned long)bits[0], (double)expected[first], (unsigned long)bits[1]);
}

void test_status(const firn_ctx *ctx, firn_status expected, firn_status actual, const char *what, const char *file,
                 int line)
{
    if (actual != expected)
        FAIL(file, line, "%s gave %s, not %s; message: \"%s\"", what, firn_status_name(actual), firn_status_name(expected),
             firn_message(ctx));
}

void test_message_has(const firn_ctx *ctx, const char *words, const char *file, int line)
{
    const char *message = firn_message(ctx);
    for (const char *p = words + strspn(words, " "); *p != '\0'; p += strspn(p, " ")) {
        char word[128];
        const size_t length = strcspn(p, " ");
        snprintf(word, sizeof word, "%.*s", (int)length, p);
        if (strstr(message, word) == NULL) FAIL(file, line, "no \"%s\" in the message \"%s\"", word, message);
        p += length;
    }
}
