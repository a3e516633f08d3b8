/* run.h: a plan with its memory, ready to run. */
#ifndef FIRN_GRAPH_RUN_H
#define FIRN_GRAPH_RUN_H
#include "epilogue.h"
#include "layout.h"

/* An item with its pointers; dim[0] of the shapes follows the rows of the last forward. */
typedef struct firn__bound {
    firn_view in[FIRN_OP_MAX_IN], out;
    firn_view kept[FIRN_OP_MAX_IN], kept_out; /* what backward may read: the others have data NULL */
    firn_view dout, din[FIRN_OP_MAX_IN];
    firn__epilogue epilogue;
    void *saved, *scratch, *scratch_back, *prepared;
    uint64_t prepared_clock; /* the newest version among the named inputs when prepare ran; 0: never */
} firn__bound;

struct firn_plan {
    firn_ctx *ctx;
    firn_model *model;
    firn_tensor *root;
    firn_plan_options options;

    firn__layout layout;
    firn__bound *bound;    /* by item; in the layout's lists */
    uint64_t mask_version; /* of the model when the layout was made */
    firn__block arena, grads, packed;
    bool ready; /* the layout is that of the mask, and the blocks are there */

    uint64_t step;   /* forwards of a training plan so far */
    uint64_t drawn;  /* the step of the last forward: its backward draws the same numbers again */
    int rows;        /* of the last forward, or of its last pass; 0: none since the plan was made anew */
    int all_rows;    /* of the last forward */
    bool pending;    /* a forward waits for its backward; counted in model->pending */
    bool has_grads;  /* backward has run since */
    int grad_rows;   /* of what it gave, if no optimizer has stepped with that; else 0 */
    char why[240];   /* for firn_plan_features_bound() */
};

/* Makes layout and memory fit the model's mask, if they do not. */
firn_status firn__plan_refresh(firn_plan *plan);
/* The lists of a plan, under its model's mask as it is now. */
firn_status firn__plan_layout(const firn_plan *plan, bool thawed, firn__layout *layout, firn__bound **bound);
void firn__plan_bind_rows(firn_plan *plan, int rows);

/* Where a slot's value lies; NULL if it never is in memory, or lies in the workers' arenas. */
void *firn__slot_data(const firn_plan *plan, int slot);

/* Runs items on the rows that are bound: all, or those below the frontier, or those above it. */
typedef enum firn__part { FIRN__ALL, FIRN__BELOW, FIRN__TAIL } firn__part;
void firn__run_forward(firn_plan *plan, firn__part part);
/* Copies outputs to where users read them; first: the first of these rows in the batch. */
void firn__copy_outputs(firn_plan *plan, int first);
void firn__run_backward(firn_plan *plan);

/* Puts packed features where the frontier's values lie. Rows without (NULL) go through what is below as a batch of their
 * own; this moves the rows of the inputs. */
void firn__features_complete(firn_plan *plan, const void *const *features);
size_t firn__layout_features_bound(const firn__layout *l); /* bytes a sample at most; 0: no frontier */
firn_cost firn__layout_cost(const firn__layout *l);

#endif
