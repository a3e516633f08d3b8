/* Every operator, on every instruction set and with several thread counts, against differences; and the checker against
 * operators that are wrong. */
#include <string.h>

#include "op_cases.h"
#include "support.h"

static void check_all(const char *isa, int threads)
{
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, threads, isa);
    for (size_t i = 0; i < all_op_cases_count; i++)
        assert_ok(ctx, firn_check_op(ctx, all_op_cases[i].op, all_op_cases[i].cases, all_op_cases[i].count));
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

static void gradients_agree_with_differences_on_every_instruction_set(void **state)
{
    (void)state;
    for (const char *const *isa = test_isas(); *isa != NULL; isa++) check_all(*isa, 1);
}

static void gradients_agree_with_differences_for_every_thread_count(void **state)
{
    (void)state;
    check_all(NULL, 2);
    check_all(NULL, 3);
}

static void every_operator_has_cases_and_there_are_300_checks(void **state)
{
    (void)state;
    static const firn_op *const ops[] = {
#define FIRN_OP(name) &firn__op_##name,
#include "ops.def"
#undef FIRN_OP
    };
    size_t checks = 0;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        const op_cases *found = NULL;
        for (size_t k = 0; k < all_op_cases_count; k++)
            if (all_op_cases[k].op == ops[i]) found = &all_op_cases[k];
        if (found == NULL || found->count == 0) fail_msg("operator \"%s\" (%zu of ops.def) has no cases", ops[i]->name, i);
        for (size_t c = 0; c < found->count; c++) {
            unsigned inputs = 0;
            for (int in = 0; in < ops[i]->n_in; in++)
                inputs += found->cases[c].in[in].rank >= 0 && found->cases[c].dtype[in] == FIRN_F32 &&
                          !(ops[i]->states >> in & 1);
            checks += 1u << inputs;
        }
    }
    printf("%zu checks, on each instruction set\n", checks);
    assert_true(checks >= 300);
}

/* ---- operators with one mistake each: y = 3x + x*z ---- */
enum mistake {
    NONE_AT_ALL,
    WRONG_GRADIENT,
    NAN_GRADIENT,
    ACCUMULATES,
    READS_LIE,
    NOT_IN_PLACE,
    OUT_OF_BOUNDS,
    MIXES_SAMPLES,
    OUT_OF_SCRATCH,
    LESS_THAN_A_SHARE
};
static enum mistake now;

static firn_status twofold_shape(firn_op_build *b)
{
    if (now == OUT_OF_SCRATCH) b->scratch_bytes = (size_t)b->in[0].shape.dim[0] * 64;
    if (now == LESS_THAN_A_SHARE) b->scratch_bytes = b->alone ? 64 : 640;
    *b->out = b->in[0];
    return FIRN_OK;
}

static void twofold_forward(const firn_op_run *r)
{
    const int64_t n = firn_shape_count(r->in[0].shape);
    const float *x = r->in[0].data, *z = r->in[1].data;
    float *y = r->out->data;
    for (int64_t i = 0; i < n; i++) {
        y[i] = 3 * x[i] + x[i] * z[i];
        if (now == NOT_IN_PLACE && i > 0 && x[i - 1] > 1.5f) y[i] += 1; /* inputs are not above 1, outputs are */
        if (now == MIXES_SAMPLES) y[i] += (float)r->in[0].shape.dim[0];
    }
    if (now == OUT_OF_BOUNDS) y[n] = 0;
    if (now == OUT_OF_SCRATCH) memset(r->scratch, 0, 65); /* enough for the whole batch */
}

static void twofold_backward(const firn_op_run *r)
{
    const int64_t n = firn_shape_count(r->dout->shape);
    const float *x = r->in[0].data, *z = r->in[1].data, *dy = r->dout->data;
    float *dx = r->din[0].data, *dz = r->din[1].data;
    for (int64_t i = 0; dz != NULL && i < n; i++)
        dz[i] = dy[i] * (now == WRONG_GRADIENT && i == n - 1 ? 1.01f * x[i] : x[i]);
    for (int64_t i = 0; dx != NULL && i < n; i++) {
        if (now == ACCUMULATES)
            dx[i] += dy[i] * (3 + z[i]);
        else
            dx[i] = dy[i] * (3 + z[i]);
        if (now == NAN_GRADIENT && i == 2) dx[i] = 0.0f / (x[0] - x[0]);
    }
}

