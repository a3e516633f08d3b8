#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "support.h"

enum { DRAWS = 200000 };

static void uniform_numbers_fill_the_unit_interval_evenly(void **state)
{
    (void)state;
    int count[16] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        const float u = firn__rng_uniform(7, i);
        assert_true(u >= 0 && u < 1);
        count[(int)(u * 16)]++;
    }
    for (int i = 0; i < 16; i++) assert_close(count[i], DRAWS / 16, 0, 5 * sqrt(DRAWS / 16.0));
}

static void normal_numbers_have_the_moments_and_tails_of_a_normal(void **state)
{
    (void)state;
    double sum = 0, squares = 0, cubes = 0, fourths = 0;
    int beyond_2 = 0, beyond_3 = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double x = (double)firn__rng_normal(3, i);
        sum += x;
        squares += x * x;
        cubes += x * x * x;
        fourths += x * x * x * x;
        beyond_2 += fabs(x) > 2;
        beyond_3 += fabs(x) > 3;
    }
    assert_close(sum / DRAWS, 0, 0, 0.01);
    assert_close(squares / DRAWS, 1, 0, 0.015);
    assert_close(cubes / DRAWS, 0, 0, 0.04);
    assert_close(fourths / DRAWS, 3, 0, 0.1);
    assert_close(beyond_2 / (double)DRAWS, 0.0455, 0, 0.002);
    assert_close(beyond_3 / (double)DRAWS, 0.0027, 0, 0.0006);
}

/* The key whose draw of index 0 has these 53 bits on top: SplitMix64's finaliser backwards. */
static uint64_t key_of_draw(uint64_t top)
{
    uint64_t x = top << 11;
    x ^= x >> 31 ^ x >> 62;
    x *= 0x319642b2d24d8ec3u;
    x ^= x >> 27 ^ x >> 54;
    x *= 0x96de1b173f119089u;
    return x ^ x >> 30 ^ x >> 60;
}

static void normal_numbers_are_the_quantiles_of_their_draws(void **state)
{
    (void)state;
    static const struct {
        uint64_t draw; /* of 2^53, in the middle of its step */
        double quantile;
    } rows[] = {
        {0, -8.292361075813595},
        {50, -7.724682450032364},
        {1000, -7.3347380140439435},
        {UINT64_C(1) << 20, -6.337957681066634},
        {UINT64_C(1) << 30, -5.166578119641679},
        {UINT64_C(1) << 40, -3.6683292851212057},
        {UINT64_C(1) << 49, -1.5341205443525454},
        {UINT64_C(1) << 51, -0.6744897501960816},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_close(firn__rng_normal(key_of_draw(rows[i].draw), 0), rows[i].quantile, 3e-7, 0);
        const uint64_t mirror = (UINT64_C(1) << 53) - 1 - rows[i].draw;
        if (rows[i].quantile > -5) assert_close(firn__rng_normal(key_of_draw(mirror), 0), -rows[i].quantile, 3e-7, 0);
    }
}

static void bounded_numbers_stay_below_their_bound(void **state)
{
    (void)state;
    int count[10] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) count[firn__rng_below(1, i, 10)]++;
    for (int i = 0; i < 10; i++) assert_close(count[i], DRAWS / 10, 0, 5 * sqrt(DRAWS / 10.0));
    assert_int_equal(firn__rng_below(1, 5, 1), 0);
    const uint64_t wide = UINT64_C(1) << 40;
    int upper = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        const uint64_t drawn = firn__rng_below(1, i, wide);
        assert_true(drawn < wide);
        upper += drawn >= wide / 2;
    }
    assert_close(upper, 500, 0, 80);
}

static void random_bits_are_balanced_for_neighbouring_indices_and_mixed_keys(void **state)
{
    (void)state;
    const uint64_t key = firn__rng_mix(9, 0), other = firn__rng_mix(9, 1);
    for (int bit = 0; bit < 32; bit++) {
        uint32_t ones = 0, flips = 0, key_flips = 0;
        for (uint32_t i = 0; i < 20000; i++) {
            const uint32_t x = firn__rng_u32(key, i);
            ones += x >> bit & 1;
            flips += (x ^ firn__rng_u32(key, i + 1)) >> bit & 1;
            key_flips += (x ^ firn__rng_u32(other, i)) >> bit & 1;
        }
        assert_close(ones, 10000, 0, 400);
        assert_close(flips, 10000, 0, 400);
        assert_close(key_flips, 10000, 0, 400);
    }
}

static void every_bit_of_the_data_and_its_length_reach_the_hash(void **state)
{
    (void)state;
    unsigned char data[200];
    test_fill_bytes(data, sizeof data, 1, 256);
    for (size_t n = 1; n <= sizeof data; n += 13) {
        const uint64_t hash = firn__hash(0, data, n);
        assert_true(hash != firn__hash(1, data, n));
        if (n < sizeof data) assert_true(hash != firn__hash(0, data, n + 1));
        for (size_t bit = 0; bit < n * 8; bit++) {
            data[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_true(hash != firn__hash(0, data, n));
            data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        assert_true(hash == firn__hash(0, data, n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_numbers_fill_the_unit_interval_evenly),
        cmocka_unit_test(normal_numbers_have_the_moments_and_tails_of_a_normal),
        cmocka_unit_test(normal_numbers_are_the_quantiles_of_their_draws),
        cmocka_unit_test(bounded_numbers_stay_below_their_bound),
        cmocka_unit_test(random_bits_are_balanced_for_neighbouring_indices_and_mixed_keys),
        cmocka_unit_test(every_bit_of_the_data_and_its_length_reach_the_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
