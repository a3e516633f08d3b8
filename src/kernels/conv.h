/* conv.h: what the passes of a convolution share.
 * The chain of an element: forward: kh, kw, c ascending. dx: kh, kw descending (dy ascending), o ascending. dw: image,
 * oh, ow ascending. Kernel rows that fall outside the image are left out; in those that do not, taps outside take
 * part with a zero. With a stride, dx leaves out the taps that no output position has. */
#ifndef FIRN_KERNELS_CONV_H
#define FIRN_KERNELS_CONV_H
#include "kernels.h"

/* Into how many chunks of images a weight gradient is split, for threads; fixed by v. Chunk i: images n*i/chunks to
 * n*(i+1)/chunks. */
static inline int64_t firn__conv_chunks(const firn__conv_args *v) { return v->n < 8 ? v->n : 8; }

#endif
