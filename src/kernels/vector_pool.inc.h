/* vector_pool.inc.h: pooling of images H, W, C. Included once per instruction set. */

/* v is larger than best, or NaN is first met. */
LANES_INLINE vm takes_over(vf v, vf best) { return vm_or(vf_lt(best, v), vf_is_nan(v)); }

/* Windows 2x2, 2 apart: the number of the element of a group of channels is two planes of bits, low then high. */
static void max_pool_2x2(const firn__pool_args *a, const float *x, float *y, unsigned char *where)
{
    const int64_t c = a->c, row = a->w * c;
    for (int64_t oh = 0; oh < a->oh; oh++) {
        for (int64_t ow = 0; ow < a->ow; ow++, y += c) {
            const float *at = x + 2 * oh * row + 2 * ow * c;
            EACH_GROUP(i, n, 0, c)
            {
                const vf v[4] = {vf_load_n(at + i, n), vf_load_n(at + c + i, n), vf_load_n(at + row + i, n),
                                 vf_load_n(at + row + c + i, n)};
                const vm right = takes_over(v[1], v[0]), lower_right = takes_over(v[3], v[2]);
                const vf upper = vf_select(right, v[1], v[0]), lower = vf_select(lower_right, v[3], v[2]);
                const vm down = takes_over(lower, upper);
                vf_store_n(y + i, vf_select(down, lower, upper), n);
                if (where == NULL) continue;
                const uint32_t high = vm_bits(down), low = (vm_bits(lower_right) & high) | (vm_bits(right) & ~high);
                store_bits(where, low, n);
                store_bits(where + (n + 7) / 8, high, n);
                where += (n + 7) / 8 * 2;
            }
        }
    }
}

static void max_pool_2x2_grad(const firn__pool_args *a, const float *dy, float *dx, const unsigned char *where)
{
    const int64_t c = a->c, row = a->w * c;
    const vf zero = vf_set(0.0f);
    for (int64_t oh = 0; oh < a->oh; oh++) {
        float *at = dx + 2 * oh * row;
        for (int64_t ow = 0; ow < a->ow; ow++, dy += c, at += 2 * c) {
            EACH_GROUP(i, n, 0, c)
            {
                const uint32_t low = load_bits(where, n), high = load_bits(where + (n + 7) / 8, n);
                const vf g = vf_load_n(dy + i, n);
                where += (n + 7) / 8 * 2;
                vf_store_n(at + i, vf_select(vm_from_bits(~low & ~high & 0xffffu), g, zero), n);
                vf_store_n(at + c + i, vf_select(vm_from_bits(low & ~high), g, zero), n);
                vf_store_n(at + row + i, vf_select(vm_from_bits(~low & high), g, zero), n);
                vf_store_n(at + row + c + i, vf_select(vm_from_bits(low & high), g, zero), n);
            }
        }
        for (int64_t r = 0; r < 2; r++) /* a column left out */
            if (a->w % 2 != 0) memset(dx + (2 * oh + r) * row + (a->w - 1) * c, 0, (size_t)c * sizeof *dx);
    }
    if (a->h % 2 != 0) memset(dx + (a->h - 1) * row, 0, (size_t)row * sizeof *dx);
}

static void max_pool_any(const firn__pool_args *a, const float *x, float *y, unsigned char *where)
{
    const int64_t c = a->c, wide = a->kh * a->kw > 256;
    for (int64_t o = 0; o < a->oh * a->ow; o++, y += c) {
        const float *at = x + (o / a->ow * a->stride * a->w + o % a->ow * a->stride) * c;
        EACH_GROUP(i, n, 0, c)
        {
            vf best = vf_load_n(at + i, n), number = vf_set(0.0f);
            for (int64_t k = 1; k < a->kh * a->kw; k++) {
                const vf v = vf_load_n(at + (k / a->kw * a->w + k % a->kw) * c + i, n);
                const vm better = takes_over(v, best);
                best = vf_select(better, v, best);
                number = vf_select(better, vf_set((float)k), number);
            }
            vf_store_n(y + i, best, n);
            if (where == NULL) continue;
            float numbers[16];
            vf_store_n(numbers, number, 16);
            for (int64_t k = 0; k < n; k++) {
                const unsigned found = (unsigned)numbers[k];
                *where++ = (unsigned char)found;
                if (wide) *where++ = (unsigned char)(found >> 8);
            }
        }
    }
}