static firn_status check_twofold(firn_ctx *ctx, enum mistake mistake)
{
    static const firn_op honest = {
        .name = "twofold",
        .n_in = 2,
        .traits = FIRN_OP_INPLACE,
        .shape = twofold_shape,
        .forward = twofold_forward,
        .backward = twofold_backward,
        .reads = {FIRN_READS_IN(1), FIRN_READS_IN(0)},
    };
    static const firn_op_case c = {.in = {{2, {3, 5}}, {2, {3, 5}}}};
    firn_op op = honest;
    if (mistake == NAN_GRADIENT) op.reads[0] |= FIRN_READS_IN(0);
    if (mistake == READS_LIE) op.reads[1] = 0;
    now = mistake;
    return firn_check_op(ctx, &op, &c, 1);
}

static void the_checker_accepts_what_is_right_and_names_what_is_wrong(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    assert_ok(ctx, check_twofold(ctx, NONE_AT_ALL));
    assert_fails(ctx, FIRN_ERR_NUMERIC, check_twofold(ctx, WRONG_GRADIENT),
                 "twofold case 0 input 1 element 14 differences");
    assert_fails(ctx, FIRN_ERR_NUMERIC, check_twofold(ctx, NAN_GRADIENT), "input 0 element 2 nan differences");
    assert_fails(ctx, FIRN_ERR_NUMERIC, check_twofold(ctx, ACCUMULATES), "input 0 element 0 nan");
    assert_fails(ctx, FIRN_ERR_NUMERIC, check_twofold(ctx, READS_LIE), "reads[] input 1 element 0 nan");
    assert_fails(ctx, FIRN_ERR_NUMERIC, check_twofold(ctx, NOT_IN_PLACE), "in place output");
    assert_fails(ctx, FIRN_ERR_NUMERIC, check_twofold(ctx, OUT_OF_BOUNDS), "outside buffers");
    assert_fails(ctx, FIRN_ERR_NUMERIC, check_twofold(ctx, MIXES_SAMPLES), "alone last sample");
    assert_fails(ctx, FIRN_ERR_NUMERIC, check_twofold(ctx, OUT_OF_SCRATCH), "alone outside scratch");
    assert_fails(ctx, FIRN_ERR_NUMERIC, check_twofold(ctx, LESS_THAN_A_SHARE), "alone 64 share 640");
    firn_ctx_destroy(ctx);
}

static void the_checker_refuses_what_is_no_operator(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    static const firn_op_case c = {.in = {{2, {2, 2}}}};
    firn_op op = {.name = "odd", .n_in = FIRN_OP_MAX_IN + 1, .shape = twofold_shape, .forward = twofold_forward};
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_check_op(ctx, &op, &c, 1), "\"odd\" n_in 6");
    op.n_in = 0;
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_check_op(ctx, &op, &c, 1), "\"odd\" n_in 6");
    op.n_in = 1;
    op.forward = NULL;
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_check_op(ctx, &op, &c, 1), "\"odd\" forward");
    firn_ctx_destroy(ctx);
}

static firn_status wider_shape(firn_op_build *b)
{
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = FIRN_SHAPE(b->in[0].shape.dim[0], 100)};
    return FIRN_OK;
}

