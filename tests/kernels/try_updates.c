/* One step of each optimizer, against the formulas of optim.h in double. */
#include "vector_try.h"

typedef struct update {
    int64_t n;
    float *w, *g, *first, *second;
    double *wd, *fd, *sd; /* the same in double */
} update;

static update update_start(bool reset)
{
    static update u;
    static float *start;
    static double doubles[3][400];
    if (reset) {
        u = (update){.n = try_size(), .wd = doubles[0], .fd = doubles[1], .sd = doubles[2]};
        start = try_numbers(3 * u.n, 0.1f, 1);
        u.g = try_numbers(u.n, -1, 1);
        u.w = try_blank(u.n), u.first = try_blank(u.n), u.second = try_blank(u.n);
        for (int64_t i = 0; i < u.n; i++) {
            u.wd[i] = (double)start[i], u.fd[i] = (double)start[u.n + i], u.sd[i] = (double)start[2 * u.n + i];
        }
    }
    memcpy(u.w, start, (size_t)u.n * sizeof *u.w);
    memcpy(u.first, start + u.n, (size_t)u.n * sizeof *u.w);
    memcpy(u.second, start + 2 * u.n, (size_t)u.n * sizeof *u.w);
    return u;
}
static void update_check(size_t s, update u)
{
    try_same_floats(s, u.w, u.n, 0);
    try_same_floats(s, u.first, u.n, 1);
    try_same_floats(s, u.second, u.n, 2);
    for (int64_t i = 0; i < u.n; i++) {
        try_near(u.w[i], u.wd[i], 3);
        try_near(u.first[i], u.fd[i], 3);
        try_near(u.second[i], u.sd[i], 3);
    }
}

void try_sgd(void)
{
    update u = update_start(true);
    const bool heavy = try_coin(), nesterov = heavy && try_coin();
    const double m = (double)0.9f, lr = (double)0.1f, decay = try_coin() ? (double)0.01f : 0, factor = 0.5;
    for (int64_t i = 0; i < u.n; i++) {
        const double d = (double)u.g[i] * factor + decay * u.wd[i], v = m * u.fd[i] + d;
        if (heavy) u.fd[i] = v;
        u.wd[i] -= lr * (nesterov ? d + m * v : heavy ? v : d);
    }
    EACH_SET(s)
    {
        u = update_start(false);
        try_sets[s]->sgd(&(firn__sgd_args){u.w, u.g, heavy ? u.first : NULL, 0.5f, 0.1f, (float)decay, 0.9f, nesterov}, 0,
                         u.n);
        update_check(s, u);
    }
}

void try_adam(void)
{
    update u = update_start(true);
    const double b1 = (double)0.9f, b2 = (double)0.999f, eps = (double)1e-8f, shrink = try_coin() ? 1 : (double)0.99f;
    const double rate = (double)0.01f, root = (double)1.5f, decay = try_coin() ? (double)0.01f : 0;
    for (int64_t i = 0; i < u.n; i++) {
        const double g = (double)u.g[i] * 0.5 + decay * u.wd[i];
        u.fd[i] = b1 * u.fd[i] + (1 - b1) * g;
        u.sd[i] = b2 * u.sd[i] + (1 - b2) * g * g;
        u.wd[i] = shrink * u.wd[i] - rate * u.fd[i] / (sqrt(u.sd[i]) * root + eps);
    }
    EACH_SET(s)
    {
        u = update_start(false);
        const firn__adam_args a = {u.w,           u.g,  u.first, u.second, 0.5f,  (float)decay,
                                   (float)shrink, 0.9f, 0.999f,  1e-8f,    0.01f, 1.5f};
        try_sets[s]->adam(&a, 0, u.n);
        update_check(s, u);
    }
}

void try_adadelta(void)
{
    update u = update_start(true);
    const double rho = (double)0.95f, eps = (double)1e-7f, decay = try_coin() ? (double)0.01f : 0;
    for (int64_t i = 0; i < u.n; i++) {
        const double g = (double)u.g[i] * 0.5 + decay * u.wd[i];
        u.fd[i] = rho * u.fd[i] + (1 - rho) * g * g;
        const double d = sqrt(u.sd[i] + eps) / sqrt(u.fd[i] + eps) * g;
        u.sd[i] = rho * u.sd[i] + (1 - rho) * d * d;
        u.wd[i] -= d;
    }
    EACH_SET(s)
    {
        u = update_start(false);
        try_sets[s]->adadelta(&(firn__adadelta_args){u.w, u.g, u.first, u.second, 0.5f, (float)decay, 1, 0.95f, 1e-7f}, 0,
                              u.n);
        update_check(s, u);
    }
}

void try_rmsprop(void)
{
    update u = update_start(true);
    const bool heavy = try_coin();
    const double rho = (double)0.99f, eps = (double)1e-8f, decay = try_coin() ? (double)0.01f : 0, m = (double)0.9f;
    for (int64_t i = 0; i < u.n; i++) {
        const double g = (double)u.g[i] * 0.5 + decay * u.wd[i];
        u.fd[i] = rho * u.fd[i] + (1 - rho) * g * g;
        double d = g / (sqrt(u.fd[i]) + eps);
        if (heavy) d = u.sd[i] = m * u.sd[i] + d;
        u.wd[i] -= (double)0.01f * d;
    }
    EACH_SET(s)
    {
        u = update_start(false);
        const firn__rmsprop_args a = {u.w,   u.g,   u.first, heavy ? u.second : NULL, 0.5f, (float)decay, 0.01f,
                                      0.99f, 1e-8f, 0.9f};
        try_sets[s]->rmsprop(&a, 0, u.n);
        update_check(s, u);
    }
}
