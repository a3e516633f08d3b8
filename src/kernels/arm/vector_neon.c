/* The vector kernels for NEON. */
#include <math.h>
#include <string.h>

#include "rng.h"
#include "vector.h"

#if defined(__aarch64__)
#include "vec_neon.h"
#define VECTOR_TABLE firn__vector_neon
#include "vector.inc.h"
#endif
