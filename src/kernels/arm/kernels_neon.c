/* The kernels for NEON. */
#include <math.h>
#include <string.h>

#include "rng.h"
#include "table.h"
#include "vector.h"

#if defined(__aarch64__)
#include "vec_neon.h"
#define NAME "neon"
#define KERNELS firn__kernels_neon
/* 24 accumulators, four registers for B, one for A: 32 registers. */
#define TILES(X) X(UP_TO_6, 8) X(UP_TO_6, 16) X(UP_TO_3, 32)
#define DEPTHWISE UP_TO_3
#include "kernels.inc.h"
#endif
