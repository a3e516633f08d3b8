/* How a loop is split. */
#include <firn/op.h>

#include "support.h"

typedef struct seen {
    int64_t least[FIRN_MAX_THREADS]; /* items of the smallest call on each worker; 0: none */
    unsigned char done[100];         /* how often each item was visited: by one worker, if all is well */
} seen;

static void see(void *arg, int64_t begin, int64_t end, int worker)
{
    seen *s = arg;
    if (s->least[worker] == 0 || end - begin < s->least[worker]) s->least[worker] = end - begin;
    for (int64_t i = begin; i < end; i++) s->done[i]++;
}

static void every_item_is_done_once_and_a_call_has_at_least_the_grain(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 3, NULL);
    for (int worker = -1; worker < 1; worker++)
        for (int64_t count = 0; count <= 20; count++)
            for (int64_t grain = -1; grain <= 22; grain++) {
                seen s = {0};
                firn_parallel_for(&(firn_op_run){.ctx = ctx, .worker = worker}, count, grain, see, &s);
                for (int64_t i = 0; i < 100; i++) assert_int_equal(s.done[i], i < count);
                for (int w = 0; w < 3; w++)
                    if (s.least[w] > 0) assert_true(s.least[w] >= (grain < count ? grain : count));
            }
    firn_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_done_once_and_a_call_has_at_least_the_grain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
