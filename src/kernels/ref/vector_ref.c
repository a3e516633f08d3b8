/* The vector kernels in plain C. */
#include <math.h>
#include <string.h>

#include "rng.h"
#include "vec_ref.h"
#include "vector.h"

#define VECTOR_TABLE firn__vector_ref
#include "vector.inc.h"
