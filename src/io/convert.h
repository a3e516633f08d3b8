/* convert.h: elements of files as floats, and back. */
#ifndef FIRN_IO_CONVERT_H
#define FIRN_IO_CONVERT_H
#include "safetensors.h"

#define FIRN__CHUNK 8192 /* bytes that are converted, hashed and written at a time; whole elements of every type */

/* What happens to a value of this type: "exact", "rounded" (to the nearest), NULL: it cannot become F32. */
const char *firn__convert_how(firn__st_type type);
/* count elements, little-endian, at any address. The type is one that can become F32. */
void firn__convert_in(firn__st_type type, const uint8_t *in, size_t count, float *out);
/* count floats to F32, little-endian. */
void firn__convert_out(const float *in, size_t count, uint8_t *out);

/* A hash of what firn__convert_out() makes, the same on every machine. */
uint64_t firn__convert_hash(uint64_t seed, const float *in, size_t count);

#endif
