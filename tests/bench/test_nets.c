#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nets.h"

static uint64_t hash_of(const net *n, const char *isa, int threads, int batch, int steps)
{
    uint64_t hash = 0;
    assert_int_equal(net_hash(n, &(firn_ctx_options){.isa = isa, .threads = threads}, batch, steps, &hash), FIRN_OK);
    return hash;
}

static void assert_same(const net *n, uint64_t expected, const char *isa, int threads, int batch, int steps)
{
    const uint64_t hash = hash_of(n, isa, threads, batch, steps);
    if (hash != expected)
        fail_msg("%s: %016" PRIx64 " with %s on %d threads, not %016" PRIx64, n->name, hash, isa, threads, expected);
}

static void every_instruction_set_trains_the_same_weights(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_nets; i++) {
        const uint64_t expected = hash_of(&nets[i], "ref", 1, 4, 2);
        for (const char *const *isa = test_isas(); *isa != NULL; isa++) assert_same(&nets[i], expected, *isa, 3, 4, 2);
    }
}

static void every_number_of_threads_trains_the_same_weights(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 4, 7, 8};
    for (size_t i = 0; i < n_nets; i++) {
        uint64_t expected = 0;
        for (const char *const *isa = test_isas() + 1; *isa != NULL; isa++) { /* "ref" takes too long */
            if (expected == 0) expected = hash_of(&nets[i], *isa, 1, 20, 4);
            for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
                assert_same(&nets[i], expected, *isa, threads[t], 20, 4);
        }
    }
}

static void the_hash_sees_every_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_nets; i++) assert_true(hash_of(&nets[i], NULL, 1, 4, 1) != hash_of(&nets[i], NULL, 1, 4, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_trains_the_same_weights),
        cmocka_unit_test(every_number_of_threads_trains_the_same_weights),
        cmocka_unit_test(the_hash_sees_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
