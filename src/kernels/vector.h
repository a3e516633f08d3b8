/* vector.h: everything that is not a product: elementwise passes, pooling, softmax, reductions, optimizer updates.
 * Every kernel is void firn__vector_<name>(crew, count, &args): it does items 0..count-1, each by itself, so the split
 * over threads cannot show in the result; what an item is stands beside each kernel. Where sums run over items, the
 * items are chunks fixed by the shape, and their partial sums are added in order. Inside, everything runs in 16 lanes
 * that are the same for every instruction set (vec_<isa>.h), so the bits are too.
 * Pointers need no alignment. x and y may be the same array where it says "in place". */
#ifndef FIRN_KERNELS_VECTOR_H
#define FIRN_KERNELS_VECTOR_H
#include <firn/tensor.h>

#include "kernels.h"

/* ---- elements ---- */
typedef struct firn__scale_args { /* y = x * factor; in place */
    const void *x;
    firn_dtype dtype; /* of x */
    float factor;
    float *y;
} firn__scale_args;

typedef struct firn__combine_args { /* y = (a + of_b * b) * factor; in place */
    const float *a, *b;
    float of_b, factor;
    float *y;
} firn__combine_args;

typedef struct firn__dropout_args { /* y = 0 with probability p, else x / (1 - p); in place */
    const float *x;
    float *y;
    float p;
    uint64_t key; /* element i draws firn__rng_u32(key, i); from i = 2^32 on the key is mixed with i >> 32 */
} firn__dropout_args;

/* At most 2 units in the last place from the true value; infinities, NaN and denormals as in <math.h>. In place. */
typedef struct firn__math_args {
    enum firn__math { FIRN__EXP, FIRN__LOG, FIRN__TANH, FIRN__ERF, FIRN__SIGMOID } function;
    const float *x;
    float *y;
} firn__math_args;

/* ---- optimizer updates (optim.h); an item is one element. g is multiplied by grad_factor first ---- */
typedef struct firn__sgd_args {
    float *w;
    const float *g;
    float *v; /* momentum_buffer; NULL without momentum */
    float grad_factor, lr, weight_decay, momentum;
    bool nesterov;
} firn__sgd_args;

typedef struct firn__adam_args {
    float *w;
    const float *g;
    float *m, *v;                    /* exp_avg, exp_avg_sq */
    float grad_factor, weight_decay; /* added to g */
    float shrink;                    /* w is multiplied by this first: 1, or 1 - lr * weight_decay (AdamW) */
    float beta1, beta2, eps;
    float rate; /* lr / (1 - beta1^t) */
    float root; /* 1 / sqrt(1 - beta2^t): w -= rate * m / (sqrt(v) * root + eps) */
} firn__adam_args;

typedef struct firn__adadelta_args {
    float *w;
    const float *g;
    float *s, *u; /* square_avg, acc_delta */
    float grad_factor, weight_decay, lr, rho, eps;
} firn__adadelta_args;

typedef struct firn__rmsprop_args {
    float *w;
    const float *g;
    float *s, *v; /* square_avg, momentum_buffer (NULL without momentum) */
    float grad_factor, weight_decay, lr, rho, eps, momentum;
} firn__rmsprop_args;

/* ---- samples ---- */
/* y = x < 0 ? 0 : x, so NaN and -0 stay. Bits of a sample start at a byte: bit i of byte i/8 is x[i] > 0. */
typedef struct firn__relu_args {
    int64_t per; /* elements a sample */
    const float *x;
    float *y;            /* NULL: only the bits; in place */
    unsigned char *bits; /* NULL: none; firn__vector_bits_bytes(per) a sample */
} firn__relu_args;
static inline int64_t firn__vector_bits_bytes(int64_t per) { return (per + 7) / 8; }

typedef struct firn__relu_grad_args { /* dx = bit ? dy : 0; in place */
    int64_t per;
    const unsigned char *bits;
    const float *dy;
    float *dx;
} firn__relu_grad_args;

/* Windows of kh x kw, `stride` apart, on images H, W, C. */
typedef struct firn__pool_args {
    int64_t c, h, w, oh, ow, kh, kw, stride;
    const float *x;       /* forward: input; gradient: gradient of the output */
    float *y;             /* forward: output; gradient: gradient of the input, overwritten */
    unsigned char *where; /* max_pool: NULL, or what the gradient reads: firn__vector_where_bytes() a sample */
} firn__pool_args;
/* 2x2 windows 2 apart: two bits an output (channels rounded up to 8); else the element's number, 1 or 2 bytes. 0 if
 * windows are too large (more than 65536 elements). */
