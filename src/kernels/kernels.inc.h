/* kernels.inc.h: the kernels in the lanes of one vec_<isa>.h, which is included before. That file defines
 *   TILES(X)        X(UP_TO_n, w) for tiles of 1 to n rows, w columns wide; ascending w
 *   DEPTHWISE       UP_TO_n: rows of tiles for depthwise convolution */
#include "tile.inc.h"
#include "vector_elements.inc.h"
#include "vector_math.inc.h"
#include "vector_narrow.inc.h"
#include "vector_pool.inc.h"
#include "vector_rows.inc.h"
#include "vector_sparse.inc.h"
#include "vector_update.inc.h"
#include "vector_winograd.inc.h"

#define UP_TO_1(X, w) X(1, w)
#define UP_TO_3(X, w) UP_TO_1(X, w) X(2, w) X(3, w)
#define UP_TO_6(X, w) UP_TO_3(X, w) X(4, w) X(5, w) X(6, w)
#define UP_TO_12(X, w) UP_TO_6(X, w) X(7, w) X(8, w) X(9, w) X(10, w) X(11, w) X(12, w)
#define UP_TO_14(X, w) UP_TO_12(X, w) X(13, w) X(14, w)
#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

#define TILE(r, w)                                                                                                         \
    static void tile_##r##x##w(const firn__tile *t) { tile(t, r, w); }
#define TILE_NAME(r, w) tile_##r##x##w,
#define TILES_OF(up_to, w) up_to(TILE, w) static firn__tile_fn *const tiles_x##w[] = {up_to(TILE_NAME, w)};
#define TILE_SET(up_to, w) {w, COUNT(tiles_x##w), tiles_x##w},
#define DEPTHWISE_TILE(r, w)                                                                                               \
    static void depthwise_##r(const firn__tile *t) { tile_depthwise(t, r); }
#define DEPTHWISE_NAME(r, w) depthwise_##r,

TILES(TILES_OF)
DEPTHWISE(DEPTHWISE_TILE, 16)
static firn__tile_fn *const depthwise[] = {DEPTHWISE(DEPTHWISE_NAME, 16)};
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
