/* kernels.inc.h: the kernels in the lanes of one vec_<isa>.h, which is included before. That file defines
 *   TILES(X)        X(UP_TO_n, v) for tiles of 1 to n rows, v vectors wide; ascending v
 *   DEPTHWISE(X)    X(UP_TO_n, 1) */
#include "tile.inc.h"
#include "vector_elements.inc.h"
#include "vector_math.inc.h"
#include "vector_narrow.inc.h"
#include "vector_pool.inc.h"
#include "vector_rows.inc.h"
#include "vector_sparse.inc.h"
#include "vector_update.inc.h"
#include "vector_winograd.inc.h"

#define UP_TO_1(X, v) X(1, v)
#define UP_TO_3(X, v) UP_TO_1(X, v) X(2, v) X(3, v)
#define UP_TO_6(X, v) UP_TO_3(X, v) X(4, v) X(5, v) X(6, v)
#define UP_TO_14(X, v) UP_TO_6(X, v) X(7, v) X(8, v) X(9, v) X(10, v) X(11, v) X(12, v) X(13, v) X(14, v)
#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

#define TILE(r, v)                                                                                                         \
    static void tile_##r##x##v(const firn__tile *t) { tile(t, r, v); }
#define TILE_NAME(r, v) tile_##r##x##v,
#define TILES_OF(up_to, v) up_to(TILE, v) static firn__tile_fn *const tiles_x##v[] = {up_to(TILE_NAME, v)};
#define TILE_SET(up_to, v) {(v)*16, COUNT(tiles_x##v), tiles_x##v},
#define DEPTHWISE_TILE(r, v)                                                                                               \
    static void depthwise_##r(const firn__tile *t) { tile_depthwise(t, r); }
#define DEPTHWISE_NAME(r, v) depthwise_##r,
#define DEPTHWISE_TILES(up_to, v)                                                                                          \
    up_to(DEPTHWISE_TILE, v) static firn__tile_fn *const depthwise[] = {up_to(DEPTHWISE_NAME, v)};

TILES(TILES_OF)
DEPTHWISE(DEPTHWISE_TILES)
static const firn__tile_set sets[] = {TILES(TILE_SET)};
static const firn__tiles tiles = {.panel = PANEL_VECTORS * 16,
                                  .sets = sets,
                                  .set_count = COUNT(sets),
                                  .depthwise = {16, COUNT(depthwise), depthwise},
                                  .copy = copy,
                                  .transpose = transpose,
                                  .sum_rows = sum_rows};

static const firn__vector_kernels vectors = {
#define FIRN_X(name, type, work) name,
    FIRN__VECTOR_MAP(FIRN_X)
#undef FIRN_X
        pack,
    unpack,
    winograd_points,
    winograd_pixels,
    nonzero,
    all_finite,
    sparse_rows,
    finish};

const firn__kernels KERNELS = {NAME, &tiles, &vectors};
