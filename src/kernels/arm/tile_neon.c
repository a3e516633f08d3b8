#include "tile.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>

#define TARGET
#define ISA(name) name##_neon
#define LANES 4
#define PANEL_VECTORS 4
#define VEC float32x4_t
#define ZERO() vdupq_n_f32(0)
#define LOAD(p) vld1q_f32(p)
#define STORE(p, v) vst1q_f32(p, v)
#define LOAD_PART(p, n) load_first_neon(p, n)
#define STORE_PART(p, v, n) store_first_neon(p, v, n)
#define SPREAD(p) vld1q_dup_f32(p)
#define ADD(a, b) vaddq_f32(a, b)
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define RELU(v) vbslq_f32(vcltzq_f32(v), vdupq_n_f32(0), v) /* NaN and -0 stay */
#define TRANSPOSE(p, ld, r) transpose_vectors_neon(p, ld, r)

static inline float32x4_t load_first_neon(const float *p, int n)
{
    float all[4] = {0};
    if (n > 0) memcpy(all, p, (size_t)n * sizeof *p);
    return vld1q_f32(all);
}

static inline void store_first_neon(float *p, float32x4_t v, int n)
{
    float all[4];
    vst1q_f32(all, v);
    if (n > 0) memcpy(p, all, (size_t)n * sizeof *p);
}

static inline void transpose_vectors_neon(const float *p, int64_t ld, float32x4_t r[4])
{
    const float32x4x2_t low = vtrnq_f32(vld1q_f32(p), vld1q_f32(p + ld));
    const float32x4x2_t high = vtrnq_f32(vld1q_f32(p + 2 * ld), vld1q_f32(p + 3 * ld));
    for (int i = 0; i < 2; i++) {
        r[i] = vcombine_f32(vget_low_f32(low.val[i]), vget_low_f32(high.val[i]));
        r[2 + i] = vcombine_f32(vget_high_f32(low.val[i]), vget_high_f32(high.val[i]));
    }
}

#include "tile.inc.h"

/* 24 to 28 accumulators, four registers for B, one for A: 32 registers. */
TILES(UP_TO_14, 1)
TILES(UP_TO_14, 2)
TILES(UP_TO_6, 4)
TILES(UP_TO_3, 8)
DEPTHWISE_TILES(UP_TO_14)
NARROW_TILES

static const firn__tile_set sets_neon[] = {TILE_SET(1), TILE_SET(2), TILE_SET(4), TILE_SET(8)};
const firn__tiles firn__tiles_neon = TILE_TABLE(sets_neon);
#endif
