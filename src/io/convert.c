#include "convert.h"

#include <string.h>

#include "bytes.h"
#include "rng.h"

const char *firn__convert_how(firn__st_type type)
{
    switch (type) {
    case FIRN__ST_F32:
    case FIRN__ST_F16:
    case FIRN__ST_BF16:
    case FIRN__ST_BOOL:
    case FIRN__ST_U8:
    case FIRN__ST_I8:
    case FIRN__ST_U16:
    case FIRN__ST_I16:
        return "exact";
    case FIRN__ST_F64:
    case FIRN__ST_I32:
    case FIRN__ST_U32:
    case FIRN__ST_I64:
    case FIRN__ST_U64:
        return "rounded";
    default:
        return NULL;
    }
}

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint16_t le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

/* IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
static float float_of_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) { /* fraction * 2^-24 */
        const float x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static float float_of_double_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return (float)x; /* too large for a float: infinity (C11 annex F) */
}

void firn__convert_in(firn__st_type type, const uint8_t *in, size_t count, float *out)
{
    const size_t bytes = firn__st_type_bits(type) / 8;
    for (size_t i = 0; i < count; i++, in += bytes) switch (type) {
        case FIRN__ST_F32:
            out[i] = float_of_bits(firn__le32(in));
            break;
        case FIRN__ST_F16:
            out[i] = float_of_half(le16(in));
            break;
        case FIRN__ST_BF16:
            out[i] = float_of_bits((uint32_t)le16(in) << 16);
            break;
        case FIRN__ST_F64:
            out[i] = float_of_double_bits(firn__le64(in));
            break;
        case FIRN__ST_I8:
            out[i] = (float)(int8_t)*in;
            break;
        case FIRN__ST_I16:
            out[i] = (float)(int16_t)le16(in);
            break;
        case FIRN__ST_U16:
            out[i] = (float)le16(in);
            break;
        case FIRN__ST_I32:
            out[i] = (float)(int32_t)firn__le32(in);
            break;
        case FIRN__ST_U32:
            out[i] = (float)firn__le32(in);
            break;
        case FIRN__ST_I64:
            out[i] = (float)(int64_t)firn__le64(in);
            break;
        case FIRN__ST_U64:
            out[i] = (float)firn__le64(in);
            break;
        default:
            out[i] = (float)*in;
            break; /* BOOL, U8 */
        }
}

void firn__convert_out(const float *in, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], sizeof bits);
        firn__put_le32(out + 4 * i, bits);
    }
}

uint64_t firn__convert_hash(uint64_t seed, const float *in, size_t count)
{
    uint8_t chunk[FIRN__CHUNK];
    enum { FLOATS = FIRN__CHUNK / 4 };
    for (size_t done = 0; done < count; done += FLOATS) {
        const size_t some = count - done < FLOATS ? count - done : FLOATS;
        firn__convert_out(in + done, some, chunk);
        seed = firn__hash(seed, chunk, some * 4);
    }
    return seed;
}
