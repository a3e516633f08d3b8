#include "ref.h"

#include <math.h>

#include "conv.h"

float firn__ref_epilogue(float acc, const firn__epilogue_args *e, int64_t column)
{
    if (e == NULL) return acc;
    if (e->bias) acc += e->bias[column];
    if (e->scale) acc = fmaf(acc, e->scale[column], e->shift[column]);
    return e->relu && acc < 0 ? 0 : acc; /* NaN stays NaN */
}

static void ref_gemm_row(void *arg, int64_t i, int worker)
{
    (void)worker;
    const firn__gemm_args *g = arg;
    const float *b = g->b_packed ? g->b_packed : g->b;
    const int64_t ldb = g->b_packed ? g->n : g->ldb;
    const bool b_transposed = !g->b_packed && g->b_transposed;
    for (int64_t j = 0; j < g->n; j++) {
        float acc = g->accumulate ? g->c[i * g->ldc + j] : 0;
        for (int64_t p = 0; p < g->k; p++)
            acc = fmaf(g->a[g->a_transposed ? p * g->lda + i : i * g->lda + p], b[b_transposed ? j * ldb + p : p * ldb + j],
                       acc);
        g->c[i * g->ldc + j] = firn__ref_epilogue(acc, &g->epilogue, j);
    }
}

void firn__ref_gemm(firn__crew crew, const firn__gemm_args *g)
{
    firn__gemm_args copy = *g;
    firn__parallel(crew, g->m, ref_gemm_row, &copy);
}

void firn__ref_gemm_pack_b(int64_t n, int64_t k, const float *b, int64_t ldb, bool b_transposed, float *packed)
{
    for (int64_t p = 0; p < k; p++)
        for (int64_t j = 0; j < n; j++) packed[p * n + j] = b[b_transposed ? j * ldb + p : p * ldb + j];
}

void firn__ref_conv_pack(const firn__conv_args *v, const float *weight, float *packed)
{
    const int64_t taps = v->kh * v->kw, cg = v->c / v->groups;
    for (int64_t t = 0; t < taps; t++)
        for (int64_t c = 0; c < cg; c++)
            for (int64_t o = 0; o < v->o; o++) packed[(t * cg + c) * v->o + o] = weight[(o * cg + c) * taps + t];
}

/* What a pass of a convolution works on, and one output pixel or weight of it. */
typedef struct ref_pass {
    const firn__conv_args *v;
    const float *x, *packed, *dy;
    float *y, *dx, *dw, *db;
    const firn__epilogue_args *epilogue;
} ref_pass;

static bool inside(int64_t i, int64_t size) { return i >= 0 && i < size; }

static void ref_forward_row(void *arg, int64_t row, int worker)
{
    (void)worker;
    const ref_pass *pass = arg;
    const firn__conv_args *v = pass->v;
    const int64_t n = row / v->oh, oh = row % v->oh, cg = v->c / v->groups, og = v->o / v->groups;
    for (int64_t ow = 0; ow < v->ow; ow++)
        for (int64_t o = 0; o < v->o; o++) {
            float acc = 0;
            for (int64_t kh = 0; kh < v->kh; kh++) {
                const int64_t ih = oh * v->stride - v->pad + kh * v->dilation;
                if (!inside(ih, v->h)) continue;
                for (int64_t kw = 0; kw < v->kw; kw++) {
                    const int64_t iw = ow * v->stride - v->pad + kw * v->dilation;
                    for (int64_t c = 0; c < cg; c++) {
                        const float xv =
                            inside(iw, v->w) ? pass->x[((n * v->h + ih) * v->w + iw) * v->c + o / og * cg + c] : 0;
                        acc = fmaf(xv, pass->packed[((kh * v->kw + kw) * cg + c) * v->o + o], acc);
                    }
                }
            }
            pass->y[(row * v->ow + ow) * v->o + o] = firn__ref_epilogue(acc, pass->epilogue, o);
        }
}

void firn__ref_conv_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                            const firn__epilogue_args *epilogue)
{
    ref_pass pass = {.v = v, .x = x, .packed = packed, .y = y, .epilogue = epilogue};
    firn__parallel(crew, v->n * v->oh, ref_forward_row, &pass);
}

