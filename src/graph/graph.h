/* graph.h: a model: named tensors with their frozen bits, and the graph of nodes that layers record. */
#ifndef FIRN_GRAPH_H
#define FIRN_GRAPH_H
#include <firn/model.h>
#include <firn/op.h>

#include "alloc.h"

typedef enum firn__tensor_kind { FIRN__INPUT, FIRN__PARAM, FIRN__STATE, FIRN__VALUE } firn__tensor_kind;

typedef struct firn__node firn__node;

struct firn_tensor {
    firn_model *model;
    firn__tensor_kind kind;
    char *name;           /* PARAM and STATE: the first of its full names. VALUE: scope and operator */
    firn_dtype dtype;
    firn_shape shape;     /* dim[0] may be FIRN_BATCH */
    size_t index;         /* in model->tensors */
    firn__node *producer; /* VALUE only */

    /* PARAM and STATE only */
    firn__block block;    /* the values, in PyTorch's layout */
    bool frozen;
    uint64_t frozen_hash; /* of the bytes, taken when they were last known good */
    uint64_t version;     /* model->clock at the last write */
};

struct firn__node {
    const firn_op *op;
    firn_tensor *in[FIRN_OP_MAX_IN];
    firn_tensor *out;
    void *attr;
    char *scope;  /* the layer it was recorded in; "" outside of all */
    size_t index; /* in model->nodes: the forward order */
    bool eval;    /* firn_freeze_eval(): a random operator behaves as in evaluation */
};

typedef struct firn__name { /* one full name of a named tensor */
    char *text;
    firn_tensor *tensor;
} firn__name;

/* Frozen bits of named tensors, then eval bits of nodes, as they were at a firn_mask_push(). */
typedef struct firn__mask {
    size_t n_named, n_nodes;
    unsigned char *bits;
} firn__mask;

typedef struct firn__scope { /* what there was before its push: the length of the text, and all that is in lists */
    size_t length, n_tensors, n_named, n_names, n_nodes;
} firn__scope;

struct firn_model {
    firn__owned owned;
    firn_ctx *ctx;

    firn_tensor **tensors; /* all, owned */
    size_t n_tensors, tensor_capacity;
    firn_tensor **named; /* PARAM and STATE in order of declaration */
    size_t n_named, named_capacity;
    firn__name *names; /* every full name of named tensors */
    size_t n_names, name_capacity;
    firn__node **nodes;
    size_t n_nodes, node_capacity;

    char *scope; /* joined by dots */
    size_t scope_capacity;
    firn__scope *scopes; /* the open ones */
    size_t n_scopes, scopes_capacity;
    size_t dead_scopes; /* pushes that failed and wait for their pop */

    uint64_t clock;        /* goes up with every write to a named tensor */
    uint64_t mask_version; /* goes up when a frozen or eval bit changes */
    size_t pending;        /* training plans between forward and backward */
    size_t accumulating;   /* optimizers that hold accumulated gradients */
    firn__mask masks[FIRN_MAX_MASKS];
    size_t n_masks;
};

static inline bool firn__is_named(const firn_tensor *t) { return t->kind == FIRN__PARAM || t->kind == FIRN__STATE; }
static inline float *firn__values(const firn_tensor *t) { return t->block.data; }

/* Say that the values of a named tensor have changed. firn__tensor_written() also takes a frozen tensor's hash anew. */
void firn__tensor_changed(firn_tensor *t);
void firn__tensor_written(firn_tensor *t);

/* FIRN_ERR_STATE, saying that `what` is refused, while a backward or an accumulated step is outstanding. */
firn_status firn__model_check_idle(const firn_model *m, const char *what);

/* Freezes the named tensors whose byte is not zero and unfreezes the rest, with the dropout outside of frozen layers;
 * frozen has n_named entries. */
firn_status firn__freeze_exactly(firn_model *m, const bool *frozen);

/* For checkpoints: the present bits, n_named + n_nodes of them; and all masks at once, which are taken over: the present
 * one, then the n saved ones of the stack, none with more tensors or nodes than the model has. */
void firn__mask_read(const firn_model *m, unsigned char *bits);
void firn__masks_replace(firn_model *m, firn__mask *present, firn__mask *saved, size_t n);
bool firn__mask_alloc(const firn_model *m, firn__mask *mask); /* of the model's size, zeroed */
void firn__mask_free(const firn_model *m, firn__mask *mask);

/* Fills values of a tensor of this full name and shape by init; see firn_init_kind. */
firn_status firn__init_fill(const firn_model *m, const char *name, firn_shape shape, firn_init init, float *values);

/* The name behind the open scope and a dot; allocated, NULL if memory is out. */
char *firn__scope_join(const firn_model *m, const char *name);

/* What a builder returns for a tensor that could not be built: NULL, which the context remembers with the error. */
static inline firn_tensor *firn__unbuilt(firn_ctx *ctx)
{
    if (ctx != NULL && ctx->error != FIRN_OK) ctx->unbuilt = true;
    return NULL;
}

/* Makes a tensor; takes over name, which may be NULL (then the result is NULL). */
firn_tensor *firn__tensor_add(firn_model *m, firn__tensor_kind kind, char *name, firn_dtype dtype, firn_shape shape);
void firn__node_free(firn_ctx *ctx, firn__node *n);
/* Images of several channels and pixels lie in another order than a user feeds and reads. */
static inline bool firn__is_turned(firn_shape s) { return s.rank == 4 && s.dim[1] > 1 && s.dim[2] * s.dim[3] > 1; }
bool firn__dims_positive(firn_shape s, int from); /* rank in from..FIRN_MAX_RANK, dim[from..] at least 1 */

/* What an optimizer asks of a plan: the gradient of a tensor (NULL as firn_plan_grad()); of how many rows a backward has
 * run whose gradients no step has used, 0: there are none; and to mark them as used. */
struct firn_plan;
const float *firn__plan_grad(const struct firn_plan *plan, const firn_tensor *t);
int firn__plan_grad_rows(const struct firn_plan *plan);
void firn__plan_take_grads(struct firn_plan *plan);

/* "[N, 784]"; text: at least FIRN__SHAPE_TEXT characters. Returns text. */
#define FIRN__SHAPE_TEXT 96
const char *firn__shape_text(firn_shape s, char *text);

#endif
