/* part_avx2.h: the first lanes of an AVX2 register. */
#ifndef FIRN_KERNELS_PART_AVX2_H
#define FIRN_KERNELS_PART_AVX2_H
#include <immintrin.h>

#define PART_INLINE static inline __attribute__((always_inline, unused, target("avx2,fma")))

/* All bits set in lanes 0..n-1; n may be below 0 or above 8. */
PART_INLINE __m256i first_avx2(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* 0 <= n < 8. Piece by piece, because a masked store takes about 18 cycles on AMD's cores. */
PART_INLINE void store_part_avx2(float *p, __m256 v, int n)
{
    __m128 rest = _mm256_castps256_ps128(v);
    if (n & 4) {
        _mm_storeu_ps(p, rest);
        rest = _mm256_extractf128_ps(v, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, rest);
        rest = _mm_movehl_ps(rest, rest);
        p += 2;
    }
    if (n & 1) _mm_store_ss(p, rest);
}
#endif
