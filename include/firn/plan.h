/* plan.h: compile a model for a batch size, then run it without allocating. */
#ifndef FIRN_PLAN_H
#define FIRN_PLAN_H
#include "model.h"

FIRN_C_BEGIN

typedef struct firn_plan firn_plan;
typedef enum firn_mode { FIRN_TRAIN = 0, FIRN_EVAL = 1 } firn_mode;

typedef struct firn_plan_options {
    firn_mode mode;
    int batch;            /* capacity in rows; required, at least 1. Evaluation whose rows are independent of each other,
                           * with no operator that checks them, goes through a larger batch a few rows at a time, so its
                           * memory does not grow with it */
    firn_tensor *watch;   /* one more F32 result of an operator that can be read after forward (the logits beside the
                           * loss), or NULL */
    bool features;        /* firn_plan_features_pack() and firn_plan_forward_features() will be called: their values are
                           * kept in memory for the whole batch */
    bool layer_by_layer;  /* never depth first: for measuring. The bits are the same */
} firn_plan_options;

/* Compiles what root needs, allocates all its memory.
 *   root    F32 and the result of an operator, not an input or a parameter; a scalar in FIRN_TRAIN
 * Errors    FIRN_ERR_ARGUMENT: NULL (root: firn_message() is what building the graph has left), the options, root or watch
 *           is not an operator's result; FIRN_ERR_DTYPE: root or watch is not F32; FIRN_ERR_SHAPE: too large, no scalar, or
 *           an operator refuses the batch; FIRN_ERR_STATE: an operator that has no gradient
 *           lies above what trains, or refuses the mask (of running mean and variance one is frozen); FIRN_ERR_MEMORY.
 *           A mask that leaves nothing to train is no error here, only in firn_plan_backward().
 * Owner     the caller; firn_plan_destroy(). The plan re-plans by itself when the mask has changed. */
FIRN_API FIRN_MUST_USE firn_status firn_plan_create(firn_plan **out, firn_tensor *root, const firn_plan_options *opt);
FIRN_API void firn_plan_destroy(firn_plan *plan); /* NULL does nothing */
FIRN_API firn_model *firn_plan_model(const firn_plan *plan);
FIRN_API int firn_plan_batch(const firn_plan *plan);
/* The i-th input that root needs; NULL if there are no more. */
FIRN_API firn_tensor *firn_plan_input(const firn_plan *plan, size_t i);

typedef struct firn_feed {
    const char *input; /* name of a firn_input() */
    const void *data;  /* rows times the input's elements a sample, N, C, H, W, its dtype; borrowed for the call */
} firn_feed;

/* Runs the network on rows samples; every input that root needs must be fed, once.
 * Errors    FIRN_ERR_ARGUMENT: rows not in 1..batch, a NULL, a label out of range, too few rows for batch statistics;
 *           FIRN_ERR_NAME: an input is missing, unknown or fed twice; and, if the mask has changed, those of
 *           firn_plan_create() (FIRN_ERR_STATE, FIRN_ERR_SHAPE, FIRN_ERR_MEMORY): then nothing has run */
FIRN_API FIRN_MUST_USE firn_status firn_plan_forward(firn_plan *plan, const firn_feed *feeds, size_t n_feeds, int rows);

/* Gradients of root with respect to every unfrozen parameter it depends on.
 * Errors    FIRN_ERR_STATE: no forward before, an evaluation plan, or nothing is trainable; FIRN_ERR_ARGUMENT: NULL; if
 *           the mask has changed, those of firn_plan_create() */
FIRN_API FIRN_MUST_USE firn_status firn_plan_backward(firn_plan *plan);

/* After a forward, until the next call on the plan. t: root or watch; NULL means root. Order N, C, H, W; rows of the
 * last forward. NULL if t is neither or nothing has run. */
FIRN_API const float *firn_plan_value(const firn_plan *plan, const firn_tensor *t);
FIRN_API int firn_plan_rows(const firn_plan *plan); /* of the last forward; 0 before */

/* Gradient of a parameter after backward, PyTorch's layout; NULL if it is frozen, unknown or not reached from root. */
FIRN_API const float *firn_plan_grad(const firn_plan *plan, const char *param);

