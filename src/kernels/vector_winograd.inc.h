/* vector_winograd.inc.h: the transforms of winograd.c, of one tile of all channels. Included once per instruction set.
 * A row of six points is what polynomials are at 0, 3/4, -3/4, 3/2, -3/2 and infinity: with these points and not the
 * usual 0, 1, -1, 2, -2 the error is half as large (winograd.c), and every factor here is exact. */

/* Six points of an input row (of the transposed product, whence the polynomials that are zero at the other points). */
LANES_INLINE void points_of_input(const vf d[6], vf to[6])
{
    const vf low = vf_set(-9.0f / 16), high = vf_set(-9.0f / 4), middle = vf_set(-45.0f / 16), both = vf_set(81.0f / 64);
    const vf even = vf_fma(high, d[2], d[4]), odd = vf_fma(high, d[1], d[3]);
    const vf even2 = vf_fma(low, d[2], d[4]), odd2 = vf_fma(low, d[1], d[3]);
    to[0] = vf_fma(both, d[0], vf_fma(middle, d[2], d[4]));
    to[1] = vf_fma(vf_set(0.75f), odd, even);
    to[2] = vf_fma(vf_set(-0.75f), odd, even);
    to[3] = vf_fma(vf_set(1.5f), odd2, even2);
    to[4] = vf_fma(vf_set(-1.5f), odd2, even2);
    to[5] = vf_fma(both, d[1], vf_fma(middle, d[3], d[5]));
}

/* Of a row of three weights, or four gradients: d0 + d1 t + d2 t^2 + d3 t^3, and the last; of six inputs the above. */
LANES_INLINE void points_of_row(const vf *d, int count, vf to[6])
{
    if (count == 6) {
        points_of_input(d, to);
        return;
    }
    const vf low = vf_set(9.0f / 16), high = vf_set(9.0f / 4);
    const vf even = vf_fma(low, d[2], d[0]), odd = count > 3 ? vf_fma(low, d[3], d[1]) : d[1];
    const vf even2 = vf_fma(high, d[2], d[0]), odd2 = count > 3 ? vf_fma(high, d[3], d[1]) : d[1];
    to[0] = d[0];
    to[1] = vf_fma(vf_set(0.75f), odd, even);
    to[2] = vf_fma(vf_set(-0.75f), odd, even);
    to[3] = vf_fma(vf_set(1.5f), odd2, even2);
    to[4] = vf_fma(vf_set(-1.5f), odd2, even2);
    to[5] = d[count - 1];
}

/* From six points back to a row of `count` outputs. */
LANES_INLINE void row_of_points(const vf m[6], int count, vf *to)
{
    const vf sum = vf_add(m[1], m[2]), sum2 = vf_add(m[3], m[4]), apart = vf_sub(m[1], m[2]), apart2 = vf_sub(m[3], m[4]);
    to[0] = vf_add(vf_add(m[0], sum), sum2);
    to[1] = vf_fma(vf_set(1.5f), apart2, vf_mul(vf_set(0.75f), apart));
    to[2] = vf_fma(vf_set(9.0f / 4), sum2, vf_mul(vf_set(9.0f / 16), sum));
    if (count > 3)
        to[3] = vf_fma(vf_set(27.0f / 8), apart2, vf_fma(vf_set(27.0f / 64), apart, m[5]));
    else
        to[2] = vf_add(to[2], m[5]);
}

/* What the points of 3 x 3 weights, and of their gradients, are divided by in one direction. */
LANES_INLINE vf scaled_point(vf x, int size, int i)
{
    if (size != 3) return x;
    return vf_mul(x, vf_set(i == 0 ? 64.0f / 81 : i == 5 ? 1.0f : i < 3 ? -128.0f / 243 : 32.0f / 243));
}

LANES_INLINE void tile_to_points(const int size, float *const *x, int64_t channels, float *to, int64_t apart)
{
    EACH_GROUP(c, n, 0, channels)
    {
        vf half[6][6], row[6];
        EACH(j, size) {
            vf d[6];
            EACH(i, size) d[i] = vf_load_n(x[size * i + j] + c, n);
            points_of_row(d, size, half[j]);
        }
        EACH(i, 6) {
            vf d[6];
            EACH(j, size) d[j] = scaled_point(half[j][i], size, i);
            points_of_row(d, size, row);
            EACH(j, 6) vf_store_n(to + (6 * i + j) * apart + c, scaled_point(row[j], size, j), n);
        }
    }
}

static void winograd_points(int size, float *const *x, int64_t channels, float *to, int64_t apart)
{
    if (size == 3) tile_to_points(3, x, channels, to, apart);
    if (size == 4) tile_to_points(4, x, channels, to, apart);
    if (size == 6) tile_to_points(6, x, channels, to, apart);
}

LANES_INLINE void points_to_tile(const int size, const float *from, int64_t apart, int64_t first, int64_t last,
                                 const firn__epilogue_args *e, float *const *y)
{
    EACH_GROUP(c, n, first, last)
    {
        vf half[6][4], row[4];
        EACH(j, 6) {
            vf m[6];
            EACH(i, 6) m[i] = scaled_point(vf_load_n(from + (6 * i + j) * apart + c, n), size, i);
            row_of_points(m, size, half[j]);
        }
        EACH(i, size) {
            vf m[6];
            EACH(j, 6) m[j] = scaled_point(half[j][i], size, j);
            row_of_points(m, size, row);
            EACH(j, size) vf_store_n(y[size * i + j] + c, e ? finish_output(row[j], e, c, n) : row[j], n);
        }
    }
}

static void winograd_pixels(int size, const float *from, int64_t apart, int64_t first, int64_t last,
                            const firn__epilogue_args *e, float *const *y)
{
    if (size == 3) points_to_tile(3, from, apart, first, last, NULL, y);
    if (size == 4) points_to_tile(4, from, apart, first, last, e, y);
}
