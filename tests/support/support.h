/* support.h: what every test includes: cmocka in the order it wants, comparisons that fail on NaN, an allocator that
 * counts, checks and fails, contexts, and random data. */
#ifndef FIRN_TESTS_SUPPORT_H
#define FIRN_TESTS_SUPPORT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <firn/firn.h>

/* cmocka's accept NaN == 1. */
#undef assert_float_equal
#undef assert_float_not_equal
#undef assert_double_equal
#undef assert_double_not_equal
#if defined(__GNUC__)
#pragma GCC poison assert_float_equal assert_float_not_equal assert_double_equal assert_double_not_equal
#endif

/* How many random shapes a kernel is tried on. Sanitizers see in a few hundred what they can see at all, and take a hundred
 * times as long for each. */
#ifdef FIRN_TESTS_SANITIZED
#define TEST_SHAPES(count) ((count) / 8)
#else
#define TEST_SHAPES(count) (count)
#endif

/* ---- comparisons: |actual - expected| <= atol + rtol * |expected|; NaN is close to nothing, infinity to itself ---- */
#define assert_close(actual, expected, rtol, atol)                                                                         \
    test_close((double)(actual), (double)(expected), (rtol), (atol), #actual, __FILE__, __LINE__)
/* count floats; the message names the index of the worst element. */
#define assert_close_array(actual, expected, count, rtol, atol)                                                            \
    test_close_array((actual), (expected), (count), (rtol), (atol), #actual, __FILE__, __LINE__)
/* The same against a reference in double. */
#define assert_close_to_double(actual, expected, count, rtol, atol)                                                        \
    test_close_to_double((actual), (expected), (count), (rtol), (atol), #actual, __FILE__, __LINE__)
/* count floats, bit by bit: -0 is not 0, and a NaN equals the same NaN. */
#define assert_bits_equal(actual, expected, count)                                                                         \
    test_bits_equal((actual), (expected), (count), #actual, __FILE__, __LINE__)

/* ---- statuses; a failure prints firn_message(ctx) ---- */
#define assert_status(ctx, expected, call) test_status((ctx), (expected), (call), #call, __FILE__, __LINE__)
#define assert_ok(ctx, call) test_status((ctx), FIRN_OK, (call), #call, __FILE__, __LINE__)
/* Each of the blank-separated words is somewhere in firn_message(ctx). */
#define assert_message_has(ctx, words) test_message_has((ctx), (words), __FILE__, __LINE__)
/* The call fails with this status and with these words in its message; the error is cleared before and after. */
#define assert_fails(ctx, expected, call, words)                                                                           \
    do {                                                                                                                   \
        firn_clear_error(ctx);                                                                                             \
        test_status((ctx), (expected), (call), #call, __FILE__, __LINE__);                                                 \
        test_message_has((ctx), (words), __FILE__, __LINE__);                                                              \
        firn_clear_error(ctx);                                                                                             \
    } while (0)
/* The same for a builder, which returns NULL. */
#define assert_refused(ctx, expected, call, words)                                                                         \
    do {                                                                                                                   \
        firn_clear_error(ctx);                                                                                             \
        const firn_status refused = (call) == NULL ? firn_last_error(ctx) : FIRN_OK;                                       \
        test_status((ctx), (expected), refused, #call, __FILE__, __LINE__);                                                \
        test_message_has((ctx), (words), __FILE__, __LINE__);                                                              \
        firn_clear_error(ctx);                                                                                             \
    } while (0)

void test_close(double actual, double expected, double rtol, double atol, const char *what, const char *file, int line);
void test_close_array(const float *actual, const float *expected, size_t count, double rtol, double atol, const char *what,
                      const char *file, int line);
void test_close_to_double(const float *actual, const double *expected, size_t count, double rtol, double atol,
                          const char *what, const char *file, int line);
void test_bits_equal(const float *actual, const float *expected, size_t count, const char *what, const char *file,
                     int line);
void test_status(const firn_ctx *ctx, firn_status expected, firn_status actual, const char *what, const char *file,
                 int line);
void test_message_has(const firn_ctx *ctx, const char *words, const char *file, int line);

/* ---- memory: counts, fails the test when old_size is not what was given before, poisons what it hands out and takes
 * back. Zero-initialise one. ---- */
typedef struct test_memory {
    size_t bytes, peak; /* handed out now; the most at one time */
    size_t blocks;      /* handed out now */
    size_t calls;       /* that asked for memory, resizing included */
    size_t fail_at;     /* this call (counted from 1) returns NULL, once; zero: none */
} test_memory;
firn_allocator test_memory_allocator(test_memory *memory);
#define assert_all_freed(memory)                                                                                           \
    do {                                                                                                                   \
        assert_int_equal((memory)->bytes, 0);                                                                              \
        assert_int_equal((memory)->blocks, 0);                                                                             \
    } while (0)

/* ---- contexts ---- */
/* memory, isa: may be NULL. threads 0: 1. Fails the test if there is no context. */
firn_ctx *test_ctx(test_memory *memory, int threads, const char *isa);
/* The instruction sets this CPU runs, "ref" first; NULL ends the list. */
const char *const *test_isas(void);

/* ---- random data: a function of the seed alone ---- */
uint64_t test_random(uint64_t *state); /* splitmix64 (Steele et al. 2014) */
void test_fill(float *x, size_t count, uint64_t seed, float low, float high);
void test_fill_bytes(uint8_t *x, size_t count, uint64_t seed, unsigned bound);

#endif
