/* io_support.h: files for tests, and a writer of bits. */
#ifndef FIRN_TESTS_IO_SUPPORT_H
#define FIRN_TESTS_IO_SUPPORT_H
#include "support.h"

#include <stdio.h>

/* Files are made in the working folder; the names must be unique among tests that run at the same time. */
void put_file(const char *path, const void *bytes, size_t count);
void *get_file(const char *path, size_t *count); /* for free(); fails the test if there is none. A NUL follows */
bool file_exists(const char *path);
void assert_files_equal(const char *a, const char *b);
void assert_one_line(const char *message); /* and one that says something */

/* A safetensors file with this header (white space and all) and count bytes 0, 1, 2 ... of data. */
void put_safetensors(const char *path, const char *header, size_t count);

uint32_t reference_crc32(const void *bytes, size_t count); /* bit by bit */

/* A DEFLATE stream by hand: the first bit is the lowest. */
typedef struct bit_writer {
    uint8_t bytes[1 << 12];
    size_t bits;
} bit_writer;
void put_bits(bit_writer *w, uint32_t value, unsigned count);
void put_code(bit_writer *w, uint32_t code, unsigned length); /* a prefix code: highest bit first */
static inline size_t bytes_written(const bit_writer *w) { return (w->bits + 7) / 8; }

#endif
