/* exp, log, tanh, erf and sigmoid against double, in units in the last place. Over every 1021th float; with an argument
 * over every so many, 1 for all of them (10 minutes). */
#include "vector_try.h"

enum { BLOCK = 1 << 14, FUNCTIONS = 5 };
static uint64_t stride = 1021;

static double true_value(enum firn__math f, double x)
{
    switch (f) {
    case FIRN__EXP:
        return exp(x);
    case FIRN__LOG:
        return log(x);
    case FIRN__TANH:
        return tanh(x);
    case FIRN__ERF:
        return erf(x);
    case FIRN__SIGMOID:
        break;
    }
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

/* How far got is from want, in steps between floats there; infinite where one of them is special in another way. */
static double steps_apart(float got, double want)
{
    if (isnan(want)) return isnan(got) ? 0 : (double)INFINITY;
    if (isinf((float)want) || isinf(got)) return got == (float)want ? 0 : (double)INFINITY;
    int exponent;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

static void every_function_is_within_2_ulp_of_double(void **state)
{
    (void)state;
    static const char *const names[FUNCTIONS] = {"exp", "log", "tanh", "erf", "sigmoid"};
    static float x[BLOCK], y[BLOCK], plain[BLOCK];
    for (int f = 0; f < FUNCTIONS; f++) {
        double worst = 0;
        float worst_x = 0;
        for (uint64_t first = 0; first < UINT64_C(1) << 32; first += BLOCK * stride) {
            for (uint64_t i = 0; i < BLOCK; i++) {
                const uint32_t bits = (uint32_t)(first + i * stride);
                memcpy(&x[i], &bits, sizeof bits);
            }
            for (size_t s = stride > 1 ? 0 : try_count - 1; s < try_count; s++) { /* plain C on all would take hours */
                try_sets[s]->math(&(firn__math_args){(enum firn__math)f, x, y}, 0, BLOCK);
                if (s > 0 && stride > 1)
                    assert_bits_equal(y, plain, BLOCK);
                else
                    memcpy(plain, y, sizeof y);
            }
            for (int i = 0; i < BLOCK; i++) {
                const double apart = steps_apart(y[i], true_value((enum firn__math)f, (double)x[i]));
                if (apart > worst) worst = apart, worst_x = x[i];
            }
        }
        printf("%-8s %.3f ulp at %a\n", names[f], worst, (double)worst_x);
        assert_true(worst <= 2);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) stride = strtoull(argv[1], NULL, 10);
    if (stride < 1) return 2;
    try_open();
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_function_is_within_2_ulp_of_double)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    try_close();
    return failed;
}
