/* vec_avx512.h: 16 lanes in one register; AVX-512 F, BW, DQ, VL. */
#ifndef FIRN_KERNELS_VEC_AVX512_H
#define FIRN_KERNELS_VEC_AVX512_H
#include <immintrin.h>
#include <stdint.h>

#include "vec.h"

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;
typedef struct vd {
    __m512d a, b;
} vd;

LANES_INLINE vm vm_from_bits(uint32_t bits) { return (vm)bits; }
LANES_INLINE uint32_t vm_bits(vm m) { return m; }
LANES_INLINE vm vm_or(vm a, vm b) { return (vm)(a | b); }
LANES_INLINE vm vm_first(int64_t n) { return (vm)((1u << n) - 1u); }

LANES_INLINE vf vf_set(float x) { return _mm512_set1_ps(x); }
LANES_INLINE vf vf_load_n(const float *p, int64_t n)
{
    return n == 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(vm_first(n), p);
}
LANES_INLINE void vf_store_n(float *p, vf x, int64_t n)
{
    if (n == 16)
        _mm512_storeu_ps(p, x);
    else
        _mm512_mask_storeu_ps(p, vm_first(n), x);
}
LANES_INLINE vf vf_held(vf x)
{
    __asm__("" : "+v"(x));
    return x;
}
LANES_INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
LANES_INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
LANES_INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
LANES_INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
LANES_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
LANES_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
LANES_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
LANES_INLINE vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }

LANES_INLINE vi vi_set(uint32_t x) { return _mm512_set1_epi32((int)x); }
LANES_INLINE vi vi_iota(void) { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
LANES_INLINE vi vi_load_u8(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
LANES_INLINE vf vi_to_f(vi a) { return _mm512_cvtepi32_ps(a); }
LANES_INLINE vf vi_as_f(vi a) { return _mm512_castsi512_ps(a); }
LANES_INLINE vi vf_as_i(vf a) { return _mm512_castps_si512(a); }
LANES_INLINE vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
LANES_INLINE vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
LANES_INLINE vi vi_mul(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
LANES_INLINE vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
LANES_INLINE vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
LANES_INLINE vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
#define vi_shl(a, k) _mm512_slli_epi32(a, k)
#define vi_shr(a, k) _mm512_srli_epi32(a, k)
#define vi_sar(a, k) _mm512_srai_epi32(a, k)

LANES_INLINE vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
LANES_INLINE vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
LANES_INLINE vm vf_is_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
LANES_INLINE vm vi_lt(vi a, vi b) { return _mm512_cmplt_epi32_mask(a, b); }
LANES_INLINE vm vi_eq(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
LANES_INLINE vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }

#define VEC_SUMS 16
#define PANEL_VECTORS 2
#define JOIN(name, shuffle, low, high)                                                                                     \
    LANES_INLINE vf name(vf a, vf b) { return _mm512_add_ps(shuffle(a, b, low), shuffle(a, b, high)); }
JOIN(vf_join8, _mm512_shuffle_f32x4, 0x44, 0xee)
JOIN(vf_join4, _mm512_shuffle_f32x4, 0x88, 0xdd)
JOIN(vf_join2, _mm512_shuffle_ps, 0x44, 0xee)
JOIN(vf_join1, _mm512_shuffle_ps, 0x88, 0xdd)

LANES_INLINE vd vd_add_squares(vd sum, vf x)
{
    const __m512d a = _mm512_cvtps_pd(_mm512_castps512_ps256(x)), b = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    return (vd){_mm512_fmadd_pd(a, a, sum.a), _mm512_fmadd_pd(b, b, sum.b)}; /* the square is exact: as if rounded twice */
}

/* Quarters of rows are gathered by the loads, which leaves two steps: pairs, then fours within quarters. */
LANES_INLINE void vec_turn(const float *p, int64_t ld, float *to, int64_t ldd)
{
    for (int q = 0; q < 4; q++, p += 4, to += 4 * ldd) {
        __m512 t[4];
        for (int i = 0; i < 4; i++) { /* columns 4q.. of rows i, 4 + i, 8 + i, 12 + i */
            t[i] = _mm512_castps128_ps512(_mm_loadu_ps(p + i * ld));
            t[i] = _mm512_insertf32x4(t[i], _mm_loadu_ps(p + (4 + i) * ld), 1);
            t[i] = _mm512_insertf32x4(t[i], _mm_loadu_ps(p + (8 + i) * ld), 2);
            t[i] = _mm512_insertf32x4(t[i], _mm_loadu_ps(p + (12 + i) * ld), 3);
        }
        const __m512d low = _mm512_castps_pd(_mm512_unpacklo_ps(t[0], t[1])),
                      low2 = _mm512_castps_pd(_mm512_unpacklo_ps(t[2], t[3]));
        const __m512d high = _mm512_castps_pd(_mm512_unpackhi_ps(t[0], t[1])),
                      high2 = _mm512_castps_pd(_mm512_unpackhi_ps(t[2], t[3]));
        _mm512_storeu_pd(to, _mm512_unpacklo_pd(low, low2));
        _mm512_storeu_pd(to + ldd, _mm512_unpackhi_pd(low, low2));
        _mm512_storeu_pd(to + 2 * ldd, _mm512_unpacklo_pd(high, high2));
        _mm512_storeu_pd(to + 3 * ldd, _mm512_unpackhi_pd(high, high2));
    }
}

/* Packs the lanes of m to the front; reads no more floats than m has bits. */
#define VEC_HAS_COMPRESS 1
LANES_INLINE vf vf_compress(vm m, vf x) { return _mm512_maskz_compress_ps(m, x); }
LANES_INLINE vf vf_expand(vm m, const unsigned char *p)
{
    return _mm512_maskz_expand_ps(m, _mm512_maskz_loadu_ps(vm_first(__builtin_popcount(m)), p));
}
#endif
