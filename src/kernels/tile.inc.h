/* tile.inc.h: the microkernel, included once by each instruction set's file. That file defines
 *
 *   TARGET ISA(name) LANES VEC    attribute of functions, their names' suffix, floats of a vector, its type
 *   PANEL_VECTORS                 vectors of a panel
 *   ZERO() LOAD(p) STORE(p, v) SPREAD(p) ADD(a, b) FMA(a, b, c) RELU(v)
 *   LOAD_PART(p, n) STORE_PART(p, v, n)    the first n lanes, 0 <= n < LANES; the rest is zero, or left alone
 *   TRANSPOSE(p, ld, r)           LANES rows of LANES floats from p on become the vectors r[0], r[1] ... of their columns
 *
 * and lists its tiles with TILES afterwards, and their sets in TILE_TABLE. */
#include "tile.h"
#include "unroll.h"

#define MOST_VECTORS 8
typedef VEC ISA(accumulators)[FIRN__TILE_ROWS][MOST_VECTORS];

INLINE int ISA(lanes_before)(int64_t n) { return n >= LANES ? LANES : n > 0 ? (int)n : 0; }

/* Lanes of vector j that are columns. */
INLINE int ISA(lanes_of)(const firn__tile *t, int j) { return ISA(lanes_before)(t->columns - (int64_t)j * LANES); }

INLINE TARGET VEC ISA(load_lanes)(const float *p, int n) { return n == LANES ? LOAD(p) : LOAD_PART(p, n); }
INLINE TARGET void ISA(store_lanes)(float *p, VEC v, int n)
{
    if (n == LANES)
        STORE(p, v);
    else
        STORE_PART(p, v, n);
}

INLINE TARGET void ISA(tile_start)(const firn__tile *t, ISA(accumulators) acc, const int rows, const int vectors)
{
    if (!t->resume) {
        EACH(i, rows)
            EACH(j, vectors) acc[i][j] = ZERO();
    } else if (t->columns == (int64_t)vectors * LANES) {
        EACH(i, rows)
            EACH(j, vectors) acc[i][j] = LOAD(t->c + i * t->ldc + j * LANES);
    } else {
        EACH(j, vectors) {
            const int n = ISA(lanes_of)(t, j);
            EACH(i, rows) acc[i][j] = n == 0 ? ZERO() : ISA(load_lanes)(t->c + i * t->ldc + j * LANES, n);
        }
    }
}

