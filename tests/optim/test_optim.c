#include <math.h>

#include "support.h"

static void the_functions_set_the_documented_defaults(void **state)
{
    (void)state;
    const firn_optim sgd = firn_sgd(0.5f, 0.9f), adamw = firn_adamw(0.1f), adadelta = firn_adadelta(1);
    assert_int_equal(sgd.kind, FIRN_SGD);
    assert_close(sgd.momentum, 0.9, 1e-6, 0);
    assert_close(adamw.weight_decay, 0.01, 1e-6, 0);
    assert_close(adadelta.rho, 0.95, 1e-6, 0);
    assert_close(adadelta.eps, 1e-7, 1e-6, 0);
    assert_int_equal(firn_adam(1).kind, FIRN_ADAM);
    assert_int_equal(firn_rmsprop(1).kind, FIRN_RMSPROP);
}

static void a_field_out_of_range_is_named(void **state)
{
    (void)state;
    static const struct {
        firn_optim how;
        const char *words;
    } cases[] = {
        {{.kind = (firn_optim_kind)9}, "kind 9"},
        {{.lr = -1}, "lr -1"},
        {{.lr = NAN}, "lr"},
        {{.lr = INFINITY}, "lr finite"},
        {{.momentum = -0.5f}, "momentum"},
        {{.kind = FIRN_ADAM, .momentum = 0.9f}, "momentum beta1"},
        {{.kind = FIRN_ADADELTA, .momentum = 0.9f}, "momentum"},
        {{.kind = FIRN_ADAM, .beta1 = 1}, "beta1 1 below"},
        {{.kind = FIRN_ADAM, .beta2 = 1.5f}, "beta2 1.5 below"},
        {{.kind = FIRN_ADADELTA, .rho = 1}, "rho"},
        {{.kind = FIRN_RMSPROP, .eps = -1e-8f}, "eps"},
        {{.weight_decay = -1}, "weight_decay"},
        {{.clip_norm = NAN}, "clip_norm"},
        {{.nesterov = true}, "nesterov momentum"},
        {{.kind = FIRN_RMSPROP, .momentum = 0.9f, .nesterov = true}, "nesterov SGD"},
    };
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        firn_optimizer *o;
        assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_optimizer_create(&o, m, &cases[i].how), cases[i].words);
        assert_null(o);
    }
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_functions_set_the_documented_defaults),
        cmocka_unit_test(a_field_out_of_range_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
