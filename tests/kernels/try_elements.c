#include "rng.h"
#include "vector_try.h"

/* ---- elements ---- */
void try_scale(void)
{
    const int64_t n = try_size(), begin = try_below(n + 1);
    const firn_dtype dtype = (firn_dtype)try_below(3);
    float *x = try_numbers(n, -3, 3), *y = try_blank(n);
    uint8_t *bytes = guarded_get((size_t)n);
    test_fill_bytes(bytes, (size_t)n, test_random(&try_seed), 256);
    int32_t *ints = guarded_get((size_t)n * 4);
    for (int64_t i = 0; i < n; i++) ints[i] = (int32_t)test_random(&try_seed);
    const void *from = dtype == FIRN_F32 ? (void *)x : dtype == FIRN_I32 ? (void *)ints : (void *)bytes;
    const firn__scale_args a = {from, dtype, 0.3f, y};
    EACH_SET(s)
    {
        try_sets[s]->scale(&a, begin, n);
        try_same_floats(s, y, n, 0);
    }
    for (int64_t i = begin; i < n; i++)
        try_near(y[i],
                 (dtype == FIRN_F32   ? (double)x[i]
                  : dtype == FIRN_I32 ? ints[i]
                                      : bytes[i]) *
                     (double)0.3f,
                 fabs((double)y[i]));
}

void try_combine(void)
{
    const int64_t n = try_size();
    const float *a = try_numbers(n, -3, 3), *b = try_numbers(n, -3, 3), *by = try_numbers(2, -2, 2);
    const float of_b = try_coin() ? 1 : by[0], factor = try_coin() ? 1 : by[1];
    EACH_SET(s)
    {
        float *y = try_blank(n);
        const bool in_place = try_coin();
        if (in_place) memcpy(y, a, (size_t)n * sizeof *y);
        try_sets[s]->combine(&(firn__combine_args){in_place ? y : a, b, of_b, factor, y}, 0, n);
        try_same_floats(s, y, n, 0);
        for (int64_t i = 0; i < n; i++) try_near(y[i], ((double)a[i] + (double)of_b * (double)b[i]) * (double)factor, 18);
    }
}

void try_dropout(void)
{
    const int64_t n = try_size(), begin = try_below(n + 1);
    const float p = 0.1f * (float)try_below(10), *x = try_numbers(n, 1, 3);
    const uint64_t key = test_random(&try_seed);
    EACH_SET(s)
    {
        float *y = try_blank(n);
        try_sets[s]->dropout(&(firn__dropout_args){x, y, p, key}, begin, n);
        try_same_floats(s, y, n, 0);
        for (int64_t i = begin; i < n; i++) {
            const bool dropped = (firn__rng_u32(key, (uint32_t)i) >> 8) < (uint32_t)(p * 0x1p24f + 0.5f);
            try_near(y[i], dropped ? 0 : (double)x[i] / (1 - (double)p), 30);
        }
    }
}

void try_math(void)
{
    static const float special[] = {0.0f,  -0.0f,  INFINITY, -INFINITY, NAN,   1e-40f, -1e-40f,
                                    3e38f, -3e38f, 1,        -1,        88.8f, -103.9f};
    const int64_t n = try_size();
    const enum firn__math f = (enum firn__math)try_below(5);
    float *x = try_numbers(n, -9, 9);
    for (int64_t i = 0; i < n; i++)
        if (try_below(4) == 0) x[i] = special[try_below(sizeof special / sizeof *special)];
    EACH_SET(s)
    {
        float *y = try_blank(n);
        try_sets[s]->math(&(firn__math_args){f, x, y}, 0, n);
        try_same_floats(s, y, n, 0);
        for (int64_t i = 0; i < n; i++) {
            const double v = (double)x[i];
            const double want[] = {exp(v), log(v), tanh(v), erf(v), 1 / (1 + exp(-v))};
            if (isnan(want[f]))
                assert_true(isnan(y[i]));
            else if (isinf((float)want[f]))
                assert_true(y[i] == (float)want[f]);
            else
                try_near(y[i], want[f], fabs(want[f]));
        }
    }
}

/* ---- samples ---- */
static bool bit_at(const unsigned char *bits, int64_t i) { return bits[i / 8] >> (i % 8) & 1; }