/* The compiler must not know that one pointer is another plus something: it would compute it so, every time. */
INLINE const float *ISA(unrelated)(const float *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* The loop that all the time is spent in. A pointer for every third row: one alone would need more index registers
 * than there are, or a chain of additions longer than the multiplications. */
INLINE TARGET void ISA(tile_multiply)(const firn__tile *t, ISA(accumulators) acc, const int rows, const int vectors)
{
    const int panels = (vectors + PANEL_VECTORS - 1) / PANEL_VECTORS, thirds = (rows + 2) / 3;
    const int64_t a_row = t->a_row, a_k = t->a_k, ldb = t->ldb, ahead = t->ahead;
    const float *b[MOST_VECTORS];
    float *pack = t->pack;
    EACH(q, panels) b[q] = t->b + q * t->b_panel;
    for (int64_t s = 0; s < t->segments; s++)
        for (int64_t tap = 0; tap < t->taps; tap++) {
            const float *a[FIRN__TILE_ROWS / 3 + 1];
            EACH(q, thirds) a[q] = ISA(unrelated)(t->a + s * t->a_segment + tap * t->a_tap + 3 * q * a_row);
            for (int64_t p = t->k; p > 0; p--) {
                VEC bv[MOST_VECTORS];
                EACH(j, vectors) bv[j] = LOAD(b[j / PANEL_VECTORS] + j % PANEL_VECTORS * LANES);
                if (ahead != 0) {
                    EACH(j, (vectors * LANES + 15) / 16)
                        PREFETCH_L2(b[j * 16 / LANES / PANEL_VECTORS] + ahead + j * 16 % (PANEL_VECTORS * LANES));
                    if (vectors <= PANEL_VECTORS && pack != NULL) {
                        EACH(j, vectors) STORE(pack + j * LANES, bv[j]);
                        pack += vectors * LANES;
                    }
                }
                EACH(i, rows) {
                    const VEC av = SPREAD(a[i / 3] + i % 3 * a_row);
                    EACH(j, vectors) acc[i][j] = FMA(av, bv[j], acc[i][j]);
                }
                EACH(q, panels) b[q] += ldb;
                EACH(q, thirds) a[q] += a_k;
            }
        }
}

/* The same with a vector of A in place of one number spread over the lanes. */
INLINE TARGET void ISA(tile_multiply_lanes)(const firn__tile *t, ISA(accumulators) acc, const int rows, const int n)
{
    const float *b = t->b;
    for (int64_t s = 0; s < t->segments; s++) {
        const float *a = t->a + s * t->a_segment;
        for (int64_t p = t->k; p > 0; p--) {
            const VEC bv = ISA(load_lanes)(b, n);
            EACH(i, rows) acc[i][0] = FMA(ISA(load_lanes)(a + i * t->a_row, n), bv, acc[i][0]);
            b += t->ldb;
            a += t->a_k;
        }
    }
}

INLINE TARGET void ISA(tile_epilogue)(const firn__tile *t, ISA(accumulators) acc, const int rows, const int vectors)
{
    const firn__epilogue_args *e = t->epilogue;
    EACH(j, vectors) {
        const int64_t column = t->column + j * LANES;
        const int n = ISA(lanes_of)(t, j);
        if (n == 0) continue;
        if (e->bias != NULL) {
            const VEC bias = ISA(load_lanes)(e->bias + column, n);
            EACH(i, rows) acc[i][j] = ADD(acc[i][j], bias);
        }
        if (e->scale != NULL) {
            const VEC scale = ISA(load_lanes)(e->scale + column, n), shift = ISA(load_lanes)(e->shift + column, n);
            EACH(i, rows) acc[i][j] = FMA(acc[i][j], scale, shift);
        }
        if (e->relu) {
            EACH(i, rows) acc[i][j] = RELU(acc[i][j]);
        }
    }
}

INLINE TARGET void ISA(tile_finish)(const firn__tile *t, ISA(accumulators) acc, const int rows, const int vectors)
{
    if (t->epilogue != NULL) ISA(tile_epilogue)(t, acc, rows, vectors);
    EACH(j, vectors) {
        const int n = ISA(lanes_of)(t, j);
        if (n == LANES) {
            EACH(i, rows) STORE(t->c + i * t->ldc + j * LANES, acc[i][j]);
        } else if (n > 0) {
            EACH(i, rows) STORE_PART(t->c + i * t->ldc + j * LANES, acc[i][j], n);
        }
    }
}

INLINE TARGET void ISA(tile)(const firn__tile *t, const int rows, const int vectors)
{
    ISA(accumulators) acc;
    ISA(tile_start)(t, acc, rows, vectors);
    ISA(tile_multiply)(t, acc, rows, vectors);
    ISA(tile_finish)(t, acc, rows, vectors);
}

INLINE TARGET void ISA(tile_depthwise)(const firn__tile *t, const int rows)
{
    ISA(accumulators) acc;
    ISA(tile_start)(t, acc, rows, 1);
    if (t->columns == LANES)
        ISA(tile_multiply_lanes)(t, acc, rows, LANES);
    else
        ISA(tile_multiply_lanes)(t, acc, rows, (int)t->columns);
    ISA(tile_finish)(t, acc, rows, 1);
}

/* ---- narrow tiles: acc[j][i] is column j of vector i of rows ---- */

INLINE TARGET void ISA(narrow_multiply)(const firn__tile *t, VEC acc[][2], const int columns, const int vectors,
                                        const bool whole)
{
    const int there[2] = {whole ? LANES : ISA(lanes_of)(t, 0), whole ? LANES : ISA(lanes_of)(t, 1)};
    const float *b = t->b;
    for (int64_t s = 0; s < t->segments; s++) {
        const float *a = t->a + s * t->a_segment;
        for (int64_t p = 0; p < t->k; p++, a += t->a_k, b += t->ldb) {
            VEC av[2];
            EACH(i, vectors) av[i] = ISA(load_lanes)(a + i * LANES, there[i]);
            EACH(j, columns) {
                const VEC bv = SPREAD(b + j);
                EACH(i, vectors) acc[j][i] = FMA(av[i], bv, acc[j][i]);
            }
        }
    }
}

INLINE TARGET void ISA(narrow_epilogue)(const firn__epilogue_args *e, VEC acc[][2], const int columns, const int vectors)
{
    EACH(j, columns)
        EACH(i, vectors) {
            if (e->bias != NULL) acc[j][i] = ADD(acc[j][i], SPREAD(e->bias + j));
            if (e->scale != NULL) acc[j][i] = FMA(acc[j][i], SPREAD(e->scale + j), SPREAD(e->shift + j));
            if (e->relu) acc[j][i] = RELU(acc[j][i]);
        }
}

INLINE TARGET void ISA(narrow)(const firn__tile *t, const int columns)
{
    const int vectors = (int)firn__narrow_vectors(columns);
    VEC acc[FIRN__NARROW_COLUMNS][2];
    float turned[FIRN__NARROW_COLUMNS][2 * LANES];
    if (t->resume) {
        for (int64_t i = 0; i < vectors * LANES; i++)
            EACH(j, columns) turned[j][i] = i < t->columns ? t->c[i * t->ldc + j] : 0;
        EACH(j, columns)
            EACH(i, vectors) acc[j][i] = LOAD(turned[j] + i * LANES);
    } else {
        EACH(j, columns)
            EACH(i, vectors) acc[j][i] = ZERO();
    }
    if (t->columns == vectors * LANES)
        ISA(narrow_multiply)(t, acc, columns, vectors, true);
    else
        ISA(narrow_multiply)(t, acc, columns, vectors, false);
    if (t->epilogue != NULL) ISA(narrow_epilogue)(t->epilogue, acc, columns, vectors);
    EACH(j, columns)
        EACH(i, vectors) STORE(turned[j] + i * LANES, acc[j][i]);
    for (int64_t i = 0; i < vectors * LANES && i < t->columns; i++)
        EACH(j, columns) t->c[i * t->ldc + j] = turned[j][i];
}

static TARGET void ISA(copy)(int64_t rows, int64_t columns, int64_t width, const float *src, int64_t ld, float *dst,
                             int64_t ldd)
{
    const int64_t whole = columns / LANES * LANES;
    const int tail = ISA(lanes_before)(columns - whole), tail_width = ISA(lanes_before)(width - whole);
    for (int64_t i = 0; i < rows; i++, src += ld, dst += ldd) {
        for (int64_t j = 0; j < whole; j += LANES) STORE(dst + j, LOAD(src + j));
        if (tail_width > 0) ISA(store_lanes)(dst + whole, LOAD_PART(src + whole, tail), tail_width);
        for (int64_t j = whole + LANES; j < width; j += LANES)
            ISA(store_lanes)(dst + j, ZERO(), ISA(lanes_before)(width - j));
    }
}

/* A block of which only `rows` and `columns` are there, and of whose lanes only `width` are written. */
static TARGET void ISA(transpose_part)(int rows, int columns, int width, const float *src, int64_t ld, float *dst,
                                       int64_t ldd)
{
    float all[LANES][LANES];
    VEC r[LANES];
    EACH(i, LANES) STORE(all[i], i < rows ? ISA(load_lanes)(src + i * ld, columns) : ZERO());
    TRANSPOSE(all[0], LANES, r);
    EACH(j, LANES)
        if (j < columns) ISA(store_lanes)(dst + j * ldd, r[j], width);
}

static TARGET void ISA(transpose)(int64_t rows, int64_t columns, int64_t width, const float *src, int64_t ld, float *dst,
                                  int64_t ldd)
{
    for (int64_t j = 0; j < columns; j += LANES)
        for (int64_t i = 0; i < width; i += LANES) {
            const int m = ISA(lanes_before)(rows - i), n = ISA(lanes_before)(columns - j), w = ISA(lanes_before)(width - i);
            const float *s = src + i * ld + j;
            float *d = dst + j * ldd + i;
            if (m < LANES || n < LANES) {
                ISA(transpose_part)(m, n, w, s, ld, d, ldd);
                continue;
            }
            VEC r[LANES];
            TRANSPOSE(s, ld, r);
            EACH(k, LANES) STORE(d + k * ldd, r[k]);
        }
}

INLINE TARGET void ISA(sum_rows_of_vector)(int64_t rows, int64_t columns, const float *x, float *sums, const int n)
{
    VEC acc[4];
    EACH(l, 4) acc[l] = ISA(load_lanes)(sums + l * columns, n);
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4, x += 4 * columns)
        EACH(l, 4) acc[l] = ADD(acc[l], ISA(load_lanes)(x + l * columns, n));
    EACH(l, 3)
        if (i + l < rows) acc[l] = ADD(acc[l], ISA(load_lanes)(x + l * columns, n));
    EACH(l, 4) ISA(store_lanes)(sums + l * columns, acc[l], n);
}

