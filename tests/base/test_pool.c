#define _GNU_SOURCE /* sched_setaffinity */
#include <sched.h>
#include <stdatomic.h>

#include "ctx.h"
#include "pool.h"
#include "support.h"

enum { PARTS = 1000 };

typedef struct tally {
    firn_ctx *ctx;
    atomic_int done[PARTS];
    int worker[PARTS];
    atomic_int nested;
} tally;

static void count_part(void *arg, int64_t part, int worker)
{
    tally *t = arg;
    atomic_fetch_add(&t->done[part], 1);
    t->worker[part] = worker;
}

static void every_part_runs_once_on_the_worker_that_the_split_says(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        firn_ctx *ctx = test_ctx(NULL, threads, NULL);
        for (int parts = 0; parts <= PARTS; parts = parts * 3 + 1) {
            tally t = {0};
            firn__parallel((firn__crew){ctx, -1}, parts, count_part, &t);
            for (int i = 0; i < PARTS; i++) assert_int_equal(atomic_load(&t.done[i]), i < parts);
            for (int w = 0; w < threads && parts > 1; w++)
                for (int i = parts * w / threads; i < parts * (w + 1) / threads; i++) assert_int_equal(t.worker[i], w);
        }
        firn_ctx_destroy(ctx);
    }
}

static void count_nested(void *arg, int64_t part, int worker)
{
    (void)part;
    tally *t = arg;
    assert_int_equal(worker, (int)(intptr_t)t->worker[0]);
    atomic_fetch_add(&t->nested, 1);
}

static void a_crew_inside_a_region_stays_on_its_worker(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 4, NULL);
    tally t = {.ctx = ctx};
    t.worker[0] = 3;
    firn__parallel((firn__crew){ctx, 3}, 10, count_nested, &t);
    assert_int_equal(atomic_load(&t.nested), 10);
    assert_int_equal(firn__crew_size((firn__crew){ctx, 3}), 1);
    assert_int_equal(firn__crew_size((firn__crew){ctx, -1}), 4);
    firn_ctx_destroy(ctx);
}

static void many_short_jobs_and_long_pauses_lose_nothing(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 3, NULL);
    tally t = {0};
    volatile unsigned idle;
    for (int job = 0; job < 3000; job++) {
        firn__parallel((firn__crew){ctx, -1}, 3, count_part, &t);
        for (idle = 0; job % 100 == 0 && idle < 2000000; idle++) continue; /* long enough for workers to fall asleep */
    }
    for (int i = 0; i < 3; i++) assert_int_equal(atomic_load(&t.done[i]), 3000);
    firn_ctx_destroy(ctx);
}

static void workspaces_do_not_overlap(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 3, NULL);
    for (int w = 0; w < 3; w++) {
        const uintptr_t at = (uintptr_t)firn__workspace(ctx, w);
        assert_int_equal(at % 64, 0);
        if (w > 0) assert_int_equal(at - (uintptr_t)firn__workspace(ctx, w - 1), FIRN__WORKSPACE_BYTES);
    }
    firn_ctx_destroy(ctx);
}

/* Of all processors that there are, and of one alone. */
static void by_default_there_is_a_thread_for_each_processor_that_may_be_used(void **state)
{
    (void)state;
    cpu_set_t before, set;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    size_t last = 0;
    for (int one = 0; one < 2; one++) {
        CPU_ZERO(&set);
        for (size_t i = 0; i < CPU_SETSIZE; i++)
            if (!one || i == last) CPU_SET(i, &set);
        assert_int_equal(sched_setaffinity(0, sizeof set, &set), 0);
        assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
        for (size_t i = 0; i < CPU_SETSIZE; i++)
            if (CPU_ISSET(i, &set)) last = i;
        const int usable = CPU_COUNT(&set);
        assert_int_equal(firn__pool_default_threads(), usable < FIRN_MAX_THREADS ? usable : FIRN_MAX_THREADS);
    }
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_runs_once_on_the_worker_that_the_split_says),
        cmocka_unit_test(a_crew_inside_a_region_stays_on_its_worker),
        cmocka_unit_test(many_short_jobs_and_long_pauses_lose_nothing),
        cmocka_unit_test(workspaces_do_not_overlap),
        cmocka_unit_test(by_default_there_is_a_thread_for_each_processor_that_may_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
