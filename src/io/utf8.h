/* utf8.h: UTF-8 (RFC 3629), without overlong forms and surrogates. */
#ifndef FIRN_IO_UTF8_H
#define FIRN_IO_UTF8_H
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that text begins with; 0 if it is malformed or cut. size is at least 1. */
static inline size_t firn__utf8_length(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    const unsigned c = p[0];
    const size_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (length > size) return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xf0 && p[1] < 0x90)) return 0;   /* overlong */
    if ((c == 0xed && p[1] >= 0xa0) || (c == 0xf4 && p[1] >= 0x90)) return 0; /* surrogates; above U+10FFFF */
    return length;
}

/* Writes a character and returns its bytes, at most 4. */
static inline size_t firn__utf8_put(char *out, uint32_t code)
{
    const size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[length] | code);
    return length;
}

#endif
