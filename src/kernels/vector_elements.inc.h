/* vector_elements.inc.h: passes over elements. Included once per instruction set. */

LANES_INLINE vi load_u8_n(const uint8_t *p, int64_t n)
{
    if (n == 16) return vi_load_u8(p);
    uint8_t all[16] = {0};
    memcpy(all, p, (size_t)n);
    return vi_load_u8(all);
}

static void scale(const firn__scale_args *a, int64_t begin, int64_t end)
{
    const vf factor = vf_set(a->factor);
    if (a->dtype == FIRN_F32) {
        const float *x = a->x;
        EACH_GROUP(i, n, begin, end) vf_store_n(a->y + i, vf_mul(vf_load_n(x + i, n), factor), n);
    } else if (a->dtype == FIRN_I32) {
        const float *x = a->x; /* loaded as bits */
        EACH_GROUP(i, n, begin, end) vf_store_n(a->y + i, vf_mul(vi_to_f(vf_as_i(vf_load_n(x + i, n))), factor), n);
    } else {
        const uint8_t *x = a->x;
        EACH_GROUP(i, n, begin, end) vf_store_n(a->y + i, vf_mul(vi_to_f(load_u8_n(x + i, n)), factor), n);
    }
}

static void combine(const firn__combine_args *a, int64_t begin, int64_t end)
{
    const vf of_b = vf_set(a->of_b), factor = vf_set(a->factor);
    EACH_GROUP(i, n, begin, end)
    vf_store_n(a->y + i, vf_mul(vf_fma(of_b, vf_load_n(a->b + i, n), vf_load_n(a->a + i, n)), factor), n);
}

/* firn__rng_u32() in lanes. */
LANES_INLINE vi draw(uint64_t key, uint32_t first)
{
    vi x = vi_add(vi_mul(vi_add(vi_iota(), vi_set(first)), vi_set(0x9e3779b1u)), vi_set((uint32_t)key));
    x = vi_mul(vi_xor(x, vi_shr(x, 16)), vi_set(0x85ebca6bu));
    x = vi_mul(vi_add(vi_xor(x, vi_shr(x, 13)), vi_set((uint32_t)(key >> 32))), vi_set(0xc2b2ae35u));
    return vi_xor(x, vi_shr(x, 16));
}

/* Dropped where the upper 24 random bits are below p 2^24. */
static void dropout(const firn__dropout_args *a, int64_t begin, int64_t end)
{
    const vi dropped = vi_set((uint32_t)(a->p * 0x1p24f + 0.5f));
    const vf factor = vf_set(1.0f / (1.0f - a->p)), zero = vf_set(0.0f);
    while (begin < end) { /* indices with the same upper half */
        const int64_t high = begin >> 32, stop = firn__min(end, (high + 1) << 32);
        const uint64_t key = high ? firn__rng_mix(a->key, (uint64_t)high) : a->key;
        EACH_GROUP(i, n, begin, stop)
        {
            const vm drop = vi_lt(vi_shr(draw(key, (uint32_t)i), 8), dropped);
            vf_store_n(a->y + i, vf_select(drop, zero, vf_mul(vf_load_n(a->x + i, n), factor)), n);
        }
        begin = stop;
    }
}

LANES_INLINE void store_bits(unsigned char *p, uint32_t bits, int64_t n)
{
    p[0] = (unsigned char)bits;
    if (n > 8) p[1] = (unsigned char)(bits >> 8);
}
LANES_INLINE uint32_t load_bits(const unsigned char *p, int64_t n) { return n > 8 ? p[0] | (uint32_t)p[1] << 8 : p[0]; }

static void relu(const firn__relu_args *a, int64_t begin, int64_t end)
{
    const vf zero = vf_set(0.0f);
    for (int64_t s = begin; s < end; s++) {
        const float *x = a->x + s * a->per;
        float *y = a->y ? a->y + s * a->per : NULL;
        unsigned char *bits = a->bits ? a->bits + s * firn__vector_bits_bytes(a->per) : NULL;
        EACH_GROUP(i, n, 0, a->per)
        {
            const vf v = vf_load_n(x + i, n);
            if (y != NULL) vf_store_n(y + i, vf_select(vf_lt(v, zero), zero, v), n);
            if (bits != NULL) store_bits(bits + i / 8, vm_bits(vf_lt(zero, v)), n);
        }
    }
}

static void relu_grad(const firn__relu_grad_args *a, int64_t begin, int64_t end)
{
    const vf zero = vf_set(0.0f);
    for (int64_t s = begin; s < end; s++) {
        const float *dy = a->dy + s * a->per;
        float *dx = a->dx + s * a->per;
        const unsigned char *bits = a->bits + s * firn__vector_bits_bytes(a->per);
        EACH_GROUP(i, n, 0, a->per)
        vf_store_n(dx + i, vf_select(vm_from_bits(load_bits(bits + i / 8, n)), vf_load_n(dy + i, n), zero), n);
    }
}

/* A bitmap of two bytes for each group of 16, then the floats with a bit set. A whole group may be stored at a time:
 * what is behind its last float is inside the bound, and written again or left over. */
static size_t pack(int64_t n, const float *x, unsigned char *packed)
{
    unsigned char *bitmap = packed, *to = packed + (n + 15) / 16 * 2;
    const vi zero = vi_set(0);
    EACH_GROUP(i, m, 0, n)
    {
        const vf v = vf_load_n(x + i, m);
        const uint32_t bits = ~vm_bits(vi_eq(vf_as_i(v), zero)) & 0xffffu;
        *bitmap++ = (unsigned char)bits;
        *bitmap++ = (unsigned char)(bits >> 8);
#if VEC_HAS_COMPRESS
        float group[16];
        vf_store_n(group, vf_compress(vm_from_bits(bits), v), 16);
        memcpy(to, group, (size_t)m * sizeof *group);
        to += (size_t)__builtin_popcount(bits) * sizeof *group;
#else
        for (int64_t k = 0; k < m; k++) {
            if (bits >> k & 1) {
                memcpy(to, x + i + k, sizeof *x);
                to += sizeof *x;
            }
        }
#endif
    }
    return (size_t)(to - packed);
}

static size_t unpack(int64_t n, const unsigned char *packed, float *x)
{
    const unsigned char *bitmap = packed, *from = packed + (n + 15) / 16 * 2;
    EACH_GROUP(i, m, 0, n)
    {
        const uint32_t bits = load_bits(bitmap, 16);
        bitmap += 2;
#if VEC_HAS_COMPRESS
        vf_store_n(x + i, vf_expand(vm_from_bits(bits), from), m);
        from += (size_t)__builtin_popcount(bits) * sizeof *x;
#else
        for (int64_t k = 0; k < m; k++) {
            x[i + k] = 0.0f;
            if (bits >> k & 1) {
                memcpy(x + i + k, from, sizeof *x);
                from += sizeof *x;
            }
        }
#endif
    }
    return (size_t)(from - packed);
}
