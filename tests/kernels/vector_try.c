#include "vector_try.h"

#include "table.h"

firn_ctx *try_contexts[TRY_SETS];
const firn__vector_kernels *try_sets[TRY_SETS];
size_t try_count;
uint64_t try_seed;

void try_open(void)
{
    for (const char *const *isa = test_isas(); *isa != NULL; isa++) {
        try_contexts[try_count] = test_ctx(NULL, 1, *isa);
        try_sets[try_count] = try_contexts[try_count]->kernels->vector;
        try_count++;
    }
}

void try_close(void)
{
    while (try_count > 0) firn_ctx_destroy(try_contexts[--try_count]);
}

int64_t try_below(int64_t n) { return (int64_t)(test_random(&try_seed) % (uint64_t)n); }
bool try_coin(void) { return try_below(2) == 0; }
int64_t try_size(void) { return try_coin() ? 1 + try_below(40) : 16 * try_below(20) + try_below(3); }

float *try_numbers(int64_t n, float low, float high)
{
    float *x = guarded_get((size_t)n * sizeof *x);
    test_fill(x, (size_t)n, test_random(&try_seed), low, high);
    return x;
}
float *try_blank(int64_t n) { return guarded_get((size_t)n * sizeof(float)); }

void try_same(size_t set, const void *result, size_t bytes, int which)
{
    static unsigned char kept[4][GUARDED_BYTES];
    if (set == 0)
        memcpy(kept[which], result, bytes);
    else
        assert_memory_equal(result, kept[which], bytes);
}
void try_same_floats(size_t set, const float *y, int64_t n, int which) { try_same(set, y, (size_t)n * sizeof *y, which); }

void try_near(float got, double want, double scale)
{
    if (!(fabs((double)got - want) <= 1e-6 * scale + 1e-12)) fail_msg("%.9g is not near %.9g", (double)got, want);
}