/* Drops the forward pass that waits for its backward, so that the mask may change again. */
FIRN_API void firn_plan_forget(firn_plan *plan);

/* Random operators draw from (seed, step, node, element). Step counts forwards of a training plan from 0; a resumed
 * run sets it. */
FIRN_API void firn_plan_set_step(firn_plan *plan, uint64_t step);
FIRN_API uint64_t firn_plan_step(const firn_plan *plan);

/* ---- what freezing saves ---- */
typedef struct firn_cost {
    uint64_t params, params_trainable;                           /* elements of parameters that root depends on */
    uint64_t flops_forward, flops_grad_weight, flops_grad_input; /* a step of `batch` rows; a multiply-add is 2; by the
                                                                  * definition: fast convolutions and zeros need fewer */
    uint64_t flops_cached;                                       /* of flops_forward: what cached features save */
    size_t bytes_params;                                         /* named tensors */
    size_t bytes_saved;     /* inputs, activations and masks that backward reads */
    size_t bytes_arena;     /* activations, their gradients, scratch: one block */
    size_t bytes_grads;     /* gradients of unfrozen parameters */
    size_t bytes_packed;    /* packed weights */
    size_t bytes_tables;    /* the plan's own lists. arena + grads + packed + tables = what the allocator handed out */
    size_t bytes_optim;     /* optimizer state: 0 from firn_plan_cost(), filled by firn_trainer_cost() */
    size_t cache_bytes_per_sample; /* features at the frontier; 0: nothing to cache */
} firn_cost;

/* With the mask as it is, and with nothing frozen; either may be NULL. Needs no step to have run.
 * Errors  those of planning under that mask: FIRN_ERR_SHAPE, FIRN_ERR_STATE, FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_plan_cost(const firn_plan *plan, firn_cost *now, firn_cost *unfrozen);

/* A table: a line a layer (parameters, FLOPs, bytes saved, why a gradient is still computed), the totals beside those
 * of the unfrozen net, and notes on partly frozen layers, on the second names of frozen tensors, which froze with the
 * first, and on masks that leave nothing to train.
 * Errors  FIRN_ERR_ARGUMENT: out NULL; FIRN_ERR_IO; as firn_plan_cost() */
FIRN_API FIRN_MUST_USE firn_status firn_plan_report(const firn_plan *plan, FILE *out);

/* ---- cached features (FREEZE F14) ----
 * The frontier is the set of values that depend on frozen tensors and inputs alone, sample by sample, and that the
 * rest of the net reads. Their bytes can be kept for each sample and put back instead of running what is below. */

/* Largest size of one sample's packed features; 0: nothing to cache, with the reason in *why (a static or plan-owned
 * sentence; why may be NULL). */
FIRN_API size_t firn_plan_features_bound(const firn_plan *plan, const char **why);

/* Changes whenever packed features taken before are no longer what forward would compute. */
FIRN_API uint64_t firn_plan_features_version(const firn_plan *plan);

/* After a forward of a plan made with options.features, and before its backward: packs row's features into dst (at least
 * the bound's bytes). Lossless. Gives the bytes used; 0 if there is nothing to pack. */
FIRN_API size_t firn_plan_features_pack(const firn_plan *plan, int row, void *dst);

/* firn_plan_forward() with the part below the frontier replaced by features[row], packed by this plan under this
 * version; of rows whose features are NULL it is run. feeds: the inputs that the rest still needs (others may be left out
 * if no features are NULL). Same bits as firn_plan_forward().
 * Errors  as firn_plan_forward(); FIRN_ERR_STATE: nothing to cache, or not made with options.features */
FIRN_API FIRN_MUST_USE firn_status firn_plan_forward_features(firn_plan *plan, const void *const *features,
                                                              const firn_feed *feeds, size_t n_feeds, int rows);

/* The i-th input that firn_plan_forward_features() still needs, under the mask of the plan's last forward (before the
 * first: of its making); NULL if there are no more. */
FIRN_API firn_tensor *firn_plan_features_input(const firn_plan *plan, size_t i);

FIRN_C_END
#endif
