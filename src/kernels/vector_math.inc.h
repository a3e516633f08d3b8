/* vector_math.inc.h: exp, log, tanh, erf, sigmoid and sums over lanes. Included once per instruction set.
 * The polynomials are weighted minimax fits, made for these intervals with the coefficients rounded to float one after
 * the other; test_vector_math.c measures the result against double. */

/* c[0] + c[1] x + ... by Horner's rule. */
#define POLYNOMIAL(x, ...)                                                                                                 \
    polynomial((x), (const float[]){__VA_ARGS__}, (int)(sizeof((float[]){__VA_ARGS__}) / sizeof(float)))
LANES_INLINE vf polynomial(vf x, const float *c, int terms)
{
    vf sum = vf_set(c[terms - 1]);
    for (int i = terms - 2; i >= 0; i--) sum = vf_fma(sum, x, vf_set(c[i]));
    return sum;
}

LANES_INLINE vf vf_abs(vf x) { return vi_as_f(vi_and(vf_as_i(x), vi_set(0x7fffffffu))); }
LANES_INLINE vf with_sign_of(vf magnitude, vf x)
{
    return vi_as_f(vi_or(vf_as_i(magnitude), vi_and(vf_as_i(x), vi_set(0x80000000u))));
}

/* x = n log 2 + r with |r| <= log(2)/2; e^x = 2^n (1 + r + r^2 P(r)). 2^n in two factors, since n runs from -150 to
 * 128; only the last multiplication rounds, so denormals are right. Clamped where the result is 0 or infinity anyway. */
LANES_INLINE vf vf_exp(vf x)
{
    const vf round = vf_set(0x1.8p23f); /* the sum's low bits are the nearest integer */
    x = vf_min(vf_set(89.0f), vf_max(vf_set(-105.0f), x));
    const vf shifted = vf_fma(x, vf_set(0x1.715476p+0f), round), n = vf_sub(shifted, round);
    const vf r = vf_fma(n, vf_set(0x1.05c61p-29f), vf_fma(n, vf_set(-0x1.62e43p-1f), x));
    const vf p = POLYNOMIAL(r, 0.5f, 0x1.555552p-3f, 0x1.5554e6p-5f, 0x1.1115cap-7f, 0x1.6d4f0ep-10f, 0x1.9a6724p-13f);
    const vf y = vf_add(vf_fma(p, vf_mul(r, r), r), vf_set(1.0f));
    const vi power = vi_sub(vf_as_i(shifted), vi_set(0x4b400000u)), half = vi_sar(power, 1);
    const vi bias = vi_set(127);
    const vf first = vi_as_f(vi_shl(vi_add(half, bias), 23));
    const vf second = vi_as_f(vi_shl(vi_add(vi_sub(power, half), bias), 23));
    return vf_mul(vf_mul(y, first), second);
}

/* x = 2^e m with sqrt(1/2) <= m < sqrt(2), f = m - 1: log x = e log 2 + f - f^2/2 + f^3 P(f). */
LANES_INLINE vf vf_log(vf x)
{
    const vm tiny = vf_lt(x, vf_set(0x1p-126f)); /* denormal, or the result is special anyway */
    const vi bits = vf_as_i(vf_select(tiny, vf_mul(x, vf_set(0x1p23f)), x));
    const vi above = vi_sub(bits, vi_set(0x3f3504f3u)); /* sqrt(1/2) */
    const vf e = vf_sub(vi_to_f(vi_sar(above, 23)), vf_select(tiny, vf_set(23.0f), vf_set(0.0f)));
    const vf f = vf_sub(vi_as_f(vi_add(vi_and(above, vi_set(0x007fffffu)), vi_set(0x3f3504f3u))), vf_set(1.0f));
    const vf f2 = vf_mul(f, f);
    const vf p = POLYNOMIAL(f, 0x1.555548p-2f, -0x1.000008p-2f, 0x1.99a47ap-3f, -0x1.555b94p-3f, 0x1.233abap-3f,
                            -0x1.fc3c1ep-4f, 0x1.e6df46p-4f, -0x1.ddaa44p-4f, 0x1.13cf1p-4f);
    const vf low = vf_fma(e, vf_set(-0x1.05c61p-29f), vf_fma(vf_mul(f2, f), p, vf_mul(f2, vf_set(-0.5f))));
    vf y = vf_fma(e, vf_set(0x1.62e43p-1f), vf_add(low, f));
    const vf infinity = vf_set(INFINITY), zero = vf_set(0.0f);
    y = vf_select(vf_lt(x, infinity), y, x); /* infinity and NaN */
    y = vf_select(vf_lt(x, zero), vf_set(NAN), y);
    return vf_select(vf_eq(x, zero), vf_set(-INFINITY), y);
}

