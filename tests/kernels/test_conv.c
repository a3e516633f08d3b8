/* Convolutions: all three passes against double, and on every instruction set against the bits of their definition. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conv.h"
#include "definition.h"
#include "guarded.h"
#include "support.h"

enum { most_sets = 4, most_threads = 8, shapes = TEST_SHAPES(2200), results = 4 };
static firn_ctx *contexts[most_sets];
static int set_count;
static uint64_t seed = 30;

static int64_t below(int64_t n) { return (int64_t)(test_random(&seed) % (uint64_t)n); }
static bool coin(void) { return below(2) == 0; }

static int open_contexts(void **state)
{
    (void)state;
    for (const char *const *isa = test_isas(); *isa != NULL; isa++) contexts[set_count++] = test_ctx(NULL, 1, *isa);
    return 0;
}

static int close_contexts(void **state)
{
    (void)state;
    for (int i = 0; i < set_count; i++) firn_ctx_destroy(contexts[i]);
    return 0;
}

/* ---- a problem, and its results: y, dx, dw, db ---- */

typedef struct problem {
    firn__conv_args v;
    float *x, *w, *dy;
    firn__epilogue_args epilogue;
    size_t floats[results];
} problem;

static float *guarded_numbers(int64_t count)
{
    float *p = guarded_get((size_t)count * sizeof *p);
    test_fill(p, (size_t)count, test_random(&seed), -2, 2);
    return p;
}

static void fill_problem(problem *p)
{
    const firn__conv_args *v = &p->v;
    const int64_t y = v->n * v->oh * v->ow * v->o, x = v->n * v->h * v->w * v->c,
                  w = v->o * (v->c / v->groups) * v->kh * v->kw;
    p->floats[0] = (size_t)y, p->floats[1] = (size_t)x, p->floats[2] = (size_t)w, p->floats[3] = (size_t)v->o;
    p->x = guarded_numbers(x);
    p->w = guarded_numbers(w);
    p->dy = guarded_numbers(y);
    p->epilogue = (firn__epilogue_args){.relu = coin()};
    if (coin()) p->epilogue.bias = guarded_numbers(v->o);
    if (coin()) p->epilogue.scale = guarded_numbers(v->o), p->epilogue.shift = guarded_numbers(v->o);
}

/* The image is what the output needs, and up to a stride more; false if nothing is left of it, or it is too large. */
static bool random_problem(problem *p)
{
    firn__conv_args *v = &p->v;
    *v = (firn__conv_args){.n = 1 + below(coin() ? 3 : 10),
                           .kh = 1 + below(4),
                           .kw = 1 + below(4),
                           .oh = 1 + below(7),
                           .ow = 1 + below(below(6) ? 12 : 34),
                           .pad = (int)below(3),
                           .groups = 1};
    v->stride = coin() ? 1 : 1 + (int)below(3);
    v->dilation = coin() ? 1 : 1 + (int)below(3);
    int64_t cg = 1 + below(coin() ? 5 : 20), og = 1 + below(coin() ? 5 : 20);
    const int64_t kind = below(8);
    if (kind == 7) { /* winograd.c's */
        v->kh = v->kw = 3, v->stride = v->dilation = 1;
        cg = 16 + below(coin() ? 3 : 30), og = 16 + below(coin() ? 3 : 30);
        v->oh = 4 + below(5), v->ow = 4 + below(below(4) ? 6 : 30);
    } else if (kind == 0)
        og = 30 + below(40);
    else if (kind == 1)
        cg = og = 1, v->groups = 2 + (int)below(40);
    else if (kind == 2)
        v->groups = 2 + (int)below(3);
    v->c = cg * v->groups, v->o = og * v->groups;
    v->h = (v->oh - 1) * v->stride + (v->kh - 1) * v->dilation + 1 - 2 * v->pad + below(v->stride);
    v->w = (v->ow - 1) * v->stride + (v->kw - 1) * v->dilation + 1 - 2 * v->pad + below(v->stride);
    if (v->h < 1 || v->w < 1 || v->n * v->h * v->w * v->c > 60000 || v->o * cg * v->kh * v->kw > 20000) return false;
    fill_problem(p);
    return true;
}

