#include <string.h>

#include "graph.h"
#include "support.h"

typedef struct fixture {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
} fixture;

/* features.0, features.3, head.0, head.2 with weight and bias; head.2.weight is also embed.weight; bn1 with states. */
static int set_up(void **state)
{
    static fixture f;
    f = (fixture){0};
    f.ctx = test_ctx(&f.memory, 1, NULL);
    f.m = firn_model_create(f.ctx);
    static const char *const layers[] = {"features.0", "features.3", "bn1", "head.0", "head.2"};
    for (size_t i = 0; i < 5; i++) {
        firn_scope_push(f.m, layers[i]);
        assert_non_null(firn_param(f.m, "weight", FIRN_SHAPE(4, 3), (firn_init){0}));
        assert_non_null(firn_param(f.m, "bias", FIRN_SHAPE(4), (firn_init){0}));
        if (i == 2) {
            assert_non_null(firn_state(f.m, "running_mean", FIRN_SHAPE(4), (firn_init){0}));
            assert_non_null(firn_state(f.m, "running_var", FIRN_SHAPE(4), (firn_init){.kind = FIRN_INIT_ONE}));
        }
        firn_scope_pop(f.m);
    }
    assert_ok(f.ctx, firn_alias(f.m, "embed.weight", firn_find(f.m, "head.2.weight")));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    firn_ctx_destroy(f->ctx);
    assert_all_freed(&f->memory);
    return 0;
}

/* The frozen bits in order of declaration, as text. */
static const char *mask(const firn_model *m)
{
    static char text[64];
    size_t i = 0;
    for (; i < firn_tensor_count(m); i++) text[i] = firn_tensor_at(m, i).frozen ? 'x' : '.';
    text[i] = '\0';
    return text;
}

static void selectors_freeze_what_they_name(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *selector, *mask;
        size_t count;
    } rows[] = {
        {"features", "xxxx........", 4},
        {"features.*", "xxxx........", 4},
        {"features.0", "xx..........", 2},
        {"*.bias", ".x.x.x...x.x", 5},
        {"features,!features.3.bias", "xxx.........", 3},
        {"!head", "xxxxxxxx....", 8},
        {"bn1.running_*", "......xx....", 2},
        {"head,!head.2,head.2.bias", "........xx.x", 3},
        {"embed", "..........x.", 1},
        {"*", "xxxxxxxxxxxx", 12},
        {"features.?.weight", "x.x.........", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t count = 99;
        assert_ok(f->ctx, firn_freeze(f->m, rows[i].selector, &count));
        assert_int_equal(count, rows[i].count);
        assert_string_equal(mask(f->m), rows[i].mask);
        assert_ok(f->ctx, firn_freeze(f->m, rows[i].selector, NULL)); /* idempotent */
        assert_string_equal(mask(f->m), rows[i].mask);
        assert_ok(f->ctx, firn_unfreeze(f->m, rows[i].selector, NULL));
        assert_string_equal(mask(f->m), "............");
    }
}

static void a_term_that_matches_nothing_changes_nothing(void **state)
{
    fixture *f = *state;
    assert_ok(f->ctx, firn_freeze(f->m, "features.0", NULL));
    static const char *const selectors[] = {"features.3,nothing", "conv1", "feature", "features.0.weight.x", "head.2,*.gamma"};
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        assert_fails(f->ctx, FIRN_ERR_NAME, firn_freeze(f->m, selectors[i], NULL), "firn_freeze matches no");
        assert_fails(f->ctx, FIRN_ERR_NAME, firn_freeze_only(f->m, selectors[i], NULL), "firn_freeze_only matches no");
        assert_fails(f->ctx, FIRN_ERR_NAME, firn_unfreeze(f->m, selectors[i], NULL), "firn_unfreeze matches no");
        assert_string_equal(mask(f->m), "xx..........");
    }
    assert_ok(f->ctx, firn_freeze(f->m, "features.3,!nothing", NULL)); /* taking away nothing is no mistake */
    assert_fails(f->ctx, FIRN_ERR_ARGUMENT, firn_freeze(f->m, "head,,bn1", NULL), "empty term");
    assert_fails(f->ctx, FIRN_ERR_ARGUMENT, firn_freeze(f->m, "!!head", NULL), "\"!!head\" two !");
    assert_fails(f->ctx, FIRN_ERR_ARGUMENT, firn_freeze(f->m, NULL, NULL), "NULL");
    assert_string_equal(mask(f->m), "xxxx........");
}

