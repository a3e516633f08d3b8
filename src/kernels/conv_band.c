#include <string.h>

#include "conv.h"

static const int64_t band_budget = 48 << 10; /* floats: a part of L2 */

firn__axis firn__conv_axis_h(const firn__conv_args *v)
{
    return (firn__axis){v->oh, v->h, v->kh, v->stride, v->dilation, -v->pad};
}

firn__axis firn__conv_axis_w(const firn__conv_args *v)
{
    return (firn__axis){v->ow, v->w, v->kw, v->stride, v->dilation, -v->pad};
}

void firn__axis_inside(const firn__axis *a, int64_t i, int64_t *begin, int64_t *end)
{
    const int64_t first = i * a->stride + a->origin;
    *begin = first >= 0 ? 0 : firn__ceil_div(-first, a->step);
    *end = first >= a->in ? 0 : firn__min(a->taps, (a->in - 1 - first) / a->step + 1);
    if (*begin > *end) *begin = *end;
}

firn__band firn__band_plan(const firn__axis *h, const firn__axis *w, int64_t channels)
{
    const int64_t last = (w->out - 1) * w->stride + (w->taps - 1) * w->step + w->origin;
    firn__band band = {.left = w->origin < 0 ? -w->origin : 0, .right = last >= w->in ? last - w->in + 1 : 0};
    if (w->taps == 0) band.left = band.right = 0;
    band.pitch = (band.left + w->in + band.right) * channels;
    band.rows = h->out;
    if (band.left == 0 && band.right == 0) return band;
    const int64_t reach = (h->taps - 1) * h->step + 1;
    const int64_t fit = (band_budget / band.pitch - reach) / h->stride + 1;
    if (fit < band.rows) band.rows = fit < 1 ? 1 : fit;
    band.floats = ((band.rows - 1) * h->stride + reach) * band.pitch;
    return band;
}

firn__rows firn__band_fill(const firn__tiles *tiles, const firn__band *band, const firn__axis *h, const firn__axis *w,
                           int64_t channels, const float *image, int64_t begin, int64_t end, float *buffer)
{
    if (band->floats == 0) return (firn__rows){image, 0};
    const int64_t reach = (h->taps - 1) * h->step, columns = w->in * channels;
    int64_t first = begin * h->stride + h->origin, last = (end - 1) * h->stride + h->origin + reach;
    if (first < 0) first = 0;
    if (last >= h->in) last = h->in - 1;
    float *row = buffer;
    for (int64_t r = first; r <= last; r++, row += band->pitch) {
        memset(row, 0, (size_t)(band->left * channels) * sizeof *row);
        tiles->copy(1, columns, columns, image + r * columns, 0, row + band->left * channels, 0);
        memset(row + band->left * channels + columns, 0, (size_t)(band->right * channels) * sizeof *row);
    }
    return (firn__rows){buffer, first};
}
