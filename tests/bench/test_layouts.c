/* The memory of the benchmark nets: near the bound that lifetimes set, and the same for any batch where nothing is kept. */
#include <string.h>

#include "layout.h"
#include "nets.h"
#include "support.h"

static void the_arena_is_at_most_a_tenth_above_its_lower_bound(void **state)
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
                        if ((double)l.arena_bytes > 1.1 * (double)l.peak_bytes)
                            fail_msg("%s, %s, eval %d, features %d: %zu bytes, %zu alive at most", nets[i].name, net_mode_names[mode], eval,
                                     features, l.arena_bytes, l.peak_bytes);
                        firn__layout_free(&l);
                    }
            firn_ctx_destroy(ctx);
        }
}

/* What grows with the batch is what is fed and what is read, not what lies between. */
static void evaluation_depth_first_does_not_grow_with_the_batch(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_nets; i++) {
        if (strcmp(nets[i].name, "mlp") == 0) continue; /* its weights are larger than its activations: layer by layer */
        firn_ctx *ctx = test_ctx(NULL, 2, NULL);
        const net_model m = net_build(&nets[i], ctx, 10);
        size_t bytes[2];
        for (int k = 0; k < 2; k++) {
            firn__layout l;
            const int batch = k == 0 ? 32 : 1024;
            assert_ok(ctx, firn__layout_build(&l, m.logits, &(firn_plan_options){.mode = FIRN_EVAL, .batch = batch}, false));
            assert_true(l.n_regions > 0);
            bytes[k] = l.arena_bytes - (size_t)batch * (net_pixels + 10 * sizeof(float));
            firn__layout_free(&l);
        }
        if (strcmp(nets[i].name, "cnn") != 0) assert_in_range(bytes[1], 0, bytes[0] + bytes[0] / 50);
        firn_ctx_destroy(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_arena_is_at_most_a_tenth_above_its_lower_bound),
        cmocka_unit_test(evaluation_depth_first_does_not_grow_with_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
