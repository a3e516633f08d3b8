/* The kernels for AVX-512. */
#include <math.h>
#include <string.h>

#include "rng.h"
#include "table.h"
#include "vector.h"

#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,popcnt"))),                \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,popcnt")
#endif
#include "vec_avx512.h"
#define NAME "avx512"
#define KERNELS firn__kernels_avx512
/* At most 28 accumulators, the registers for B and one for A: what the 32 registers hold. */
#define TILES(X) X(UP_TO_14, 16) X(UP_TO_14, 32) X(UP_TO_6, 64) X(UP_TO_3, 128)
#define DEPTHWISE UP_TO_14
#include "kernels.inc.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
