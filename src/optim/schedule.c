#include "optimizer.h"

/* cos(pi x) for x in 0..1 by its Taylor series: libm's differs between machines. */
static double cos_pi(double x)
{
    const double pi = 3.14159265358979323846;
    const double y = x <= 0.5 ? x * pi : (1 - x) * pi; /* cos(pi - y) = -cos y */
    double sum = 1;
    for (int k = 24; k >= 2; k -= 2) sum = 1 - sum * y * y / (k * (k - 1));
    return x <= 0.5 ? sum : -sum;
}

/* Half a cosine wave from start at t = 0 to end at t = 1. */
static double anneal(double start, double end, double t) { return end + (start - end) / 2 * (1 + cos_pi(t)); }

/* torch.optim.lr_scheduler.OneCycleLR (Smith, Topin 2018) with its defaults: pct_start 0.3, div_factor 25,
 * final_div_factor 1e4, annealed by cosine; relative to max_lr. Momentum is not cycled. */
static double one_cycle(double step, double total)
{
    const double start = 1 / 25.0, end = start / 1e4, top = 0.3 * total - 1, last = total - 1;
    if (step <= top) return anneal(start, 1, step / top);
    return step < last ? anneal(1, end, (step - top) / (last - top)) : end;
}

/* The factor of the kind, step counted behind the warm-up. */
static double kind_factor(const firn_schedule *s, uint64_t step)
{
    const double total = s->total > s->warmup ? (double)(s->total - s->warmup) : 0;
    switch (s->kind) {
    case FIRN_STEP_DECAY:
        return s->every > 0 ? firn__optim_power(s->gamma != 0.0f ? (double)s->gamma : 0.1, step / s->every) : 1;
    case FIRN_COSINE: /* Loshchilov, Hutter 2017, without restarts */
        return (double)step < total ? anneal(1, (double)s->floor, (double)step / total) : (double)s->floor;
    case FIRN_ONE_CYCLE:
        return one_cycle((double)step, total);
    case FIRN_CONSTANT:
        break;
    }
    return 1;
}

float firn_schedule_at(const firn_schedule *s, uint64_t step)
{
    if (s == NULL) return 1;
    if (step >= s->warmup) return (float)kind_factor(s, step - s->warmup);
    return (float)((double)(step + 1) / (double)s->warmup * kind_factor(s, 0));
}