/* x + x^3 P(x^2), or 1 - 2 / (e^2|x| + 1). */
LANES_INLINE vf vf_tanh(vf x)
{
    const vf a = vf_abs(x), s = vf_mul(x, x), one = vf_set(1.0f);
    const vf p =
        POLYNOMIAL(s, -0x1.555554p-2f, 0x1.11107cp-3f, -0x1.b9f21ap-5f, 0x1.63ac98p-6f, -0x1.0c85f2p-7f, 0x1.1abf18p-9f);
    const vf near = vf_fma(vf_mul(p, s), a, a);
    const vf far = vf_sub(one, vf_div(vf_set(2.0f), vf_add(vf_exp(vf_add(a, a)), one)));
    return with_sign_of(vf_select(vf_lt(a, vf_set(0.625f)), near, far), x);
}

/* x + x P(x^2), or 1 - e^Q(|x|) with Q fitted to log(1 - erf). From 4 on the result is 1. */
LANES_INLINE vf vf_erf(vf x)
{
    const vf a = vf_abs(x), s = vf_mul(x, x), one = vf_set(1.0f);
    const vf p = POLYNOMIAL(s, 0x1.06eba8p-3f, -0x1.812744p-2f, 0x1.ce2e76p-4f, -0x1.b81962p-6f, 0x1.553c56p-8f,
                            -0x1.aea3b4p-11f, 0x1.6c8874p-14f);
    const vf q = POLYNOMIAL(vf_min(vf_set(4.0f), a), 0x1.53ca86p-13f, -0x1.2123d8p+0f, -0x1.4456ap-1f, -0x1.baf01ap-4f,
                            0x1.9a0bb8p-6f, -0x1.0f08dep-8f, 0x1.bfd3fp-12f, -0x1.571afp-16f);
    const vf y = vf_select(vf_lt(a, vf_set(0.875f)), vf_fma(p, a, a), vf_sub(one, vf_exp(q)));
    return with_sign_of(y, x);
}

/* e^-|x| cannot overflow; 1 / (1 + e^-x) = e^x / (1 + e^x). What rounding took from the divisor is made good. */
LANES_INLINE vf vf_sigmoid(vf x)
{
    const vf one = vf_set(1.0f), e = vf_exp(vf_sub(vf_set(0.0f), vf_abs(x)));
    const vf divisor = vf_add(one, e), lost = vf_sub(e, vf_sub(divisor, one));
    const vf y = vf_div(vf_select(vf_lt(x, vf_set(0.0f)), e, one), divisor);
    return vf_sub(y, vf_mul(y, vf_div(lost, divisor)));
}

/* The sum of the lanes, in all lanes: a tree of halves. */
LANES_INLINE vf vf_sum(vf x)
{
    x = vf_join8(x, x);
    x = vf_join4(x, x);
    x = vf_join2(x, x);
    return vf_join1(x, x);
}
LANES_INLINE float vf_first(vf x)
{
    float lane[16];
    vf_store_n(lane, x, 16);
    return lane[0];
}

/* In all lanes. */
LANES_INLINE vf vf_largest(vf x)
{
    float lane[16], most = -INFINITY;
    vf_store_n(lane, x, 16);
    for (int i = 0; i < 16; i++) most = lane[i] > most ? lane[i] : most;
    return vf_set(most);
}

static void math(const firn__math_args *a, int64_t begin, int64_t end)
{
    const enum firn__math f = a->function;
    EACH_GROUP(i, n, begin, end)
    {
        const vf x = vf_load_n(a->x + i, n);
        const vf y = f == FIRN__EXP    ? vf_exp(x)
                     : f == FIRN__LOG  ? vf_log(x)
                     : f == FIRN__TANH ? vf_tanh(x)
                     : f == FIRN__ERF  ? vf_erf(x)
                                       : vf_sigmoid(x);
        vf_store_n(a->y + i, y, n);
    }
}
