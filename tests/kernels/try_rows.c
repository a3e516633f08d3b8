#include "vector_try.h"

/* ---- rows ---- */
static double row_exp_sum(const float *x, int64_t columns, double *largest)
{
    *largest = (double)x[0];
    for (int64_t i = 1; i < columns; i++) *largest = fmax(*largest, (double)x[i]);
    double sum = 0;
    for (int64_t i = 0; i < columns; i++) sum += exp((double)x[i] - *largest);
    return sum;
}

void try_softmax(void)
{
    const int64_t rows = 1 + try_below(4), columns = 1 + try_below(try_coin() ? 20 : 100);
    const float *x = try_numbers(rows * columns, -8, 8);
    EACH_SET(s)
    {
        float *y = try_blank(rows * columns);
        try_sets[s]->softmax(&(firn__softmax_args){columns, x, y}, 0, rows);
        try_same_floats(s, y, rows * columns, 0);
        for (int64_t i = 0; i < rows * columns; i++) {
            double largest;
            const double sum = row_exp_sum(x + i / columns * columns, columns, &largest);
            try_near(y[i], exp((double)x[i] - largest) / sum, 1);
        }
    }
}

void try_softmax_grad(void)
{
    const int64_t rows = 1 + try_below(4), columns = 1 + try_below(try_coin() ? 20 : 100);
    const float *y = try_numbers(rows * columns, 0, 1), *dy = try_numbers(rows * columns, -1, 1);
    EACH_SET(s)
    {
        float *dx = try_blank(rows * columns);
        const bool in_place = try_coin();
        memcpy(dx, dy, (size_t)(rows * columns) * sizeof *dx);
        try_sets[s]->softmax_grad(&(firn__softmax_grad_args){columns, y, in_place ? dx : dy, dx}, 0, rows);
        try_same_floats(s, dx, rows * columns, 0);
        for (int64_t r = 0; r < rows; r++) {
            double dot = 0;
            for (int64_t c = 0; c < columns; c++) dot += (double)y[r * columns + c] * (double)dy[r * columns + c];
            for (int64_t i = r * columns; i < (r + 1) * columns; i++)
                try_near(dx[i], (double)y[i] * ((double)dy[i] - dot), 1 + (double)columns / 4);
        }
    }
}

static void try_cross_entropy_both(void)
{
    const int64_t rows = 1 + try_below(5), columns = 1 + try_below(try_coin() ? 20 : 100);
    const float *x = try_numbers(rows * columns, -8, 8);
    int32_t *labels = guarded_get((size_t)rows * 4);
    uint8_t *small = guarded_get((size_t)rows);
    for (int64_t r = 0; r < rows; r++) small[r] = (uint8_t)(labels[r] = (int32_t)try_below(columns));
    const bool bytes = try_coin();
    firn__cross_entropy_args a = {
        .columns = columns, .label = bytes ? (void *)small : (void *)labels, .dtype = bytes ? FIRN_U8 : FIRN_I32};
    a.smoothing = try_coin() ? 0.0f : 0.1f;
    a.has_ignore = try_coin();
    a.ignore = (int32_t)try_below(columns);
    a.logits = x;
    a.factor = 0.3f;
    EACH_SET(s)
    {
        float *dx = try_blank(rows * columns);
        a.softmax = try_blank(rows * columns), a.loss = try_blank(rows), a.dlogits = dx;
        try_sets[s]->cross_entropy(&a, 0, rows);
        try_sets[s]->cross_entropy_grad(&a, 0, rows);
        try_same_floats(s, a.loss, rows, 0);
        try_same_floats(s, dx, rows * columns, 1);
        for (int64_t r = 0; r < rows; r++) {
            double largest, loss = 0;
            const double sum = row_exp_sum(x + r * columns, columns, &largest);
            const bool ignored = a.has_ignore && labels[r] == a.ignore;
            for (int64_t c = 0; c < columns; c++) {
                const double log_p = (double)x[r * columns + c] - largest - log(sum);
                const double q = (double)a.smoothing / (double)columns + (c == labels[r] ? 1 - (double)a.smoothing : 0);
                loss -= q * log_p;
                try_near(dx[r * columns + c], ignored ? 0 : (exp(log_p) - q) * (double)a.factor, 1);
            }
            try_near(a.loss[r], ignored ? 0 : loss, 20);
        }
    }
}
void try_cross_entropy(void) { try_cross_entropy_both(); }
void try_cross_entropy_grad(void) { try_cross_entropy_both(); }

void try_affine(void)
{
    const int64_t rows = 1 + try_below(5), columns = 1 + try_below(50);
    const float *x = try_numbers(rows * columns, -2, 2), *mean = try_coin() ? try_numbers(columns, -1, 1) : NULL;
    const float *factor = try_numbers(columns, -2, 2), *shift = try_coin() ? try_numbers(columns, -2, 2) : NULL;
    EACH_SET(s)
    {
        float *y = try_blank(rows * columns);
        try_sets[s]->affine(&(firn__affine_args){columns, x, mean, factor, shift, y}, 0, rows);
        try_same_floats(s, y, rows * columns, 0);
        for (int64_t i = 0; i < rows * columns; i++) {
            const int64_t c = i % columns;
            const double centred = (double)x[i] - (mean ? (double)mean[c] : 0);
            try_near(y[i], centred * (double)factor[c] + (shift ? (double)shift[c] : 0), 8);
        }
    }
}

