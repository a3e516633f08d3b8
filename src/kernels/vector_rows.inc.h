/* vector_rows.inc.h: softmax, losses, and passes and sums over rows and columns. Included once per instruction set. */

/* The first n lanes of x, the others filled. */
LANES_INLINE vf first_or(vf x, int64_t n, vf fill)
{
    return n == 16 ? x : vf_select(vm_from_bits((1u << n) - 1u), x, fill);
}
LANES_INLINE vf load_or(const float *p, int64_t n, vf fill) { return first_or(vf_load_n(p, n), n, fill); }

/* Of a row: the largest, the sum of exp(x - largest), and those exponentials in e if it is not NULL; in all lanes. */
LANES_INLINE vf exp_sum(const float *x, int64_t columns, float *e, vf *largest)
{
    vf most = vf_set(-INFINITY), sum = vf_set(0.0f);
    EACH_GROUP(i, n, 0, columns) most = vf_max(most, load_or(x + i, n, vf_set(-INFINITY)));
    *largest = vf_largest(most);
    EACH_GROUP(i, n, 0, columns)
    {
        const vf v = vf_exp(vf_sub(load_or(x + i, n, *largest), *largest));
        if (e != NULL) vf_store_n(e + i, v, n);
        sum = vf_add(sum, first_or(v, n, vf_set(0.0f)));
    }
    return vf_sum(sum);
}

LANES_INLINE void scale_row(float *y, int64_t columns, vf factor)
{
    EACH_GROUP(i, n, 0, columns) vf_store_n(y + i, vf_mul(vf_load_n(y + i, n), factor), n);
}

static void softmax(const firn__softmax_args *a, int64_t begin, int64_t end)
{
    for (int64_t row = begin; row < end; row++) {
        float *y = a->y + row * a->columns;
        vf largest;
        scale_row(y, a->columns, vf_div(vf_set(1.0f), exp_sum(a->x + row * a->columns, a->columns, y, &largest)));
    }
}

static void softmax_grad(const firn__softmax_grad_args *a, int64_t begin, int64_t end)
{
    for (int64_t row = begin; row < end; row++) {
        const float *y = a->y + row * a->columns, *dy = a->dy + row * a->columns;
        float *dx = a->dx + row * a->columns;
        vf sum = vf_set(0.0f);
        EACH_GROUP(i, n, 0, a->columns) sum = vf_fma(vf_load_n(y + i, n), vf_load_n(dy + i, n), sum);
        const vf mean = vf_sum(sum);
        EACH_GROUP(i, n, 0, a->columns)
        vf_store_n(dx + i, vf_mul(vf_load_n(y + i, n), vf_sub(vf_load_n(dy + i, n), mean)), n);
    }
}

/* log softmax_c = x_c - largest - log(sum); the loss is minus its mean under q. */
static void cross_entropy(const firn__cross_entropy_args *a, int64_t begin, int64_t end)
{
    for (int64_t row = begin; row < end; row++) {
        const float *x = a->logits + row * a->columns;
        float *y = a->softmax ? a->softmax + row * a->columns : NULL;
        vf largest;
        const vf sum = exp_sum(x, a->columns, y, &largest);
        if (y != NULL) scale_row(y, a->columns, vf_div(vf_set(1.0f), sum));
        const int32_t label = firn__vector_label(a, row);
        a->loss[row] = 0.0f;
        if (a->has_ignore && label == a->ignore) continue;
        float target = x[label] - vf_first(largest);
        if (a->smoothing > 0) {
            vf all = vf_set(0.0f);
            EACH_GROUP(i, n, 0, a->columns) all = vf_add(all, vf_sub(load_or(x + i, n, largest), largest));
            target = (1.0f - a->smoothing) * target + a->smoothing * (vf_first(vf_sum(all)) / (float)a->columns);
        }
        a->loss[row] = vf_first(vf_log(sum)) - target;
    }
}

static void cross_entropy_grad(const firn__cross_entropy_args *a, int64_t begin, int64_t end)
{
    const float each = a->smoothing / (float)a->columns;
    for (int64_t row = begin; row < end; row++) {
        const float *y = a->softmax + row * a->columns;
        float *dx = a->dlogits + row * a->columns;
        const int32_t label = firn__vector_label(a, row);
        const bool ignored = a->has_ignore && label == a->ignore;
        EACH_GROUP(i, n, 0, a->columns)
        {
            const vf v = vf_mul(vf_sub(vf_load_n(y + i, n), vf_set(each)), vf_set(a->factor));
            vf_store_n(dx + i, ignored ? vf_set(0.0f) : v, n);
        }
        if (!ignored) dx[label] = (y[label] - each - (1.0f - a->smoothing)) * a->factor;
    }
}

static void affine(const firn__affine_args *a, int64_t begin, int64_t end)
{
    for (int64_t row = begin; row < end; row++) {
        const float *x = a->x + row * a->columns;
        float *y = a->y + row * a->columns;
        EACH_GROUP(i, n, 0, a->columns)
        {
            vf v = vf_load_n(x + i, n);
            if (a->mean != NULL) v = vf_sub(v, vf_load_n(a->mean + i, n));
            const vf factor = vf_load_n(a->scale + i, n);
            v = a->shift != NULL ? vf_fma(v, factor, vf_load_n(a->shift + i, n)) : vf_mul(v, factor);
            vf_store_n(y + i, v, n);
        }
    }
}

