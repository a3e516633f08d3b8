/* bytes.h: numbers in the byte order of a file, on a machine of any byte order. */
#ifndef FIRN_IO_BYTES_H
#define FIRN_IO_BYTES_H
#include <stdint.h>

static inline uint32_t firn__le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t firn__le64(const uint8_t *p) { return firn__le32(p) | (uint64_t)firn__le32(p + 4) << 32; }

static inline uint32_t firn__be32(const uint8_t *p)
{
    return (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
}

static inline void firn__put_le32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> 8 * i);
}

static inline void firn__put_le64(uint8_t *p, uint64_t x)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(x >> 8 * i);
}

#endif