void try_narrow(void)
{
    const int64_t rows = 1 + try_below(40), n = 1 + try_below(12), k = 1 + try_below(100);
    const int64_t lda = k + try_below(3), ldb = k + try_below(3), ldc = n + try_below(3);
    const float *a = try_numbers((rows - 1) * lda + k, -2, 2), *b = try_numbers((n - 1) * ldb + k, -2, 2);
    const bool accumulate = try_coin();
    EACH_SET(s)
    {
        float *c = try_blank((rows - 1) * ldc + n);
        for (int64_t i = 0; accumulate && i < (rows - 1) * ldc + n; i++) c[i] = (float)i;
        try_sets[s]->narrow(&(firn__narrow_args){n, k, a, lda, b, ldb, c, ldc, accumulate}, 0, rows);
        try_same_floats(s, c, (rows - 1) * ldc + n, 0);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < n; j++) {
                double sum = accumulate ? (double)(i * ldc + j) : 0;
                for (int64_t p = 0; p < k; p++) sum += (double)a[i * lda + p] * (double)b[j * ldb + p];
                try_near(c[i * ldc + j], sum, 4 * (double)k + (accumulate ? (double)(i * ldc + j) : 0));
            }
    }
}

void try_norm_grad(void)
{
    const int64_t rows = 1 + try_below(5), columns = 1 + try_below(50);
    const float *x = try_numbers(rows * columns, -2, 2), *dy = try_numbers(rows * columns, -2, 2),
                *mean = try_numbers(columns, -1, 1);
    const float *a = try_numbers(columns, -2, 2), *b = try_numbers(columns, -2, 2), *c = try_numbers(columns, -2, 2);
    EACH_SET(s)
    {
        float *dx = try_blank(rows * columns);
        try_sets[s]->norm_grad(&(firn__norm_grad_args){columns, x, dy, mean, a, b, c, dx}, 0, rows);
        try_same_floats(s, dx, rows * columns, 0);
        for (int64_t i = 0; i < rows * columns; i++) {
            const int64_t k = i % columns;
            const double centred = (double)x[i] - (double)mean[k];
            try_near(dx[i], centred * (double)b[k] + (double)dy[i] * (double)a[k] + (double)c[k], 12);
        }
    }
}

/* ---- sums, through the functions that add the chunks ---- */
static firn__crew crew_of(size_t set) { return (firn__crew){try_contexts[set], -1}; }
static int64_t some_rows(void)
{
    return try_below(3) ? 1 + try_below(20) : FIRN__NORM_ROWS * try_below(3) + 1 + try_below(5);
}

void try_sum_squares(void)
{
    const int64_t n = try_below(20) ? try_size() : 4096 * (1 + try_below(3)) + try_below(100);
    const float *x = try_numbers(n, -2, 2), *minus = try_coin() ? try_numbers(n, -2, 2) : NULL;
    double want = 0;
    for (int64_t i = 0; i < n; i++) {
        const float d = x[i] - (minus ? minus[i] : 0);
        want += (double)d * (double)d;
    }
    EACH_SET(s)
    {
        const double sum = firn__vector_sum_of_squares(crew_of(s), n, x, minus);
        try_same(s, &sum, sizeof sum, 0);
        assert_close(sum, want, 1e-12, 1e-12);
    }
}

void try_norm_moments(void)
{
    const int64_t rows = some_rows(), columns = 1 + try_below(40);
    const float *x = try_numbers(rows * columns, 5, 7);
    EACH_SET(s)
    {
        void *scratch = guarded_get((firn__vector_norm_bytes(rows, columns) + 63) / 64 * 64);
        const double *found = firn__vector_norm_statistics(crew_of(s), rows, columns, x, scratch);
        try_same(s, found, 2 * (size_t)columns * sizeof *found, 0);
        for (int64_t c = 0; c < columns; c++) {
            double mean = 0, squares = 0;
            for (int64_t r = 0; r < rows; r++) mean += (double)x[r * columns + c] / (double)rows;
            for (int64_t r = 0; r < rows; r++) squares += pow((double)x[r * columns + c] - mean, 2);
            assert_close(found[c], mean, 1e-6, 0);
            assert_close(found[columns + c], squares, 1e-5, 1e-6);
        }
    }
}

void try_norm_sums(void)
{
    const int64_t rows = some_rows(), columns = 1 + try_below(40);
    const float *x = try_numbers(rows * columns, 5, 7), *dy = try_numbers(rows * columns, -2, 2),
                *mean = try_numbers(columns, 5, 7);
    EACH_SET(s)
    {
        void *scratch = guarded_get((firn__vector_norm_bytes(rows, columns) + 63) / 64 * 64);
        float *sums = try_blank(columns);
        firn__vector_column_sums(crew_of(s), rows, columns, dy, scratch, sums);
        const double *found = firn__vector_norm_products(crew_of(s), rows, columns, dy, x, mean, scratch);
        try_same(s, found, 2 * (size_t)columns * sizeof *found, 0);
        for (int64_t c = 0; c < columns; c++) {
            double sum = 0, product = 0;
            for (int64_t i = c; i < rows * columns; i += columns) {
                sum += (double)dy[i];
                product += (double)dy[i] * ((double)x[i] - (double)mean[c]);
            }
            assert_close(found[c], sum, 1e-6, 1e-6 * (double)rows);
            assert_close(found[columns + c], product, 1e-6, 1e-6 * (double)rows);
            assert_true(sums[c] == (float)found[c]); /* whether or not the products are wanted */
        }
    }
}
