#include <stdlib.h>
#include <string.h>

#include "table.h"

#if defined(__x86_64__)
/* The compiler's library also asks whether the operating system saves the registers. */
static bool cpu_runs_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static bool cpu_runs_avx512(void)
{
    return cpu_runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

static bool cpu_runs_anything(void) { return true; }

/* Best first. The last one runs everywhere. */
static const struct {
    const firn__kernels *kernels;
    bool (*available)(void);
} sets[] = {
#if defined(__x86_64__)
    {&firn__kernels_avx512, cpu_runs_avx512},
    {&firn__kernels_avx2, cpu_runs_avx2},
#elif defined(__aarch64__)
    {&firn__kernels_neon, cpu_runs_anything},
#endif
    {&firn__kernels_ref, cpu_runs_anything},
};

const firn__kernels *firn__kernels_select(const char *name)
{
    if (name == NULL) {
        name = getenv("FIRN_ISA");
        if (name != NULL && *name == '\0') name = NULL;
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (name != NULL && strcmp(name, sets[i].kernels->name) != 0) continue;
        if (sets[i].available()) return sets[i].kernels;
    }
    return NULL;
}

const char *firn__kernels_name(const firn__kernels *k) { return k->name; }
