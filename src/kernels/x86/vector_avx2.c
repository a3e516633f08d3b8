/* The vector kernels for AVX2 and FMA. */
#include <math.h>
#include <string.h>

#include "rng.h"
#include "vector.h"

#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#include "vec_avx2.h"
#define VECTOR_TABLE firn__vector_avx2
#include "vector.inc.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
