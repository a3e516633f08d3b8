/* train.h: datasets, the trainer, the fit loop. Written on the public API alone: copy and adapt it. */
#ifndef FIRN_TRAIN_H
#define FIRN_TRAIN_H
#include "optim.h"

FIRN_C_BEGIN

/* Samples in memory; a value to fill in. Borrowed; all that it points to must outlive the calls that use it. */
typedef struct firn_dataset {
    size_t count;            /* samples: entries of rows, or rows of the feeds */
    const firn_feed *feeds;  /* data of feeds[i]: all rows, one after the other */
    size_t n_feeds;
    const uint32_t *rows;    /* NULL: 0 .. count-1; else which rows of the feeds the samples are */
} firn_dataset;

/* Splits at random: round(fraction * count) samples into first, the rest into second.
 *   rows    the caller's, data->count entries; both results point into it
 *   seed    same seed, same split
 * Errors    FIRN_ERR_ARGUMENT: NULL, fraction not in 0..1, more than 2^32 - 1 samples. There is no context here to keep a
 *           message: firn_status_text() is all there is */
FIRN_API FIRN_MUST_USE firn_status firn_dataset_split(const firn_dataset *data, double fraction, uint64_t seed, uint32_t *rows,
                                                      firn_dataset *first, firn_dataset *second);

typedef struct firn_progress {
    int epoch, epochs;       /* from 1 */
    size_t step, steps;      /* of the epoch, from 1 */
    float loss, accuracy;    /* mean over the epoch so far; NAN where not measured */
    float val_loss, val_accuracy;
    double seconds, samples_per_second; /* of the epoch so far */
    bool epoch_end;
    bool cached;             /* this step ran from cached features, of all its samples or of some */
} firn_progress;
typedef int (*firn_progress_fn)(const firn_progress *p, void *user); /* nonzero stops */
/* A ready one: bar with ETA on a terminal, a line an epoch elsewhere. file: a FILE *. C cannot ask whether a stream is a
 * terminal: it counts as one if it cannot be positioned (so is no plain file), TERM is set and not "dumb", and CI is not
 * set; on Linux, moreover, stdout and stderr must lead to a pseudo terminal. */
FIRN_API int firn_progress_bar(const firn_progress *p, void *file);

/* One event of a freezing schedule (FREEZE F19). */
typedef struct firn_freeze_event {
    int epoch;               /* before this epoch of a fit, from 1; or zero and: */
    uint64_t step;           /* before this step of a fit, from 1 */
    bool unfreeze;           /* else freeze */
    const char *selector;    /* borrowed */
    float rate;              /* learning-rate multiplier of the selected from then on; zero: as it was */
} firn_freeze_event;

typedef struct firn_trainer_options {
    int batch;               /* zero: 32 */
    int accumulate;          /* batches a step, each weighted by its rows, ignored or not; zero: 1 */
    firn_optim optim;        /* zero: SGD, lr 0.01 */
    firn_schedule schedule;  /* zero: constant. Counts the trainer's steps; COSINE and ONE_CYCLE with total zero: those of
                              * each fit */
    size_t cache_bytes;      /* budget of the feature cache, which serves the samples that fit; zero: 1 GiB; SIZE_MAX: no
                              * limit */
    bool no_cache;
    bool augmented;          /* inputs differ between epochs, so no cache */
    bool layer_by_layer;     /* as in firn_plan_options */
} firn_trainer_options;

typedef struct firn_trainer firn_trainer;

/* Makes the plans and the optimizer.
 *   loss      scalar to minimise, and measured as a mean over samples: batches have a share as large as the number of their
 *             rows, without those that it ignores where it is a firn_cross_entropy(), scaled or not
 *   output    [N, C] logits for accuracy (against the labels of a firn_cross_entropy(), else the only U8 or I32 input [N]
 *             that loss or output reads) and firn_predict(), or any other F32 result of an operator. NULL: none, and
 *             refused while the context holds an error, which may be why: firn_clear_error() first
 * Errors      FIRN_ERR_ARGUMENT: out NULL, output of another model, batch or accumulate below 0, a field of schedule out
 *             of range; as firn_plan_create() and firn_optimizer_create()
 * Owner       the caller; firn_trainer_destroy() */
