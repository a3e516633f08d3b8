/* rng.h: random numbers as a function of (key, index): no stream to get out of step. And a hash of bytes. */
#ifndef FIRN_BASE_RNG_H
#define FIRN_BASE_RNG_H
#include <stddef.h>
#include <stdint.h>

/* Keys. firn__rng_mix makes one from two numbers; firn__rng_name from a number and a text. */
uint64_t firn__rng_mix(uint64_t a, uint64_t b);
uint64_t firn__rng_name(uint64_t seed, const char *name);

/* 32 random bits for (key, index), in 32-bit steps, so that the vector kernels can draw the same (the mixing constants
 * are MurmurHash3's finaliser, Appleby 2011). Indices from 2^32 on need a key mixed with the high half. */
static inline uint32_t firn__rng_u32(uint64_t key, uint32_t index)
{
    uint32_t x = index * 0x9e3779b1u + (uint32_t)key;
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x += (uint32_t)(key >> 32);
    x *= 0xc2b2ae35u;
    x ^= x >> 16;
    return x;
}

float firn__rng_uniform(uint64_t key, uint64_t index); /* [0, 1), 24 bits */
float firn__rng_normal(uint64_t key, uint64_t index);  /* mean 0, variance 1; no libm: the same bits everywhere */
uint64_t firn__rng_below(uint64_t key, uint64_t index, uint64_t bound); /* 0 .. bound-1, bound > 0 */

uint64_t firn__hash(uint64_t seed, const void *data, size_t bytes); /* not cryptographic; the same on every machine of
                                                                     * the same byte order */

#endif
