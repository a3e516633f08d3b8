/* layout.h: what a plan will do and where everything lies, computed from graph, mask and batch alone. No values here.
 *
 * Time is counted in ticks: 0 feeds the inputs; 1 + i is the forward of item i; n + 1 the end of forward, when outputs
 * and features are read; 2n + 1 - i the backward of item i. A buffer lives from its first tick to its last. */
#ifndef FIRN_LAYOUT_H
#define FIRN_LAYOUT_H
#include <firn/plan.h>

#include "graph.h"

#define FIRN__NONE (-1)

/* Memory that an item needs at some time, in the plan's arena or, with a region, in the arena of each worker. */
typedef struct firn__buffer {
    size_t bytes; /* of the whole batch; in a region: of a slice */
    int first, last; /* ticks */
    bool saved;      /* forward writes it, and backward reads it */
    int region;
    size_t offset;
} firn__buffer;

typedef struct firn__slot { /* one tensor of the plan */
    firn_tensor *tensor;
    firn_shape shape; /* dim[0] is the layout's batch */
    size_t bytes;
    size_t row_bytes; /* 0: no batch dimension */
    bool need;        /* F32, and depends on an unfrozen parameter by such */
    bool pure;        /* depends on inputs and frozen tensors alone, sample by sample */
    bool deep;        /* pure, and a frozen tensor went in: worth caching */
    bool frontier;    /* deep, read by an item that is not pure, or from outside, and a whole number of floats a sample */
    bool held;        /* a frontier whose features are asked for: in memory from before forward to its end. So is what a held
                       * view looks at */
    bool output;      /* root or watch */
    bool rooted;      /* root depends on it, not watch alone */
    bool saved;       /* read in backward */
    int producer;     /* item; FIRN__NONE: an input or a named tensor */
    int readers;      /* forward reads by items */
    int last_read;    /* tick of the last one, forward or backward */
    int base;         /* the slot whose storage this one shares (views, results in place); else itself */
    int value;        /* base slots: buffer of the value; FIRN__NONE: named, or never in memory */
    int grad;         /* buffer of the gradient of a value */
    size_t param_grad; /* named and unfrozen: offset in the gradient block, or SIZE_MAX */
    size_t whole;     /* output of a plan that runs in passes: where all rows lie in the arena; else SIZE_MAX */
    int copy;         /* output that is turned, without whole: buffer of its N, C, H, W copy */
} firn__slot;

typedef struct firn__target { /* where backward puts the gradient of one input */
    bool wanted;
    int buffer;  /* where the operator writes; FIRN__NONE: straight into the parameter's gradient */
    bool add;    /* a later contribution, to be added to the tensor's gradient */
} firn__target;

typedef struct firn__item { /* one node of the plan, in forward order */
    firn__node *node;
    const firn_op *op; /* after resolve */
    bool training;
    int in[FIRN_OP_MAX_IN], out; /* slots */
    unsigned frozen, want, keep; /* keep: union of op->reads over want */
    size_t saved_bytes, scratch_bytes, prepared_bytes;
    int saved, scratch, scratch_back; /* buffers */
    size_t prepared;                  /* offset in the packed block */
    int leader;                       /* the item whose epilogue does this one's work; FIRN__NONE: runs itself */
    int affine, relu;                 /* the items in this one's epilogue */
    int region;
    bool below, tail; /* makes features; still runs when they are given. Some do both */
    firn__target target[FIRN_OP_MAX_IN];
    uint64_t flops, flops_weight, flops_input; /* as the mask has it */
} firn__item;

/* A run of items that keep nothing: done depth first, a slice of samples through all of them. */
typedef struct firn__region {
    int first, last;      /* items */
    int slice;            /* rows */
    size_t scratch_bytes; /* behind the buffers in each worker's arena */
    size_t worker_bytes;
    int buffer;           /* the workers' arenas, in the plan's arena */
} firn__region;

typedef struct firn__chunk firn__chunk; /* memory of the lists */

typedef struct firn__layout {
    firn_ctx *ctx;
    firn_model *model;
    firn_tensor *root;
    firn_plan_options options;
    bool thawed; /* as if nothing were frozen */
    int batch;   /* rows at a time: options.batch, or those of one pass of an evaluation */

    firn__slot *slots;
    int n_slots;
    int *slot_of; /* by tensor index, for the n_tensors that there were */
    size_t n_tensors;
    firn__item *items;
    int n_items;
    firn__buffer *buffers;
    int n_buffers, buffer_capacity;
    firn__region *regions;
    int n_regions;

    size_t whole_bytes; /* the outputs of all passes, at the front of the arena */
    size_t arena_bytes, grads_bytes, packed_bytes, tables_bytes;
    size_t peak_bytes, saved_bytes; /* the largest sum of bytes alive at one time, no arena can be smaller; what forward
                                     * leaves for backward */
    bool trainable;    /* some gradient is wanted */
    char why_no_features[240]; /* "" if there is a frontier */
    firn__chunk *chunks;
} firn__layout;

/* Fills layout; on error all it took is freed. thawed: as if nothing were frozen. */
firn_status firn__layout_build(firn__layout *layout, firn_tensor *root, const firn_plan_options *options, bool thawed);
void firn__layout_free(firn__layout *layout);

/* The passes of firn__layout_build(), in this order. */
firn_status firn__layout_collect(firn__layout *l); /* slots and items, resolved */
firn_status firn__layout_passes(firn__layout *l);  /* an evaluation that can go a few rows at a time does */
firn_status firn__layout_sweep(firn__layout *l);   /* need, want, keep; purity and frontier; sizes and FLOPs */
void firn__layout_fuse(firn__layout *l);
firn_status firn__layout_regions(firn__layout *l);
firn_status firn__layout_memory(firn__layout *l); /* buffers, their lives, their offsets */

/* Of the last pass. A new buffer that lives in ticks first..last of the plan's arena (its index, or FIRN__NONE if memory
 * is out); a longer life for one; the memory of regions; offsets for the buffers of one region (FIRN__NONE: of the plan). */
#define FIRN__BUFFER_ALIGN 64
int firn__layout_buffer(firn__layout *l, size_t bytes, int first, int last);
void firn__layout_extend(firn__layout *l, int buffer, int tick);
firn_status firn__layout_region_memory(firn__layout *l);
firn_status firn__layout_place(firn__layout *l, int region, size_t *total);

/* Zeroed memory that dies with the layout. */
void *firn__layout_alloc(firn__layout *l, size_t count, size_t size);

/* The operator's view of an item at the given number of rows; views: FIRN_OP_MAX_IN + 1 entries for it to point to. */
firn_op_build firn__item_build(const firn__layout *l, const firn__item *item, int rows, firn_view *views);

static inline int firn__forward_tick(int item) { return 1 + item; }
static inline int firn__end_tick(const firn__layout *l) { return l->n_items + 1; }
static inline int firn__backward_tick(const firn__layout *l, int item) { return 2 * l->n_items + 1 - item; }
static inline int firn__last_tick(const firn__layout *l) { return 2 * l->n_items + 1; }
/* The item in whose step this one's result is written. */
static inline int firn__writer(const firn__layout *l, int item) { return l->items[item].leader >= 0 ? l->items[item].leader : item; }
static inline bool firn__slot_frozen(const firn__layout *l, const firn__slot *s) { return s->tensor->frozen && !l->thawed; }

int firn__layout_slot(const firn__layout *l, const firn_tensor *t); /* FIRN__NONE: not in the plan */
firn_shape firn__shape_with_rows(firn_shape s, int64_t rows); /* FIRN_BATCH replaced */

#endif
