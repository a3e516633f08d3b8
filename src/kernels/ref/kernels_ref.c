/* The kernels in plain C. */
#include <math.h>
#include <string.h>

#include "rng.h"
#include "table.h"
#include "vector.h"

#include "vec_ref.h"
#define NAME "ref"
#define KERNELS firn__kernels_ref
#define TILES(X) X(UP_TO_3, 16) X(UP_TO_1, 32)
#define DEPTHWISE UP_TO_3
#include "kernels.inc.h"