/* Guarded results of all three passes. */
static void run_problem(firn__crew crew, const problem *p, float *out[results])
{
    for (int i = 0; i < results; i++) out[i] = guarded_get(p->floats[i] * sizeof(float));
    float *packed = guarded_get(firn__conv_packed_bytes(crew.ctx, &p->v, false)),
          *packed_dx = guarded_get(firn__conv_packed_bytes(crew.ctx, &p->v, true));
    void *scratch = guarded_get(firn__conv_scratch_bytes(crew, &p->v, true, true));
    firn__conv_pack(crew, &p->v, p->w, false, packed);
    firn__conv_pack(crew, &p->v, p->w, true, packed_dx);
    firn__conv_forward(crew, &p->v, p->x, packed, out[0], &p->epilogue, scratch);
    firn__conv_dx(crew, &p->v, p->dy, packed_dx, out[1], scratch);
    firn__conv_dw(crew, &p->v, p->x, p->dy, out[2], out[3], scratch);
}

/* What the bits must be: the definition's, but for what winograd.c computes in another way. */
static void define_problem(const problem *p, float *out[results])
{
    if (firn__conv_is_winograd(&p->v)) {
        run_problem((firn__crew){contexts[0], -1}, p, out);
        return;
    }
    for (int i = 0; i < results; i++) out[i] = guarded_get(p->floats[i] * sizeof(float));
    define_forward(&p->v, p->x, p->w, out[0], &p->epilogue);
    define_dx(&p->v, p->dy, p->w, out[1]);
    define_dw(&p->v, p->x, p->dy, out[2], out[3]);
}

/* ---- the same in double, by scattering: sums and the sizes of what they add ---- */

typedef struct in_double {
    double *sum[results], *size[results];
    int64_t longest; /* chain */
} in_double;

static void add_term(in_double *d, int which, int64_t at, double term)
{
    d->sum[which][at] += term;
    d->size[which][at] += fabs(term);
}

static void scatter_pixel(const problem *p, in_double *d, int64_t n, int64_t oh, int64_t ow)
{
    const firn__conv_args *v = &p->v;
    const int64_t cg = v->c / v->groups, og = v->o / v->groups;
    for (int64_t o = 0; o < v->o; o++) {
        const int64_t at_y = ((n * v->oh + oh) * v->ow + ow) * v->o + o;
        add_term(d, 3, o, (double)p->dy[at_y]);
        for (int64_t kh = 0; kh < v->kh; kh++)
            for (int64_t kw = 0; kw < v->kw; kw++) {
                const int64_t ih = oh * v->stride + kh * v->dilation - v->pad,
                              iw = ow * v->stride + kw * v->dilation - v->pad;
                if (ih < 0 || ih >= v->h || iw < 0 || iw >= v->w) continue;
                for (int64_t c = 0; c < cg; c++) {
                    const int64_t at_x = ((n * v->h + ih) * v->w + iw) * v->c + o / og * cg + c;
                    const int64_t at_w = ((o * cg + c) * v->kh + kh) * v->kw + kw;
                    const double x = (double)p->x[at_x], w = (double)p->w[at_w], dy = (double)p->dy[at_y];
                    add_term(d, 0, at_y, x * w);
                    add_term(d, 1, at_x, dy * w);
                    add_term(d, 2, at_w, dy * x);
                }
            }
    }
}

static void finish_in_double(const problem *p, in_double *d)
{
    const firn__epilogue_args *e = &p->epilogue;
    for (size_t i = 0; i < p->floats[0]; i++) {
        double *sum = &d->sum[0][i], *size = &d->size[0][i];
        const int64_t o = (int64_t)i % p->v.o;
        if (e->bias) *sum += (double)e->bias[o], *size += fabs((double)e->bias[o]);
        if (e->scale) {
            *sum = *sum * (double)e->scale[o] + (double)e->shift[o];
            *size = *size * fabs((double)e->scale[o]) + fabs((double)e->shift[o]);
        }
        if (e->relu && *sum < 0) *sum = 0;
    }
}

static in_double in_double_of(const problem *p)
{
    const firn__conv_args *v = &p->v;
    in_double d = {.longest = v->n * v->oh * v->ow + v->kh * v->kw * (v->c + v->o)};
    for (int i = 0; i < results; i++) {
        d.sum[i] = calloc(2 * p->floats[i], sizeof(double));
        assert_non_null(d.sum[i]);
        d.size[i] = d.sum[i] + p->floats[i];
    }
    for (int64_t i = 0; i < v->n * v->oh * v->ow; i++)
        scatter_pixel(p, &d, i / v->ow / v->oh, i / v->ow % v->oh, i % v->ow);
    finish_in_double(p, &d);
    return d;
}

