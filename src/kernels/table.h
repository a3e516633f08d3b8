/* table.h: what one instruction set offers: chosen once per context by select.c, never changed. */
#ifndef FIRN_KERNELS_TABLE_H
#define FIRN_KERNELS_TABLE_H
#include "tile.h"

typedef struct firn__vector_kernels firn__vector_kernels; /* elementwise, pooling, reductions: defined beside vector.h */

struct firn__kernels {
    const char *name;
    const firn__tiles *tiles;
    const firn__vector_kernels *vector;
};
extern const firn__kernels firn__kernels_ref, firn__kernels_avx2, firn__kernels_avx512, firn__kernels_neon;

bool firn__gemm_sparse(firn__crew crew, const firn__gemm_args *g); /* false: nothing is done, for it would not pay */

#endif
