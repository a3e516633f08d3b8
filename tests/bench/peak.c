#include "peak.h"

#include <string.h>
#include <time.h>

enum { loops = 100000, chains = 12 };

/* Twelve independent chains in registers: more than the latency of an FMA times the number of its units. The sum goes
 * to memory, so that nothing is left out. */
#define PEAK(name, TARGET, VEC, LANES, SET, FMA, STORE)                                                                    \
    TARGET static void name(const float *numbers, float *sink)                                                             \
    {                                                                                                                      \
        const VEC a = SET(numbers[0]), b = SET(numbers[1]);                                                                \
        VEC c0 = SET(numbers[0]), c1 = SET(numbers[1]), c2 = SET(numbers[2]), c3 = SET(numbers[3]);                        \
        VEC c4 = SET(numbers[4]), c5 = SET(numbers[5]), c6 = SET(numbers[6]), c7 = SET(numbers[7]);                        \
        VEC c8 = SET(numbers[8]), c9 = SET(numbers[9]), c10 = SET(numbers[10]), c11 = SET(numbers[11]);                    \
        for (int n = 0; n < loops; n++) {                                                                                  \
            c0 = FMA(c0), c1 = FMA(c1), c2 = FMA(c2), c3 = FMA(c3), c4 = FMA(c4), c5 = FMA(c5);                            \
            c6 = FMA(c6), c7 = FMA(c7), c8 = FMA(c8), c9 = FMA(c9), c10 = FMA(c10), c11 = FMA(c11);                        \
        }                                                                                                                  \
        const VEC c[chains] = {c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11};                                          \
        for (int i = 0; i < chains; i++) STORE(sink + i * (LANES), c[i]);                                                  \
    }

#if defined(__x86_64__)
#include <immintrin.h>
#define FMA512(c) _mm512_fmadd_ps(c, a, b)
#define FMA256(c) _mm256_fmadd_ps(c, a, b)
PEAK(run_avx512, __attribute__((target("avx512f"))), __m512, 16, _mm512_set1_ps, FMA512, _mm512_storeu_ps)
PEAK(run_avx2, __attribute__((target("avx2,fma"))), __m256, 8, _mm256_set1_ps, FMA256, _mm256_storeu_ps)
#elif defined(__aarch64__)
#include <arm_neon.h>
#define FMA128(c) vfmaq_f32(b, c, a)
PEAK(run_neon, , float32x4_t, 4, vdupq_n_f32, FMA128, vst1q_f32)
#endif

static const struct {
    const char *isa;
    int lanes;
    void (*run)(const float *numbers, float *sink);
} kinds[] = {
#if defined(__x86_64__)
    {"avx512", 16, run_avx512},
    {"avx2", 8, run_avx2},
#elif defined(__aarch64__)
    {"neon", 4, run_neon},
#endif
    {"", 0, NULL},
};

double peak_flops(const char *isa)
{
    static const volatile float start = 0.5f;
    static float sink[chains * 16];
    float numbers[chains];
    for (int i = 0; i < chains; i++) numbers[i] = start + 0.01f * (float)i; /* nothing the compiler could know */
    for (size_t i = 0; kinds[i].run != NULL; i++) {
        if (strcmp(isa, kinds[i].isa) != 0) continue;
        const clock_t begin = clock();
        kinds[i].run(numbers, sink);
        const double spent = (double)(clock() - begin) / CLOCKS_PER_SEC;
        return 2.0 * kinds[i].lanes * chains * loops / spent;
    }
    return 0;
}