void try_relu(void)
{
    const int64_t samples = 1 + try_below(4), per = try_size(), bytes = firn__vector_bits_bytes(per);
    float *x = try_numbers(samples * per, -2, 2);
    if (per > 0) x[try_below(samples * per)] = NAN, x[try_below(samples * per)] = -0.0f;
    EACH_SET(s)
    {
        float *y = try_blank(samples * per);
        unsigned char *bits = guarded_get((size_t)(samples * bytes));
        const int form = (int)try_below(4); /* bits only, no bits, in place, all */
        memcpy(y, x, (size_t)(samples * per) * sizeof *y);
        try_sets[s]->relu(&(firn__relu_args){per, form == 2 ? y : x, form == 0 ? NULL : y, form == 1 ? NULL : bits}, 0,
                          samples);
        for (int64_t i = 0; i < samples * per; i++) {
            const float want = form == 0 ? x[i] : x[i] < 0 ? 0.0f : x[i];
            assert_memory_equal(&y[i], &want, sizeof want);
            if (form != 1) assert_int_equal(bit_at(bits + i / per * bytes, i % per), x[i] > 0);
        }
        for (int64_t k = 0; form != 1 && k < samples; k++) /* no stray bits at the end */
            if (per % 8) assert_int_equal(bits[(k + 1) * bytes - 1] >> per % 8, 0);
    }
}

void try_relu_grad(void)
{
    const int64_t samples = 1 + try_below(4), per = try_size(), bytes = firn__vector_bits_bytes(per);
    const float *dy = try_numbers(samples * per, -2, 2);
    unsigned char *bits = guarded_get((size_t)(samples * bytes));
    test_fill_bytes(bits, (size_t)(samples * bytes), test_random(&try_seed), 256);
    EACH_SET(s)
    {
        float *dx = try_blank(samples * per);
        const bool in_place = try_coin();
        memcpy(dx, dy, (size_t)(samples * per) * sizeof *dx);
        try_sets[s]->relu_grad(&(firn__relu_grad_args){per, bits, in_place ? dx : dy, dx}, 0, samples);
        for (int64_t i = 0; i < samples * per; i++)
            assert_true(dx[i] == (bit_at(bits + i / per * bytes, i % per) ? dy[i] : 0.0f));
    }
}

void try_transpose(void)
{
    const int64_t n = 1 + try_below(3), rows = 1 + try_below(40), columns = 1 + try_below(40), all = n * rows * columns;
    const bool small = try_coin();
    const size_t each = small ? 1 : 4;
    unsigned char *x = guarded_get((size_t)all * each);
    test_fill_bytes(x, (size_t)all * each, test_random(&try_seed), 256);
    EACH_SET(s)
    {
        unsigned char *y = guarded_get((size_t)all * each);
        firn__vector_transpose((firn__crew){try_contexts[s], -1}, n,
                               &(firn__transpose_args){rows, columns, small ? FIRN_U8 : FIRN_I32, x, y});
        for (int64_t i = 0; i < all; i++) {
            const int64_t k = i / (rows * columns), r = i / columns % rows, c = i % columns;
            assert_memory_equal(y + (size_t)(k * rows * columns + c * rows + r) * each, x + (size_t)i * each, each);
        }
    }
}

/* ---- packing ---- */
void try_pack(void)
{
    const int64_t n = try_size(), often = try_below(5);
    float *x = try_numbers(n, -2, 2);
    for (int64_t i = 0; i < n; i++)
        if (try_below(4) < often) x[i] = try_below(9) ? 0.0f : -0.0f;
    size_t bound = firn__vector_pack_bound(n), nonzero = 0;
    for (int64_t i = 0; i < n; i++) nonzero += x[i] != 0 || signbit(x[i]);
    EACH_SET(s)
    {
        float *y = try_blank(n);
        unsigned char *room = guarded_get(bound);
        const size_t bytes = try_sets[s]->pack(n, x, room);
        assert_int_equal(bytes, (size_t)((n + 15) / 16 * 2) + 4 * nonzero);
        unsigned char *packed = guarded_get(bytes);
        memcpy(packed, room, bytes);
        try_same(s, packed, bytes, 0);
        assert_int_equal(try_sets[s]->unpack(n, packed, y), bytes);
        assert_bits_equal(y, x, (size_t)n);
    }
}
