/* op.h: how an operator is written. Built-in and user operators use exactly this. UNSTABLE until 1.0: firn.h does
 * not include it; you type its name to depend on it. */
#ifndef FIRN_OP_H
#define FIRN_OP_H
#include "tensor.h"

FIRN_C_BEGIN

#define FIRN_OP_MAX_IN 6

/* A tensor as an operator sees it. shape is N, C, H, W. data of a rank-4 activation is stored channels-last
 * (N, H, W, C); a named tensor's data is in its own order (a convolution's weight: O, C, KH, KW). */
typedef struct firn_view {
    void *data;
    firn_dtype dtype;
    firn_shape shape;
} firn_view;

/* What a gradient formula reads. The planner keeps exactly these alive; firn_check_op() fills the rest with NaN. */
#define FIRN_READS_IN(i) (1u << (i))
#define FIRN_READS_OUT (1u << 8)
#define FIRN_READS_SAVED (1u << 9)

enum firn_op_trait {
    FIRN_OP_INPLACE = 1 << 0,  /* out may alias in[0]; din[0] may alias dout: write the other din first */
    FIRN_OP_VIEW = 1 << 1,     /* out is in[0] under another shape: forward and backward are NULL, nothing is copied */
    FIRN_OP_RANDOM = 1 << 2,   /* output not a function of the inputs alone: ends a cacheable prefix */
    FIRN_OP_BATCHMIX = 1 << 3, /* samples of a batch influence each other: ends a cacheable prefix. Without it and RANDOM,
                                * forward gives each sample the same bits in any slice of the batch */
    FIRN_OP_EPILOGUE = 1 << 4  /* internal: the planner may hand it a following scale-shift and relu */
};

typedef struct firn_op firn_op;

typedef struct firn_op_build { /* when a node is recorded, and again when a plan is made */
    const firn_view *in;       /* data is NULL; an absent optional input has rank -1. When a node is recorded, dim[0] may
                                * be FIRN_BATCH: carry it over; when a plan is made it is the plan's batch */
    int n_in;
    const void *attr;
    bool training;
    unsigned frozen;           /* bit i: in[i] is a frozen named tensor */
    unsigned want;             /* plan only: bit i: the gradient of input i is wanted */
    bool alone;                /* plan only: samples go depth first, and one thread runs a slice. Where all threads share
                                * one, scratch goes on in that of the others: so scratch_bytes must not be less than those
                                * without `alone`, divided by firn_ctx_threads() */
    firn_view *out;            /* to fill: dtype, shape */
    /* The bytes must do for any smaller number of rows, too. shape() must accept any that is not above the plan's batch. */
    size_t saved_bytes;        /* to fill, plan only: kept from forward to backward, if a wanted gradient reads it */
    size_t scratch_bytes;      /* to fill, plan only: contents lost between calls */
    size_t prepared_bytes;     /* to fill, plan only: see prepare */
    firn_ctx *ctx;
    const firn_op *op;                /* for firn_op_fail() */
    firn_tensor *const *names;        /* likewise: the inputs; may be NULL */
} firn_op_build;

typedef struct firn__epilogue firn__epilogue;

typedef struct firn_op_run { /* run time; nothing here may be kept after return */
    const firn_view *in, *out; /* in[i].data == NULL where an optional input is absent, and in backward also where the
                                * gradient that is wanted does not read it */
    const void *attr;
    void *saved, *scratch, *prepared; /* saved is NULL in forward if no wanted gradient reads it. 64-byte aligned */
    bool training;                   /* an operator that updates a state does so in training only ... */
    unsigned frozen;                 /* ... and if its bit is not set here: bits as in firn_op_build */
    unsigned want;                   /* bit i: the gradient of input i is wanted */
    uint64_t rng_key;                /* f(seed, step, node): same bits for any thread count */
    const firn_view *dout;           /* backward only: gradient of out */
    const firn_view *din;            /* backward only: din[i].data == NULL means not wanted, else OVERWRITE */
    const firn__epilogue *epilogue;  /* internal: FIRN_OP_EPILOGUE only */
    firn_ctx *ctx;                   /* for firn_parallel_for() and the kernels */
    const firn_op *op;               /* for firn_op_bad_value() */
    firn_tensor *const *names;       /* likewise: the inputs; may be NULL */
    int worker;                      /* -1: may use all threads; else runs as part of a parallel region on this one */
} firn_op_run;

