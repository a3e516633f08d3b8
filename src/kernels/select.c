#include <stdlib.h>
#include <string.h>

#include "table.h"
#include "vector.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* The registers that the operating system saves: bits 1..2 SSE and AVX, 5..7 AVX-512. */
__attribute__((target("xsave"))) static unsigned saved_registers(void) { return (unsigned)_xgetbv(0); }

static bool cpu_runs_avx2(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX) || !(c & bit_FMA)) return false;
    if ((saved_registers() & 0x6) != 0x6) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

static bool cpu_runs_avx512(void)
{
    const unsigned need = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    unsigned a, b, c, d;
    if (!cpu_runs_avx2() || (saved_registers() & 0xe6) != 0xe6) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & need) == need;
}
#elif defined(__aarch64__)
static bool cpu_runs_neon(void) { return true; } /* part of every AArch64 */
#endif

static bool cpu_runs_anything(void) { return true; }

/* Best first. The last one runs everywhere. */
static const struct {
    firn__kernels kernels;
    bool (*available)(void);
} sets[] = {
#if defined(__x86_64__)
    {{"avx512", &firn__tiles_avx512, &firn__vector_avx512}, cpu_runs_avx512},
    {{"avx2", &firn__tiles_avx2, &firn__vector_avx2}, cpu_runs_avx2},
#elif defined(__aarch64__)
    {{"neon", &firn__tiles_neon, &firn__vector_neon}, cpu_runs_neon},
#endif
    {{"ref", &firn__tiles_ref, &firn__vector_ref}, cpu_runs_anything},
};

const firn__kernels *firn__kernels_select(const char *name)
{
    if (name == NULL) {
        name = getenv("FIRN_ISA");
        if (name != NULL && *name == '\0') name = NULL;
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (name != NULL && strcmp(name, sets[i].kernels.name) != 0) continue;
        if (sets[i].available()) return &sets[i].kernels;
    }
    return NULL;
}

const char *firn__kernels_name(const firn__kernels *k) { return k->name; }
