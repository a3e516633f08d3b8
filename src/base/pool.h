/* pool.h: the threads of a context: C11 threads that wait for work, spinning for a moment, then asleep. */
#ifndef FIRN_BASE_POOL_H
#define FIRN_BASE_POOL_H
#include <firn/base.h>

typedef struct firn__pool firn__pool;

/* Scratch memory of one worker for packed panels and the like, 64-byte aligned, reused by every kernel. */
#define FIRN__WORKSPACE_BYTES ((size_t)1536 << 10)

/* threads - 1 workers are started; the caller is worker 0. With threads 1 none is. */
firn_status firn__pool_create(firn_ctx *ctx, int threads, firn__pool **out);
void firn__pool_destroy(firn_ctx *ctx, firn__pool *pool);
int firn__pool_default_threads(void); /* processors that this process may use; 1 where it cannot be told */

/* Who computes: a crew is what every kernel takes first. worker -1: all threads may be used; else the call is already
 * part of a parallel region and stays on that worker. */
typedef struct firn__crew {
    firn_ctx *ctx;
    int worker;
} firn__crew;

int firn__crew_size(firn__crew crew);                    /* 1 inside a region */
void *firn__workspace(firn_ctx *ctx, int worker);        /* FIRN__WORKSPACE_BYTES of worker >= 0 */

/* Runs task(arg, part, worker) for part 0..parts-1; worker w of n gets the parts from parts*w/n to parts*(w+1)/n.
 * Returns when all are done. Inside a region, or for one part: on this thread, worker max(crew.worker, 0). */
void firn__parallel(firn__crew crew, int64_t parts, void (*task)(void *arg, int64_t part, int worker), void *arg);

#endif