static void the_checker_refuses_a_view_of_more_than_its_input(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    static const firn_op view = {.name = "wide", .n_in = 1, .traits = FIRN_OP_VIEW, .shape = wider_shape};
    static const firn_op_case cases[] = {{.in = {{2, {2, 100}}}}, {.in = {{2, {2, 3}}}}, {.in = {{2, {2, 400}}}}};
    static const firn_op_case bytes = {.in = {{2, {2, 100}}}, .dtype = {FIRN_U8}};
    assert_ok(ctx, firn_check_op(ctx, &view, cases, 1));
    assert_fails(ctx, FIRN_ERR_SHAPE, firn_check_op(ctx, &view, cases, 2), "\"wide\" case 1 view");
    assert_fails(ctx, FIRN_ERR_SHAPE, firn_check_op(ctx, &view, cases + 2, 1), "\"wide\" case 0 view");
    assert_fails(ctx, FIRN_ERR_SHAPE, firn_check_op(ctx, &view, &bytes, 1), "\"wide\" case 0 view");
    firn_ctx_destroy(ctx);
}

static void the_checker_refuses_cases_without_elements(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    static const firn_op_case cases[] = {
        {.in = {{2, {3, 0}}}},
        {.in = {{2, {0, 3}}}},
        {.in = {{2, {FIRN_BATCH, 3}}}},
        {.in = {{2, {INT64_MAX, 3}}}},
        {.in = {{FIRN_MAX_RANK + 1, {1, 1, 1, 1, 1, 1}}}},
        {.in = {{-1, {0}}}},
        {.in = {{2, {3, 2}}}, .dtype = {(firn_dtype)9}},
    };
    static const firn_op_case unlinked = {.in = {{2, {3, 2}}, {2, {0, 2}}, {.rank = -1}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_check_op(ctx, &firn__op_softmax, &cases[i], 1),
                     "\"softmax\" case 0 input 0");
        assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_check_op(ctx, &firn__op_scale, &cases[i], 1), "\"scale\" case 0 input 0");
    }
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_check_op(ctx, &firn__op_linear, &unlinked, 1), "\"linear\" case 0 input 1");
    firn_ctx_destroy(ctx);
}

static firn_status no_shape(firn_op_build *b)
{
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = {.rank = FIRN_MAX_RANK + 1}};
    return FIRN_OK;
}

static void the_checker_refuses_an_output_that_has_no_shape(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    static const firn_op op = {.name = "odd", .n_in = 1, .shape = no_shape, .forward = twofold_forward};
    static const firn_op_case c = {.in = {{2, {2, 2}}}};
    assert_fails(ctx, FIRN_ERR_SHAPE, firn_check_op(ctx, &op, &c, 1), "\"odd\" case 0 output shape");
    firn_ctx_destroy(ctx);
}

static void the_checker_survives_every_failed_allocation(void **state)
{
    (void)state;
    static const firn_op_case c = {.in = {{2, {4, 6}}, {2, {3, 6}}, {1, {3}}}, .param = 6};
    for (size_t fail_at = 1;; fail_at++) {
        test_memory memory = {0};
        firn_ctx *ctx = test_ctx(&memory, 1, NULL);
        memory.fail_at = memory.calls + fail_at;
        const firn_status st = firn_check_op(ctx, &firn__op_linear, &c, 1);
        memory.fail_at = 0;
        if (st != FIRN_OK) assert_int_equal(st, FIRN_ERR_MEMORY);
        firn_clear_error(ctx);
        assert_ok(ctx, firn_check_op(ctx, &firn__op_linear, &c, 1));
        firn_ctx_destroy(ctx);
        assert_all_freed(&memory);
        if (st == FIRN_OK) break;
        assert_true(fail_at < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_has_cases_and_there_are_300_checks),
        cmocka_unit_test(gradients_agree_with_differences_on_every_instruction_set),
        cmocka_unit_test(gradients_agree_with_differences_for_every_thread_count),
        cmocka_unit_test(the_checker_accepts_what_is_right_and_names_what_is_wrong),
        cmocka_unit_test(the_checker_refuses_what_is_no_operator),
        cmocka_unit_test(the_checker_refuses_a_view_of_more_than_its_input),
        cmocka_unit_test(the_checker_refuses_cases_without_elements),
        cmocka_unit_test(the_checker_refuses_an_output_that_has_no_shape),
        cmocka_unit_test(the_checker_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