struct firn_op {
    const char *name;
    int n_in;
    unsigned optional; /* bit i: in[i] may be NULL */
    unsigned params;   /* bit i: in[i] must, if of rank 4, be a named tensor in its own order (else: an activation) */
    unsigned states;   /* bit i: in[i] must be a firn_state(): forward may write it, and its gradient is never wanted */
    unsigned fed;      /* bit i: in[i] must be a firn_input(), or a reshape of one that moves nothing: check() sees it */
    unsigned traits;
    size_t attr_bytes; /* attr is copied by value into the node */
    /* Validates and infers; no side effects. On error: return firn_op_fail(b, status, rule). */
    firn_status (*shape)(firn_op_build *b);
    void (*forward)(const firn_op_run *r);  /* cannot fail */
    void (*backward)(const firn_op_run *r); /* cannot fail; NULL: not differentiable */
    unsigned reads[FIRN_OP_MAX_IN];         /* per input: what its gradient formula reads */
    /* Floating-point operations (a multiply-add is 2); grad_of -1: forward; i: gradient of input i. NULL: one per
     * element of the output or of the input. */
    uint64_t (*flops)(const firn_op_build *b, int grad_of);

    /* The rest is optional (NULL). */
    /* Fills r->prepared from named tensors among the inputs (packed weights). Runs before forward whenever one of them
     * has changed since: each step for trained weights, once for frozen ones. With prepared_bytes 0 it is not called, and
     * r->prepared is NULL. */
    void (*prepare)(const firn_op_run *r);
    /* The operator that does this one's work under b's mode and mask (dropout in evaluation is a view). Same inputs,
     * attributes and shapes; not asked to resolve in its turn. NULL result: this one. */
    const firn_op *(*resolve)(const firn_op_build *b);
    /* Looks at the rows and at what was fed before anything runs (labels in range). Of all that is not among `fed` there
     * is no value yet: in[i].data and out->data are NULL. On error: return firn_op_bad_value(r, ...), or firn_fail(). */
    firn_status (*check)(const firn_op_run *r);
};

/* Adds a node. op is not copied: it must live as long as the model. in: op->n_in tensors of one model, of which one is
 * there; attr: op->attr_bytes bytes, copied; NULL: all zero.
 * NULL    if a required input is NULL, or an optional one while the context holds the error of a tensor that could not be
 *         built (silently: the cause is already in firn_message()); or on an error: FIRN_ERR_ARGUMENT: op has no name, shape
 *         or forward, n_in is not in 1..FIRN_OP_MAX_IN, or INPLACE or VIEW stands with an optional in[0]; and as in ops.h. */
FIRN_API firn_tensor *firn_apply(const firn_op *op, firn_tensor *const *in, const void *attr);

/* Both return st. rule: one clause, "the features of x must equal those of w"; firn puts the operator, the tensors'
 * names and shapes around it. */
FIRN_API firn_status firn_op_fail(const firn_op_build *b, firn_status st, const char *rule);
FIRN_API firn_status firn_op_bad_value(const firn_op_run *r, int input, int64_t row, double value, const char *rule);

/* Runs body(arg, begin, end, worker) over a static split of 0..count-1 on the context's threads, at least `grain`
 * items a call; on this thread alone inside a parallel region. worker: 0..threads-1. The split must not influence
 * results: compute each item by itself. */
FIRN_API void firn_parallel_for(const firn_op_run *r, int64_t count, int64_t grain,
                                void (*body)(void *arg, int64_t begin, int64_t end, int worker), void *arg);

/* Checks an operator on sample problems: its gradients against central differences (four points, Fornberg 1988) for
 * every subset of wanted inputs, reads[] against NaN in everything undeclared, in place and out of place, slices of
 * the batch in the scratch that is asked for them, and that nothing is written outside of the buffers. A named tensor
 * (param) that is not wanted is frozen.
 * FIRN_ERR_NUMERIC with the case, the input, the element and both values in firn_message(). */
typedef struct firn_op_case {
    firn_shape in[FIRN_OP_MAX_IN]; /* rank -1: absent optional input */
    firn_dtype dtype[FIRN_OP_MAX_IN];
    unsigned param;                /* bit i: input i is a named tensor (its data in its own order) */
    const void *attr;
    float low, high;               /* both zero: -1, 1. F32 inputs are spread evenly over low .. high in random order;
                                    * where an operator has kinks choose a range with steps of at least 4 eps.
                                    * I32 and U8 inputs are 0, 1, 2 ... modulo max(1, (int)high) */
    float eps, rtol, atol;         /* zero: 1e-2, 2e-3, 2e-4 */
    bool eval;                     /* as in FIRN_EVAL */
} firn_op_case;
/* Other errors  FIRN_ERR_ARGUMENT: op or cases NULL, op is refused as by firn_apply(), an input of a case has no elements or
 *               is absent and not optional; FIRN_ERR_DTYPE: the output is not F32; FIRN_ERR_SHAPE: it has no elements, or
 *               others than the input that it is a view of; those of op->shape(); FIRN_ERR_MEMORY */
FIRN_API FIRN_MUST_USE firn_status firn_check_op(firn_ctx *ctx, const firn_op *op, const firn_op_case *cases, size_t n_cases);

FIRN_C_END
#endif
