/* model.h: a model = named tensors + the graph that layers record, and the frozen bits. */
#ifndef FIRN_MODEL_H
#define FIRN_MODEL_H
#include "tensor.h"

FIRN_C_BEGIN

/* An empty model. NULL if ctx is NULL or memory is out (see firn_message). Owner: ctx. */
FIRN_API firn_model *firn_model_create(firn_ctx *ctx);
FIRN_API firn_ctx *firn_model_ctx(const firn_model *m); /* NULL for NULL */

/* What a plan is fed: one row a sample.
 *   name    unique among inputs; the current scope does not apply
 *   dtype   what firn_feed.data will hold
 *   shape   dim[0] must be FIRN_BATCH, the others at least 1
 * NULL      with the reason in firn_message(). Owner: m */
FIRN_API firn_tensor *firn_input(firn_model *m, const char *name, firn_dtype dtype, firn_shape shape);

/* How a named tensor gets its first values; a function of (context seed, full name, shape, init) alone.
 * fan_in = product of dim[1..], fan_out = dim[0] * product of dim[2..] (torch.nn.init). */
typedef enum firn_init_kind {
    FIRN_INIT_DEFAULT = 0,        /* PyTorch's: U(-b, b), b = 1 / sqrt(fan_in); for rank 1 and 0: zero */
    FIRN_INIT_ZERO,
    FIRN_INIT_ONE,
    FIRN_INIT_UNIFORM,            /* U(-value, value)                                         */
    FIRN_INIT_NORMAL,             /* N(0, value^2)                                            */
    FIRN_INIT_KAIMING_UNIFORM,    /* He et al. 2015: U(-b, b), b = sqrt(6 / fan_in)           */
    FIRN_INIT_KAIMING_NORMAL,     /* N(0, 2 / fan_in)                                         */
    FIRN_INIT_GLOROT_UNIFORM,     /* Glorot, Bengio 2010: b = sqrt(6 / (fan_in + fan_out))    */
    FIRN_INIT_GLOROT_NORMAL,      /* N(0, 2 / (fan_in + fan_out))                             */
    FIRN_INIT_PYTORCH = FIRN_INIT_DEFAULT,     /* of a layer: weight as above, bias U(-b, b) with the weight's b */
    FIRN_INIT_KERAS = FIRN_INIT_GLOROT_UNIFORM /* of a layer: Glorot weight, bias zero        */
} firn_init_kind;

typedef struct firn_init {
    firn_init_kind kind;
    float value; /* for UNIFORM and NORMAL */
} firn_init;

/* A named tensor, F32, trained by gradient. The full name is the scopes' names and this one, joined by dots. The same
 * full name again is the same tensor (weight sharing); then the shape must agree, and init is ignored.
 *   name    dotted components without ',' '!' '*' '?', blanks or control characters
 * NULL      with the reason in firn_message(). Owner: m */
FIRN_API firn_tensor *firn_param(firn_model *m, const char *name, firn_shape shape, firn_init init);

/* The same for a tensor that a rule of its operator updates, never a gradient (running statistics). */
FIRN_API firn_tensor *firn_state(firn_model *m, const char *name, firn_shape shape, firn_init init);

/* A second full name for a tensor (tied weights under PyTorch's two names). It shares storage, so the frozen bit.
 * Errors  FIRN_ERR_ARGUMENT: the name is not valid, or t is not a parameter or state of m; FIRN_ERR_NAME: the name is
 *         another tensor's; FIRN_ERR_STATE: the scope around it could not be opened; FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_alias(firn_model *m, const char *name, firn_tensor *t);

FIRN_API void firn_scope_push(firn_model *m, const char *name); /* prefixes the names that follow with "name." */
FIRN_API void firn_scope_pop(firn_model *m);
/* Instead of a pop, for a layer that fails half-way: takes back all tensors, names and operators that were made since the
 * push. No plan, optimizer step or saved mask may know of them, and their handles are not valid any more. */
FIRN_API void firn_scope_undo(firn_model *m);