int64_t firn__vector_where_bytes(const firn__pool_args *v);

/* ---- rows of `columns` floats ---- */
typedef struct firn__softmax_args { /* in place */
    int64_t columns;
    const float *x;
    float *y;
} firn__softmax_args;

typedef struct firn__softmax_grad_args { /* dx = y * (dy - sum(dy * y)); dx may be dy */
    int64_t columns;
    const float *y, *dy;
    float *dx;
} firn__softmax_grad_args;

/* q = (1 - smoothing) onehot(label) + smoothing / columns. */
typedef struct firn__cross_entropy_args {
    int64_t columns;
    const void *label; /* U8 or I32 */
    firn_dtype dtype;
    float smoothing;
    bool has_ignore;
    int32_t ignore;
    const float *logits;
    float *softmax; /* forward: filled, may be NULL; gradient: read */
    float *loss;    /* forward: one a row; 0 for an ignored one */
    float factor;   /* gradient: dlogits = (softmax - q) * factor, 0 for an ignored row */
    float *dlogits;
} firn__cross_entropy_args;
static inline int32_t firn__vector_label(const firn__cross_entropy_args *a, int64_t row)
{
    return a->dtype == FIRN_U8 ? ((const uint8_t *)a->label)[row] : ((const int32_t *)a->label)[row];
}

/* C[i][j] = A[i] . B[j], B by its columns: 16 chains over k, lane by lane, added as a tree. n <= 12; an item is a row. */
typedef struct firn__narrow_args {
    int64_t n, k;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float *c;
    int64_t ldc;
    bool accumulate;
} firn__narrow_args;

typedef struct firn__affine_args { /* y = fma(x - mean, scale, shift) by column; in place */
    int64_t columns;
    const float *x, *mean, *scale, *shift; /* mean, shift: NULL leaves them out */
    float *y;
} firn__affine_args;

typedef struct firn__norm_grad_args { /* dx = fma(x - mean, b, fma(dy, a, c)) by column; dx may be dy */
    int64_t columns;
    const float *x, *dy, *mean, *a, *b, *c;
    float *dx;
} firn__norm_grad_args;

/* ---- partial sums, an item is one chunk; call the functions below instead ---- */
typedef struct firn__sum_squares_args {
    int64_t n, chunk;
    const float *x, *minus;
    double *partial;
} firn__sum_squares_args;

enum { FIRN__NORM_ROWS = 256 }; /* rows a chunk */
typedef struct firn__norm_sums_args {
    int64_t rows, columns;
    const float *x, *dy, *mean;
    float *partial; /* [chunk][2][columns] */
} firn__norm_sums_args;

/* One row per kernel: name, type of its arguments, elements that an item touches. */
#define FIRN__VECTOR_MAP(X)                                                                                                \
    X(scale, scale, 1)                                                                                                     \
    X(combine, combine, 1)                                                                                                 \
    X(dropout, dropout, 1)                                                                                                 \
    X(math, math, 4)                                                                                                       \
    X(sgd, sgd, 1)                                                                                                         \
    X(adam, adam, 2)                                                                                                       \
    X(adadelta, adadelta, 4)                                                                                               \
    X(rmsprop, rmsprop, 2)                                                                                                 \
    X(relu, relu, a->per)                                                                                                  \
    X(relu_grad, relu_grad, a->per)                                                                                        \
    X(max_pool, pool, a->h * a->w * a->c)                                                                                  \
    X(max_pool_grad, pool, a->h * a->w * a->c)                                                                             \
    X(avg_pool, pool, a->h * a->w * a->c)                                                                                  \
    X(avg_pool_grad, pool, a->h * a->w * a->c)                                                                             \
    X(softmax, softmax, 8 * a->columns)                                                                                    \
    X(softmax_grad, softmax_grad, 4 * a->columns)                                                                          \
    X(cross_entropy, cross_entropy, 8 * a->columns)                                                                        \
    X(cross_entropy_grad, cross_entropy, 4 * a->columns)                                                                   \
    X(narrow, narrow, 2 * a->n * a->k / 16)                                                                                \
    X(affine, affine, a->columns)                                                                                          \
    X(norm_grad, norm_grad, a->columns)                                                                                    \
    X(sum_squares, sum_squares, a->chunk)                                                                                  \
    X(norm_moments, norm_sums, FIRN__NORM_ROWS * a->columns)                                                               \
    X(norm_sums, norm_sums, FIRN__NORM_ROWS * a->columns)