static void freeze_only_and_freeze_to_set_the_whole_mask(void **state)
{
    fixture *f = *state;
    size_t count;
    assert_ok(f->ctx, firn_freeze(f->m, "head", NULL));
    assert_ok(f->ctx, firn_freeze_only(f->m, "bn1", &count));
    assert_string_equal(mask(f->m), "....xxxx....");
    assert_int_equal(count, 4);
    assert_ok(f->ctx, firn_freeze_to(f->m, "head.0", &count));
    assert_string_equal(mask(f->m), "xxxxxxxx....");
    assert_int_equal(count, 8);
    assert_ok(f->ctx, firn_freeze_to(f->m, "features.0", &count));
    assert_int_equal(count, 0);
    assert_string_equal(mask(f->m), "............");
    assert_fails(f->ctx, FIRN_ERR_NAME, firn_freeze_to(f->m, "tail", NULL), "tail");
    assert_fails(f->ctx, FIRN_ERR_ARGUMENT, firn_freeze_to(f->m, "head*", NULL), "wildcards");
}

/* A linear layer "a" with dropout in it, one "b" with its own, and dropout "between" that belongs to none. */
static firn_model *with_dropout(firn_ctx *ctx)
{
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 4));
    static const char *const layers[] = {"a", "b"};
    for (int i = 0; i < 2; i++) {
        firn_scope_push(m, layers[i]);
        x = firn_nn_dropout(firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = 4}), "drop", 0.5f);
        firn_scope_pop(m);
        if (i == 0) x = firn_nn_dropout(x, "between", 0.5f);
    }
    assert_non_null(x);
    return m;
}

/* The eval bits of dropout in order: x is off. */
static const char *dropout_off(const firn_model *m)
{
    static char text[8];
    size_t n = 0;
    for (size_t i = 0; i < m->n_nodes; i++)
        if (m->nodes[i]->op->traits & FIRN_OP_RANDOM) text[n++] = m->nodes[i]->eval ? 'x' : '.';
    text[n] = '\0';
    return text;
}

static void dropout_comes_back_with_what_is_unfrozen(void **state)
{
    fixture *f = *state;
    firn_model *m = with_dropout(f->ctx);
    assert_ok(f->ctx, firn_freeze_eval(m, "*", NULL));
    assert_string_equal(dropout_off(m), "xxx");
    assert_ok(f->ctx, firn_freeze_only(m, "a", NULL));
    assert_string_equal(dropout_off(m), "x..");
    assert_string_equal(mask(m), "xx..");
    assert_ok(f->ctx, firn_freeze_only(m, "b", NULL));
    assert_string_equal(dropout_off(m), "..."); /* it never turns dropout off */
    assert_ok(f->ctx, firn_freeze_eval(m, "*", NULL));
    assert_ok(f->ctx, firn_freeze_to(m, "b", NULL));
    assert_string_equal(dropout_off(m), "x..");
    assert_ok(f->ctx, firn_freeze_to(m, "a", NULL));
    assert_string_equal(dropout_off(m), "...");
    assert_ok(f->ctx, firn_freeze_eval(m, "*", NULL)); /* as firn_load() does with freeze_loaded */
    assert_ok(f->ctx, firn__freeze_exactly(m, (bool[]){true, false, true, true}));
    assert_string_equal(dropout_off(m), "..x");
}

static void a_term_of_dropout_alone_freezes_nothing(void **state)
{
    fixture *f = *state;
    firn_model *m = with_dropout(f->ctx);
    size_t count = 7;
    assert_fails(f->ctx, FIRN_ERR_NAME, firn_freeze(m, "a.drop", &count), "firn_freeze \"a.drop\" matches no");
    assert_fails(f->ctx, FIRN_ERR_NAME, firn_freeze(m, "b,between", &count), "firn_freeze \"between\" matches no");
    assert_fails(f->ctx, FIRN_ERR_NAME, firn_freeze_only(m, "a.drop", &count), "firn_freeze_only \"a.drop\" matches no");
    assert_int_equal(count, 7);
    assert_string_equal(mask(m), "....");
    assert_ok(f->ctx, firn_select(m, "a.drop", NULL, &count));
    assert_int_equal(count, 0);
    assert_ok(f->ctx, firn_freeze_eval(m, "a.drop,between", &count));
    assert_string_equal(dropout_off(m), "xx.");
    assert_ok(f->ctx, firn_unfreeze(m, "a.drop", NULL));
    assert_string_equal(dropout_off(m), ".x.");
}

