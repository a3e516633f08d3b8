/* The memory of the benchmark nets: near the bound that lifetimes set, and in evaluation the same for any batch. */
#include "layout.h"
#include "nets.h"
#include "support.h"

static void the_arena_is_at_most_a_hundredth_above_its_lower_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_nets; i++)
        for (int threads = 1; threads <= 2; threads++) {
            firn_ctx *ctx = test_ctx(NULL, threads, NULL);
            const net_model m = net_build(&nets[i], ctx, 10);
            for (net_mode mode = NET_FULL; mode < NET_MODES; mode++)
                for (int eval = 0; eval < 2; eval++)
                    for (int features = 0; features < 2; features++) {
                        assert_ok(ctx, net_freeze(&nets[i], m.model, mode));
                        firn__layout l;
                        const firn_plan_options how = {.mode = eval ? FIRN_EVAL : FIRN_TRAIN, .batch = nets[i].batch, .features = features};
                        assert_ok(ctx, firn__layout_build(&l, eval ? m.logits : m.loss, &how, false));
                        if ((double)l.arena_bytes > 1.01 * (double)l.peak_bytes)
                            fail_msg("%s, %s, eval %d, features %d: %zu bytes, %zu alive at most", nets[i].name, net_mode_names[mode], eval,
                                     features, l.arena_bytes, l.peak_bytes);
                        firn__layout_free(&l);
                    }
            firn_ctx_destroy(ctx);
        }
}

static size_t evaluation_bytes(const net_model *m, firn_ctx *ctx, int batch)
{
    firn__layout l;
    assert_ok(ctx, firn__layout_build(&l, m->logits, &(firn_plan_options){.mode = FIRN_EVAL, .batch = batch}, false));
    const size_t bytes = l.arena_bytes - (size_t)batch * 10 * sizeof(float); /* what is read */
    firn__layout_free(&l);
    return bytes;
}

static void evaluation_needs_no_more_memory_for_a_larger_batch(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_nets; i++)
        for (int threads = 1; threads <= 8; threads++) {
            firn_ctx *ctx = test_ctx(NULL, threads, NULL);
            const net_model m = net_build(&nets[i], ctx, 10);
            const size_t a_pass = 32 * 10 * sizeof(float); /* of outputs, which are then copied to all the others */
            const size_t small = evaluation_bytes(&m, ctx, 32);
            assert_in_range(evaluation_bytes(&m, ctx, 1024), 0, small + a_pass);
            assert_in_range(evaluation_bytes(&m, ctx, 4096), 0, small + a_pass);
            firn_ctx_destroy(ctx);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_arena_is_at_most_a_hundredth_above_its_lower_bound),
        cmocka_unit_test(evaluation_needs_no_more_memory_for_a_larger_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
