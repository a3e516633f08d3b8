#include "vector_try.h"

static firn__pool_args some_pool(bool twos)
{
    firn__pool_args v = {.c = 1 + try_below(try_coin() ? 4 : 36),
                         .kh = 1 + try_below(4),
                         .kw = 1 + try_below(4),
                         .stride = 1 + try_below(4)};
    if (twos) v.kh = v.kw = v.stride = 2;
    if (!twos && try_below(50) == 0) v.kh = v.kw = 17; /* two bytes a position */
    v.h = v.kh + try_below(6);
    v.w = v.kw + try_below(6);
    v.oh = (v.h - v.kh) / v.stride + 1;
    v.ow = (v.w - v.kw) / v.stride + 1;
    return v;
}
/* element of a sample's image */
static int64_t at(const firn__pool_args *v, int64_t o, int64_t k, int64_t c)
{
    const int64_t y = o / v->ow * v->stride + k / v->kw, x = o % v->ow * v->stride + k % v->kw;
    return (y * v->w + x) * v->c + c;
}
static int64_t first_largest(const firn__pool_args *v, const float *x, int64_t o, int64_t c)
{
    int64_t best = 0;
    for (int64_t k = 1; k < v->kh * v->kw; k++)
        if (x[at(v, o, k, c)] > x[at(v, o, best, c)]) best = k;
    return best;
}

static void try_max_pool_both(void)
{
    firn__pool_args v = some_pool(try_coin());
    const int64_t n = 1 + try_below(2), in = v.h * v.w * v.c, outputs = v.oh * v.ow, out = outputs * v.c;
    float *x = try_numbers(n * in, -2, 2);
    for (int64_t i = 0; i < n * in; i++) x[i] = floorf(x[i] * 4); /* with ties */
    const float *dy = try_numbers(n * out, -2, 2);
    EACH_SET(s)
    {
        float *y = try_blank(n * out), *dx = try_blank(n * in), *want = try_blank(n * in);
        v.x = x, v.y = y, v.where = guarded_get((size_t)(n * firn__vector_where_bytes(&v)));
        try_sets[s]->max_pool(&v, 0, n);
        v.x = dy, v.y = dx;
        try_sets[s]->max_pool_grad(&v, 0, n);
        memset(want, 0, (size_t)(n * in) * sizeof *want);
        for (int64_t i = 0; i < n * outputs * v.c; i++) {
            const int64_t c = i % v.c, o = i / v.c % outputs, k = i / out;
            const int64_t best = at(&v, o, first_largest(&v, x + k * in, o, c), c);
            assert_true(y[i] == x[k * in + best]);
            want[k * in + best] += dy[i];
        }
        assert_bits_equal(dx, want, (size_t)(n * in));
        guarded_take_back();
        x = try_numbers(n * in, -2, 2), dy = try_numbers(n * out, -2, 2); /* the same slots: new numbers */
        for (int64_t i = 0; i < n * in; i++) x[i] = floorf(x[i] * 4);
    }
}
void try_max_pool(void) { try_max_pool_both(); }
void try_max_pool_grad(void) { try_max_pool_both(); }

void try_avg_pool(void)
{
    firn__pool_args v = some_pool(false);
    const int64_t n = 1 + try_below(2), in = v.h * v.w * v.c, outputs = v.oh * v.ow, out = outputs * v.c,
                  window = v.kh * v.kw;
    float *x = try_numbers(n * in, -2, 2);
    EACH_SET(s)
    {
        float *y = try_blank(n * out);
        v.x = x, v.y = y;
        try_sets[s]->avg_pool(&v, 0, n);
        try_same_floats(s, y, n * out, 0);
        for (int64_t i = 0; i < n * out; i++) {
            double sum = 0;
            for (int64_t k = 0; k < window; k++) sum += (double)x[i / out * in + at(&v, i / v.c % outputs, k, i % v.c)];
            try_near(y[i], sum / (double)window, 2);
        }
    }
}

void try_avg_pool_grad(void)
{
    firn__pool_args v = some_pool(false);
    const int64_t n = 1 + try_below(2), in = v.h * v.w * v.c, outputs = v.oh * v.ow, out = outputs * v.c,
                  window = v.kh * v.kw;
    float *dy = try_numbers(n * out, -2, 2);
    EACH_SET(s)
    {
        float *dx = try_blank(n * in);
        double *want = calloc((size_t)(n * in), sizeof *want);
        v.x = dy, v.y = dx;
        try_sets[s]->avg_pool_grad(&v, 0, n);
        try_same_floats(s, dx, n * in, 0);
        for (int64_t i = 0; i < n * out; i++)
            for (int64_t k = 0; k < window; k++)
                want[i / out * in + at(&v, i / v.c % outputs, k, i % v.c)] += (double)dy[i] / (double)window;
        for (int64_t i = 0; i < n * in; i++) try_near(dx[i], want[i], 10);
        free(want);
    }
}
