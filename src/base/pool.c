#include "pool.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"

#if !defined(__STDC_NO_THREADS__) && !defined(__STDC_NO_ATOMICS__)
#define HAVE_THREADS 1
#include <stdatomic.h>
#include <threads.h>
#include <time.h>
#endif

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#elif defined(__aarch64__) && defined(__GNUC__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() ((void)0)
#endif

typedef struct job {
    void (*task)(void *arg, int64_t part, int worker);
    void *arg;
    int64_t parts;
} job;

struct firn__pool {
    int threads;   /* workers and the caller */
    int started;   /* workers that run */
    firn__block workspace;
#ifdef HAVE_THREADS
    job now;
    atomic_uint round;   /* goes up by one for each job; workers watch it */
    atomic_int pending;  /* workers that have not finished the job */
    atomic_int asleep;
    bool quit;
    mtx_t lock;
    cnd_t wake;
    bool has_lock, has_wake;
    struct worker {
        firn__pool *pool;
        int index;
        thrd_t thread;
    } workers[FIRN_MAX_THREADS];
#endif
};

static void run_share(const job *j, int worker, int threads)
{
    const int64_t begin = j->parts * worker / threads, end = j->parts * (worker + 1) / threads;
    for (int64_t part = begin; part < end; part++) j->task(j->arg, part, worker);
}

#ifdef HAVE_THREADS
/* How long an idle worker spins before it sleeps. Waking a sleeper costs 100 us and more, so a worker should live
 * through the serial gaps of a step, and not much longer. */
static const long spin_nanoseconds = 100000;

static long nanoseconds_since(const struct timespec *start)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (long)(t.tv_sec - start->tv_sec) * 1000000000L + (t.tv_nsec - start->tv_nsec);
}

static unsigned wait_for_round(firn__pool *pool, unsigned seen)
{
    struct timespec start;
    timespec_get(&start, TIME_UTC);
    for (unsigned spins = 1;; spins++) {
        const unsigned round = atomic_load_explicit(&pool->round, memory_order_acquire);
        if (round != seen) return round;
        RELAX();
        if (spins % 64 != 0) continue;
        const long idle = nanoseconds_since(&start);
        if (idle < 0 || idle > spin_nanoseconds) break;
        if (spins % 1024 == 0) thrd_yield();
    }
    mtx_lock(&pool->lock);
    atomic_fetch_add(&pool->asleep, 1);
    while (atomic_load(&pool->round) == seen) cnd_wait(&pool->wake, &pool->lock);
    atomic_fetch_sub(&pool->asleep, 1);
    mtx_unlock(&pool->lock);
    return atomic_load(&pool->round);
}

static int work(void *arg)
{
    struct worker *self = arg;
    firn__pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_round(pool, seen);
        if (pool->quit) return 0;
        run_share(&pool->now, self->index, pool->threads);
        atomic_fetch_sub_explicit(&pool->pending, 1, memory_order_release);
    }
}

static void start_round(firn__pool *pool)
{
    atomic_store(&pool->pending, pool->started);
    atomic_fetch_add(&pool->round, 1);
    if (atomic_load(&pool->asleep) > 0) {
        mtx_lock(&pool->lock);
        cnd_broadcast(&pool->wake);
        mtx_unlock(&pool->lock);
    }
}

static firn_status start_workers(firn__pool *pool)
{
    if (pool->threads == 1) return FIRN_OK;
    pool->has_lock = mtx_init(&pool->lock, mtx_plain) == thrd_success;
    pool->has_wake = pool->has_lock && cnd_init(&pool->wake) == thrd_success;
    if (!pool->has_wake) return FIRN_ERR_MEMORY;
    while (pool->started < pool->threads - 1) {
        struct worker *w = &pool->workers[pool->started];
        *w = (struct worker){.pool = pool, .index = pool->started + 1};
        if (thrd_create(&w->thread, work, w) != thrd_success) return FIRN_ERR_MEMORY;
        pool->started++;
    }
    return FIRN_OK;
}

static void stop_workers(firn__pool *pool)
{
    if (pool->started > 0) {
        pool->quit = true;
        start_round(pool);
        for (int i = 0; i < pool->started; i++) thrd_join(pool->workers[i].thread, NULL);
    }
    if (pool->has_wake) cnd_destroy(&pool->wake);
    if (pool->has_lock) mtx_destroy(&pool->lock);
}

static void run_on_all(firn__pool *pool, const job *j)
{
    pool->now = *j;
    start_round(pool);
    run_share(j, 0, pool->threads);
    for (unsigned spins = 1; atomic_load_explicit(&pool->pending, memory_order_acquire) > 0; spins++) {
        RELAX();
        if (spins % 1024 == 0) thrd_yield(); /* a worker may have lost its processor to us */
    }
}
#else
static firn_status start_workers(firn__pool *pool)
{
    pool->threads = 1;
    return FIRN_OK;
}
static void stop_workers(firn__pool *pool) { (void)pool; }
static void run_on_all(firn__pool *pool, const job *j) { run_share(j, 0, pool->threads); }
#endif

/* C has no way to ask; Linux tells in a file. "Cpus_allowed_list: 0-3,8" */
int firn__pool_default_threads(void)
{
    static const char key[] = "Cpus_allowed_list:";
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL) return 1;
    char line[1024];
    int processors = 0;
    while (processors == 0 && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, sizeof key - 1) != 0) continue;
        for (char *p = line + sizeof key - 1; *p != '\0' && *p != '\n'; p += *p == ',') {
            char *end;
            const long first = strtol(p, &end, 10), last = *end == '-' ? strtol(end + 1, &end, 10) : first;
            if (end == p || last < first || last - first > 100000) break;
            processors += (int)(last - first + 1);
            p = end;
        }
    }
    fclose(f);
    return processors < 1 ? 1 : processors > FIRN_MAX_THREADS ? FIRN_MAX_THREADS : processors;
}

firn_status firn__pool_create(firn_ctx *ctx, int threads, firn__pool **out)
{
    firn__pool *pool = firn__alloc(ctx, 1, sizeof *pool);
    *out = pool; /* on failure firn__pool_destroy() takes care of what there is */
    if (pool == NULL) return FIRN_ERR_MEMORY;
    pool->threads = threads;
    if (!firn__block_alloc(ctx, &pool->workspace, (size_t)threads * FIRN__WORKSPACE_BYTES)) return FIRN_ERR_MEMORY;
    return start_workers(pool);
}

void firn__pool_destroy(firn_ctx *ctx, firn__pool *pool)
{
    if (pool == NULL) return;
    stop_workers(pool);
    firn__block_free(ctx, &pool->workspace);
    firn__free(ctx, pool, 1, sizeof *pool);
}

int firn__crew_size(firn__crew crew) { return crew.worker >= 0 ? 1 : crew.ctx->pool->threads; }

void *firn__workspace(firn_ctx *ctx, int worker)
{
    return (unsigned char *)ctx->pool->workspace.data + (size_t)worker * FIRN__WORKSPACE_BYTES;
}

void firn__parallel(firn__crew crew, int64_t parts, void (*task)(void *arg, int64_t part, int worker), void *arg)
{
    const job j = {task, arg, parts};
    if (crew.worker < 0 && parts > 1 && crew.ctx->pool->threads > 1) {
        run_on_all(crew.ctx->pool, &j);
        return;
    }
    for (int64_t part = 0; part < parts; part++) task(arg, part, crew.worker < 0 ? 0 : crew.worker);
}
