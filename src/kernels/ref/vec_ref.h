/* vec_ref.h: 16 lanes in plain C; the meaning of vec.h, and the oracle of the others. */
#ifndef FIRN_KERNELS_VEC_REF_H
#define FIRN_KERNELS_VEC_REF_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) /* inlined, these take gcc minutes to instrument */
#define LANES_INLINE static __attribute__((noinline, unused))
#endif
#include "vec.h"

/* clang-format off */
typedef struct vf { float at[16]; } vf;
typedef struct vi { uint32_t at[16]; } vi;
typedef struct vd { double at[16]; } vd;
typedef uint32_t vm; /* bit i: lane i */

#define EVERY_LANE for (int i = 0; i < 16; i++)
#define FLOATS(name, value) LANES_INLINE vf name(vf a, vf b) { EVERY_LANE a.at[i] = value; return a; }
#define INTEGERS(name, value) LANES_INLINE vi name(vi a, vi b) { EVERY_LANE a.at[i] = value; return a; }
#define SHIFT(name, value) LANES_INLINE vi name(vi a, int k) { EVERY_LANE a.at[i] = value; return a; }
/* In each part of the vector: the sums of a's lanes k apart within 2k, then those of b's. */
#define JOIN(name, part, k)                                                                                                \
    LANES_INLINE vf name(vf a, vf b)                                                                                       \
    {                                                                                                                      \
        vf r;                                                                                                              \
        EVERY_LANE {                                                                                                       \
            const int half = part / 2, at = i % part % half, from = i / part * part + at / k * 2 * k + at % k;             \
            r.at[i] = i % part < half ? a.at[from] + a.at[from + k] : b.at[from] + b.at[from + k];                         \
        }                                                                                                                  \
        return r;                                                                                                          \
    }
#define TEST(name, type, value) LANES_INLINE vm name(type a, type b) { vm m = 0; EVERY_LANE m |= (vm)(value) << i; return m; }

LANES_INLINE vf vf_set(float x) { vf r; EVERY_LANE r.at[i] = x; return r; }
LANES_INLINE vf vf_load_n(const float *p, int64_t n) { vf r = {{0}}; memcpy(r.at, p, (size_t)n * sizeof *p); return r; }
LANES_INLINE void vf_store_n(float *p, vf x, int64_t n) { memcpy(p, x.at, (size_t)n * sizeof *p); }
LANES_INLINE vf vf_held(vf a) { return a; }
FLOATS(vf_add, a.at[i] + b.at[i])
FLOATS(vf_sub, a.at[i] - b.at[i])
FLOATS(vf_mul, a.at[i] * b.at[i])
FLOATS(vf_div, a.at[i] / b.at[i])
FLOATS(vf_max, a.at[i] > b.at[i] ? a.at[i] : b.at[i])
FLOATS(vf_min, a.at[i] < b.at[i] ? a.at[i] : b.at[i])
LANES_INLINE vf vf_fma(vf a, vf b, vf c) { EVERY_LANE c.at[i] = fmaf(a.at[i], b.at[i], c.at[i]); return c; }
LANES_INLINE vf vf_sqrt(vf a) { EVERY_LANE a.at[i] = sqrtf(a.at[i]); return a; }
#define VEC_SUMS 16
#define PANEL_VECTORS 1
JOIN(vf_join8, 16, 8)
JOIN(vf_join4, 16, 4)
JOIN(vf_join2, 4, 2)
JOIN(vf_join1, 4, 1)

LANES_INLINE vi vi_set(uint32_t x) { vi r; EVERY_LANE r.at[i] = x; return r; }
LANES_INLINE vi vi_iota(void) { vi r; EVERY_LANE r.at[i] = (uint32_t)i; return r; }
LANES_INLINE vi vi_load_u8(const uint8_t *p) { vi r; EVERY_LANE r.at[i] = p[i]; return r; }
LANES_INLINE vf vi_to_f(vi a) { vf r; EVERY_LANE r.at[i] = (float)(int32_t)a.at[i]; return r; }
LANES_INLINE vf vi_as_f(vi a) { vf r; memcpy(&r, &a, sizeof r); return r; }
LANES_INLINE vi vf_as_i(vf a) { vi r; memcpy(&r, &a, sizeof r); return r; }
INTEGERS(vi_add, a.at[i] + b.at[i])
INTEGERS(vi_sub, a.at[i] - b.at[i])
INTEGERS(vi_mul, a.at[i] * b.at[i])
INTEGERS(vi_and, a.at[i] & b.at[i])
INTEGERS(vi_or, a.at[i] | b.at[i])
INTEGERS(vi_xor, a.at[i] ^ b.at[i])
SHIFT(vi_shl, a.at[i] << k)
SHIFT(vi_shr, a.at[i] >> k)
SHIFT(vi_sar, (a.at[i] >> k) | (a.at[i] >> 31 ? ~(~(uint32_t)0 >> k) : 0))

TEST(vf_lt, vf, a.at[i] < b.at[i])
TEST(vf_eq, vf, a.at[i] == b.at[i])
TEST(vi_lt, vi, (int32_t)a.at[i] < (int32_t)b.at[i])
TEST(vi_eq, vi, a.at[i] == b.at[i])
LANES_INLINE vm vf_is_nan(vf a) { vm m = 0; EVERY_LANE m |= (vm)(a.at[i] != a.at[i]) << i; return m; }
LANES_INLINE vm vm_or(vm a, vm b) { return a | b; }
LANES_INLINE uint32_t vm_bits(vm m) { return m; }
LANES_INLINE vm vm_from_bits(uint32_t bits) { return bits; }
LANES_INLINE vf vf_select(vm m, vf a, vf b) { EVERY_LANE b.at[i] = m >> i & 1 ? a.at[i] : b.at[i]; return b; }

LANES_INLINE vd vd_add_squares(vd sum, vf a) { EVERY_LANE sum.at[i] += (double)a.at[i] * (double)a.at[i]; return sum; }
LANES_INLINE void vec_turn(const float *p, int64_t ld, float *to, int64_t ldd)
{
    EVERY_LANE for (int j = 0; j < 16; j++) to[j * ldd + i] = p[i * ld + j];
}
/* clang-format on */
#endif
