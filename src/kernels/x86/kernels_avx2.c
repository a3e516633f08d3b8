/* The kernels for AVX2 and FMA. */
#include <math.h>
#include <string.h>

#include "rng.h"
#include "table.h"
#include "vector.h"

#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#include "vec_avx2.h"
#define NAME "avx2"
#define KERNELS firn__kernels_avx2
/* 12 accumulators, two registers for B, one or two for A: 16 registers. */
#define TILES(X) X(UP_TO_12, 8) X(UP_TO_6, 16) X(UP_TO_3, 32) X(UP_TO_1, 64)
#define DEPTHWISE UP_TO_6
#include "kernels.inc.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
