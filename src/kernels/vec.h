/* vec.h: what each vec_<isa>.h defines: 16 lanes that compute the same bits on every instruction set.
 *   vf   16 floats; vi 16 32-bit integers; vm 16 truth values; vd 16 doubles, in memory an array of them
 *   vf_max(a, b) is a > b ? a : b and vf_min(a, b) is a < b ? a : b, NaN included: the second where either is NaN
 *   _n   the first n lanes, 0 <= n <= 16; loads fill the others with zero, stores leave memory alone
 *   vf_held(x): x, loaded into registers once: a compiler may else load it again for every use
 *   vf_join8(a, b): sums of lanes 8 apart, a's and then b's; vf_join4: the same of lanes 4 apart in each half, a's and then
 *   b's; vf_join2 and vf_join1: of lanes 2 and 1 apart in each quarter, in each quarter a's and then b's
 *   VEC_SUMS: as many vf as registers hold beside what is added to them; PANEL_VECTORS: vf of a panel (tile.h)
 *   vec_turn(p, ld, to, ldd): to[j * ldd + i] = p[i * ld + j], 16 x 16
 *   shifts by a constant: shr logical, sar arithmetic */
#ifndef FIRN_KERNELS_VEC_H
#define FIRN_KERNELS_VEC_H
#include "unroll.h"

#if !defined(LANES_INLINE) /* vec_ref.h may have its own */
#define LANES_INLINE static inline __attribute__((always_inline, unused))
#endif

/* for each group of up to 16 of begin..end-1: starts at i, has n */
#define EACH_GROUP(i, n, begin, end)                                                                                       \
    for (int64_t i = (begin), i##_end = (end), n; n = i##_end - i < 16 ? i##_end - i : 16, i < i##_end; i += 16)

#endif
