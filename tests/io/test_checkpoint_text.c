/* A position in words, and back; the options of a run in words. */
#include <locale.h>
#include <string.h>

#include "checkpoint.h"
#include "io_support.h"

static void the_text_of_a_position_is_exact(void **state)
{
    (void)state;
    const firn_trainer_position p = {UINT64_MAX, 2, 3, true, 5, 6, 7, 8, -0.1, 10, 11, 12, 1e300, 14, 15};
    firn_trainer_position back;
    char text[FIRN__POSITION_TEXT + 1];
    firn__position_text(&p, text);
    assert_true(firn__position_parse(text, &back));
    assert_memory_equal(&back.loss_sum, &p.loss_sum, sizeof p.loss_sum);
    assert_int_equal(back.steps, UINT64_MAX);
    assert_int_equal(back.stale, 15);
    assert_true(back.running);
    for (size_t n = strlen(text) - 2; n > 0; n--) { /* cut before its last digits: never whole */
        char cut[FIRN__POSITION_TEXT];
        memcpy(cut, text, n);
        cut[n] = '\0';
        assert_false(firn__position_parse(cut, &back));
    }
    strcat(text, " ");
    assert_false(firn__position_parse(text, &back));
}

/* Each is one that the bits depend on. */
static void the_text_of_a_run_tells_every_option(void **state)
{
    (void)state;
    static const firn_trainer_options all[] = {
        {0},
        {.batch = 8},
        {.accumulate = 2},
        {.optim = {.kind = FIRN_ADAMW}},
        {.optim = {.lr = 0.5f}},
        {.optim = {.momentum = 0.5f}},
        {.optim = {.momentum = 0.5f, .nesterov = true}},
        {.optim = {.beta1 = 0.5f}},
        {.optim = {.beta2 = 0.5f}},
        {.optim = {.rho = 0.5f}},
        {.optim = {.eps = 0.5f}},
        {.optim = {.weight_decay = 0.5f}},
        {.optim = {.clip_norm = 0.5f}},
        {.schedule = {.kind = FIRN_COSINE}},
        {.schedule = {.warmup = 5}},
        {.schedule = {.total = 5}},
        {.schedule = {.every = 5}},
        {.schedule = {.gamma = 0.5f}},
        {.schedule = {.floor = 0.5f}},
    };
    enum { COUNT = sizeof all / sizeof *all };
    static char texts[COUNT][FIRN__RUN_TEXT];
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    for (int i = 0; i < COUNT; i++) {
        firn__run_text(&(firn_trainer){.ctx = ctx, .opt = all[i]}, texts[i]);
        for (int k = 0; k < i; k++) assert_string_not_equal(texts[i], texts[k]);
    }
    firn_ctx_destroy(ctx);
}

/* An application may set a locale with another decimal point: the run is the same one. */
static void the_text_of_a_run_does_not_depend_on_the_locale(void **state)
{
    (void)state;
    static const char *const with_comma[] = {"ps_AF.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "de_DE", "fr_FR"};
    char here[FIRN__RUN_TEXT], there[FIRN__RUN_TEXT];
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    const firn_trainer t = {.ctx = ctx, .opt = {.optim = firn_adam(0.01f), .schedule = {.gamma = 0.3f, .floor = 0.1f}}};
    firn__run_text(&t, here);
    size_t i = 0;
    while (i < sizeof with_comma / sizeof *with_comma && setlocale(LC_ALL, with_comma[i]) == NULL) i++;
    firn__run_text(&t, there);
    setlocale(LC_ALL, "C");
    firn_ctx_destroy(ctx);
    assert_string_equal(here, there);
    if (i == sizeof with_comma / sizeof *with_comma) skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_of_a_position_is_exact),
        cmocka_unit_test(the_text_of_a_run_tells_every_option),
        cmocka_unit_test(the_text_of_a_run_does_not_depend_on_the_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
