/* vector_sparse.inc.h: what sparse.c is made of. Included once per instruction set. */

static void nonzero(int64_t rows, int64_t columns, const float *x, int64_t ld, uint64_t *masks)
{
    for (int64_t i = 0; i < rows; i++, x += ld) {
        masks[i] = 0;
        EACH_GROUP(j, n, 0, columns)
        masks[i] |= (uint64_t)(~vm_bits(vf_eq(vf_load_n(x + j, n), vf_set(0.0f))) & 0xffffu) << j;
    }
}

static bool all_finite(int64_t rows, const float *x, int64_t ld)
{
    vf sum[4] = {vf_set(0.0f), vf_set(0.0f), vf_set(0.0f), vf_set(0.0f)};
    for (int64_t i = 0; i < rows; i++, x += ld)
        EACH(j, 4) sum[j] = vf_fma(vf_load_n(x + 16 * j, 16), vf_set(0.0f), sum[j]); /* infinity times zero is NaN */
    return vf_first(vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])))) == 0.0f;
}

LANES_INLINE bool sparse_columns(const firn__sparse_args *s, int64_t rows, int first, const int vectors)
{
    uint32_t negative_zeros = 0;
    for (int64_t i = 0; i < rows; i++) {
        float *c = s->c + i * s->ldc + 16 * first;
        vf sum[8];
        EACH(j, vectors) sum[j] = s->resume ? vf_load_n(c + 16 * j, 16) : vf_set(0.0f);
        for (uint64_t left = s->masks[i]; left != 0; left &= left - 1) {
            const int p = __builtin_ctzll(left);
            const vf a = vf_set(s->a[i * s->a_row + p * s->a_k]);
            EACH(j, vectors) sum[j] = vf_fma(a, vf_load_n(s->b[first + j] + p * s->ldb, 16), sum[j]);
        }
        EACH(j, vectors) {
            vf_store_n(c + 16 * j, sum[j], 16);
            negative_zeros |= vm_bits(vi_eq(vf_as_i(sum[j]), vi_set(0x80000000u)));
        }
    }
    return negative_zeros != 0;
}

static bool sparse_rows(const firn__sparse_args *s, int64_t rows)
{
    if (VEC_SUMS > 8 && s->vectors == 8) return sparse_columns(s, rows, 0, 8);
    bool negative_zeros = sparse_columns(s, rows, 0, 4);
    if (s->vectors == 8) negative_zeros |= sparse_columns(s, rows, 4, 4);
    return negative_zeros;
}

/* A product's epilogue, of n columns from c on. */
LANES_INLINE vf finish_output(vf v, const firn__epilogue_args *e, int64_t c, int64_t n)
{
    if (e->bias != NULL) v = vf_add(v, vf_load_n(e->bias + c, n));
    if (e->scale != NULL) v = vf_fma(v, vf_load_n(e->scale + c, n), vf_load_n(e->shift + c, n));
    return e->relu ? vf_max(vf_set(0.0f), v) : v;
}

static void finish(const firn__epilogue_args *e, int64_t column, int64_t rows, int64_t columns, float *c, int64_t ldc)
{
    if (e->bias == NULL && e->scale == NULL && !e->relu) return;
    for (int64_t i = 0; i < rows; i++, c += ldc)
        EACH_GROUP(j, n, 0, columns) vf_store_n(c + j, finish_output(vf_load_n(c + j, n), e, column + j, n), n);
}
