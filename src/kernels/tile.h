/* tile.h: the contract between the microkernels, one source for every instruction set (tile.inc.h), and the loops
 * around them (tile.c, gemm.c, conv.c, conv_dw.c, winograd.c). A tile of C, a few rows by one or more vectors of
 * columns, is kept in registers while k runs; then comes the epilogue. */
#ifndef FIRN_KERNELS_TILE_H
#define FIRN_KERNELS_TILE_H
#include "kernels.h"

/* C[i][j] = sum over segments s, taps t, p < k of A(i; s, t, p) * B(s, t, p; j), in that order, from 0 or from C.
 * A(i; s, t, p) = a[i * a_row + s * a_segment + t * a_tap + p * a_k]. The rows of B follow each other, ldb apart; the
 * columns of a tile wider than a panel lie b_panel apart, panel by panel. Between segments b moves on by b_segment more. */
typedef struct firn__tile {
    const float *a;
    int64_t a_row, a_k, a_tap, a_segment;
    int64_t segments, taps, k;
    const float *b;
    int64_t ldb, b_panel, b_segment;
    int64_t ahead; /* how far ahead, in floats, b is fetched into the second-level cache; zero: not */
    float *c;
    int64_t ldc;
    int64_t columns;                     /* read and stored: the width of the tile, or fewer if that is at most a panel */
    bool padded;                         /* b's rows have the full width: all of it is read */
    bool turned;                         /* C lies by columns: C[i][j] = c[j * ldc + i]; `column` is of row 0. At most a
                                          * panel wide, and without resume */
    bool resume;                         /* the chains go on from what c holds */
    const firn__epilogue_args *epilogue; /* NULL: none */
    int64_t column;                      /* of the epilogue's arrays, for the tile's first column */
    float *pack;                         /* NULL, or the panel that b's rows are copied to while they are fetched ahead;
                                          * tiles no wider than one */
} firn__tile;
typedef void firn__tile_fn(const firn__tile *t);

typedef struct firn__tile_set {
    int64_t width, max_rows;       /* a wider set never has more rows */
    firn__tile_fn *const *of_rows; /* [rows - 1] */
} firn__tile_set;

typedef struct firn__tiles {
    int64_t panel; /* columns of a packed panel; the last panel of a matrix is the narrowest set that holds it */
    const firn__tile_set *sets; /* ascending width */
    int set_count;
    /* Elementwise in the columns, for depthwise convolution: A(i; s, t, p) is a vector of `columns` floats, and so is a
     * row of B. One vector wide. */
    firn__tile_set depthwise;
    /* dst[i * ldd + j] = src[i * ld + j], zero for columns <= j < width. */
    void (*copy)(int64_t rows, int64_t columns, int64_t width, const float *src, int64_t ld, float *dst, int64_t ldd);
    /* dst[j * ldd + i] = src[i * ld + j], zero for rows <= i < width. */
    void (*transpose)(int64_t rows, int64_t columns, int64_t width, const float *src, int64_t ld, float *dst, int64_t ldd);
    /* sums[l * columns + j] += x[i * columns + j] in ascending i, with l = i % 4. */
    void (*sum_rows)(int64_t rows, int64_t columns, const float *x, float *sums);
} firn__tiles;

#define FIRN__TILE_ROWS 14   /* of the highest tile */
#define FIRN__FEW_COLUMNS 12 /* of C: lanes of rows pay if A is read by columns */

/* The narrowest set that holds so many columns, none wider than a panel. */
const firn__tile_set *firn__tile_set_for(const firn__tiles *tiles, int64_t columns);
/* The set that keeps most of C in registers for so many rows. */
const firn__tile_set *firn__tile_set_best(const firn__tiles *tiles, int64_t rows, int64_t columns);
/* What `columns` columns take in packed panels. Column j, a multiple of the panel, begins at float j * k. */
int64_t firn__tile_packed_columns(const firn__tiles *tiles, int64_t columns);
/* Runs the tiles of `rows` rows from one description: a and c move on, the rows are shared out evenly. */
void firn__tile_run(const firn__tile_set *set, firn__tile *t, int64_t rows);
/* The same for all columns, of the first of which t has b, c and column; best: the set for so many rows and columns.
 * depth: rows of the panels that b is packed in, of which the first `skip` are left out; 0: b is not packed, and its
 * columns follow each other, ldb from row to row. It moves t's b, c and column to the last columns. */
void firn__tile_run_columns(const firn__tiles *tiles, const firn__tile_set *best, firn__tile *t, int64_t rows,
                            int64_t columns, int64_t depth, int64_t skip);

static inline int64_t firn__min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t firn__ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

#endif
