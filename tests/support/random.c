#include "support.h"

uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void test_fill(float *x, size_t count, uint64_t seed, float low, float high)
{
    for (size_t i = 0; i < count; i++) {
        const float unit = (float)(test_random(&seed) >> 40) * 0x1p-24f;
        x[i] = low + (high - low) * unit;
    }
}

void test_fill_bytes(uint8_t *x, size_t count, uint64_t seed, unsigned bound)
{
    for (size_t i = 0; i < count; i++) x[i] = (uint8_t)((test_random(&seed) >> 32) % bound);
}
