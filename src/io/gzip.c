#include "bytes.h"
#include "inflate.h"

enum { HEADER_CRC = 2, EXTRA = 4, NAME = 8, COMMENT = 16, RESERVED = 0xe0 };

/* CRC-32 (polynomial edb88320, reflected), four bytes at a time. */
typedef struct crc_tables {
    uint32_t of[4][256];
} crc_tables;

typedef struct gunzip {
    firn__inflate inflate;
    firn__sink sink;
    crc_tables tables;
    uint32_t crc, size; /* of the member so far */
} gunzip;

static void make_crc_tables(crc_tables *t)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320u ^ crc >> 1 : crc >> 1;
        t->of[0][b] = crc;
    }
    for (int n = 1; n < 4; n++)
        for (int b = 0; b < 256; b++) t->of[n][b] = t->of[0][t->of[n - 1][b] & 255] ^ t->of[n - 1][b] >> 8;
}

static uint32_t crc_of(const crc_tables *t, uint32_t crc, const uint8_t *bytes, size_t count)
{
    crc = ~crc;
    for (; count >= 4; count -= 4, bytes += 4) {
        const uint32_t x = crc ^ firn__le32(bytes);
        crc = t->of[3][x & 255] ^ t->of[2][x >> 8 & 255] ^ t->of[1][x >> 16 & 255] ^ t->of[0][x >> 24];
    }
    for (; count > 0; count--, bytes++) crc = t->of[0][(crc ^ *bytes) & 255] ^ crc >> 8;
    return ~crc;
}

static bool bad_member(gunzip *g, const char *rule)
{
    firn__file *f = g->inflate.file;
    return firn__file_bad(f, firn__file_place(f) - g->inflate.held / 8, "gzip: %s", rule);
}

/* Between the inflater and the caller's sink. */
static bool take_checked(void *user, const uint8_t *bytes, size_t count)
{
    gunzip *g = user;
    g->crc = crc_of(&g->tables, g->crc, bytes, count);
    g->size += (uint32_t)count;
    return g->sink.take(g->sink.user, bytes, count);
}

/* ---- the header, which has a CRC of its own ---- */

static bool header_byte(gunzip *g, uint32_t *byte)
{
    if (!firn__inflate_bits(&g->inflate, 8, byte)) return false;
    const uint8_t b = (uint8_t)*byte;
    g->crc = crc_of(&g->tables, g->crc, &b, 1);
    return true;
}

static bool skip_header(gunzip *g, uint32_t count)
{
    uint32_t byte;
    for (; count > 0; count--)
        if (!header_byte(g, &byte)) return false;
    return true;
}

static bool skip_header_text(gunzip *g)
{
    uint32_t byte;
    do {
        if (!header_byte(g, &byte)) return false;
    } while (byte != 0);
    return true;
}

static bool read_member_header(gunzip *g)
{
    uint32_t b[10], low, high;
    g->crc = 0;
    for (int i = 0; i < 10; i++) {
        if (!header_byte(g, &b[i])) return false;
        if ((i == 0 && b[0] != 0x1f) || (i == 1 && b[1] != 0x8b))
            return bad_member(g, "only a further member, which begins with 1f 8b, may stand here");
    }
    const uint32_t flags = b[3];
    if (b[2] != 8) return bad_member(g, "the only known method is 8, DEFLATE");
    if (flags & RESERVED) return bad_member(g, "reserved flags are set");
    if ((flags & EXTRA) && (!header_byte(g, &low) || !header_byte(g, &high) || !skip_header(g, low | high << 8)))
        return false;
    if ((flags & NAME) && !skip_header_text(g)) return false;
    if ((flags & COMMENT) && !skip_header_text(g)) return false;
    if (flags & HEADER_CRC) {
        const uint32_t expected = g->crc & 0xffff;
        uint32_t stored;
        if (!firn__inflate_bits(&g->inflate, 16, &stored)) return false;
        if (stored != expected) return bad_member(g, "the CRC of the header is wrong");
    }
    return true;
}

static bool read_member(gunzip *g)
{
    uint32_t crc, size;
    if (!read_member_header(g)) return false;
    g->crc = g->size = 0;
    if (!firn__inflate_stream(&g->inflate)) return false;
    if (!firn__inflate_bits(&g->inflate, 32, &crc) || !firn__inflate_bits(&g->inflate, 32, &size)) return false;
    if (crc != g->crc) return bad_member(g, "the CRC-32 of the data is wrong");
    if (size != g->size) return bad_member(g, "the size of the data is wrong");
    return true;
}

bool firn__gunzip(firn__file *file, firn__sink sink)
{
    gunzip *g = firn__file_resize(file, NULL, 0, 1, sizeof *g);
    if (g == NULL) return false;
    g->inflate.file = file; /* its tables and its window need no zeros */
    g->inflate.sink = (firn__sink){take_checked, g};
    g->inflate.hold = g->inflate.held = 0;
    g->sink = sink;
    make_crc_tables(&g->tables);
    bool good;
    do good = read_member(g);
    while (good && !firn__inflate_at_end(&g->inflate));
    firn__free(file->ctx, g, 1, sizeof *g);
    return good;
}
