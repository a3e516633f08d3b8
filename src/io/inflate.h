/* inflate.h: DEFLATE (RFC 1951) and gzip (RFC 1952), from a file into a sink, in constant memory. */
#ifndef FIRN_IO_INFLATE_H
#define FIRN_IO_INFLATE_H
#include "file.h"

/* Takes decompressed bytes; false stops, with the error recorded. */
typedef struct firn__sink {
    bool (*take)(void *user, const uint8_t *bytes, size_t count);
    void *user;
} firn__sink;

/* A prefix code as a table over the next `width` bits: symbol * 16 + length, or 0 where no code begins so. */
typedef struct firn__code {
    unsigned width;
    uint16_t table[1 << 15];
} firn__code;

typedef struct firn__inflate {
    firn__file *file;
    firn__sink sink;
    uint64_t hold;   /* bits that are read but not used, the next one lowest */
    unsigned held;   /* how many */
    size_t at, sent; /* in window: the next byte to write; the next byte to hand to the sink */
    firn__code literals, distances;
    uint8_t window[3 * 32768]; /* the last 32768 bytes stay */
} firn__inflate;

/* Decompresses blocks up to the last one. Bits up to the next byte are dropped. */
bool firn__inflate_stream(firn__inflate *z);
/* The next n <= 32 bits; false, with the error recorded, where the file ends before. */
bool firn__inflate_bits(firn__inflate *z, unsigned n, uint32_t *bits);
/* No more bits, not even in the file? Only where the bits held are whole bytes. */
bool firn__inflate_at_end(firn__inflate *z);

/* Decompresses a gzip file: members one after the other, up to the end of the file. Checks header CRC, CRC-32, sizes. */
bool firn__gunzip(firn__file *file, firn__sink sink);

#endif
