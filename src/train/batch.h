/* batch.h: a plan with room to feed it, the rows of a data set that it runs next, and what is measured on them. */
#ifndef FIRN_TRAIN_BATCH_H
#define FIRN_TRAIN_BATCH_H
#include <firn/train.h>

typedef struct firn__batch {
    const firn_dataset *data;
    const uint32_t *order; /* NULL: as they are */
    size_t begin;
    int rows;
} firn__batch;

static inline size_t firn__batch_sample(const firn__batch *b, int row)
{
    return b->order ? b->order[b->begin + (size_t)row] : b->begin + (size_t)row;
}

typedef struct firn__runner {
    firn_plan *plan;  /* NULL: not made yet */
    size_t n_inputs;  /* of the plan; what follows has one entry for each */
    void **stages;    /* copies of rows in the batch's order; NULL until one is needed */
    firn_feed *feeds; /* of the last forward; n_feeds of them */
    size_t n_feeds;
    const void **features; /* one a row */
} firn__runner;

/* Makes the plan if there is none yet. */
firn_status firn__runner_ensure(firn__runner *r, firn_ctx *ctx, firn_tensor *root, const firn_plan_options *how);
void firn__runner_destroy(firn__runner *r, firn_ctx *ctx);

typedef struct firn__cache firn__cache;

/* Forward, with the features of the rows that are in the cache, which then gets those of the others. cache NULL: none.
 * cached: set if any row's were there; may be NULL. The data have been checked. */
firn_status firn__runner_forward(firn__runner *r, firn_ctx *ctx, firn__cache *cache, const firn__batch *b, bool *cached);

typedef struct firn__metrics {
    double loss_sum; /* of batch means times rows */
    uint64_t rows;   /* without those whose labels the loss ignores */
    uint64_t labelled, correct;
} firn__metrics;

/* Adds the loss, which is the plan's root, and the hits of the last forward, which was of b; output may be NULL. Gives the
 * batch's loss. */
float firn__runner_measure(const firn__runner *r, const firn__batch *b, const firn_tensor *loss, const firn_tensor *output,
                           firn__metrics *sum);
double firn__metrics_loss(const firn__metrics *m);     /* NAN without rows */
double firn__metrics_accuracy(const firn__metrics *m); /* NAN without labels */

/* ---- memory of the context; alloc zeroes, and records when there is none ---- */
void *firn__train_alloc(firn_ctx *ctx, size_t count, size_t size);
void firn__train_free(firn_ctx *ctx, void *ptr, size_t count, size_t size);

#endif