static void assert_problem(const problem *p, float *const got[results])
{
    in_double d = in_double_of(p);
    for (int i = 0; i < results; i++) {
        for (size_t at = 0; at < p->floats[i]; at++)
            assert_close(got[i][at], d.sum[i][at], 0, d.size[i][at] * (double)(d.longest + 4) * 6e-8);
        free(d.sum[i]);
    }
}

/* ---- tests ---- */

static void passes_are_those_in_double_and_the_defined_bits_on_every_instruction_set(void **state)
{
    (void)state;
    for (int done = 0; done < shapes;) {
        problem p;
        if (!random_problem(&p)) continue;
        done++;
        float *plain[results], *got[results];
        define_problem(&p, plain);
        assert_problem(&p, plain);
        for (int s = 0; s < set_count; s++) {
            run_problem((firn__crew){contexts[s], -1}, &p, got);
            for (int i = 0; i < results; i++) assert_bits_equal(got[i], plain[i], p.floats[i]);
        }
        guarded_take_back();
    }
}

/* Measured here, of the largest element: y 1.3e-6 in both nets, dx 1.5e-6 and 1.3e-6, dw 1.3e-6 and 0.4e-6; single chains
 * 0.7, 0.6; 0.7, 0.9; 0.9, 0.2. The first is large enough for two bands in a chunk of dw. */
static void winograd_is_nearly_as_exact_as_single_chains(void **state)
{
    (void)state;
    const firn__conv_args shapes_of_nets[] = {{20, 32, 26, 26, 32, 3, 3, 24, 24, 1, 0, 1, 1},
                                              {8, 64, 7, 7, 64, 3, 3, 7, 7, 1, 1, 1, 1}};
    for (int k = 0; k < 2; k++) {
        problem p = {.v = shapes_of_nets[k]};
        fill_problem(&p);
        float *got[results];
        run_problem((firn__crew){contexts[set_count - 1], -1}, &p, got);
        in_double d = in_double_of(&p);
        for (int i = 0; i < 3; i++) {
            double largest = 0, worst = 0;
            for (size_t at = 0; at < p.floats[i]; at++) {
                largest = fmax(largest, fabs(d.sum[i][at]));
                worst = fmax(worst, fabs(d.sum[i][at] - (double)got[i][at]));
            }
            assert_true(worst < 2e-6 * largest);
        }
        for (int i = 0; i < results; i++) free(d.sum[i]);
        guarded_take_back();
    }
}

/* The rule about padding: a kernel row outside is left out, a tap outside in a row that is not multiplies a zero. */
static void padding_meets_infinite_weights_alike_everywhere(void **state)
{
    (void)state;
    for (int done = 0; done < 200;) {
        problem p;
        if (!random_problem(&p)) continue;
        done++;
        p.w[below((int64_t)p.floats[2])] = INFINITY;
        p.dy[below((int64_t)p.floats[0])] = -INFINITY;
        float *plain[results], *got[results];
        define_problem(&p, plain);
        for (int s = 0; s < set_count; s++) {
            run_problem((firn__crew){contexts[s], -1}, &p, got);
            for (int i = 0; i < results; i++)
                for (size_t at = 0; at < p.floats[i]; at++) {
                    if (isnan(plain[i][at]))
                        assert_true(isnan(got[i][at]));
                    else
                        assert_bits_equal(&got[i][at], &plain[i][at], 1);
                }
        }
        guarded_take_back();
    }
}

static void compare_crews(firn_ctx *ctx, int threads, const problem *p)
{
    float *plain[results], *got[results];
    run_problem((firn__crew){contexts[0], -1}, p, plain);
    run_problem((firn__crew){ctx, -1}, p, got);
    for (int i = 0; i < results; i++) assert_bits_equal(got[i], plain[i], p->floats[i]);
    run_problem((firn__crew){ctx, threads - 1}, p, got); /* inside a region, on its last worker */
    for (int i = 0; i < results; i++) assert_bits_equal(got[i], plain[i], p->floats[i]);
    guarded_take_back();
}

static void passes_do_not_depend_on_threads(void **state)
{
    (void)state;
    firn_ctx *by_threads[most_threads];
    for (int t = 0; t < most_threads; t++) by_threads[t] = test_ctx(NULL, t + 1, NULL);
    for (int t = 1; t < 3; t++) { /* so few tiles that winograd.c shares out the output channels, panels of at most 32 */
        problem p = {.v = {1, 16, 7, 7, 32 * t + 37, 3, 3, 7, 7, .stride = 1, .pad = 1, .dilation = 1, .groups = 1}};
        fill_problem(&p);
        compare_crews(by_threads[t], t + 1, &p);
    }
    for (int done = 0; done < 120;) {
        problem p;
        if (!random_problem(&p)) continue;
        const int t = done++ % most_threads;
        compare_crews(by_threads[t], t + 1, &p);
    }
    for (int t = 0; t < most_threads; t++) firn_ctx_destroy(by_threads[t]);
}

