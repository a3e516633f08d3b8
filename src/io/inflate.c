#include "inflate.h"

#include <string.h>

#include "bytes.h"

enum {
    MAX_LENGTH = 15, /* of a code */
    MAX_MATCH = 258,
    WINDOW = 32768,
    END_OF_BLOCK = 256,
    LITERALS = 286, /* symbols that mean something */
    DISTANCES = 30,
};

/* ---- bits ---- */

static bool bad_stream(firn__inflate *z, const char *rule)
{
    return firn__file_bad(z->file, firn__file_place(z->file) - z->held / 8, "compressed data: %s", rule);
}

/* Reads ahead up to at least 56 bits, or to the end of the file. */
static void refill(firn__inflate *z)
{
    firn__file *f = z->file;
    if (f->end - f->at >= 8) {
        z->hold |= firn__le64(f->buffer + f->at) << z->held; /* bits past z->held come again next time, the same */
        f->at += (63 - z->held) / 8;
        z->held |= 56;
        return;
    }
    while (z->held < 56 && firn__file_fill(f)) {
        z->hold |= (uint64_t)f->buffer[f->at++] << z->held;
        z->held += 8;
    }
}

static void drop(firn__inflate *z, unsigned n)
{
    z->hold >>= n;
    z->held -= n;
}

bool firn__inflate_bits(firn__inflate *z, unsigned n, uint32_t *bits)
{
    if (z->held < n) refill(z);
    if (z->held < n) return bad_stream(z, "the file ends inside");
    *bits = (uint32_t)(z->hold & (((uint64_t)1 << n) - 1));
    drop(z, n);
    return true;
}

bool firn__inflate_at_end(firn__inflate *z)
{
    refill(z);
    return z->held == 0;
}

/* ---- prefix codes ---- */

/* Makes the table of the canonical code with these lengths (0: not used). Over-subscribed codes are refused, and so are
 * incomplete ones, but for what zlib lets pass: no code at all, or a single one of one bit. */
static bool make_code(firn__code *code, const uint8_t *lengths, unsigned symbols, bool may_be_incomplete)
{
    unsigned count[MAX_LENGTH + 1] = {0}, next[MAX_LENGTH + 1], longest = 0;
    for (unsigned s = 0; s < symbols; s++) count[lengths[s]]++;
    count[0] = 0;
    int room = 1;
    for (unsigned n = 1, first = 0; n <= MAX_LENGTH; n++) {
        first = (first + count[n - 1]) << 1;
        next[n] = first;
        room = room * 2 - (int)count[n];
        if (room < 0) return false;
        if (count[n] > 0) longest = n;
    }
    if (room > 0 && !(may_be_incomplete && longest <= 1)) return false;

    code->width = longest > 0 ? longest : 1;
    memset(code->table, 0, sizeof *code->table << code->width);
    for (unsigned s = 0; s < symbols; s++) {
        const unsigned n = lengths[s];
        if (n == 0) continue;
        unsigned reversed = 0; /* codes come with their first bit lowest */
        for (unsigned i = 0, c = next[n]++; i < n; i++, c >>= 1) reversed = reversed << 1 | (c & 1);
        for (unsigned i = reversed; i < 1u << code->width; i += 1u << n) code->table[i] = (uint16_t)(s << 4 | n);
    }
    return true;
}

/* The next symbol; -1 with the error recorded. At least 15 bits are held, or all that are left. */
static int decode(firn__inflate *z, const firn__code *code)
{
    const unsigned entry = code->table[z->hold & ((1u << code->width) - 1)], n = entry & 15;
    if (n > z->held || (n == 0 && z->held < code->width)) {
        bad_stream(z, "the file ends inside");
        return -1;
    }
    if (n == 0) {
        bad_stream(z, "no code begins with these bits");
        return -1;
    }
    drop(z, n);
    return (int)(entry >> 4);
}

static void fixed_codes(firn__inflate *z)
{
    uint8_t lengths[288];
    for (int s = 0; s < 288; s++) lengths[s] = s < 144 ? 8 : s < 256 ? 9 : s < 280 ? 7 : 8;
    make_code(&z->literals, lengths, 288, false);
    memset(lengths, 5, 32);
    make_code(&z->distances, lengths, 32, false);
}

