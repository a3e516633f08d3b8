/* epilogue.h: what the planner may hand to an operator with FIRN_OP_EPILOGUE: the work of the nodes behind it, done
 * while the output is at hand. The bits are those of the separate nodes: y = fma(y, scale, shift), then relu. */
#ifndef FIRN_OPS_EPILOGUE_H
#define FIRN_OPS_EPILOGUE_H
#include <firn/op.h>

struct firn__epilogue {
    const float *scale, *shift; /* by output channel, both or neither: a frozen batch norm's prepared memory */
    bool relu;
    void *relu_bits; /* NULL, or the relu's saved memory, to be filled */
};

/* Where firn__op_batch_norm_frozen keeps them in r->prepared. */
static inline const float *firn__batch_norm_scale(const void *prepared) { return prepared; }
static inline const float *firn__batch_norm_shift(const void *prepared, int64_t channels)
{
    return (const float *)prepared + channels;
}

#endif
