/* vec_neon.h: 16 lanes in four registers; AArch64. */
#ifndef FIRN_KERNELS_VEC_NEON_H
#define FIRN_KERNELS_VEC_NEON_H
#include <arm_neon.h>
#include <stdint.h>

#include "vec.h"

typedef struct vf {
    float32x4_t r[4];
} vf;
typedef struct vi {
    uint32x4_t r[4];
} vi;
typedef vi vm; /* all bits of a lane */
typedef struct vd {
    float64x2_t r[8];
} vd;

#define FOUR(type, value)                                                                                                  \
    type out;                                                                                                              \
    EACH(i, 4) out.r[i] = value;                                                                                           \
    return out
#define TWO_IN(type, name, in, f)                                                                                          \
    LANES_INLINE type name(in x, in y) { FOUR(type, f(x.r[i], y.r[i])); }
#define ONE_IN(type, name, in, f)                                                                                          \
    LANES_INLINE type name(in x) { FOUR(type, f(x.r[i])); }

LANES_INLINE vf vf_set(float x) { FOUR(vf, vdupq_n_f32(x)); }
LANES_INLINE float32x4_t load_first_neon(const float *p, int64_t n)
{
    if (n >= 4) return vld1q_f32(p);
    float32x4_t x = vdupq_n_f32(0);
    if (n > 0) x = vld1q_lane_f32(p, x, 0);
    if (n > 1) x = vld1q_lane_f32(p + 1, x, 1);
    if (n > 2) x = vld1q_lane_f32(p + 2, x, 2);
    return x;
}
LANES_INLINE vf vf_load_n(const float *p, int64_t n) { FOUR(vf, load_first_neon(p + 4 * i, n - 4 * i)); }
LANES_INLINE void store_first_neon(float *p, float32x4_t x, int64_t n)
{
    if (n >= 4) {
        vst1q_f32(p, x);
        return;
    }
    if (n > 0) vst1q_lane_f32(p, x, 0);
    if (n > 1) vst1q_lane_f32(p + 1, x, 1);
    if (n > 2) vst1q_lane_f32(p + 2, x, 2);
}
LANES_INLINE void vf_store_n(float *p, vf x, int64_t n)
{
    EACH(i, 4) store_first_neon(p + 4 * i, x.r[i], n - 4 * i);
}
LANES_INLINE vf vf_held(vf x) { return x; }
/* The instructions vmax and vmin treat NaN and -0 in another way. */
#define LARGER(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
#define SMALLER(a, b) vbslq_f32(vcltq_f32(a, b), a, b)
TWO_IN(vf, vf_add, vf, vaddq_f32)
TWO_IN(vf, vf_sub, vf, vsubq_f32)
TWO_IN(vf, vf_mul, vf, vmulq_f32)
TWO_IN(vf, vf_div, vf, vdivq_f32)
TWO_IN(vf, vf_max, vf, LARGER)
TWO_IN(vf, vf_min, vf, SMALLER)
LANES_INLINE vf vf_fma(vf x, vf y, vf z) { FOUR(vf, vfmaq_f32(z.r[i], x.r[i], y.r[i])); }
ONE_IN(vf, vf_sqrt, vf, vsqrtq_f32)

LANES_INLINE vi vi_set(uint32_t x) { FOUR(vi, vdupq_n_u32(x)); }
LANES_INLINE vi vi_iota(void)
{
    static const uint32_t lane[4] = {0, 1, 2, 3};
    FOUR(vi, vaddq_u32(vld1q_u32(lane), vdupq_n_u32(4 * (uint32_t)i)));
}
LANES_INLINE vi vi_load_u8(const uint8_t *p)
{
    const uint8x16_t x = vld1q_u8(p);
    const uint16x8_t low = vmovl_u8(vget_low_u8(x)), high = vmovl_u8(vget_high_u8(x));
    return (vi){{vmovl_u16(vget_low_u16(low)), vmovl_u16(vget_high_u16(low)), vmovl_u16(vget_low_u16(high)),
                 vmovl_u16(vget_high_u16(high))}};
}
#define SIGNED(x) vreinterpretq_s32_u32(x)
#define TO_FLOAT(x) vcvtq_f32_s32(SIGNED(x))
ONE_IN(vf, vi_to_f, vi, TO_FLOAT)
ONE_IN(vf, vi_as_f, vi, vreinterpretq_f32_u32)
ONE_IN(vi, vf_as_i, vf, vreinterpretq_u32_f32)
TWO_IN(vi, vi_add, vi, vaddq_u32)
TWO_IN(vi, vi_sub, vi, vsubq_u32)
TWO_IN(vi, vi_mul, vi, vmulq_u32)
TWO_IN(vi, vi_and, vi, vandq_u32)
TWO_IN(vi, vi_or, vi, vorrq_u32)
TWO_IN(vi, vi_xor, vi, veorq_u32)
LANES_INLINE vi vi_shl(vi x, int k) { FOUR(vi, vshlq_u32(x.r[i], vdupq_n_s32(k))); }
LANES_INLINE vi vi_shr(vi x, int k) { FOUR(vi, vshlq_u32(x.r[i], vdupq_n_s32(-k))); }
LANES_INLINE vi vi_sar(vi x, int k) { FOUR(vi, vreinterpretq_u32_s32(vshlq_s32(SIGNED(x.r[i]), vdupq_n_s32(-k)))); }