FIRN_API FIRN_MUST_USE firn_status firn_trainer_create(firn_trainer **out, firn_tensor *loss, firn_tensor *output,
                                                       const firn_trainer_options *opt);
FIRN_API void firn_trainer_destroy(firn_trainer *t);
FIRN_API firn_plan *firn_trainer_plan(firn_trainer *t); /* the training plan, owned by the trainer */
FIRN_API firn_optimizer *firn_trainer_optimizer(firn_trainer *t);
/* firn_plan_report() and the optimizer's and the cache's share; what the cache did so far. Errors: as
 * firn_plan_report(); of firn_trainer_cost(): as firn_plan_cost(). */
FIRN_API FIRN_MUST_USE firn_status firn_trainer_report(const firn_trainer *t, FILE *out);
FIRN_API FIRN_MUST_USE firn_status firn_trainer_cost(const firn_trainer *t, firn_cost *now, firn_cost *unfrozen);

/* What the feature cache did. It is filled in a fit's first epoch if another follows (or if the fit before had the same
 * data), serves the later ones, and is dropped when the frozen part or the data changes. */
typedef struct firn_cache_stats {
    size_t bytes;            /* held now, for training and validation data */
    size_t samples;          /* held now */
    size_t wanted;           /* of the last fit's data and validation. If the budget holds fewer, the others are computed
                              * each time */
    uint64_t served;         /* samples that ran from it so far */
    uint64_t flops_saved;    /* forward FLOPs below the frontier that were not run */
    const char *why_unused;  /* by training data; NULL: in use. Valid until the next call on t */
} firn_cache_stats;
FIRN_API firn_cache_stats firn_trainer_cache(const firn_trainer *t);
/* The cache tells data sets apart by the feeds' names and pointers, the count and the rows: call this after writing other
 * samples to the same place. */
FIRN_API void firn_trainer_forget_features(firn_trainer *t);

typedef struct firn_fit_options {
    int epochs;                          /* zero: 1 */
    const firn_dataset *validation;      /* NULL: none */
    int patience;                        /* stop after so many epochs without a better val_loss and restore the best
                                          * weights; zero: never. Also after the last epoch. Needs validation */
    bool no_shuffle;                     /* else a new order each epoch, a function of (seed, epoch) */
    const firn_freeze_event *events;     /* checked before the first step */
    size_t n_events;
    firn_progress_fn on_progress;
    void *user;
} firn_fit_options;

/* Trains for opt->epochs epochs; the last batch may be smaller, and the last step of an epoch of fewer batches. What the
 * optimizer has accumulated before is dropped. Stopped by the callback it returns FIRN_STOPPED, and the next call with
 * the same data goes on where it stopped. After an error the fit is over: the next call begins anew; but a call that is
 * refused before it begins leaves a stopped fit as it was.
 * Errors    FIRN_ERR_ARGUMENT: no samples or more than 2^32 - 1, an option or event out of range; FIRN_ERR_NAME: an input
 *           that is needed is not fed, or one is fed twice or not needed, or an event's selector matches nothing;
 *           FIRN_ERR_STATE: a fit of t is running, its position was set and is not one of these data, or the best weights
 *           cannot be written back (another plan waits for its backward, or an optimizer accumulates: see
 *           firn_trainer_best_at()); FIRN_ERR_MEMORY; those of forward, backward, step and, of validation, firn_evaluate();
 *           FIRN_ERR_NUMERIC names epoch and step when the loss is not finite */
FIRN_API FIRN_MUST_USE firn_status firn_fit(firn_trainer *t, const firn_dataset *data, const firn_fit_options *opt);

