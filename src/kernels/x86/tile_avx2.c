#include "tile.h"
#if defined(__x86_64__)
#include "part_avx2.h"

#define TARGET __attribute__((target("avx2,fma")))
#define ISA(name) name##_avx2
#define LANES 8
#define PANEL_VECTORS 2
#define VEC __m256
#define ZERO() _mm256_setzero_ps()
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define LOAD_PART(p, n) _mm256_maskload_ps(p, first_avx2(n))
#define STORE_PART(p, v, n) store_part_avx2(p, v, n)
#define SPREAD(p) _mm256_broadcast_ss(p)
#define ADD(a, b) _mm256_add_ps(a, b)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define RELU(v) _mm256_max_ps(_mm256_setzero_ps(), v) /* the second operand, where one is NaN or both are zero */
#define TRANSPOSE(p, ld, r) transpose_vectors_avx2(p, ld, r)

/* 8 x 8. Halves of rows are gathered by the loads, which leaves two steps: pairs, then fours within halves. */
static inline __attribute__((always_inline)) TARGET void transpose_vectors_avx2(const float *p, int64_t ld, __m256 r[8])
{
    for (int q = 0; q < 2; q++, p += 4) {
        __m256 t[4];
        for (int i = 0; i < 4; i++) { /* columns 4q.. of rows i, 4 + i */
            t[i] = _mm256_castps128_ps256(_mm_loadu_ps(p + i * ld));
            t[i] = _mm256_insertf128_ps(t[i], _mm_loadu_ps(p + (4 + i) * ld), 1);
        }
        const __m256 low = _mm256_unpacklo_ps(t[0], t[1]), low2 = _mm256_unpacklo_ps(t[2], t[3]);
        const __m256 high = _mm256_unpackhi_ps(t[0], t[1]), high2 = _mm256_unpackhi_ps(t[2], t[3]);
        r[4 * q] = _mm256_shuffle_ps(low, low2, 0x44);
        r[4 * q + 1] = _mm256_shuffle_ps(low, low2, 0xee);
        r[4 * q + 2] = _mm256_shuffle_ps(high, high2, 0x44);
        r[4 * q + 3] = _mm256_shuffle_ps(high, high2, 0xee);
    }
}

#include "tile.inc.h"

/* 12 accumulators (14 with one vector a row), two registers for B, one or two for A: 16 registers. */
UP_TO_14(TILE, 1)
firn__tile_fn *const firn__tiles_x1_avx2[FIRN__TILE_ROWS] = {UP_TO_14(TILE_NAME, 1)};
TILES(UP_TO_6, 2)
TILES(UP_TO_3, 4)
TILES(UP_TO_1, 8)
DEPTHWISE_TILES(UP_TO_7)
NARROW_TILES

static const firn__tile_set sets_avx2[] = {
    {LANES, FIRN__TILE_ROWS, firn__tiles_x1_avx2}, TILE_SET(2), TILE_SET(4), TILE_SET(8)};
const firn__tiles firn__tiles_avx2 = TILE_TABLE(sets_avx2);
#endif
