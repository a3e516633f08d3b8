/* ref.h: products and convolutions in plain C, in the fewest words: the definition that all other kernels must match
 * bit for bit, and what runs where there is nothing better. A packed matrix is [K,N], packed weights KH, KW, C/g, O. */
#ifndef FIRN_KERNELS_REF_H
#define FIRN_KERNELS_REF_H
#include "kernels.h"

float firn__ref_epilogue(float acc, const firn__epilogue_args *e, int64_t column);
void firn__ref_gemm(firn__crew crew, const firn__gemm_args *g);
void firn__ref_gemm_pack_b(int64_t n, int64_t k, const float *b, int64_t ldb, bool b_transposed, float *packed);
void firn__ref_conv_pack(const firn__conv_args *v, const float *weight, float *packed);
void firn__ref_conv_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                            const firn__epilogue_args *epilogue);
void firn__ref_conv_dx(firn__crew crew, const firn__conv_args *v, const float *dy, const float *packed, float *dx);
void firn__ref_conv_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db);

#endif
