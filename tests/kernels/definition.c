#include "definition.h"

#include <math.h>

#include "conv.h"

static float finish(float acc, const firn__epilogue_args *e, int64_t column)
{
    if (e->bias) acc += e->bias[column];
    if (e->scale) acc = fmaf(acc, e->scale[column], e->shift[column]);
    return e->relu && acc < 0 ? 0 : acc; /* NaN stays NaN */
}

void define_product(const firn__gemm_args *g)
{
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            float *c = &g->c[i * g->ldc + j], acc = g->accumulate ? *c : 0;
            for (int64_t p = 0; p < g->k; p++)
                acc = fmaf(g->a[g->a_transposed ? p * g->lda + i : i * g->lda + p],
                           g->b[g->b_transposed ? j * g->ldb + p : p * g->ldb + j], acc);
            *c = finish(acc, &g->epilogue, j);
        }
}

static bool inside(int64_t i, int64_t size) { return i >= 0 && i < size; }

/* The weight of output channel o and channel c of its group. */
static float weight(const firn__conv_args *v, const float *w, int64_t o, int64_t c, int64_t kh, int64_t kw)
{
    return w[((o * (v->c / v->groups) + c) * v->kh + kh) * v->kw + kw];
}

static float forward_at(const firn__conv_args *v, const float *image, const float *w, int64_t oh, int64_t ow, int64_t o)
{
    const int64_t cg = v->c / v->groups, first = o / (v->o / v->groups) * cg;
    float acc = 0;
    for (int64_t kh = 0; kh < v->kh; kh++) {
        const int64_t ih = oh * v->stride - v->pad + kh * v->dilation;
        if (!inside(ih, v->h)) continue;
        for (int64_t kw = 0; kw < v->kw; kw++) {
            const int64_t iw = ow * v->stride - v->pad + kw * v->dilation;
            for (int64_t c = 0; c < cg; c++) {
                const float x = inside(iw, v->w) ? image[(ih * v->w + iw) * v->c + first + c] : 0;
                acc = fmaf(x, weight(v, w, o, c, kh, kw), acc);
            }
        }
    }
    return acc;
}

void define_forward(const firn__conv_args *v, const float *x, const float *w, float *y, const firn__epilogue_args *e)
{
    for (int64_t p = 0; p < v->n * v->oh * v->ow; p++)
        for (int64_t o = 0; o < v->o; o++) {
            const float *image = x + p / v->ow / v->oh * v->h * v->w * v->c;
            y[p * v->o + o] = finish(forward_at(v, image, w, p / v->ow % v->oh, p % v->ow, o), e, o);
        }
}

/* The kernel is walked backwards, so that dy is walked forwards. */
static float dx_at(const firn__conv_args *v, const float *image, const float *w, int64_t ih, int64_t iw, int64_t c)
{
    const int64_t cg = v->c / v->groups, og = v->o / v->groups, first = c / cg * og;
    float acc = 0;
    for (int64_t kh = v->kh - 1; kh >= 0; kh--) {
        const int64_t th = ih + v->pad - kh * v->dilation;
        if (th % v->stride != 0 || !inside(th / v->stride, v->oh) || th < 0) continue;
        for (int64_t kw = v->kw - 1; kw >= 0; kw--) {
            const int64_t tw = iw + v->pad - kw * v->dilation;
            if (tw % v->stride != 0) continue;
            const bool there = tw >= 0 && inside(tw / v->stride, v->ow);
            for (int64_t o = first; o < first + og; o++) {
                const float dy = there ? image[(th / v->stride * v->ow + tw / v->stride) * v->o + o] : 0;
                acc = fmaf(dy, weight(v, w, o, c % cg, kh, kw), acc);
            }
        }
    }
    return acc;
}

void define_dx(const firn__conv_args *v, const float *dy, const float *w, float *dx)
{
    for (int64_t p = 0; p < v->n * v->h * v->w; p++)
        for (int64_t c = 0; c < v->c; c++) {
            const float *image = dy + p / v->w / v->h * v->oh * v->ow * v->o;
            dx[p * v->c + c] = dx_at(v, image, w, p / v->w % v->h, p % v->w, c);
        }
}

/* Of images n0..n1-1. */
static float dw_at(const firn__conv_args *v, const float *x, const float *dy, int64_t n0, int64_t n1, int64_t o, int64_t c,
                   int64_t kh, int64_t kw)
{
    float acc = 0;
    for (int64_t n = n0; n < n1; n++)
        for (int64_t oh = 0; oh < v->oh; oh++) {
            const int64_t ih = oh * v->stride - v->pad + kh * v->dilation;
            if (!inside(ih, v->h)) continue;
            for (int64_t ow = 0; ow < v->ow; ow++) {
                const int64_t iw = ow * v->stride - v->pad + kw * v->dilation;
                const float at = inside(iw, v->w) ? x[((n * v->h + ih) * v->w + iw) * v->c + c] : 0;
                acc = fmaf(at, dy[((n * v->oh + oh) * v->ow + ow) * v->o + o], acc);
            }
        }
    return acc;
}

static float db_at(const firn__conv_args *v, const float *dy, int64_t n0, int64_t n1, int64_t o)
{
    const int64_t pixels = v->oh * v->ow;
    float lane[4] = {0};
    for (int64_t p = n0 * pixels; p < n1 * pixels; p++) lane[p % pixels % 4] += dy[p * v->o + o];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

void define_dw(const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db)
{
    const int64_t chunks = firn__conv_chunks(v), taps = v->kh * v->kw, cg = v->c / v->groups, og = v->o / v->groups;
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t n0 = v->n * chunk / chunks, n1 = v->n * (chunk + 1) / chunks;
        for (int64_t i = 0; i < v->o * cg * taps; i++) {
            const int64_t o = i / taps / cg, c = o / og * cg + i / taps % cg;
            const float part = dw_at(v, x, dy, n0, n1, o, c, i % taps / v->kw, i % v->kw);
            dw[i] = chunk == 0 ? part : dw[i] + part;
        }
        for (int64_t o = 0; o < v->o; o++) {
            const float part = db_at(v, dy, n0, n1, o);
            db[o] = chunk == 0 ? part : db[o] + part;
        }
    }
}
