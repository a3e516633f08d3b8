#include "io_support.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

void put_file(const char *path, const void *bytes, size_t count)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, count, f), count);
    assert_int_equal(fclose(f), 0);
}

void *get_file(const char *path, size_t *count)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) fail_msg("%s cannot be opened", path);
    size_t size = 0, capacity = 1 << 12;
    char *bytes = malloc(capacity);
    for (size_t got = 1; got > 0; size += got) {
        if (capacity - size < 2) bytes = realloc(bytes, capacity *= 2);
        assert_non_null(bytes);
        got = fread(bytes + size, 1, capacity - size - 1, f);
    }
    bytes[size] = '\0';
    fclose(f);
    if (count != NULL) *count = size;
    return bytes;
}

void put_safetensors(const char *path, const char *header, size_t count)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    const size_t length = strlen(header);
    uint8_t prefix[8];
    firn__put_le64(prefix, length);
    assert_int_equal(fwrite(prefix, 1, 8, f), 8);
    assert_int_equal(fwrite(header, 1, length, f), length);
    for (size_t i = 0; i < count; i++) fputc((int)(i & 255), f);
    assert_int_equal(fclose(f), 0);
}

bool file_exists(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f != NULL) fclose(f);
    return f != NULL;
}

void assert_files_equal(const char *a, const char *b)
{
    size_t na, nb;
    void *in_a = get_file(a, &na), *in_b = get_file(b, &nb);
    const bool equal = na == nb && memcmp(in_a, in_b, na) == 0;
    free(in_a);
    free(in_b);
    if (!equal) fail_msg("%s and %s differ", a, b);
}

void assert_one_line(const char *message)
{
    assert_true(strlen(message) > 20);
    for (const char *p = message; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f) fail_msg("a control character in \"%s\"", message);
}

uint32_t reference_crc32(const void *bytes, size_t count)
{
    const uint8_t *p = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

void put_bits(bit_writer *w, uint32_t value, unsigned count)
{
    for (unsigned i = 0; i < count; i++, w->bits++) {
        assert_true(w->bits / 8 < sizeof w->bytes);
        w->bytes[w->bits / 8] = (uint8_t)(w->bytes[w->bits / 8] | (value >> i & 1) << w->bits % 8);
    }
}

void put_code(bit_writer *w, uint32_t code, unsigned length)
{
    while (length-- > 0) put_bits(w, code >> length & 1, 1);
}
