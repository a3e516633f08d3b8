/* tensor.h: element types, shapes, tensor handles. */
#ifndef FIRN_TENSOR_H
#define FIRN_TENSOR_H
#include "base.h"

FIRN_C_BEGIN

#define FIRN_MAX_RANK 6
#define FIRN_BATCH (-1) /* dimension 0 of inputs: the number of samples, known when a plan runs */

typedef enum firn_dtype { FIRN_F32 = 0, FIRN_I32 = 1, FIRN_U8 = 2 } firn_dtype;

/* rank 0 is a scalar. Dimensions are outermost first, as in PyTorch: images are N, C, H, W. */
typedef struct firn_shape {
    int rank;
    int64_t dim[FIRN_MAX_RANK];
} firn_shape;

/* FIRN_SHAPE(FIRN_BATCH, 1, 28, 28): 1 to FIRN_MAX_RANK dimensions. FIRN_SCALAR: rank 0. */
#ifdef __cplusplus
FIRN_C_END
template <class... T> constexpr firn_shape firn_shape_of(T... dim)
{
    return firn_shape{static_cast<int>(sizeof...(dim)), {static_cast<int64_t>(dim)...}};
}
#define FIRN_SHAPE(...) (firn_shape_of(__VA_ARGS__))
#define FIRN_SCALAR (firn_shape{0, {0}})
FIRN_C_BEGIN
#else
#define FIRN_SHAPE(...) ((firn_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define FIRN_SCALAR ((firn_shape){0, {0}})
#endif

typedef struct firn_model firn_model;
typedef struct firn_tensor firn_tensor; /* an input, a named tensor or an operator's output; owned by its model */

/* Each of these takes NULL and then gives rank 0, FIRN_F32, "" and NULL. */
FIRN_API firn_shape firn_tensor_shape(const firn_tensor *t); /* dim[0] is FIRN_BATCH where the batch runs */
FIRN_API firn_dtype firn_tensor_dtype(const firn_tensor *t);
FIRN_API const char *firn_tensor_name(const firn_tensor *t); /* full name; of a computed value, scope and operator */
FIRN_API firn_model *firn_tensor_model(const firn_tensor *t);

FIRN_API size_t firn_dtype_size(firn_dtype dtype); /* bytes an element; 0 for an unknown type */

/* Product of the dimensions; 1 for a scalar; -1 if a dimension is negative (FIRN_BATCH), the product overflows or the rank
 * is not in 0..FIRN_MAX_RANK. */
FIRN_API int64_t firn_shape_count(firn_shape s);
FIRN_API bool firn_shape_equal(firn_shape a, firn_shape b);

FIRN_C_END
#endif
