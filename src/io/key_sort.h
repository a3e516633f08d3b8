/* key_sort.h: sorting by a number of 64 bits, in place, in bounded time whatever the numbers are. */
#ifndef FIRN_IO_KEY_SORT_H
#define FIRN_IO_KEY_SORT_H
#include <stddef.h>
#include <stdint.h>

typedef struct firn__key { /* 12 bytes: a header of 100 MB may have ten million of them */
    uint32_t high, low, index;
} firn__key;

static inline firn__key firn__key_make(uint64_t number, uint32_t index)
{
    return (firn__key){(uint32_t)(number >> 32), (uint32_t)number, index};
}

static inline uint64_t firn__key_number(firn__key k) { return (uint64_t)k.high << 32 | k.low; }

void firn__key_sort(firn__key *keys, size_t count);

#endif
