#include "tile.h"
#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#define ISA(name) name##_avx512
#define LANES 16
#define PANEL_VECTORS 2
#define VEC __m512
#define ZERO() _mm512_setzero_ps()
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define FIRST(n) ((__mmask16)((1u << (n)) - 1u))
#define LOAD_PART(p, n) _mm512_maskz_loadu_ps(FIRST(n), p)
#define STORE_PART(p, v, n) _mm512_mask_storeu_ps(p, FIRST(n), v)
#define SPREAD(p) _mm512_set1_ps(*(p))
#define ADD(a, b) _mm512_add_ps(a, b)
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define RELU(v) _mm512_max_ps(_mm512_setzero_ps(), v) /* the second operand, where one is NaN or both are zero */
#define TRANSPOSE(r) transpose_vectors_avx512(r)

/* 16 x 16: pairs, then fours within 128-bit quarters, then the quarters. */
static inline __attribute__((always_inline)) TARGET void transpose_vectors_avx512(__m512 r[16])
{
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            const __m512d x = _mm512_castps_pd(t[i + j]), y = _mm512_castps_pd(t[i + 2 + j]);
            r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
            r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
        }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_f32x4(r[i], r[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_f32x4(r[8 + i], r[12 + i], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0x88);
        r[4 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0x88);
        r[8 + i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0xdd);
        r[12 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0xdd);
    }
}

#include "tile.inc.h"

/* 28 accumulators, a few registers for B: what the 32 registers hold. */
TILES(UP_TO_14, 1)
TILES(UP_TO_14, 2)
TILES(UP_TO_7, 4)
TILES(UP_TO_3, 8)
DEPTHWISE_TILES(UP_TO_14)
NARROW_TILES

static const firn__tile_set sets_avx512[] = {
    {8, FIRN__TILE_ROWS, firn__tiles_x1_avx2}, /* half a vector */
    {16, COUNT(tiles_x1_avx512), tiles_x1_avx512}, {32, COUNT(tiles_x2_avx512), tiles_x2_avx512},
    {64, COUNT(tiles_x4_avx512), tiles_x4_avx512}, {128, COUNT(tiles_x8_avx512), tiles_x8_avx512},
};
const firn__tiles firn__tiles_avx512 = {
    .lanes = LANES,
    .panel = PANEL_VECTORS * LANES,
    .sets = sets_avx512,
    .set_count = COUNT(sets_avx512),
    .depthwise = {LANES, COUNT(depthwise_avx512), depthwise_avx512},
    .narrow = narrows_avx512,
    .copy = copy_avx512,
    .transpose = transpose_avx512,
    .sum_rows = sum_rows_avx512,
};
#endif
