#include "alloc.h"
#include "ops.h"
#include "vector.h"

enum { PIECE_ALIGN = 64 };

int64_t firn__op_per_sample(firn_shape s)
{
    if (s.rank > 0) s.dim[0] = 1;
    return firn_shape_count(s);
}

const char *firn__op_flaw(const firn_op *op)
{
    _Static_assert(FIRN_OP_MAX_IN == 6, "the sentence says so");
    if (op->name == NULL) return "has no name";
    if (op->n_in < 1 || op->n_in > FIRN_OP_MAX_IN) return "has an n_in that is not in 1..6";
    if (op->shape == NULL) return "has no shape function";
    if ((op->optional & 1) && (op->traits & (FIRN_OP_INPLACE | FIRN_OP_VIEW)))
        return "is a view of input 0 or overwrites it, which may be absent";
    return op->forward == NULL && !(op->traits & FIRN_OP_VIEW) ? "has no forward function and is no view" : NULL;
}

firn_status firn__op_resolve(const firn_op_build *b, const firn_op **op)
{
    const firn_op *other = (*op)->resolve != NULL ? (*op)->resolve(b) : NULL;
    if (other == NULL) return FIRN_OK;
    const char *flaw = firn__op_flaw(other);
    if (flaw == NULL && (other->n_in != (*op)->n_in || other->attr_bytes != (*op)->attr_bytes))
        flaw = "has another n_in or attr_bytes";
    if (flaw != NULL) return firn_fail(b->ctx, FIRN_ERR_ARGUMENT, "what operator \"%s\" resolves to %s", (*op)->name, flaw);
    *op = other;
    return FIRN_OK;
}

firn_status firn__op_need_f32(const firn_op_build *b, unsigned inputs)
{
    for (int i = 0; i < b->n_in; i++)
        if ((inputs >> i & 1) && b->in[i].shape.rank >= 0 && b->in[i].dtype != FIRN_F32)
            return firn_op_fail(b, FIRN_ERR_DTYPE, "elements must be F32 (firn_scale() makes floats of integers)");
    return FIRN_OK;
}

firn_status firn__op_need_image(const firn_op_build *b)
{
    const firn_shape x = b->in[0].shape;
    if (x.rank != 4) return firn_op_fail(b, FIRN_ERR_SHAPE, "x must have four dimensions: N, C, H, W");
    for (int i = 1; i < 4; i++)
        if (x.dim[i] > INT32_MAX) return firn_op_fail(b, FIRN_ERR_SHAPE, "a dimension of x is too large");
    return firn__op_need_f32(b, 1);
}

static bool piece_bytes(int64_t a, int64_t c, size_t each, size_t *bytes)
{
    return a >= 0 && c >= 0 && firn__mul((size_t)a, (size_t)c, bytes) && firn__mul(*bytes, each, bytes) &&
           firn__round_up(*bytes, PIECE_ALIGN, bytes);
}

firn_status firn__op_reserve(const firn_op_build *b, size_t *total, int64_t a, int64_t c, size_t each)
{
    size_t bytes;
    if (a < 0) return FIRN_OK;
    if (!piece_bytes(a, c, each, &bytes) || !firn__add(*total, bytes, total))
        return firn_op_fail(b, FIRN_ERR_MEMORY, "the sizes are too large for this machine");
    return FIRN_OK;
}

firn_status firn__op_reserve_norm(firn_op_build *b, int64_t samples, int64_t per, int64_t columns)
{
    if (samples < 0) return FIRN_OK;
    size_t rows;
    size_t bytes = 0;
    if (firn__mul((size_t)samples, (size_t)per, &rows) && rows <= INT64_MAX)
        bytes = firn__vector_norm_bytes((int64_t)rows, columns);
    return firn__op_reserve(b, &b->scratch_bytes, 1, bytes > 0 && bytes <= INT64_MAX ? (int64_t)bytes : -1, 1);
}

void *firn__op_take(void **cursor, int64_t a, int64_t c, size_t each)
{
    size_t bytes = 0;
    void *piece = *cursor;
    if (piece != NULL && piece_bytes(a, c, each, &bytes)) *cursor = (unsigned char *)piece + bytes;
    return piece;
}