static void norm_grad(const firn__norm_grad_args *a, int64_t begin, int64_t end)
{
    for (int64_t row = begin; row < end; row++) {
        const float *x = a->x + row * a->columns, *dy = a->dy + row * a->columns;
        float *dx = a->dx + row * a->columns;
        EACH_GROUP(i, n, 0, a->columns)
        {
            const vf direct = vf_fma(vf_load_n(dy + i, n), vf_load_n(a->a + i, n), vf_load_n(a->c + i, n));
            const vf centred = vf_sub(vf_load_n(x + i, n), vf_load_n(a->mean + i, n));
            vf_store_n(dx + i, vf_fma(centred, vf_load_n(a->b + i, n), direct), n);
        }
    }
}

/* Sums of n columns over rows `stride` floats apart: four chains, so that additions overlap. */
LANES_INLINE vf sum_of_rows(const float *x, int64_t rows, int64_t stride, int64_t n)
{
    vf sum[4] = {vf_set(0.0f), vf_set(0.0f), vf_set(0.0f), vf_set(0.0f)};
    for (int64_t r = 0; r < rows; r += 4) {
        for (int k = 0; k < 4; k++) {
            if (r + k == rows) break;
            sum[k] = vf_add(sum[k], vf_load_n(x + (r + k) * stride, n));
        }
    }
    return vf_add(vf_add(sum[0], sum[2]), vf_add(sum[1], sum[3]));
}
/* The same of (x - centre)^2. */
LANES_INLINE vf squares_of_rows(const float *x, int64_t rows, int64_t stride, int64_t n, vf centre)
{
    vf sum[4] = {vf_set(0.0f), vf_set(0.0f), vf_set(0.0f), vf_set(0.0f)};
    for (int64_t r = 0; r < rows; r += 4) {
        for (int k = 0; k < 4; k++) {
            if (r + k == rows) break;
            const vf d = vf_sub(vf_load_n(x + (r + k) * stride, n), centre);
            sum[k] = vf_fma(d, d, sum[k]);
        }
    }
    return vf_add(vf_add(sum[0], sum[2]), vf_add(sum[1], sum[3]));
}

static void sum_squares(const firn__sum_squares_args *a, int64_t begin, int64_t end)
{
    for (int64_t item = begin; item < end; item++) {
        static const vd zero;
        vd sum = zero, other = zero;
        const int64_t first = item * a->chunk, stop = firn__min(a->n, first + a->chunk);
        EACH_GROUP(i, n, first, stop)
        {
            vf v = vf_load_n(a->x + i, n);
            if (a->minus != NULL) v = vf_sub(v, vf_load_n(a->minus + i, n));
            const vd more = vd_add_squares(other, v); /* two chains */
            other = sum;
            sum = more;
        }
        double lane[2][16];
        memcpy(lane[0], &sum, sizeof sum);
        memcpy(lane[1], &other, sizeof other);
        for (int i = 0; i < 16; i++) lane[0][i] += lane[1][i];
        for (int width = 8; width >= 1; width /= 2)
            for (int i = 0; i < width; i++) lane[0][i] += lane[0][i + width];
        a->partial[item] = lane[0][0];
    }
}

/* Of a chunk of rows, in cache: the mean by column, then the sum of squared distances from it. */
static void norm_moments(const firn__norm_sums_args *a, int64_t begin, int64_t end)
{
    for (int64_t item = begin; item < end; item++) {
        const int64_t first = item * FIRN__NORM_ROWS, rows = firn__min(FIRN__NORM_ROWS, a->rows - first);
        float *mean = a->partial + item * 2 * a->columns, *squares = mean + a->columns;
        EACH_GROUP(c, n, 0, a->columns)
        {
            const float *x = a->x + first * a->columns + c;
            const vf centre = vf_div(sum_of_rows(x, rows, a->columns, n), vf_set((float)rows));
            vf_store_n(mean + c, centre, n);
            vf_store_n(squares + c, squares_of_rows(x, rows, a->columns, n, centre), n);
        }
    }
}

/* The plain sum's chains do not depend on whether the products are wanted (x not NULL). */
static void norm_sums(const firn__norm_sums_args *a, int64_t begin, int64_t end)
{
    for (int64_t item = begin; item < end; item++) {
        const int64_t first = item * FIRN__NORM_ROWS, rows = firn__min(FIRN__NORM_ROWS, a->rows - first),
                      stride = a->columns;
        float *plain = a->partial + item * 2 * stride, *product = plain + stride;
        EACH_GROUP(c, n, 0, stride)
        {
            const float *dy = a->dy + first * stride + c, *x = a->x ? a->x + first * stride + c : NULL;
            const vf zero = vf_set(0.0f), mean = x ? vf_load_n(a->mean + c, n) : zero;
            vf sum[4] = {zero, zero, zero, zero}, sum_x[4] = {zero, zero, zero, zero};
            for (int64_t r = 0; r < rows; r += 4) {
                for (int k = 0; k < 4; k++) {
                    if (r + k == rows) break;
                    const vf g = vf_load_n(dy + (r + k) * stride, n);
                    sum[k] = vf_add(sum[k], g);
                    if (x != NULL) sum_x[k] = vf_fma(vf_sub(vf_load_n(x + (r + k) * stride, n), mean), g, sum_x[k]);
                }
            }
            vf_store_n(plain + c, vf_add(vf_add(sum[0], sum[2]), vf_add(sum[1], sum[3])), n);
            if (x != NULL) vf_store_n(product + c, vf_add(vf_add(sum_x[0], sum_x[2]), vf_add(sum_x[1], sum_x[3])), n);
        }
    }
}