static TARGET void ISA(sum_rows)(int64_t rows, int64_t columns, const float *x, float *sums)
{
    int64_t j = 0;
    for (; j + LANES <= columns; j += LANES) ISA(sum_rows_of_vector)(rows, columns, x + j, sums + j, LANES);
    if (j < columns) ISA(sum_rows_of_vector)(rows, columns, x + j, sums + j, (int)(columns - j));
}

#define UP_TO_1(X, v) X(1, v)
#define UP_TO_3(X, v) UP_TO_1(X, v) X(2, v) X(3, v)
#define UP_TO_6(X, v) UP_TO_3(X, v) X(4, v) X(5, v) X(6, v)
#define UP_TO_7(X, v) UP_TO_6(X, v) X(7, v)
#define UP_TO_12(X, v) UP_TO_7(X, v) X(8, v) X(9, v) X(10, v) X(11, v) X(12, v)
#define UP_TO_14(X, v) UP_TO_7(X, v) X(8, v) X(9, v) X(10, v) X(11, v) X(12, v) X(13, v) X(14, v)

#define TILE(r, v)                                                                                                         \
    static TARGET void ISA(tile_##r##x##v)(const firn__tile *t) { ISA(tile)(t, r, v); }
#define TILE_NAME(r, v) ISA(tile_##r##x##v),
#define TILES(up_to, v) up_to(TILE, v) static firn__tile_fn *const ISA(tiles_x##v)[] = {up_to(TILE_NAME, v)};
#define DEPTHWISE(r, v)                                                                                                    \
    static TARGET void ISA(depthwise_##r)(const firn__tile *t) { ISA(tile_depthwise)(t, r); }
#define DEPTHWISE_NAME(r, v) ISA(depthwise_##r),
#define DEPTHWISE_TILES(up_to)                                                                                             \
    up_to(DEPTHWISE, 1) static firn__tile_fn *const ISA(depthwise)[] = {up_to(DEPTHWISE_NAME, 1)};
#define NARROW(n, v)                                                                                                       \
    static TARGET void ISA(narrow_##n)(const firn__tile *t) { ISA(narrow)(t, n); }
#define NARROW_NAME(n, v) ISA(narrow_##n),
#define NARROW_TILES UP_TO_12(NARROW, 1) static firn__tile_fn *const ISA(narrows)[] = {UP_TO_12(NARROW_NAME, 1)};
#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* The table, and the sets of one vector width that it lists. */
#define TILE_SET(v)                                                                                                        \
    {                                                                                                                      \
        (v) * LANES, COUNT(ISA(tiles_x##v)), ISA(tiles_x##v)                                                               \
    }
#define TILE_TABLE(list)                                                                                                   \
    {                                                                                                                      \
        .lanes = LANES, .panel = PANEL_VECTORS * LANES, .sets = list, .set_count = COUNT(list),                            \
        .depthwise = {LANES, COUNT(ISA(depthwise)), ISA(depthwise)}, .narrow = ISA(narrows), .copy = ISA(copy),            \
        .transpose = ISA(transpose), .sum_rows = ISA(sum_rows)                                                             \
    }