/* ---- freezing ----
 * A selector is a comma list of dotted patterns: '*' is any run of characters, '?' one character but no dot, a leading
 * '!' takes away what the terms before it selected; a pattern that matches a layer's name takes everything below it, so
 * "conv1" never matches conv10. A list that begins with '!' starts from everything. Blanks around a term do not count.
 *
 * All calls are idempotent and all-or-nothing. They take effect with the next step; plans re-plan by themselves.
 *   count     receives the number of tensors selected; may be NULL
 * Errors      FIRN_ERR_NAME: a positive term matches nothing; FIRN_ERR_ARGUMENT: NULL or malformed selector;
 *             FIRN_ERR_STATE: between forward and backward of a training plan, or inside gradient accumulation;
 *             FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_freeze(firn_model *m, const char *selector, size_t *count);
FIRN_API FIRN_MUST_USE firn_status firn_unfreeze(firn_model *m, const char *selector, size_t *count);
/* Freezes what is selected and unfreezes all the rest, dropout included. */
FIRN_API FIRN_MUST_USE firn_status firn_freeze_only(firn_model *m, const char *selector, size_t *count);
/* Freezes every tensor declared before the first tensor of `layer`, one name without wildcards, and unfreezes the rest,
 * and dropout outside of the layers that are then frozen; count: the frozen tensors. */
FIRN_API FIRN_MUST_USE firn_status firn_freeze_to(firn_model *m, const char *layer, size_t *count);
/* firn_freeze(), and also turns off dropout inside the selected layers, until they are unfrozen. Here, in firn_unfreeze()
 * and in firn_select() a term may also match dropout alone, which has no tensors and does not count in `count`. */
FIRN_API FIRN_MUST_USE firn_status firn_freeze_eval(firn_model *m, const char *selector, size_t *count);

/* What a selector selects; changes nothing.
 *   selected  NULL, or firn_tensor_count() entries, one for each firn_tensor_at()
 * Errors      FIRN_ERR_NAME, FIRN_ERR_ARGUMENT, FIRN_ERR_MEMORY as above */
FIRN_API FIRN_MUST_USE firn_status firn_select(const firn_model *m, const char *selector, bool *selected, size_t *count);

/* Saves the mask on a stack; brings the saved one back. At most FIRN_MAX_MASKS deep.
 * Errors  push: FIRN_ERR_STATE: so many are saved already; FIRN_ERR_MEMORY
 *         pop:  FIRN_ERR_STATE: none is saved, or as for the freeze calls */
#define FIRN_MAX_MASKS 16
FIRN_API FIRN_MUST_USE firn_status firn_mask_push(firn_model *m);
FIRN_API FIRN_MUST_USE firn_status firn_mask_pop(firn_model *m);

/* Recomputes the hashes that were taken when tensors were frozen. FIRN_ERR_STATE names the first tensor whose bytes
 * changed since without firn_write(), firn_load() or a like call. */
FIRN_API FIRN_MUST_USE firn_status firn_verify_frozen(const firn_model *m);

/* ---- named tensors ---- */
typedef struct firn_tensor_info {
    const char *name;   /* first full name */
    firn_shape shape;   /* PyTorch's layout */
    const float *data;  /* read only: write with firn_write() */
    bool frozen, is_state;
} firn_tensor_info;

FIRN_API size_t firn_tensor_count(const firn_model *m);                  /* named tensors, in order of declaration */
FIRN_API firn_tensor_info firn_tensor_at(const firn_model *m, size_t i); /* all zero if i is out of range */
FIRN_API firn_tensor *firn_find(const firn_model *m, const char *name);  /* by any full name; NULL if there is none */
FIRN_API bool firn_is_frozen(const firn_tensor *t);
FIRN_API const float *firn_data(const firn_tensor *t); /* of a named tensor, else NULL */

/* Replaces the values of a named tensor, frozen or not (frozen means "not trained", FREEZE F2). Caches and packed
 * weights that stand on them are dropped by themselves, and the hash of a frozen tensor is taken anew.
 *   values  `count` floats, PyTorch's layout
 * Errors    FIRN_ERR_NAME; FIRN_ERR_ARGUMENT: values NULL; FIRN_ERR_SHAPE: count is not the tensor's; FIRN_ERR_STATE: as
 *           for the freeze calls */
FIRN_API FIRN_MUST_USE firn_status firn_write(firn_model *m, const char *name, const float *values, size_t count);

FIRN_C_END
#endif