#define LESS_I(a, b) vcltq_s32(SIGNED(a), SIGNED(b))
TWO_IN(vm, vf_lt, vf, vcltq_f32)
TWO_IN(vm, vf_eq, vf, vceqq_f32)
LANES_INLINE vm vf_is_nan(vf x) { FOUR(vm, vmvnq_u32(vceqq_f32(x.r[i], x.r[i]))); }
TWO_IN(vm, vi_lt, vi, LESS_I)
TWO_IN(vm, vi_eq, vi, vceqq_u32)
TWO_IN(vm, vm_or, vm, vorrq_u32)
LANES_INLINE uint32x4_t lane_bits(int i)
{
    static const uint32_t bit[4] = {1, 2, 4, 8};
    return vshlq_u32(vld1q_u32(bit), vdupq_n_s32(4 * i));
}
LANES_INLINE uint32_t vm_bits(vm m)
{
    uint32x4_t bits = vandq_u32(m.r[0], lane_bits(0));
    for (int i = 1; i < 4; i++) bits = vorrq_u32(bits, vandq_u32(m.r[i], lane_bits(i)));
    return vaddvq_u32(bits);
}
LANES_INLINE vm vm_from_bits(uint32_t bits) { FOUR(vm, vtstq_u32(vdupq_n_u32(bits), lane_bits(i))); }
LANES_INLINE vf vf_select(vm m, vf x, vf y) { FOUR(vf, vbslq_f32(m.r[i], x.r[i], y.r[i])); }

#define VEC_SUMS 6
#define PANEL_VECTORS 1
LANES_INLINE vf vf_join8(vf x, vf y)
{
    return (vf){
        {vaddq_f32(x.r[0], x.r[2]), vaddq_f32(x.r[1], x.r[3]), vaddq_f32(y.r[0], y.r[2]), vaddq_f32(y.r[1], y.r[3])}};
}
LANES_INLINE vf vf_join4(vf x, vf y)
{
    return (vf){
        {vaddq_f32(x.r[0], x.r[1]), vaddq_f32(x.r[2], x.r[3]), vaddq_f32(y.r[0], y.r[1]), vaddq_f32(y.r[2], y.r[3])}};
}
#define JOIN_2(a, b)                                                                                                       \
    vaddq_f32(vcombine_f32(vget_low_f32(a), vget_low_f32(b)), vcombine_f32(vget_high_f32(a), vget_high_f32(b)))
TWO_IN(vf, vf_join2, vf, JOIN_2)
TWO_IN(vf, vf_join1, vf, vpaddq_f32)

LANES_INLINE vd vd_add_squares(vd sum, vf x) /* the square is exact: as if rounded twice */
{
    for (int i = 0; i < 4; i++) {
        const float64x2_t low = vcvt_f64_f32(vget_low_f32(x.r[i])), high = vcvt_high_f64_f32(x.r[i]);
        sum.r[2 * i] = vfmaq_f64(sum.r[2 * i], low, low);
        sum.r[2 * i + 1] = vfmaq_f64(sum.r[2 * i + 1], high, high);
    }
    return sum;
}

LANES_INLINE void vec_turn(const float *p, int64_t ld, float *to, int64_t ldd)
{
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 16; j += 4) {
            const float *from = p + i * ld + j;
            const float32x4x2_t low = vtrnq_f32(vld1q_f32(from), vld1q_f32(from + ld));
            const float32x4x2_t high = vtrnq_f32(vld1q_f32(from + 2 * ld), vld1q_f32(from + 3 * ld));
            for (int k = 0; k < 2; k++) {
                float *at = to + (j + k) * ldd + i;
                vst1q_f32(at, vcombine_f32(vget_low_f32(low.val[k]), vget_low_f32(high.val[k])));
                vst1q_f32(at + 2 * ldd, vcombine_f32(vget_high_f32(low.val[k]), vget_high_f32(high.val[k])));
            }
        }
}
#endif
