/* The vector kernels for AVX-512. */
#include <math.h>
#include <string.h>

#include "rng.h"
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
#define VECTOR_TABLE firn__vector_avx512
#include "vector.inc.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
