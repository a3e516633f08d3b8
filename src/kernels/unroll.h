/* unroll.h: how the kernels tell the compiler, GCC or clang, to inline, unroll and fetch ahead. */
#ifndef FIRN_KERNELS_UNROLL_H
#define FIRN_KERNELS_UNROLL_H

#define INLINE static inline __attribute__((always_inline))
/* A loop that must be unrolled, so that an array indexed by it can live in registers. Before version 16 clang kept the
 * array in memory where the loop runs once: there, i must be seen not to change. */
#if defined(__clang__)
#define EACH(i, count)                                                                                                     \
    _Pragma("clang loop unroll(full)") for (int i = 0, i##_more = (count) > 0; i##_more;                                   \
                                            i##_more = (count) > 1 && ++i < (count))
#else
#define EACH(i, count) _Pragma("GCC unroll 64") for (int i = 0; i < (count); i++)
#endif

#define PREFETCH(p) __builtin_prefetch(p)
#define PREFETCH_L2(p) __builtin_prefetch(p, 0, 2) /* no nearer than the second-level cache */

#endif
