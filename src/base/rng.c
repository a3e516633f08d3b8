#include "rng.h"

#include <math.h>
#include <string.h>

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    x ^= x >> 31;
    return x;
}

uint64_t firn__rng_mix(uint64_t a, uint64_t b) { return mix64(mix64(a + 0x9e3779b97f4a7c15u) ^ b); }

uint64_t firn__rng_name(uint64_t seed, const char *name)
{
    uint64_t key = mix64(seed);
    for (; *name != '\0'; name++) key = mix64(key ^ (unsigned char)*name);
    return key;
}

/* 64 random bits for (key, index). */
static uint64_t draw64(uint64_t key, uint64_t index) { return mix64(key + index * 0x9e3779b97f4a7c15u); }

float firn__rng_uniform(uint64_t key, uint64_t index) { return (float)(draw64(key, index) >> 40) * 0x1p-24f; }

uint64_t firn__rng_below(uint64_t key, uint64_t index, uint64_t bound)
{
    if (bound <= UINT32_MAX) return ((draw64(key, index) >> 32) * bound) >> 32;
    return draw64(key, index) % bound;
}

/* Natural logarithm of x in (0, 1]: x = m 2^e, log m = 2 atanh((m-1)/(m+1)) as a series; good to 1e-12 here. */
static double log_series(double x)
{
    int e;
    double m = frexp(x, &e); /* 0.5 <= m < 1 */
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    const double t = (m - 1) / (m + 1), t2 = t * t;
    double sum = 0;
    for (int k = 17; k >= 1; k -= 2) sum = sum * t2 + 1.0 / k;
    return 2 * t * sum + e * 0.69314718055994531;
}

/* The normal quantile (Wichura 1988, algorithm AS 241, PPND7). */
float firn__rng_normal(uint64_t key, uint64_t index)
{
    const double p = ((double)(draw64(key, index) >> 11) + 0.5) * 0x1p-53, q = p - 0.5;
    if (fabs(q) <= 0.425) {
        const double r = 0.180625 - q * q;
        return (float)(q * (((5.9109374720e1 * r + 1.5929113202e2) * r + 5.0434271938e1) * r + 3.3871327179) /
                       (((6.7187563600e1 * r + 7.8757757664e1) * r + 1.7895169469e1) * r + 1));
    }
    double r = sqrt(-log_series(q < 0 ? p : 1 - p));
    if (r <= 5) {
        r -= 1.6;
        r = (((1.7023821103e-1 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777) /
            ((1.2021132975e-1 * r + 7.3700164250e-1) * r + 1);
    } else {
        r -= 5;
        r = (((1.7337203997e-2 * r + 4.2868294337e-1) * r + 3.0812263860) * r + 6.6579051150) /
            ((1.2258202635e-2 * r + 2.4197894225e-1) * r + 1);
    }
    return (float)(q < 0 ? -r : r);
}

/* Four lanes of 8-byte words, so that the multiplications overlap; the tail is padded with zeros. */
uint64_t firn__hash(uint64_t seed, const void *data, size_t bytes)
{
    enum { LANES = 4, BLOCK = 8 * LANES };
    const unsigned char *p = data;
    uint64_t lane[LANES], word[LANES];
    for (int i = 0; i < LANES; i++) lane[i] = mix64(seed + (uint64_t)i + 1);
    for (size_t done = 0; done < bytes; done += BLOCK) {
        const size_t left = bytes - done;
        if (left < BLOCK) memset(word, 0, BLOCK);
        memcpy(word, p + done, left < BLOCK ? left : BLOCK);
        for (int i = 0; i < LANES; i++) {
            lane[i] = (lane[i] ^ word[i]) * 0x9fb21c651e98df25u;
            lane[i] ^= lane[i] >> 32;
        }
    }
    uint64_t hash = mix64(bytes);
    for (int i = 0; i < LANES; i++) hash = mix64(hash ^ lane[i]);
    return hash;
}
