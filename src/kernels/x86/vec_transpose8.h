/* vec_transpose8.h: an 8x8 block of floats turned over in AVX registers. */
#ifndef FIRN_KERNELS_VEC_TRANSPOSE8_H
#define FIRN_KERNELS_VEC_TRANSPOSE8_H
#include <immintrin.h>
#include <stdint.h>

#include "vec.h"

enum { VEC_BLOCK = 8 };
LANES_INLINE void vf_transpose_block(const float *x, int64_t sx, float *y, int64_t sy)
{
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i++) a[i] = _mm256_loadu_ps(x + i * sx);
    for (int i = 0; i < 8; i += 2) { /* pairs of rows */
        b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) /* fours */
        for (int k = 0; k < 2; k++) {
            a[i + 2 * k] = _mm256_shuffle_ps(b[i + k], b[i + k + 2], 0x44);
            a[i + 2 * k + 1] = _mm256_shuffle_ps(b[i + k], b[i + k + 2], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(y + i * sy, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
        _mm256_storeu_ps(y + (i + 4) * sy, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
    }
}
#endif