/* Reads the code lengths of both codes: themselves coded, with symbols 16 to 18 for runs. */
static bool read_lengths(firn__inflate *z, uint8_t *lengths, unsigned total)
{
    for (unsigned i = 0; i < total;) {
        refill(z);
        const int symbol = decode(z, &z->literals);
        if (symbol < 0) return false;
        if (symbol < 16) {
            lengths[i++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && i == 0) return bad_stream(z, "the first code length repeats nothing");
        uint32_t run;
        if (!firn__inflate_bits(z, symbol == 16 ? 2 : symbol == 17 ? 3 : 7, &run)) return false;
        run += symbol == 18 ? 11 : 3;
        if (run > total - i) return bad_stream(z, "more code lengths than announced");
        memset(lengths + i, symbol == 16 ? lengths[i - 1] : 0, run);
        i += run;
    }
    return true;
}

static bool dynamic_codes(firn__inflate *z)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[LITERALS + DISTANCES] = {0};
    uint32_t literals, distances, codes, length;
    if (!firn__inflate_bits(z, 5, &literals) || !firn__inflate_bits(z, 5, &distances) || !firn__inflate_bits(z, 4, &codes))
        return false;
    literals += 257;
    distances += 1;
    if (literals > LITERALS || distances > DISTANCES) return bad_stream(z, "too many codes (at most 286 and 30)");
    for (unsigned i = 0; i < codes + 4; i++) {
        if (!firn__inflate_bits(z, 3, &length)) return false;
        lengths[order[i]] = (uint8_t)length;
    }
    if (!make_code(&z->literals, lengths, 19, false)) return bad_stream(z, "the code of the code lengths is not complete");

    memset(lengths, 0, 19);
    if (!read_lengths(z, lengths, literals + distances)) return false;
    if (lengths[END_OF_BLOCK] == 0) return bad_stream(z, "there is no code for the end of the block");
    if (!make_code(&z->literals, lengths, literals, true))
        return bad_stream(z, "the code of literals and lengths is over-subscribed or incomplete");
    if (!make_code(&z->distances, lengths + literals, distances, true))
        return bad_stream(z, "the code of distances is over-subscribed or incomplete");
    return true;
}

/* ---- blocks ---- */

static bool flush(firn__inflate *z)
{
    if (!z->sink.take(z->sink.user, z->window + z->sent, z->at - z->sent)) return false;
    if (z->at > WINDOW) {
        memmove(z->window, z->window + z->at - WINDOW, WINDOW);
        z->at = WINDOW;
    }
    z->sent = z->at;
    return true;
}

static bool room_for_match(firn__inflate *z) { return z->at + MAX_MATCH <= sizeof z->window || flush(z); }

static bool stored_block(firn__inflate *z)
{
    uint32_t length, complement, byte;
    drop(z, z->held % 8);
    if (!firn__inflate_bits(z, 16, &length) || !firn__inflate_bits(z, 16, &complement)) return false;
    if (length != (complement ^ 0xffff)) return bad_stream(z, "the length of a stored block and its complement differ");
    for (; length > 0; length--) {
        if (!room_for_match(z) || !firn__inflate_bits(z, 8, &byte)) return false;
        z->window[z->at++] = (uint8_t)byte;
    }
    return true;
}

/* The bytes of a match: its length symbol is read. */
static bool copy_match(firn__inflate *z, unsigned symbol)
{
    static const uint16_t length_base[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                           31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t length_extra[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                           2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t distance_base[] = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                             33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                             1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    uint32_t extra;
    if (symbol >= LITERALS) return bad_stream(z, "length symbols 286 and 287 mean nothing");
    symbol -= 257;
    if (!firn__inflate_bits(z, length_extra[symbol], &extra)) return false;
    const size_t length = length_base[symbol] + extra;

    const int d = decode(z, &z->distances);
    if (d < 0) return false;
    if (d >= DISTANCES) return bad_stream(z, "distance symbols 30 and 31 mean nothing");
    if (!firn__inflate_bits(z, d < 2 ? 0 : (unsigned)d / 2 - 1, &extra)) return false;
    const size_t distance = distance_base[d] + extra;
    if (distance > z->at) return bad_stream(z, "a distance reaches before the beginning");

    uint8_t *to = z->window + z->at;
    const uint8_t *from = to - distance;
    for (size_t i = 0; i < length; i++) to[i] = from[i]; /* may overlap: then bytes repeat */
    z->at += length;
    return true;
}

static bool coded_block(firn__inflate *z)
{
    for (;;) {
        if (!room_for_match(z)) return false;
        refill(z); /* enough for a length, a distance and their extra bits: 48 */
        const int symbol = decode(z, &z->literals);
        if (symbol < 0) return false;
        if (symbol == END_OF_BLOCK) return true;
        if (symbol < END_OF_BLOCK)
            z->window[z->at++] = (uint8_t)symbol;
        else if (!copy_match(z, (unsigned)symbol))
            return false;
    }
}

bool firn__inflate_stream(firn__inflate *z)
{
    uint32_t last, type;
    z->at = z->sent = 0;
    do {
        if (!firn__inflate_bits(z, 1, &last) || !firn__inflate_bits(z, 2, &type)) return false;
        bool done = false;
        if (type == 0)
            done = stored_block(z);
        else if (type == 1) {
            fixed_codes(z);
            done = coded_block(z);
        } else if (type == 2)
            done = dynamic_codes(z) && coded_block(z);
        else
            bad_stream(z, "block type 3 means nothing");
        if (!done) return false;
    } while (!last);
    drop(z, z->held % 8);
    return flush(z);
}
