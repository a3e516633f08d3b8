/* kernels.h: all that operators and optimizers ask of the machine. Pointers, sizes and strides; no tensors.
 * Every function gives the same bits for every instruction set, thread count and slicing (ARCHITECTURE: arithmetic):
 * an element of a product is one chain of fused multiply-adds in ascending k (with at most 12 columns, A by rows and
 * k up to 32768, 16 of them, lane by lane), then bias, scale-shift, relu. A convolution's chains are described in conv.h.
 */
#ifndef FIRN_KERNELS_H
#define FIRN_KERNELS_H
#include "ctx.h"

/* What follows a product while its tile is in registers: y = acc + bias; y = fma(y, scale, shift); y = max(y, 0).
 * Each NULL or false leaves its step out. Arrays have one entry a column (output channel). */
typedef struct firn__epilogue_args {
    const float *bias, *scale, *shift;
    bool relu;
} firn__epilogue_args;

/* ---- gemm: C[M,N] = A[M,K] B[K,N], row-major with leading dimensions ---- */
typedef struct firn__gemm_args {
    int64_t m, n, k;
    const float *a;
    int64_t lda;
    bool a_transposed; /* stored [K,M] */
    const float *b;
    int64_t ldb;
    bool b_transposed;     /* stored [N,K] */
    const float *b_packed; /* made by firn__gemm_pack_b from the same b: then b is not read; A by rows only */
    float *c;
    int64_t ldc;
    bool accumulate; /* the chain goes on from what C holds, or is added to it */
    firn__epilogue_args epilogue;
} firn__gemm_args;
void firn__gemm(firn__crew crew, const firn__gemm_args *g);

/* Packed B for reuse. bytes is a multiple of 64; 0 on overflow. */
size_t firn__gemm_packed_bytes(const firn_ctx *ctx, int64_t n, int64_t k);
void firn__gemm_pack_b(firn__crew crew, int64_t n, int64_t k, const float *b, int64_t ldb, bool b_transposed,
                       float *packed);

/* ---- convolution, images N, H, W, C; weights as PyTorch stores them, O, C/groups, KH, KW ---- */
typedef struct firn__conv_args {
    int64_t n, c, h, w, o, kh, kw, oh, ow;
    int stride, pad, dilation, groups;
} firn__conv_args;

/* Weights packed for forward, or for the input gradient. Bytes multiple of 64. */
size_t firn__conv_packed_bytes(const firn_ctx *ctx, const firn__conv_args *v, bool dx);
void firn__conv_pack(firn__crew crew, const firn__conv_args *v, const float *weight, bool dx, float *packed);
/* Scratch of a crew for all three passes at the given n (partial sums, padded rows). */
size_t firn__conv_scratch_bytes(firn__crew crew, const firn__conv_args *v, bool with_dx, bool with_dw);

void firn__conv_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                        const firn__epilogue_args *epilogue, void *scratch);
void firn__conv_dx(firn__crew crew, const firn__conv_args *v, const float *dy, const float *packed, float *dx,
                   void *scratch);
/* dw in O, C/groups, KH, KW; db [O] or NULL. Images in chunks fixed by v, summed in order. */
void firn__conv_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db,
                   void *scratch);

/* ---- the rest is in vector.h: elementwise, pooling, softmax, reductions, updates ---- */
#endif
