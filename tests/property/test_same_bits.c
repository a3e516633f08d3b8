/* ARCHITECTURE: the same bits for any number of threads, on any instruction set. */
#include "nets.h"
#include "support.h"

static const int thread_counts[] = {1, 2, 3, 4, 7, 8};

static const firn_optim *optims(size_t *count)
{
    static firn_optim list[5];
    list[0] = firn_sgd(0.05f, 0.9f), list[1] = firn_adam(0.01f), list[2] = firn_adamw(0.01f);
    list[3] = firn_adadelta(1.0f), list[4] = firn_rmsprop(0.01f);
    *count = sizeof list / sizeof *list;
    return list;
}

static uint64_t trained(const net_row *row, const firn_optim *how, const char *frozen, int threads, const char *isa)
{
    firn_ctx *ctx = test_ctx(NULL, threads, isa);
    const net n = net_build(ctx, row);
    assert_ok(ctx, net_train(&n, how, frozen, 12));
    const uint64_t hash = net_hash(n.model);
    firn_ctx_destroy(ctx);
    return hash;
}

static void weights_do_not_depend_on_threads_and_instruction_set(void **state)
{
    (void)state;
    size_t n_optims;
    const firn_optim *how = optims(&n_optims);
    for (const net_row *row = net_rows; row->name; row++) {
        for (size_t o = 0; o < n_optims; o++) {
            const uint64_t expected = trained(row, &how[o], NULL, 1, "ref");
            for (const char *const *isa = test_isas(); *isa; isa++)
                for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++)
                    assert_int_equal(trained(row, &how[o], NULL, thread_counts[t], *isa), expected);
        }
    }
}

static void a_net_that_learnt_has_other_weights(void **state)
{
    (void)state;
    const firn_optim how = firn_sgd(0.05f, 0.9f), slower = firn_sgd(0.04f, 0.9f);
    for (const net_row *row = net_rows; row->name; row++)
        assert_int_not_equal(trained(row, &how, NULL, 1, "ref"), trained(row, &slower, NULL, 1, "ref"));
}

/* A prefix that runs depth first, in slices that depend on the threads. */
static void a_frozen_prefix_changes_nothing_about_that(void **state)
{
    (void)state;
    static const char *const prefix[] = {"fc1", "first", "stem,conv1,bn1"};
    const firn_optim how = firn_adam(0.01f);
    for (int i = 0; net_rows[i].name; i++) {
        const uint64_t expected = trained(&net_rows[i], &how, prefix[i], 1, "ref");
        for (const char *const *isa = test_isas(); *isa; isa++)
            for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++)
                assert_int_equal(trained(&net_rows[i], &how, prefix[i], thread_counts[t], *isa), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_do_not_depend_on_threads_and_instruction_set),
        cmocka_unit_test(a_net_that_learnt_has_other_weights),
        cmocka_unit_test(a_frozen_prefix_changes_nothing_about_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