/* The kernel is walked backwards, so that dy is walked forwards. */
static void ref_dx_row(void *arg, int64_t row, int worker)
{
    (void)worker;
    const ref_pass *pass = arg;
    const firn__conv_args *v = pass->v;
    const int64_t n = row / v->h, ih = row % v->h, cg = v->c / v->groups, og = v->o / v->groups;
    for (int64_t iw = 0; iw < v->w; iw++)
        for (int64_t c = 0; c < v->c; c++) {
            float acc = 0;
            const int64_t o0 = c / cg * og;
            for (int64_t kh = v->kh - 1; kh >= 0; kh--) {
                const int64_t th = ih + v->pad - kh * v->dilation, oh = th / v->stride;
                if (th % v->stride != 0 || !inside(th, v->oh * v->stride)) continue;
                for (int64_t kw = v->kw - 1; kw >= 0; kw--) {
                    const int64_t tw = iw + v->pad - kw * v->dilation, ow = tw / v->stride;
                    if (tw % v->stride != 0) continue;
                    for (int64_t o = o0; o < o0 + og; o++) {
                        const float d =
                            inside(tw, v->ow * v->stride) ? pass->dy[((n * v->oh + oh) * v->ow + ow) * v->o + o] : 0;
                        acc = fmaf(d, pass->packed[((kh * v->kw + kw) * cg + c % cg) * v->o + o], acc);
                    }
                }
            }
            pass->dx[(row * v->w + iw) * v->c + c] = acc;
        }
}

void firn__ref_conv_dx(firn__crew crew, const firn__conv_args *v, const float *dy, const float *packed, float *dx)
{
    ref_pass pass = {.v = v, .packed = packed, .dy = dy, .dx = dx};
    firn__parallel(crew, v->n * v->h, ref_dx_row, &pass);
}

static float ref_dw_of_chunk(const ref_pass *pass, int64_t n0, int64_t n1, int64_t o, int64_t c, int64_t kh, int64_t kw)
{
    const firn__conv_args *v = pass->v;
    float acc = 0;
    for (int64_t n = n0; n < n1; n++)
        for (int64_t oh = 0; oh < v->oh; oh++) {
            const int64_t ih = oh * v->stride - v->pad + kh * v->dilation;
            if (!inside(ih, v->h)) continue;
            for (int64_t ow = 0; ow < v->ow; ow++) {
                const int64_t iw = ow * v->stride - v->pad + kw * v->dilation;
                const float xv = inside(iw, v->w) ? pass->x[((n * v->h + ih) * v->w + iw) * v->c + c] : 0;
                acc = fmaf(xv, pass->dy[((n * v->oh + oh) * v->ow + ow) * v->o + o], acc);
            }
        }
    return acc;
}

static float ref_db_of_chunk(const ref_pass *pass, int64_t n0, int64_t n1, int64_t o)
{
    const firn__conv_args *v = pass->v;
    const int64_t pixels = v->oh * v->ow;
    float lane[4] = {0};
    for (int64_t p = n0 * pixels; p < n1 * pixels; p++) lane[p % pixels % 4] += pass->dy[p * v->o + o];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

static void ref_dw_channel(void *arg, int64_t o, int worker)
{
    (void)worker;
    const ref_pass *pass = arg;
    const firn__conv_args *v = pass->v;
    const int64_t chunks = firn__conv_chunks(v), taps = v->kh * v->kw, cg = v->c / v->groups,
                  c0 = o / (v->o / v->groups) * cg;
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int64_t n0 = v->n * chunk / chunks, n1 = v->n * (chunk + 1) / chunks;
        for (int64_t i = 0; pass->dw != NULL && i < cg * taps; i++) {
            const float part = ref_dw_of_chunk(pass, n0, n1, o, c0 + i / taps, i % taps / v->kw, i % v->kw);
            float *dw = pass->dw + o * cg * taps + i;
            *dw = chunk == 0 ? part : *dw + part;
        }
        if (pass->db == NULL) continue;
        const float part = ref_db_of_chunk(pass, n0, n1, o);
        pass->db[o] = chunk == 0 ? part : pass->db[o] + part;
    }
}

void firn__ref_conv_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db)
{
    ref_pass pass = {.v = v, .x = x, .dy = dy, .dw = dw, .db = db};
    firn__parallel(crew, v->o, ref_dw_channel, &pass);
}
