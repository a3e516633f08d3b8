/* conv.h: what the passes of a convolution share.
 * The chain of an element: forward: kh, kw, c ascending. dx: kh, kw descending (dy ascending), o ascending. dw: image,
 * oh, ow ascending. Kernel rows that fall outside the image are left out; in those that do not, taps outside take
 * part with a zero. With a stride, dx leaves out the taps that no output position has.
 * 3 x 3 convolutions with stride 1 of enough channels have such chains at the points of Winograd's transform instead
 * (winograd.c): over c, over o, and over the tiles of a chunk. A NaN or infinity reaches all outputs of its tiles.
 * db: within a chunk pixel p of an image goes to sum p % 4; then (s0 + s1) + (s2 + s3). Chunks are added in order. */
#ifndef FIRN_KERNELS_CONV_H
#define FIRN_KERNELS_CONV_H
#include "table.h"

/* Whose part of the scratch a worker uses: inside a region the crew is one, whatever its number. */
static inline int64_t firn__conv_scratch_of(firn__crew crew, int worker) { return crew.worker < 0 ? worker : 0; }

/* One direction of a correlation: output i, tap t read input i * stride + t * step + origin. */
typedef struct firn__axis {
    int64_t out, in, taps, stride, step, origin;
} firn__axis;

/* Where the columns of a band of image rows are when there are zeros on its sides, which is where an axis reads
 * beyond the input. */
typedef struct firn__band {
    int64_t left, right; /* zero pixels */
    int64_t pitch;       /* floats of a row */
    int64_t rows;        /* output rows of a full band */
    int64_t floats;      /* of a full band; 0 if the image can be read in place */
} firn__band;

/* Into how many chunks of images a weight gradient is split, for threads; fixed by v. Each has sums of its own, so a chunk
 * should be long. Chunk i: images n*i/chunks to n*(i+1)/chunks. */
static inline int64_t firn__conv_chunks(const firn__conv_args *v)
{
    enum { most = 8, pixels = 512 };
    const int64_t size = v->oh * v->ow, images = size > 0 && size < pixels ? (pixels - 1) / size + 1 : 1;
    const int64_t fit = v->n / images;
    return fit < 1 ? 1 : fit < most ? fit : most;
}
static inline bool firn__conv_is_depthwise(const firn__conv_args *v)
{
    return v->groups > 1 && v->groups == v->c && v->c == v->o;
}

/* The input gradient of a convolution with stride 1 is a convolution of dy, with the weights turned around. */
static inline firn__conv_args firn__conv_turned(const firn__conv_args *v)
{
    firn__conv_args t = *v;
    t.c = v->o, t.h = v->oh, t.w = v->ow;
    t.o = v->c, t.oh = v->h, t.ow = v->w;
    t.pad = (int)v->kh - 1 - v->pad;
    return t;
}

firn__axis firn__conv_axis_h(const firn__conv_args *v);
firn__axis firn__conv_axis_w(const firn__conv_args *v);

/* Taps begin..end-1 of output i are inside. */
void firn__axis_inside(const firn__axis *a, int64_t i, int64_t *begin, int64_t *end);
firn__band firn__band_plan(const firn__axis *h, const firn__axis *w, int64_t channels);
/* Input rows that can be read as if there were zeros on their sides. */
typedef struct firn__rows {
    const float *at; /* input row `first`, column -left */
    int64_t first;
} firn__rows;
/* Those of output rows begin..end-1. image: the whole of it, [in, in, channels]. */
firn__rows firn__band_fill(const firn__tiles *tiles, const firn__band *band, const firn__axis *h, const firn__axis *w,
                           int64_t channels, const float *image, int64_t begin, int64_t end, float *buffer);
/* 3 x 3 convolutions by winograd.c: which they are is a matter of the images' and weights' shape alone. */
bool firn__conv_is_winograd(const firn__conv_args *v);
size_t firn__winograd_packed_floats(const firn_ctx *ctx, const firn__conv_args *v, bool dx);
void firn__winograd_pack(firn__crew crew, const firn__conv_args *v, const float *weight, bool dx, float *packed);
size_t firn__winograd_scratch_bytes(firn__crew crew, const firn__conv_args *v, bool with_dx, bool with_dw);
void firn__winograd_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                            const firn__epilogue_args *epilogue, void *scratch);
void firn__winograd_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw,
                       void *scratch);

/* 0 on overflow. */
size_t firn__conv_dw_scratch_bytes(firn__crew crew, const firn__conv_args *v);
/* Adds up the chunks, [kh, kw, c of the group, o] each, into dw. */
void firn__conv_sum_dw(firn__crew crew, const firn__conv_args *v, float *chunks, int64_t chunk_floats, float *dw);

#endif