/* Rows of 64 or 128 columns, in the manner of sparse.c: c[i] += a[i * a_row + p * a_k] * b[.][p * ldb] for each
 * bit p of masks[i]. */
typedef struct firn__sparse_args {
    const uint64_t *masks;
    const float *a;
    int64_t a_row, a_k;
    const float *b[8]; /* of 16 columns each */
    int vectors;       /* 4 or 8 of them */
    int64_t ldb;
    float *c;
    int64_t ldc;
    bool resume; /* else c begins at 0 */
} firn__sparse_args;

/* The kernels of one instruction set: items begin..end-1 on the calling thread. */
typedef struct firn__vector_kernels {
#define FIRN_X(name, type, work) void (*name)(const firn__##type##_args *a, int64_t begin, int64_t end);
    FIRN__VECTOR_MAP(FIRN_X)
#undef FIRN_X
    size_t (*pack)(int64_t n, const float *x, unsigned char *packed);
    size_t (*unpack)(int64_t n, const unsigned char *packed, float *x);
    /* The transforms of winograd.c, of size x size pixels: 6 x 6 of the input, 4 x 4 of the output and its gradient, 3 x 3
     * weights. Pixel i is at x[i] or y[i], point i of the transform `apart` * i further on. The second is the way back, for
     * channels first..last-1; e: of outputs, or NULL. */
    void (*winograd_points)(int size, float *const *x, int64_t channels, float *to, int64_t apart);
    void (*winograd_pixels)(int size, const float *from, int64_t apart, int64_t first, int64_t last,
                            const firn__epilogue_args *e, float *const *y);
    /* Bit j of masks[i]: x[i * ld + j] is not 0, columns <= 64. Whether rows of 64 are finite. */
    void (*nonzero)(int64_t rows, int64_t columns, const float *x, int64_t ld, uint64_t *masks);
    bool (*all_finite)(int64_t rows, const float *x, int64_t ld);
    bool (*sparse_rows)(const firn__sparse_args *s, int64_t rows); /* whether a c has become -0 */
    /* What the epilogue makes of rows of C, their first column being `column` of the whole. */
    void (*finish)(const firn__epilogue_args *e, int64_t column, int64_t rows, int64_t columns, float *c, int64_t ldc);
} firn__vector_kernels;

#define FIRN_X(name, type, work) void firn__vector_##name(firn__crew crew, int64_t count, const firn__##type##_args *a);
FIRN__VECTOR_MAP(FIRN_X)
#undef FIRN_X

/* An item is one matrix: [rows, columns] to [columns, rows]; not in place. */
typedef struct firn__transpose_args {
    int64_t rows, columns;
    firn_dtype dtype;
    const void *x;
    void *y;
} firn__transpose_args;
void firn__vector_transpose(firn__crew crew, int64_t count, const firn__transpose_args *a);

/* Sum of (x - minus)^2 in double (minus NULL: of x^2). Not finite exactly if an element is not (or a difference). */
double firn__vector_sum_of_squares(firn__crew crew, int64_t n, const float *x, const float *minus);

/* Sums by column of a matrix. scratch: firn__vector_norm_bytes() bytes, aligned to 64; results in double lie in it. */
size_t firn__vector_norm_bytes(int64_t rows, int64_t columns); /* 0 on overflow */
/* Gives [2][columns]: the mean, and the sum of squared distances from it. */
const double *firn__vector_norm_statistics(firn__crew crew, int64_t rows, int64_t columns, const float *x, void *scratch);
/* Gives [2][columns]: sums of dy, and of dy * (x - mean); x NULL: the second is not computed. */
const double *firn__vector_norm_products(firn__crew crew, int64_t rows, int64_t columns, const float *dy, const float *x,
                                         const float *mean, void *scratch);
/* The sums of dy alone, as floats: a bias's gradient. */
void firn__vector_column_sums(firn__crew crew, int64_t rows, int64_t columns, const float *dy, void *scratch, float *sums);

/* Lossless packing of floats: a bitmap of the elements that have a bit set, then those elements. Returns bytes used;
 * packed must have room for the bound, and any alignment does. */
size_t firn__vector_pack_bound(int64_t n);
size_t firn__vector_pack(const firn_ctx *ctx, int64_t n, const float *x, void *packed);
size_t firn__vector_unpack(const firn_ctx *ctx, int64_t n, const void *packed, float *x); /* bytes read */

#endif
