/* tile.inc.h: the microkernel, and how matrices are copied for it. Included once per instruction set. */

#define MOST_VECTORS 8
typedef vf accumulators[FIRN__TILE_ROWS][MOST_VECTORS];

/* Vectors of a tile's width. Width 8 is half a vector: the compiler sees that the other half is never stored. */
#define VECTORS(width) (((width) + 15) / 16)

/* Lanes of vector j that are columns. */
LANES_INLINE int64_t lanes_of(const firn__tile *t, int j, const int width, const bool whole)
{
    const int64_t n = t->columns - j * 16, most = width < 16 ? width : 16;
    return whole || n >= most ? most : n > 0 ? n : 0;
}

LANES_INLINE void tile_start(const firn__tile *t, accumulators acc, const int rows, const int width, const bool whole)
{
    EACH(i, rows)
        EACH(j, VECTORS(width)) acc[i][j] = vf_set(0.0f);
    if (!t->resume) return;
    EACH(i, rows)
        EACH(j, VECTORS(width)) acc[i][j] = vf_load_n(t->c + i * t->ldc + j * 16, lanes_of(t, j, width, whole));
}

/* The compiler must not know that one pointer is another plus something: it would compute it so, every time. */
LANES_INLINE const float *unrelated(const float *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* The loop that all the time is spent in. A pointer for every third row: one alone would need more index registers
 * than there are, or a chain of additions longer than the multiplications. */
LANES_INLINE void tile_multiply(const firn__tile *t, accumulators acc, const int rows, const int width, const bool whole)
{
    const int panels = (VECTORS(width) + PANEL_VECTORS - 1) / PANEL_VECTORS, thirds = (rows + 2) / 3;
    const int64_t a_row = t->a_row, a_k = t->a_k, ldb = t->ldb, ahead = t->ahead;
    const float *b[MOST_VECTORS];
    float *pack = t->pack;
    int64_t n[MOST_VECTORS];
    EACH(j, VECTORS(width)) n[j] = lanes_of(t, j, width, whole || t->padded);
    EACH(q, panels) b[q] = t->b + q * t->b_panel;
    for (int64_t s = 0; s < t->segments; s++) {
        for (int64_t tap = 0; tap < t->taps; tap++) {
            const float *a[FIRN__TILE_ROWS / 3 + 1];
            EACH(q, thirds) a[q] = unrelated(t->a + s * t->a_segment + tap * t->a_tap + 3 * q * a_row);
            for (int64_t p = t->k; p > 0; p--) {
                vf bv[MOST_VECTORS];
                EACH(j, VECTORS(width)) bv[j] = vf_load_n(b[j / PANEL_VECTORS] + j % PANEL_VECTORS * 16, n[j]);
                if (ahead != 0) {
                    EACH(j, VECTORS(width)) PREFETCH_L2(b[j / PANEL_VECTORS] + ahead + j % PANEL_VECTORS * 16);
                    if (VECTORS(width) <= PANEL_VECTORS && pack != NULL) {
                        EACH(j, VECTORS(width)) vf_store_n(pack + j * 16, bv[j], width < 16 ? width : 16);
                        pack += width;
                    }
                }
                EACH(i, rows) {
                    const vf av = vf_set(a[i / 3][i % 3 * a_row]);
                    EACH(j, VECTORS(width)) acc[i][j] = vf_fma(av, bv[j], acc[i][j]);
                }
                EACH(q, panels) b[q] += ldb;
                EACH(q, thirds) a[q] += a_k;
            }
        }
        EACH(q, panels) b[q] += t->b_segment;
    }
}

/* The same with a vector of A in place of one number spread over the lanes. */
LANES_INLINE void tile_multiply_lanes(const firn__tile *t, accumulators acc, const int rows, const int64_t n)
{
    const float *b = t->b;
    for (int64_t s = 0; s < t->segments; s++) {
        const float *a = t->a + s * t->a_segment;
        for (int64_t p = t->k; p > 0; p--) {
            const vf bv = vf_load_n(b, n);
            EACH(i, rows) acc[i][0] = vf_fma(vf_load_n(a + i * t->a_row, n), bv, acc[i][0]);
            b += t->ldb;
            a += t->a_k;
        }
    }
}

LANES_INLINE void tile_epilogue(const firn__tile *t, accumulators acc, const int rows, const int width, const bool whole)
{
    const firn__epilogue_args *e = t->epilogue;
    EACH(j, VECTORS(width)) {
        const int64_t column = t->column + j * 16, n = lanes_of(t, j, width, whole);
        if (e->bias != NULL) {
            const vf bias = vf_load_n(e->bias + column, n);
            EACH(i, rows) acc[i][j] = vf_add(acc[i][j], bias);
        }
        if (e->scale != NULL) {
            const vf scale = vf_load_n(e->scale + column, n), shift = vf_load_n(e->shift + column, n);
            EACH(i, rows) acc[i][j] = vf_fma(acc[i][j], scale, shift);
        }
        if (e->relu) {
            EACH(i, rows) acc[i][j] = vf_max(vf_set(0.0f), acc[i][j]);
        }
    }
}

/* The epilogue's arrays run along the rows, which are C's columns. */
LANES_INLINE void tile_finish_turned(const firn__tile *t, accumulators acc, const int rows, const int width)
{
    const firn__epilogue_args *e = t->epilogue;
    float lane[FIRN__TILE_ROWS][PANEL_VECTORS * 16];
    EACH(i, rows)
        EACH(j, VECTORS(width)) {
            const int64_t column = t->column + i;
            if (e != NULL && e->bias != NULL) acc[i][j] = vf_add(acc[i][j], vf_set(e->bias[column]));
            if (e != NULL && e->scale != NULL)
                acc[i][j] = vf_fma(acc[i][j], vf_set(e->scale[column]), vf_set(e->shift[column]));
            if (e != NULL && e->relu) acc[i][j] = vf_max(vf_set(0.0f), acc[i][j]);
            vf_store_n(lane[i] + j * 16, acc[i][j], width < 16 ? width : 16);
        }
    for (int64_t j = 0; j < width && j < t->columns; j++)
        EACH(i, rows) t->c[j * t->ldc + i] = lane[i][j];
}

LANES_INLINE void tile_finish(const firn__tile *t, accumulators acc, const int rows, const int width, const bool whole)
{
    if (VECTORS(width) <= PANEL_VECTORS && t->turned) {
        tile_finish_turned(t, acc, rows, width);
        return;
    }
    if (t->epilogue != NULL) tile_epilogue(t, acc, rows, width, whole);
    float *c = t->c;
    const int64_t ldc = t->ldc;
    EACH(i, rows) {
        EACH(j, VECTORS(width)) vf_store_n(c + j * 16, acc[i][j], lanes_of(t, j, width, whole));
        c += ldc;
    }
}

LANES_INLINE void tile_of(const firn__tile *t, const int rows, const int width, const bool whole)
{
    accumulators acc;
    tile_start(t, acc, rows, width, whole);
    tile_multiply(t, acc, rows, width, whole);
    tile_finish(t, acc, rows, width, whole);
}

LANES_INLINE void tile(const firn__tile *t, const int rows, const int width)
{
    if (VECTORS(width) > PANEL_VECTORS || t->columns == width)
        tile_of(t, rows, width, true);
    else
        tile_of(t, rows, width, false);
}

LANES_INLINE void depthwise_of(const firn__tile *t, const int rows, const bool whole)
{
    accumulators acc;
    tile_start(t, acc, rows, 16, whole);
    tile_multiply_lanes(t, acc, rows, lanes_of(t, 0, 16, whole));
    tile_finish(t, acc, rows, 16, whole);
}

LANES_INLINE void tile_depthwise(const firn__tile *t, const int rows)
{
    if (t->columns == 16)
        depthwise_of(t, rows, true);
    else
        depthwise_of(t, rows, false);
}

static void copy(int64_t rows, int64_t columns, int64_t width, const float *src, int64_t ld, float *dst, int64_t ldd)
{
    for (int64_t i = 0; i < rows; i++, src += ld, dst += ldd) {
        EACH_GROUP(j, n, 0, columns) vf_store_n(dst + j, vf_load_n(src + j, n), firn__min(width - j, 16));
        EACH_GROUP(j, n, (columns + 15) / 16 * 16, width) vf_store_n(dst + j, vf_set(0.0f), n);
    }
}

/* A block of which only `rows` and `columns` are there, and of whose lanes only `width` are written. */
static void transpose_part(int64_t rows, int64_t columns, int64_t width, const float *src, int64_t ld, float *dst,
                           int64_t ldd)
{
    float from[16][16], to[16][16];
    for (int i = 0; i < 16; i++) vf_store_n(from[i], i < rows ? vf_load_n(src + i * ld, columns) : vf_set(0.0f), 16);
    vec_turn(from[0], 16, to[0], 16);
    for (int64_t j = 0; j < columns; j++) vf_store_n(dst + j * ldd, vf_load_n(to[j], 16), width);
}

static void transpose(int64_t rows, int64_t columns, int64_t width, const float *src, int64_t ld, float *dst, int64_t ldd)
{
    EACH_GROUP(j, n, 0, columns)
    EACH_GROUP(i, w, 0, width)
    {
        const int64_t m = firn__min(rows - i, 16);
        if (m < 16 || n < 16)
            transpose_part(m, n, w, src + i * ld + j, ld, dst + j * ldd + i, ldd);
        else
            vec_turn(src + i * ld + j, ld, dst + j * ldd + i, ldd);
    }
}

static void sum_rows(int64_t rows, int64_t columns, const float *x, float *sums)
{
    EACH_GROUP(j, n, 0, columns)
    {
        vf acc[4];
        EACH(l, 4) acc[l] = vf_load_n(sums + l * columns + j, n);
        for (int64_t i = 0; i < rows; i += 4)
            EACH(l, 4)
                if (i + l < rows) acc[l] = vf_add(acc[l], vf_load_n(x + (i + l) * columns + j, n));
        EACH(l, 4) vf_store_n(sums + l * columns + j, acc[l], n);
    }
}
