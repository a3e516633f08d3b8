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

/* Of a row of three weights, or four gradients: d0 + d1 t + d2 t^2 + d3 t^3, and the last. */
LANES_INLINE void points_of_row(const vf *d, int count, vf to[6])
{
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

/* What the points of weights are divided by, in one direction. */
LANES_INLINE vf point_scale(int i)
{
    return vf_set(i == 0 ? 64.0f / 81 : i == 5 ? 1.0f : i < 3 ? -128.0f / 243 : 32.0f / 243);
}

static void winograd_input(float *const x[36], int64_t channels, float *to, int64_t apart)
{
    EACH_GROUP(c, n, 0, channels)
    {
        vf half[6][6], row[6];
        EACH(j, 6) {
            vf d[6];
            EACH(i, 6) d[i] = vf_load_n(x[6 * i + j] + c, n);
            points_of_input(d, half[j]);
        }
        EACH(i, 6) {
            vf d[6];
            EACH(j, 6) d[j] = half[j][i];
            points_of_input(d, row);
            EACH(j, 6) vf_store_n(to + (6 * i + j) * apart + c, row[j], n);
        }
    }
}

static void winograd_gradient(float *const dy[16], int64_t channels, float *to, int64_t apart)
{
    EACH_GROUP(c, n, 0, channels)
    {
        vf half[4][6], row[6];
        EACH(j, 4) {
            vf d[4];
            EACH(i, 4) d[i] = vf_load_n(dy[4 * i + j] + c, n);
            points_of_row(d, 4, half[j]);
        }
        EACH(i, 6) {
            vf d[4];
            EACH(j, 4) d[j] = half[j][i];
            points_of_row(d, 4, row);
            EACH(j, 6) vf_store_n(to + (6 * i + j) * apart + c, row[j], n);
        }
    }
}

static void winograd_weight(const float g[9][16], int64_t n, float *to, int64_t apart)
{
    vf half[3][6], row[6];
    EACH(j, 3) {
        vf d[3];
        EACH(i, 3) d[i] = vf_load_n(g[3 * i + j], 16);
        points_of_row(d, 3, half[j]);
    }
    EACH(i, 6) {
        vf d[3];
        EACH(j, 3) d[j] = vf_mul(half[j][i], point_scale(i));
        points_of_row(d, 3, row);
        EACH(j, 6) vf_store_n(to + (6 * i + j) * apart, vf_mul(row[j], point_scale(j)), n);
    }
}

static void winograd_output(const float *from, int64_t apart, int64_t first, int64_t last, const firn__epilogue_args *e,
                            float *const y[16])
{
    EACH_GROUP(c, n, first, last)
    {
        vf half[6][4], row[4];
        EACH(j, 6) {
            vf m[6];
            EACH(i, 6) m[i] = vf_load_n(from + (6 * i + j) * apart + c, n);
            row_of_points(m, 4, half[j]);
        }
        EACH(i, 4) {
            vf m[6];
            EACH(j, 6) m[j] = half[j][i];
            row_of_points(m, 4, row);
            EACH(j, 4) vf_store_n(y[4 * i + j] + c, e ? finish_output(row[j], e, c, n) : row[j], n);
        }
    }
}

/* n weight gradients: weight i at to + i * step. */
static void winograd_weight_gradient(const float *from, int64_t apart, int64_t count, float *to, int64_t step)
{
    EACH_GROUP(c, n, 0, count)
    {
        vf half[6][3], row[3];
        EACH(j, 6) {
            vf m[6];
            EACH(i, 6) m[i] = vf_mul(vf_load_n(from + (6 * i + j) * apart + c, n), point_scale(i));
            row_of_points(m, 3, half[j]);
        }
        EACH(i, 3) {
            vf m[6];
            EACH(j, 6) m[j] = vf_mul(half[j][i], point_scale(j));
            row_of_points(m, 3, row);
            EACH(j, 3) vf_store_n(to + (3 * i + j) * step + c, row[j], n);
        }
    }
}