/* A plan's scratch is that of its whole batch, and the last batch is smaller. */
static void fewer_images_need_no_more_scratch(void **state)
{
    (void)state;
    for (int i = 0; i < set_count; i++)
        for (int64_t size = 4; size < 29; size++)
            for (int64_t c = 8; c <= 64; c *= 2) {
                firn__conv_args v = {0, c, size, size, c, 3, 3, size, size, 1, 1, 1, 1};
                for (size_t before = 0; v.n < 130; v.n++) {
                    const size_t bytes = firn__conv_scratch_bytes((firn__crew){contexts[i], -1}, &v, true, true);
                    assert_true(bytes >= before);
                    before = bytes;
                }
            }
}

static void a_slice_of_images_gives_the_bits_of_the_whole(void **state)
{
    (void)state;
    for (int done = 0; done < 100;) {
        problem p;
        if (!random_problem(&p)) continue;
        done++;
        float *whole[results], *part[results];
        const firn__crew crew = {contexts[set_count - 1], -1};
        run_problem(crew, &p, whole);
        const int64_t first = below(p.v.n), images = 1 + below(p.v.n - first);
        const size_t x_image = p.floats[1] / (size_t)p.v.n, y_image = p.floats[0] / (size_t)p.v.n;
        problem slice = p;
        slice.v.n = images;
        slice.x += (size_t)first * x_image, slice.dy += (size_t)first * y_image;
        slice.floats[0] = (size_t)images * y_image, slice.floats[1] = (size_t)images * x_image;
        run_problem(crew, &slice, part);
        assert_bits_equal(part[0], whole[0] + (size_t)first * y_image, slice.floats[0]);
        assert_bits_equal(part[1], whole[1] + (size_t)first * x_image, slice.floats[1]);
        guarded_take_back();
    }
}

static void gradients_can_be_had_one_without_the_other(void **state)
{
    (void)state;
    for (int done = 0; done < 60;) {
        problem p;
        if (!random_problem(&p)) continue;
        done++;
        for (int s = 0; s < set_count; s++) {
            const firn__crew crew = {contexts[s], -1};
            float *both[results];
            run_problem(crew, &p, both);
            float *dw = guarded_get(p.floats[2] * sizeof *dw), *db = guarded_get(p.floats[3] * sizeof *db);
            void *scratch = guarded_get(firn__conv_scratch_bytes(crew, &p.v, false, true));
            firn__conv_dw(crew, &p.v, p.x, p.dy, dw, NULL, scratch);
            firn__conv_dw(crew, &p.v, p.x, p.dy, NULL, db, scratch);
            assert_bits_equal(dw, both[2], p.floats[2]);
            assert_bits_equal(db, both[3], p.floats[3]);
            guarded_take_back();
            fill_problem(&p);
        }
        guarded_take_back();
    }
}

static void sizes_that_do_not_fit_are_zero(void **state)
{
    (void)state;
    const firn__conv_args v = {.n = 1,
                               .c = (int64_t)1 << 30,
                               .h = 3,
                               .w = 3,
                               .o = (int64_t)1 << 31,
                               .kh = 3,
                               .kw = 3,
                               .oh = 1,
                               .ow = 1,
                               .stride = 1,
                               .dilation = 1,
                               .groups = 1};
    for (int i = 0; i < set_count; i++) assert_int_equal(firn__conv_packed_bytes(contexts[i], &v, false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_are_those_in_double_and_the_defined_bits_on_every_instruction_set),
        cmocka_unit_test(winograd_is_nearly_as_exact_as_single_chains),
        cmocka_unit_test(padding_meets_infinite_weights_alike_everywhere),
        cmocka_unit_test(passes_do_not_depend_on_threads),
        cmocka_unit_test(fewer_images_need_no_more_scratch),
        cmocka_unit_test(a_slice_of_images_gives_the_bits_of_the_whole),
        cmocka_unit_test(gradients_can_be_had_one_without_the_other),
        cmocka_unit_test(sizes_that_do_not_fit_are_zero),
    };
    return cmocka_run_group_tests(tests, open_contexts, close_contexts);
}
