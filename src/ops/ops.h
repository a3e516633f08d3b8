/* ops.h (src/ops): the table of operators, and the few lines that most of them share. */
#ifndef FIRN_OPS_TABLE_H
#define FIRN_OPS_TABLE_H
#include <firn/op.h>

#include "pool.h"

#define FIRN_OP(name) extern const firn_op firn__op_##name;
#include "ops.def"
#undef FIRN_OP

static inline firn__crew firn__op_crew(const firn_op_run *r) { return (firn__crew){r->ctx, r->worker}; }

/* dim[0], 1 for a scalar; and the elements of one sample, -1 on overflow. */
static inline int64_t firn__op_samples(firn_shape s) { return s.rank > 0 ? s.dim[0] : 1; }
int64_t firn__op_per_sample(firn_shape s);

/* What op lacks to be one, as the end of a sentence; NULL: nothing. */
const char *firn__op_flaw(const firn_op *op);

/* Replaces op by what does its work under b; FIRN_ERR_ARGUMENT if that cannot. */
firn_status firn__op_resolve(const firn_op_build *b, const firn_op **op);

/* FIRN_ERR_DTYPE unless these inputs (bit i: input i) are F32 or absent. */
firn_status firn__op_need_f32(const firn_op_build *b, unsigned inputs);
/* FIRN_ERR_SHAPE unless in[0] is an image of rank 4 with dimensions that the kernels can count. */
firn_status firn__op_need_image(const firn_op_build *b);

/* Adds a * c * each bytes, rounded up to 64, to *total; while the batch is not known (a below 0) adds nothing.
 * Overflow is an error. firn__op_take() walks over a piece at run time. */
firn_status firn__op_reserve(const firn_op_build *b, size_t *total, int64_t a, int64_t c, size_t each);
/* The same for sums over columns of a matrix of samples * per rows (firn__vector_norm_bytes()), in scratch. */
firn_status firn__op_reserve_norm(firn_op_build *b, int64_t samples, int64_t per, int64_t columns);
void *firn__op_take(void **cursor, int64_t a, int64_t c, size_t each);

#endif
