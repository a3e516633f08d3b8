/* vector_update.inc.h: one pass over weights, gradients and state for each optimizer (formulas: optim.h). Included
 * once per instruction set. */

/* The gradient scaled, plus decay * w. */
LANES_INLINE vf decayed(const float *g, float factor, float decay, vf w, int64_t n)
{
    return vf_fma(vf_set(decay), w, vf_mul(vf_load_n(g, n), vf_set(factor)));
}
/* keep * old + (1 - keep) * value */
LANES_INLINE vf moved(vf old, float keep, vf value)
{
    return vf_fma(vf_set(keep), old, vf_mul(vf_set((float)(1.0 - (double)keep)), value));
}

static void sgd(const firn__sgd_args *a, int64_t begin, int64_t end)
{
    const vf momentum = vf_set(a->momentum), rate = vf_set(-a->lr);
    EACH_GROUP(i, n, begin, end)
    {
        const vf w = vf_load_n(a->w + i, n);
        vf d = decayed(a->g + i, a->grad_factor, a->weight_decay, w, n);
        if (a->v != NULL) {
            const vf v = vf_fma(momentum, vf_load_n(a->v + i, n), d);
            vf_store_n(a->v + i, v, n);
            d = a->nesterov ? vf_fma(momentum, v, d) : v;
        }
        vf_store_n(a->w + i, vf_fma(rate, d, w), n);
    }
}

static void adam(const firn__adam_args *a, int64_t begin, int64_t end)
{
    const vf rate = vf_set(-a->rate), root = vf_set(a->root), eps = vf_set(a->eps);
    EACH_GROUP(i, n, begin, end)
    {
        const vf w = vf_load_n(a->w + i, n);
        const vf g = decayed(a->g + i, a->grad_factor, a->weight_decay, w, n);
        const vf m = moved(vf_load_n(a->m + i, n), a->beta1, g);
        const vf v = moved(vf_load_n(a->v + i, n), a->beta2, vf_mul(g, g));
        vf_store_n(a->m + i, m, n);
        vf_store_n(a->v + i, v, n);
        const vf step = vf_div(m, vf_fma(vf_sqrt(v), root, eps));
        vf_store_n(a->w + i, vf_fma(rate, step, vf_mul(w, vf_set(a->shrink))), n);
    }
}

static void adadelta(const firn__adadelta_args *a, int64_t begin, int64_t end)
{
    const vf rate = vf_set(-a->lr), eps = vf_set(a->eps);
    EACH_GROUP(i, n, begin, end)
    {
        const vf w = vf_load_n(a->w + i, n), u = vf_load_n(a->u + i, n);
        const vf g = decayed(a->g + i, a->grad_factor, a->weight_decay, w, n);
        const vf s = moved(vf_load_n(a->s + i, n), a->rho, vf_mul(g, g));
        const vf d = vf_mul(vf_div(vf_sqrt(vf_add(u, eps)), vf_sqrt(vf_add(s, eps))), g);
        vf_store_n(a->s + i, s, n);
        vf_store_n(a->u + i, moved(u, a->rho, vf_mul(d, d)), n);
        vf_store_n(a->w + i, vf_fma(rate, d, w), n);
    }
}

static void rmsprop(const firn__rmsprop_args *a, int64_t begin, int64_t end)
{
    const vf rate = vf_set(-a->lr), eps = vf_set(a->eps), momentum = vf_set(a->momentum);
    EACH_GROUP(i, n, begin, end)
    {
        const vf w = vf_load_n(a->w + i, n);
        const vf g = decayed(a->g + i, a->grad_factor, a->weight_decay, w, n);
        const vf s = moved(vf_load_n(a->s + i, n), a->rho, vf_mul(g, g));
        vf_store_n(a->s + i, s, n);
        vf d = vf_div(g, vf_add(vf_sqrt(s), eps));
        if (a->v != NULL) {
            d = vf_fma(momentum, vf_load_n(a->v + i, n), d);
            vf_store_n(a->v + i, d, n);
        }
        vf_store_n(a->w + i, vf_fma(rate, d, w), n);
    }
}
