/* feature_cache.h: packed features at the frontier of a plan, by sample of a data set (FREEZE F14). What the
 * budget does not hold is computed each time. No memory, or no room for a single sample, empties the cache and turns it
 * off, with a reason, until the frozen part changes. */
#ifndef FIRN_TRAIN_FEATURE_CACHE_H
#define FIRN_TRAIN_FEATURE_CACHE_H
#include "batch.h"

typedef struct firn__cache_chunk firn__cache_chunk;

struct firn__cache {
    firn_ctx *ctx;
    const firn__cache *beside; /* what it holds counts against the same budget */
    firn__cache *above;        /* NULL, or one that stands on the same frozen part and perhaps more */
    uint64_t data_id, version; /* what the features stand on */
    size_t count;              /* samples of the data */
    size_t budget;
    bool fill;                 /* what is missing is worth being kept */
    bool off;                  /* since this version */
    const void **features;     /* by sample; NULL: not yet */
    firn__cache_chunk *chunks; /* the newest first */
    size_t bytes, filled;
    uint64_t served, flops_saved, flops_a_sample;
    char why[192]; /* of off */
};

/* Before a fit. Keeps what is held if it is of the same data; else starts empty.
 *   again  the data will be read more than once; it also will if it was here before */
void firn__cache_start(firn__cache *c, uint64_t data_id, size_t count, size_t budget, bool again);
void firn__cache_clear(firn__cache *c);

/* Empties the cache, and the one above, if what is held is not what plan would compute; true if something is held after
 * that. */
bool firn__cache_valid(firn__cache *c, const firn_plan *plan);
/* Of a valid cache; NULL: the sample is not there. */
const void *firn__cache_get(const firn__cache *c, size_t sample);
/* After a forward of the batch: keeps the features of the samples that are not there yet. */
void firn__cache_fill(firn__cache *c, const firn_plan *plan, const firn__batch *b);
/* After a forward from features: keeps count of what it saved. */
void firn__cache_count(firn__cache *c, const firn_plan *plan, int rows);

#endif