static void max_pool_any_grad(const firn__pool_args *a, const float *dy, float *dx, const unsigned char *where)
{
    const int64_t c = a->c, wide = a->kh * a->kw > 256;
    memset(dx, 0, (size_t)(a->h * a->w * c) * sizeof *dx);
    for (int64_t o = 0; o < a->oh * a->ow; o++) {
        float *at = dx + (o / a->ow * a->stride * a->w + o % a->ow * a->stride) * c;
        for (int64_t i = 0; i < c; i++) {
            int64_t k = *where++;
            if (wide) k |= (int64_t)*where++ << 8;
            at[(k / a->kw * a->w + k % a->kw) * c + i] += *dy++;
        }
    }
}

static bool is_2x2(const firn__pool_args *a) { return a->kh == 2 && a->kw == 2 && a->stride == 2; }

static void max_pool(const firn__pool_args *a, int64_t begin, int64_t end)
{
    const int64_t in = a->h * a->w * a->c, out = a->oh * a->ow * a->c, saved = firn__vector_where_bytes(a);
    for (int64_t s = begin; s < end; s++)
        (is_2x2(a) ? max_pool_2x2 : max_pool_any)(a, a->x + s * in, a->y + s * out, a->where ? a->where + s * saved : NULL);
}

static void max_pool_grad(const firn__pool_args *a, int64_t begin, int64_t end)
{
    const int64_t in = a->h * a->w * a->c, out = a->oh * a->ow * a->c, saved = firn__vector_where_bytes(a);
    for (int64_t s = begin; s < end; s++)
        (is_2x2(a) ? max_pool_2x2_grad : max_pool_any_grad)(a, a->x + s * out, a->y + s * in, a->where + s * saved);
}

/* Four chains (rows of the window, joined, go round) for the sake of long windows: a global mean. */
static void avg_pool(const firn__pool_args *a, int64_t begin, int64_t end)
{
    const int64_t c = a->c, outputs = a->oh * a->ow;
    const vf share = vf_set(1.0f / (float)(a->kh * a->kw));
    for (int64_t o = begin * outputs; o < end * outputs; o++) {
        const int64_t p = o % outputs, top = o / outputs * a->h + p / a->ow * a->stride, left = p % a->ow * a->stride;
        const float *at = a->x + (top * a->w + left) * c;
        EACH_GROUP(i, n, 0, c)
        {
            vf sum[4] = {vf_set(0.0f), vf_set(0.0f), vf_set(0.0f), vf_set(0.0f)};
            for (int64_t y = 0; y < a->kh; y++)
                for (int64_t x = 0; x < a->kw; x++) {
                    const vf last = vf_add(sum[3], vf_load_n(at + (y * a->w + x) * c + i, n));
                    sum[3] = sum[2];
                    sum[2] = sum[1];
                    sum[1] = sum[0];
                    sum[0] = last;
                }
            vf_store_n(a->y + o * c + i, vf_mul(vf_add(vf_add(sum[0], sum[2]), vf_add(sum[1], sum[3])), share), n);
        }
    }
}

static void avg_pool_grad(const firn__pool_args *a, int64_t begin, int64_t end)
{
    const int64_t c = a->c, outputs = a->oh * a->ow, in = a->h * a->w * c;
    const vf share = vf_set(1.0f / (float)(a->kh * a->kw));
    memset(a->y + begin * in, 0, (size_t)((end - begin) * in) * sizeof *a->y);
    for (int64_t o = begin * outputs; o < end * outputs; o++) {
        const int64_t p = o % outputs, top = o / outputs * a->h + p / a->ow * a->stride, left = p % a->ow * a->stride;
        float *at = a->y + (top * a->w + left) * c;
        EACH_GROUP(i, n, 0, c)
        {
            const vf g = vf_mul(vf_load_n(a->x + o * c + i, n), share);
            for (int64_t y = 0; y < a->kh; y++)
                for (int64_t x = 0; x < a->kw; x++) {
                    float *to = at + (y * a->w + x) * c + i;
                    vf_store_n(to, vf_add(vf_load_n(to, n), g), n);
                }
        }
    }
}