static void masks_come_back_from_the_stack(void **state)
{
    fixture *f = *state;
    assert_ok(f->ctx, firn_freeze(f->m, "features", NULL));
    assert_ok(f->ctx, firn_mask_push(f->m));
    assert_ok(f->ctx, firn_freeze_only(f->m, "head", NULL));
    assert_ok(f->ctx, firn_mask_push(f->m));
    assert_ok(f->ctx, firn_freeze(f->m, "*", NULL));
    assert_ok(f->ctx, firn_mask_pop(f->m));
    assert_string_equal(mask(f->m), "........xxxx");
    assert_non_null(firn_param(f->m, "late", FIRN_SHAPE(2), (firn_init){0}));
    assert_ok(f->ctx, firn_freeze(f->m, "late", NULL));
    assert_ok(f->ctx, firn_mask_pop(f->m));
    assert_string_equal(mask(f->m), "xxxx........x");
    assert_fails(f->ctx, FIRN_ERR_STATE, firn_mask_pop(f->m), "no mask");
    for (int i = 0; i < FIRN_MAX_MASKS; i++) assert_ok(f->ctx, firn_mask_push(f->m));
    assert_fails(f->ctx, FIRN_ERR_STATE, firn_mask_push(f->m), "16");
}

static void verify_names_the_first_frozen_tensor_whose_bytes_changed(void **state)
{
    fixture *f = *state;
    assert_ok(f->ctx, firn_freeze(f->m, "features,bn1", NULL));
    assert_ok(f->ctx, firn_verify_frozen(f->m));
    float *weight = (float *)firn_data(firn_find(f->m, "features.3.weight"));
    const float kept = weight[11];
    weight[11] += 1;
    assert_fails(f->ctx, FIRN_ERR_STATE, firn_verify_frozen(f->m), "features.3.weight");
    weight[11] = kept;
    assert_ok(f->ctx, firn_verify_frozen(f->m));
    weight = (float *)firn_data(firn_find(f->m, "head.0.weight"));
    weight[0] += 1; /* not frozen: not watched */
    assert_ok(f->ctx, firn_verify_frozen(f->m));
}

static void writing_a_frozen_tensor_is_allowed_and_verified_anew(void **state)
{
    fixture *f = *state;
    const float values[4] = {1, 2, 3, 4};
    assert_ok(f->ctx, firn_freeze(f->m, "features", NULL));
    assert_ok(f->ctx, firn_write(f->m, "features.0.bias", values, 4));
    assert_bits_equal(firn_data(firn_find(f->m, "features.0.bias")), values, 4);
    assert_ok(f->ctx, firn_verify_frozen(f->m));
    assert_fails(f->ctx, FIRN_ERR_SHAPE, firn_write(f->m, "features.0.bias", values, 3), "features.0.bias 3 [4]");
    assert_fails(f->ctx, FIRN_ERR_NAME, firn_write(f->m, "features.0", values, 4), "features.0");
    assert_fails(f->ctx, FIRN_ERR_ARGUMENT, firn_write(f->m, "features.0.bias", NULL, 4), "NULL");
}

static void the_same_name_is_the_same_tensor(void **state)
{
    fixture *f = *state;
    firn_tensor *w = firn_find(f->m, "head.2.weight");
    assert_ptr_equal(firn_param(f->m, "head.2.weight", FIRN_SHAPE(4, 3), (firn_init){0}), w);
    assert_ptr_equal(firn_find(f->m, "embed.weight"), w);
    assert_ok(f->ctx, firn_freeze(f->m, "embed.weight", NULL));
    assert_true(firn_is_frozen(w));
    assert_refused(f->ctx, FIRN_ERR_SHAPE, firn_param(f->m, "head.2.weight", FIRN_SHAPE(3, 4), (firn_init){0}), "head.2.weight [4, 3] [3, 4]");
    assert_refused(f->ctx, FIRN_ERR_NAME, firn_state(f->m, "head.2.weight", FIRN_SHAPE(4, 3), (firn_init){0}), "parameter state");
    assert_fails(f->ctx, FIRN_ERR_NAME, firn_alias(f->m, "head.0.weight", w), "already another");
    assert_ok(f->ctx, firn_alias(f->m, "embed.weight", w));
}

/* How many of the 64 that dropout reads it lets through. */
static int let_through(fixture *f, firn_plan *plan, const firn_tensor *dropped)
{
    float x[64];
    int count = 0;
    for (int i = 0; i < 64; i++) x[i] = 1;
    assert_ok(f->ctx, firn_plan_forward(plan, &(firn_feed){"x", x}, 1, 1));
    firn_plan_forget(plan);
    for (int i = 0; i < 64; i++) count += firn_plan_value(plan, dropped)[i] > 0;
    return count;
}

