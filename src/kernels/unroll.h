/* unroll.h: how the kernels tell the compiler to inline and unroll. */
#ifndef FIRN_KERNELS_UNROLL_H
#define FIRN_KERNELS_UNROLL_H

#define INLINE static inline __attribute__((always_inline))
/* A loop that must be unrolled, so that an array indexed by it can live in registers. */
#if defined(__clang__)
#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)
#elif defined(__GNUC__)
#define EACH(i, count) _Pragma("GCC unroll 64") for (int i = 0; i < (count); i++)
#else
#define EACH(i, count) for (int i = 0; i < (count); i++)
#endif

#endif
