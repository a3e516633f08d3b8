/* Against torch.optim.lr_scheduler 2.13, in double. */
#include "support.h"

static void schedule_gives(const firn_schedule *s, const double *expected, size_t n)
{
    for (size_t i = 0; i < n; i++) assert_close(firn_schedule_at(s, i), expected[i], 1e-6, 1e-8);
}
#define assert_schedule(s, ...)                                                                                            \
    schedule_gives((s), (const double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / sizeof(double))

static void constant_is_one_and_so_is_none(void **state)
{
    (void)state;
    assert_schedule(&(firn_schedule){0}, 1, 1, 1);
    assert_schedule(NULL, 1, 1);
}

static void step_decay_multiplies_by_gamma_every_so_many_steps(void **state)
{
    (void)state;
    const firn_schedule half = {.kind = FIRN_STEP_DECAY, .every = 3, .gamma = 0.5f};
    assert_schedule(&half, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25);
    assert_close(firn_schedule_at(&(firn_schedule){.kind = FIRN_STEP_DECAY, .every = 2}, 5), 0.01, 1e-6, 0);
}

static void cosine_falls_to_its_floor_and_stays_there(void **state)
{
    (void)state;
    const firn_schedule s = {.kind = FIRN_COSINE, .total = 8, .floor = 0.1f};
    assert_schedule(&s, 1.0, 0.96574579, 0.868198052, 0.722207545, 0.55, 0.377792455, 0.231801948, 0.13425421, 0.1, 0.1);
    const firn_schedule to_zero = {.kind = FIRN_COSINE, .total = 5};
    assert_schedule(&to_zero, 1.0, 0.904508497, 0.654508497, 0.345491503, 0.0954915028, 0.0, 0.0);
}

static void one_cycle_rises_and_falls_as_in_torch(void **state)
{
    (void)state;
    const firn_schedule ten = {.kind = FIRN_ONE_CYCLE, .total = 10};
    assert_schedule(&ten, 0.04, 0.52, 1.0, 0.950484632, 0.811745654, 0.611262022, 0.388741978, 0.188258346, 0.049519368,
                    4e-06, 4e-06);
    const firn_schedule s = {.kind = FIRN_ONE_CYCLE, .total = 37};
    assert_schedule(&s, 0.04, 0.0630337084, 0.129924201, 0.234251745, 0.36600363, 0.51253513, 0.659783062, 0.793615484,
                    0.901187992, 0.972176446, 0.999767816, 0.997023594, 0.98678027, 0.969383771, 0.945089737, 0.914255168,
                    0.877333175, 0.834866325, 0.787478666, 0.735866556, 0.680788431, 0.623053661, 0.563510656, 0.503034395,
                    0.442513573, 0.382837539, 0.32488323, 0.26950228, 0.217508508, 0.16966596, 0.126677678, 0.0891753731,
                    0.0577101388, 0.0327443546, 0.0146448912, 0.00367771908, 4e-06);
}

/* Up to three steps leave no room for the rise; torch's top then lies before the first. */
static void one_cycle_of_a_few_steps_is_torchs_too(void **state)
{
    (void)state;
    static const double expected[][5] = {{4e-06, 4e-06, 4e-06, 4e-06, 4e-06},
                                         {0.811745654, 4e-06, 4e-06, 4e-06, 4e-06},
                                         {0.994415435, 0.462637103, 4e-06, 4e-06, 4e-06},
                                         {0.04, 0.811745654, 0.283060998, 4e-06, 4e-06}};
    for (uint64_t total = 1; total <= 4; total++)
        schedule_gives(&(firn_schedule){.kind = FIRN_ONE_CYCLE, .total = total}, expected[total - 1], 5);
}

static void warmup_rises_linearly_in_front_of_every_kind(void **state)
{
    (void)state;
    assert_schedule(&(firn_schedule){.warmup = 4}, 0.25, 0.5, 0.75, 1, 1, 1);
    const firn_schedule s = {.kind = FIRN_COSINE, .warmup = 2, .total = 7};
    assert_schedule(&s, 0.5, 1.0, 1.0, 0.904508497, 0.654508497, 0.345491503, 0.0954915028, 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_is_one_and_so_is_none),
        cmocka_unit_test(step_decay_multiplies_by_gamma_every_so_many_steps),
        cmocka_unit_test(cosine_falls_to_its_floor_and_stays_there),
        cmocka_unit_test(one_cycle_rises_and_falls_as_in_torch),
        cmocka_unit_test(one_cycle_of_a_few_steps_is_torchs_too),
        cmocka_unit_test(warmup_rises_linearly_in_front_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