/* Where a trainer stands: with weights, masks, optimizer state and the best weights, all that a fit needs to go on, bit
 * for bit, in another process. To be read between calls or in the progress callback. */
typedef struct firn_trainer_position {
    uint64_t steps, epochs;          /* by the trainer in all */
    uint64_t draws;                  /* firn_plan_step() of the training plan */
    bool running;                    /* a fit is under way or was stopped; the rest belongs to it */
    uint64_t samples;                /* of its data */
    uint64_t fit_steps, epoch, step; /* done: steps of the fit, epochs, steps of the next epoch */
    double loss_sum;                 /* metrics of that epoch so far; rows: without those that the loss ignores */
    uint64_t rows, labelled, correct;
    double best_loss;                /* early stopping: the best val_loss */
    uint64_t best_epoch, stale;      /* its epoch, zero: none yet; epochs since */
} firn_trainer_position;
FIRN_API firn_trainer_position firn_trainer_position_get(const firn_trainer *t);
/* Errors  FIRN_ERR_ARGUMENT: position NULL; FIRN_ERR_STATE: a fit of t is running. That it fits the data is checked by
 * firn_fit() */
FIRN_API FIRN_MUST_USE firn_status firn_trainer_position_set(firn_trainer *t, const firn_trainer_position *position);

/* The best weights that early stopping keeps: name, shape and values of the i-th; all zero if there are no more. After a
 * fit there are none, unless they could not be written back. */
FIRN_API firn_tensor_info firn_trainer_best_at(const firn_trainer *t, size_t i);
/* Puts one back; firn_trainer_position_set(), which drops all of them, comes before.
 * Errors  FIRN_ERR_NAME: no such tensor, or values NULL; FIRN_ERR_SHAPE: count is not the tensor's; FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_trainer_best_set(firn_trainer *t, const char *name, const float *values, size_t count);

typedef struct firn_metrics {
    double loss, accuracy; /* loss: NAN if it ignores all; accuracy: fraction 0..1, NAN without class labels */
    size_t count;          /* samples, those included that the loss ignores */
} firn_metrics;
/* Runs loss and output on the samples, in evaluation mode; changes nothing.
 * Errors  FIRN_ERR_ARGUMENT: out NULL, no samples or more than 2^32 - 1; FIRN_ERR_NAME: as firn_fit(); those of
 *         firn_plan_create() and firn_plan_forward() */
FIRN_API FIRN_MUST_USE firn_status firn_evaluate(firn_trainer *t, const firn_dataset *data, firn_metrics *out);

/* Runs output on the samples. out: data->count rows of output's elements a sample. Inputs that output does not need
 * may be left out of the data.
 * Errors  FIRN_ERR_ARGUMENT: the trainer has no output, or not a row a sample; else as firn_evaluate() */
FIRN_API FIRN_MUST_USE firn_status firn_predict(firn_trainer *t, const firn_dataset *data, float *out);

/* Ready-made event lists for a chain of layers, first to last. Each returns the number of events that the list has, and
 * writes the first `capacity` of them; 0 for arguments out of range. layers: names, borrowed. */
/* Howard, Ruder 2018: all but the last frozen, one more layer unfrozen every `every` epochs, from the last down; each
 * lower layer with its rate divided by `divide` (2.6 in the paper; 1: same rate). */
FIRN_API size_t firn_gradual_unfreezing(const char *const *layers, size_t n, int every, float divide,
                                        firn_freeze_event *events, size_t capacity);
/* Kumar et al. 2022: only the last layer for `probe` epochs, then all, with rate. */
FIRN_API size_t firn_probe_then_tune(const char *const *layers, size_t n, int probe, float rate, firn_freeze_event *events,
                                     size_t capacity);
/* Brock et al. 2017 (FreezeOut): freezes one more layer every `every` epochs, from the first up, never the last. */
FIRN_API size_t firn_progressive_freezing(const char *const *layers, size_t n, int every, firn_freeze_event *events,
                                          size_t capacity);

FIRN_C_END
#endif
