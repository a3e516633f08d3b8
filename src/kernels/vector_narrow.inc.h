/* vector_narrow.inc.h: products with few columns. Included once per instruction set. */

/* The sums of 16 vectors, of vector i in lane lane_of(i): those of vf_sum(), in fewer steps. */
LANES_INLINE int lane_of(int i) { return i % 4 * 4 + i / 4; } /* its own inverse */
LANES_INLINE vf sums_of_16(vf s[16])
{
    EACH(i, 8) s[i] = vf_join8(s[2 * i], s[2 * i + 1]);
    EACH(i, 4) s[i] = vf_join4(s[2 * i], s[2 * i + 1]);
    EACH(i, 2) s[i] = vf_join2(s[2 * i], s[2 * i + 1]);
    return vf_join1(s[0], s[1]);
}

/* What n elements of rows of A and of B, from a and b on, add to the sums. */
LANES_INLINE void narrow_step(const firn__narrow_args *g, const float *a, const float *b, int64_t n, vf sum[16],
                              const int rows, const int columns)
{
    vf row[16];
    EACH(r, rows) row[r] = vf_load_n(a + r * g->lda, n);
    EACH(q, columns) {
        const vf column = vf_held(vf_load_n(b + q * g->ldb, n));
        EACH(r, rows) {
            vf *s = &sum[lane_of(r * columns + q)];
            *s = vf_fma(row[r], column, *s);
        }
    }
}

/* rows x columns elements of C, at most VEC_SUMS, each in the 16 lanes of a vector. */
LANES_INLINE void narrow_tile(const firn__narrow_args *g, int64_t i, int64_t j, const int rows, const int columns)
{
    const float *a = g->a + i * g->lda, *b = g->b + j * g->ldb;
    float *c = g->c + i * g->ldc + j, lane[16];
    vf sum[16];
    EACH(s, 16) sum[s] = vf_set(0.0f);
    int64_t p = 0;
    for (; p + 16 <= g->k; p += 16) narrow_step(g, a + p, b + p, 16, sum, rows, columns);
    if (p < g->k) narrow_step(g, a + p, b + p, g->k - p, sum, rows, columns);
    const vf sums = sums_of_16(sum);
    if (g->ldc == columns && !g->accumulate) { /* the rows follow each other */
        vf_store_n(c, sums, rows * columns);
        return;
    }
    vf_store_n(lane, sums, 16);
    EACH(r, rows)
        EACH(q, columns) {
            float *at = &c[r * g->ldc + q];
            *at = g->accumulate ? *at + lane[r * columns + q] : lane[r * columns + q];
        }
}

LANES_INLINE void narrow_columns(const firn__narrow_args *g, int64_t begin, int64_t end, int64_t j, const int columns)
{
    const int rows = VEC_SUMS / columns;
    int64_t i = begin;
    for (; i + rows <= end; i += rows) narrow_tile(g, i, j, rows, columns);
    for (; i < end; i++) narrow_tile(g, i, j, 1, columns);
}

/* An item is a row of C. */
static void narrow(const firn__narrow_args *g, int64_t begin, int64_t end)
{
    for (int64_t j = 0, columns; j < g->n; j += columns) {
        const int64_t left = g->n - j;
        columns = left > 6 ? (left + 1) / 2 : left; /* n is at most 12 */
        if (columns == 1) narrow_columns(g, begin, end, j, 1);
        if (columns == 2) narrow_columns(g, begin, end, j, 2);
        if (columns == 3) narrow_columns(g, begin, end, j, 3);
        if (columns == 4) narrow_columns(g, begin, end, j, 4);
        if (columns == 5) narrow_columns(g, begin, end, j, 5);
        if (columns == 6) narrow_columns(g, begin, end, j, 6);
    }
}
