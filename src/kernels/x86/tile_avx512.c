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
#define TRANSPOSE(p, ld, r) transpose_vectors_avx512(p, ld, r)

/* 16 x 16. Quarters of rows are gathered by the loads, which leaves two steps: pairs, then fours within quarters. */
static inline __attribute__((always_inline)) TARGET void transpose_vectors_avx512(const float *p, int64_t ld, __m512 r[16])
{
    for (int q = 0; q < 4; q++, p += 4) {
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
        r[4 * q] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, low2));
        r[4 * q + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, low2));
        r[4 * q + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high, high2));
        r[4 * q + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high, high2));
    }
}

#include "tile.inc.h"

/* At most 28 accumulators, the registers for B and one for A: what the 32 registers hold. */
TILES(UP_TO_14, 1)
TILES(UP_TO_14, 2)
TILES(UP_TO_6, 4)
TILES(UP_TO_3, 8)
DEPTHWISE_TILES(UP_TO_14)
NARROW_TILES

/* The first: 8 columns, half a vector. */
static const firn__tile_set sets_avx512[] = {
    {8, FIRN__TILE_ROWS, firn__tiles_x1_avx2}, TILE_SET(1), TILE_SET(2), TILE_SET(4), TILE_SET(8)};
const firn__tiles firn__tiles_avx512 = TILE_TABLE(sets_avx512);
#endif
