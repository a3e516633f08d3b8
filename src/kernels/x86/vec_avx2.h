/* vec_avx2.h: 16 lanes in two registers; AVX2 and FMA. */
#ifndef FIRN_KERNELS_VEC_AVX2_H
#define FIRN_KERNELS_VEC_AVX2_H
#include <immintrin.h>
#include <stdint.h>

#include "vec.h"

typedef struct vf {
    __m256 a, b;
} vf;
typedef struct vi {
    __m256i a, b;
} vi;
typedef vf vm; /* all bits of a lane */
typedef struct vd {
    __m256d a, b, c, d;
} vd;

#define TWO(type, name, in, f)                                                                                             \
    LANES_INLINE type name(in x, in y) { return (type){f(x.a, y.a), f(x.b, y.b)}; }

/* All bits set in lanes 0..n-1; n may be below 0 or above 8. */
LANES_INLINE __m256i first_avx2(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* 0 <= n < 8. Piece by piece, because a masked store takes about 18 cycles on AMD's cores. */
LANES_INLINE void store_part_avx2(float *p, __m256 v, int n)
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

LANES_INLINE vf vf_set(float x) { return (vf){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
LANES_INLINE vf vf_load_n(const float *p, int64_t n)
{
    if (n == 16) return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
    if (n == 8) return (vf){_mm256_loadu_ps(p), _mm256_setzero_ps()};
    if (n < 8) return (vf){_mm256_maskload_ps(p, first_avx2((int)n)), _mm256_setzero_ps()};
    return (vf){_mm256_loadu_ps(p), _mm256_maskload_ps(p + 8, first_avx2((int)n - 8))};
}
LANES_INLINE void vf_store_n(float *p, vf x, int64_t n)
{
    if (n >= 8)
        _mm256_storeu_ps(p, x.a);
    else
        store_part_avx2(p, x.a, (int)n);
    if (n == 16)
        _mm256_storeu_ps(p + 8, x.b);
    else if (n > 8)
        store_part_avx2(p + 8, x.b, (int)n - 8);
}
LANES_INLINE vf vf_held(vf x)
{
    __asm__("" : "+x"(x.a), "+x"(x.b));
    return x;
}
TWO(vf, vf_add, vf, _mm256_add_ps)
TWO(vf, vf_sub, vf, _mm256_sub_ps)
TWO(vf, vf_mul, vf, _mm256_mul_ps)
TWO(vf, vf_div, vf, _mm256_div_ps)
TWO(vf, vf_max, vf, _mm256_max_ps)
TWO(vf, vf_min, vf, _mm256_min_ps)
LANES_INLINE vf vf_fma(vf x, vf y, vf z) { return (vf){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
LANES_INLINE vf vf_sqrt(vf x) { return (vf){_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }

LANES_INLINE vi vi_set(uint32_t x) { return (vi){_mm256_set1_epi32((int)x), _mm256_set1_epi32((int)x)}; }
LANES_INLINE vi vi_iota(void)
{
    return (vi){_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)};
}
LANES_INLINE vi vi_load_u8(const uint8_t *p)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (vi){_mm256_cvtepu8_epi32(x), _mm256_cvtepu8_epi32(_mm_srli_si128(x, 8))};
}
LANES_INLINE vf vi_to_f(vi x) { return (vf){_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
LANES_INLINE vf vi_as_f(vi x) { return (vf){_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)}; }
LANES_INLINE vi vf_as_i(vf x) { return (vi){_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
TWO(vi, vi_add, vi, _mm256_add_epi32)
TWO(vi, vi_sub, vi, _mm256_sub_epi32)
TWO(vi, vi_mul, vi, _mm256_mullo_epi32)
TWO(vi, vi_and, vi, _mm256_and_si256)
TWO(vi, vi_or, vi, _mm256_or_si256)
TWO(vi, vi_xor, vi, _mm256_xor_si256)
LANES_INLINE vi vi_shl(vi x, int k) { return (vi){_mm256_slli_epi32(x.a, k), _mm256_slli_epi32(x.b, k)}; }
LANES_INLINE vi vi_shr(vi x, int k) { return (vi){_mm256_srli_epi32(x.a, k), _mm256_srli_epi32(x.b, k)}; }
LANES_INLINE vi vi_sar(vi x, int k) { return (vi){_mm256_srai_epi32(x.a, k), _mm256_srai_epi32(x.b, k)}; }

#define LESS(a, b) _mm256_cmp_ps(a, b, _CMP_LT_OQ)
#define EQUAL(a, b) _mm256_cmp_ps(a, b, _CMP_EQ_OQ)
#define LESS_I(a, b) _mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a))
#define EQUAL_I(a, b) _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b))
TWO(vm, vf_lt, vf, LESS)
TWO(vm, vf_eq, vf, EQUAL)
LANES_INLINE vm vf_is_nan(vf x)
{
    return (vm){_mm256_cmp_ps(x.a, x.a, _CMP_UNORD_Q), _mm256_cmp_ps(x.b, x.b, _CMP_UNORD_Q)};
}
TWO(vm, vi_lt, vi, LESS_I)
TWO(vm, vi_eq, vi, EQUAL_I)
TWO(vm, vm_or, vm, _mm256_or_ps)
LANES_INLINE uint32_t vm_bits(vm m) { return (uint32_t)_mm256_movemask_ps(m.a) | (uint32_t)_mm256_movemask_ps(m.b) << 8; }
LANES_INLINE vm vm_from_bits(uint32_t bits)
{
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i a = _mm256_and_si256(_mm256_set1_epi32((int)bits), lane);
    const __m256i b = _mm256_and_si256(_mm256_set1_epi32((int)(bits >> 8)), lane);
    return (vm){EQUAL_I(a, lane), EQUAL_I(b, lane)};
}
LANES_INLINE vf vf_select(vm m, vf x, vf y)
{
    return (vf){_mm256_blendv_ps(y.a, x.a, m.a), _mm256_blendv_ps(y.b, x.b, m.b)};
}

#define VEC_SUMS 6
#define PANEL_VECTORS 1
LANES_INLINE vf vf_join8(vf x, vf y) { return (vf){_mm256_add_ps(x.a, x.b), _mm256_add_ps(y.a, y.b)}; }
LANES_INLINE __m256 halves(vf x) /* of a, then of b */
{
    return _mm256_add_ps(_mm256_permute2f128_ps(x.a, x.b, 0x20), _mm256_permute2f128_ps(x.a, x.b, 0x31));
}
LANES_INLINE vf vf_join4(vf x, vf y) { return (vf){halves(x), halves(y)}; }
#define JOIN_2(x, y) _mm256_add_ps(_mm256_shuffle_ps(x, y, 0x44), _mm256_shuffle_ps(x, y, 0xee))
#define JOIN_1(x, y) _mm256_add_ps(_mm256_shuffle_ps(x, y, 0x88), _mm256_shuffle_ps(x, y, 0xdd))
TWO(vf, vf_join2, vf, JOIN_2)
TWO(vf, vf_join1, vf, JOIN_1)

LANES_INLINE __m256d add_square(__m256d sum, __m128 x) /* the square is exact: as if rounded twice */
{
    return _mm256_fmadd_pd(_mm256_cvtps_pd(x), _mm256_cvtps_pd(x), sum);
}
LANES_INLINE vd vd_add_squares(vd sum, vf x)
{
    return (vd){add_square(sum.a, _mm256_castps256_ps128(x.a)), add_square(sum.b, _mm256_extractf128_ps(x.a, 1)),
                add_square(sum.c, _mm256_castps256_ps128(x.b)), add_square(sum.d, _mm256_extractf128_ps(x.b, 1))};
}

/* 8 x 8 of them. Halves of rows are gathered by the loads, which leaves two steps: pairs, then fours within halves. */
LANES_INLINE void turn_8(const float *p, int64_t ld, float *to, int64_t ldd)
{
    for (int q = 0; q < 2; q++, p += 4, to += 4 * ldd) {
        __m256 t[4];
        for (int i = 0; i < 4; i++) { /* columns 4q.. of rows i, 4 + i */
            t[i] = _mm256_castps128_ps256(_mm_loadu_ps(p + i * ld));
            t[i] = _mm256_insertf128_ps(t[i], _mm_loadu_ps(p + (4 + i) * ld), 1);
        }
        const __m256 low = _mm256_unpacklo_ps(t[0], t[1]), low2 = _mm256_unpacklo_ps(t[2], t[3]);
        const __m256 high = _mm256_unpackhi_ps(t[0], t[1]), high2 = _mm256_unpackhi_ps(t[2], t[3]);
        _mm256_storeu_ps(to, _mm256_shuffle_ps(low, low2, 0x44));
        _mm256_storeu_ps(to + ldd, _mm256_shuffle_ps(low, low2, 0xee));
        _mm256_storeu_ps(to + 2 * ldd, _mm256_shuffle_ps(high, high2, 0x44));
        _mm256_storeu_ps(to + 3 * ldd, _mm256_shuffle_ps(high, high2, 0xee));
    }
}
LANES_INLINE void vec_turn(const float *p, int64_t ld, float *to, int64_t ldd)
{
    for (int i = 0; i < 16; i += 8)
        for (int j = 0; j < 16; j += 8) turn_8(p + i * ld + j, ld, to + j * ldd + i, ldd);
}
#endif
