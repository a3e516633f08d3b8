/* ctx.h: the context: allocator, first error, threads, kernels, and the list of what dies with it. */
#ifndef FIRN_BASE_CTX_H
#define FIRN_BASE_CTX_H
#include <firn/base.h>

#include "pool.h"

typedef struct firn__kernels firn__kernels; /* floor 1 */

/* Something the context destroys at its end: the first member of such an object. */
typedef struct firn__owned firn__owned;
struct firn__owned {
    firn__owned *next;
    void (*destroy)(firn_ctx *ctx, firn__owned *self);
};

struct firn_ctx {
    firn_allocator allocator;
    uint64_t seed;
    const firn__kernels *kernels;
    firn__pool *pool;
    firn__owned *owned;
    firn_status error;
    bool unbuilt; /* since it was last cleared, a tensor could not be built: NULL may stand for it */
    char message[1024];
};

/* The one thing that floor 0 asks of floor 1: the kernels of the instruction set called name (NULL: FIRN_ISA, else the
 * best). NULL if it is unknown or the CPU lacks it. Defined in kernels/select.c. */
const firn__kernels *firn__kernels_select(const char *name);
const char *firn__kernels_name(const firn__kernels *k);

#define firn__fail firn_fail
firn_status firn__no_memory(firn_ctx *ctx); /* records and returns FIRN_ERR_MEMORY */

#endif
