/* vector.inc.h: the kernels of vector.h for the lanes of one vec_<isa>.h, which is included before; VECTOR_TABLE names
 * the table. */
#include "vector_elements.inc.h"
#include "vector_math.inc.h"
#include "vector_narrow.inc.h"
#include "vector_pool.inc.h"
#include "vector_rows.inc.h"
#include "vector_sparse.inc.h"
#include "vector_update.inc.h"
#include "vector_winograd.inc.h"

const firn__vector_kernels VECTOR_TABLE = {
#define FIRN_X(name, type, work) name,
    FIRN__VECTOR_MAP(FIRN_X)
#undef FIRN_X
        pack,
    unpack,
    winograd_points,
    winograd_pixels,
    nonzero,
    all_finite,
    sparse_rows,
    finish};
