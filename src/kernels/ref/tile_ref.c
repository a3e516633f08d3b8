#include <math.h>
#include <string.h>

#include "tile.h"

typedef struct lanes {
    float at[4];
} lanes;

#define TARGET
#define ISA(name) name##_ref
#define LANES 4
#define PANEL_VECTORS 4
#define VEC lanes
#define ZERO() ((lanes){{0}})
#define LOAD(p) load_ref(p, LANES)
#define STORE(p, v) store_ref(p, v, LANES)
#define LOAD_PART(p, n) load_ref(p, n)
#define STORE_PART(p, v, n) store_ref(p, v, n)
#define SPREAD(p) spread_ref(*(p))
#define ADD(a, b) add_ref(a, b)
#define FMA(a, b, c) fma_ref(a, b, c)
#define RELU(v) relu_ref(v)
#define TRANSPOSE(p, ld, r) transpose_vectors_ref(p, ld, r)
#define EVERY_LANE for (int i = 0; i < LANES; i++)

static inline lanes load_ref(const float *p, int n)
{
    lanes v = ZERO();
    if (n > 0) memcpy(v.at, p, (size_t)n * sizeof *p);
    return v;
}

static inline void store_ref(float *p, lanes v, int n)
{
    if (n > 0) memcpy(p, v.at, (size_t)n * sizeof *p);
}

/* clang-format off */
static inline lanes spread_ref(float x) { return (lanes){{x, x, x, x}}; }
static inline lanes add_ref(lanes a, lanes b) { EVERY_LANE a.at[i] += b.at[i]; return a; }
static inline lanes fma_ref(lanes a, lanes b, lanes c) { EVERY_LANE c.at[i] = fmaf(a.at[i], b.at[i], c.at[i]); return c; }
static inline lanes relu_ref(lanes v) { EVERY_LANE v.at[i] = v.at[i] < 0 ? 0 : v.at[i]; return v; } /* NaN and -0 stay */
/* clang-format on */

static inline void transpose_vectors_ref(const float *p, int64_t ld, lanes r[LANES])
{
    EVERY_LANE
    for (int j = 0; j < LANES; j++) r[j].at[i] = p[i * ld + j];
}

#include "tile.inc.h"

/* 12 accumulators, which any processor with vectors holds. */
TILES(UP_TO_3, 1)
TILES(UP_TO_3, 2)
TILES(UP_TO_3, 4)
DEPTHWISE_TILES(UP_TO_3)
NARROW_TILES

static const firn__tile_set sets_ref[] = {TILE_SET(1), TILE_SET(2), TILE_SET(4)};
const firn__tiles firn__tiles_ref = TILE_TABLE(sets_ref);