static void dropout_outside_of_all_layers_is_switched_on_and_off_with_everything(void **state)
{
    fixture *f = *state;
    firn_model *m = firn_model_create(f->ctx);
    firn_tensor *dropped = firn_dropout(firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 64)), 0.5f);
    firn_tensor *y = firn_nn_linear(dropped, "head", &(firn_nn_linear_cfg){.out = 1});
    const firn_plan_options how = {.mode = FIRN_TRAIN, .batch = 1, .watch = dropped};
    firn_plan *plan;
    assert_ok(f->ctx, firn_plan_create(&plan, firn_mse(y, firn_scale(y, 0)), &how));
    static const char *const off[] = {"!head", "*", "!nothing"}, *const on[] = {"*", "!head", "*,!head"};
    for (int i = 0; i < 3; i++) {
        assert_ok(f->ctx, firn_freeze_eval(m, off[i], NULL));
        assert_ok(f->ctx, firn_unfreeze(m, "head", NULL));
        assert_int_equal(let_through(f, plan, dropped), 64);
        assert_ok(f->ctx, firn_unfreeze(m, on[i], NULL));
        assert_in_range(let_through(f, plan, dropped), 10, 54);
    }
    firn_plan_destroy(plan);
}

static void an_empty_model_has_nothing_to_select(void **state)
{
    fixture *f = *state;
    firn_model *m = firn_model_create(f->ctx);
    size_t count = 99;
    assert_ok(f->ctx, firn_select(m, "!x", NULL, &count));
    assert_int_equal(count, 0);
    assert_ok(f->ctx, firn_freeze(m, "!x", &count));
    assert_fails(f->ctx, FIRN_ERR_NAME, firn_freeze(m, "*", NULL), "firn_freeze \"*\" matches no");
}

static void initial_values_depend_on_seed_and_name_alone(void **state)
{
    fixture *f = *state;
    firn_model *other = firn_model_create(f->ctx);
    firn_tensor *b = firn_param(other, "features.3.weight", FIRN_SHAPE(4, 3), (firn_init){0});
    assert_bits_equal(firn_data(b), firn_data(firn_find(f->m, "features.3.weight")), 12);
    firn_tensor *a = firn_param(other, "features.0.weight", FIRN_SHAPE(4, 3), (firn_init){0});
    assert_true(memcmp(firn_data(a), firn_data(b), 48) != 0);
    for (int i = 0; i < 12; i++) assert_true(firn_data(a)[i] > -0.5774f && firn_data(a)[i] < 0.5774f); /* 1/sqrt(3) */
}

static void scopes_nest_and_survive_a_bad_push(void **state)
{
    fixture *f = *state;
    firn_scope_push(f->m, "a");
    firn_scope_push(f->m, "bad name");
    firn_scope_push(f->m, "c");
    assert_null(firn_param(f->m, "w", FIRN_SHAPE(1), (firn_init){0}));
    assert_message_has(f->ctx, "firn_scope_push \"bad name\"");
    firn_tensor *w = firn_find(f->m, "features.0.weight");
    assert_status(f->ctx, FIRN_ERR_STATE, firn_alias(f->m, "tied", w)); /* not the status of the push */
    firn_clear_error(f->ctx);
    assert_fails(f->ctx, FIRN_ERR_STATE, firn_alias(f->m, "tied", w), "firn_alias \"tied\" scope");
    assert_refused(f->ctx, FIRN_ERR_STATE, firn_relu(w), "relu scope");
    firn_scope_pop(f->m);
    firn_scope_pop(f->m);
    firn_clear_error(f->ctx);
    firn_scope_push(f->m, "b");
    firn_tensor *t = firn_param(f->m, "w", FIRN_SHAPE(1), (firn_init){0});
    assert_string_equal(firn_tensor_name(t), "a.b.w");
    firn_scope_pop(f->m);
    firn_scope_pop(f->m);
    firn_scope_pop(f->m);
    assert_int_equal(firn_last_error(f->ctx), FIRN_ERR_STATE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(selectors_freeze_what_they_name),
        TEST(a_term_that_matches_nothing_changes_nothing),
        TEST(freeze_only_and_freeze_to_set_the_whole_mask),
        TEST(dropout_comes_back_with_what_is_unfrozen),
        TEST(a_term_of_dropout_alone_freezes_nothing),
        TEST(masks_come_back_from_the_stack),
        TEST(verify_names_the_first_frozen_tensor_whose_bytes_changed),
        TEST(writing_a_frozen_tensor_is_allowed_and_verified_anew),
        TEST(the_same_name_is_the_same_tensor),
        TEST(dropout_outside_of_all_layers_is_switched_on_and_off_with_everything),
        TEST(an_empty_model_has_nothing_to_select),
        TEST(initial_values_depend_on_seed_and_name_alone),
        TEST(scopes_nest_and_survive_a_bad_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
