#include <string.h>

#include "convert.h"
#include "io_support.h"
#include "safetensors.h"

static const char *const path = "firn_test_save.safetensors";

/* "bn" with its states, "running_mean" outside of any layer, and names that only look like it. */
static firn_model *make_model(firn_ctx *ctx)
{
    firn_model *m = firn_model_create(ctx);
    assert_non_null(firn_param(m, "bn.weight", FIRN_SHAPE(2), (firn_init){0}));
    assert_non_null(firn_state(m, "bn.running_mean", FIRN_SHAPE(2), (firn_init){0}));
    assert_non_null(firn_state(m, "bn.running_var", FIRN_SHAPE(2), (firn_init){0}));
    assert_non_null(firn_state(m, "running_mean", FIRN_SHAPE(2), (firn_init){0}));
    assert_non_null(firn_param(m, "x.running_mean", FIRN_SHAPE(2), (firn_init){0}));
    assert_non_null(firn_state(m, "mean", FIRN_SHAPE(2), (firn_init){0}));
    return m;
}

static void batch_norm_layers_get_the_count_that_pytorch_asks_for(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = make_model(ctx);
    firn__file file;
    firn__st st;
    assert_ok(ctx, firn_save(m, path));
    assert_true(firn__file_open(&file, ctx, path) && firn__st_read(&st, &file));
    assert_int_equal(st.count, 8);
    static const char *const counts[] = {"bn.num_batches_tracked", "num_batches_tracked"};
    for (int i = 0; i < 2; i++) {
        const firn__st_entry *e = firn__st_find(&st, counts[i]);
        assert_non_null(e);
        assert_int_equal(e->type, FIRN__ST_I64);
        assert_int_equal(e->rank, 0);
    }
    assert_null(firn__st_find(&st, "x.num_batches_tracked"));
    firn__st_free(&st);
    firn__file_close(&file);
    firn_load_report report;
    assert_ok(ctx, firn_load(m, path, NULL, &report));
    assert_int_equal(report.loaded, 6);
    assert_int_equal(report.unused, 0);
    remove(path);
    firn_ctx_destroy(ctx);
}

/* The model's own number, and a state that only ends like one of batch norm's. */
static void no_name_is_written_twice_and_none_is_made_up(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    const float seven = 7;
    assert_non_null(firn_state(m, "bn.running_mean", FIRN_SHAPE(2), (firn_init){0}));
    assert_non_null(firn_state(m, "bn.num_batches_tracked", FIRN_SCALAR, (firn_init){0}));
    assert_non_null(firn_state(m, "ema_running_mean", FIRN_SHAPE(2), (firn_init){0}));
    assert_ok(ctx, firn_write(m, "bn.num_batches_tracked", &seven, 1));
    assert_ok(ctx, firn_save(m, path));
    assert_ok(ctx, firn_write(m, "bn.num_batches_tracked", &(float){0}, 1));
    firn_load_report report;
    assert_ok(ctx, firn_load(m, path, NULL, &report));
    assert_int_equal(report.loaded, 3);
    assert_int_equal(report.unused, 0);
    assert_close(*firn_data(firn_find(m, "bn.num_batches_tracked")), 7, 0, 0);
    remove(path);
    firn_ctx_destroy(ctx);
}

static void the_files_own_key_is_no_tensors_name(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    assert_non_null(firn_param(m, "__metadata__", FIRN_SHAPE(2), (firn_init){0}));
    assert_fails(ctx, FIRN_ERR_NAME, firn_save(m, path), "\"__metadata__\" file");
    assert_fails(ctx, FIRN_ERR_NAME, firn_save_delta(m, path), "\"__metadata__\" file");
    assert_false(file_exists(path));
    m = firn_model_create(ctx);
    assert_non_null(firn_param(m, "a.__metadata__", FIRN_SHAPE(2), (firn_init){0}));
    assert_ok(ctx, firn_save(m, path));
    assert_ok(ctx, firn_load(m, path, NULL, NULL));
    remove(path);
    firn_ctx_destroy(ctx);
}

static void an_empty_model_is_a_file_too(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    assert_ok(ctx, firn_save(m, path));
    assert_ok(ctx, firn_load(m, path, NULL, NULL));
    assert_ok(ctx, firn_save_delta(m, path));
    assert_ok(ctx, firn_load(m, path, NULL, NULL));
    remove(path);
    firn_ctx_destroy(ctx);
}

static void a_delta_holds_what_is_not_frozen(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = make_model(ctx);
    firn__file file;
    firn__st st;
    assert_ok(ctx, firn_freeze(m, "bn", NULL));
    assert_ok(ctx, firn_save_delta(m, path));
    assert_true(firn__file_open(&file, ctx, path) && firn__st_read(&st, &file));
    assert_int_equal(st.count, 3);
    assert_null(firn__st_find(&st, "bn.weight"));
    assert_null(firn__st_find(&st, "bn.running_var"));
    assert_non_null(firn__st_find(&st, "mean"));
    assert_string_equal(firn__st_metadata(&st, "firn.kind"), "delta");
    assert_string_equal(firn__st_metadata(&st, "firn.frozen"), "bn.weight,bn.running_mean,bn.running_var");
    assert_string_equal(firn__st_metadata(&st, "firn.states"), "bn.running_mean,bn.running_var,running_mean,mean");
    firn__st_free(&st);
    firn__file_close(&file);
    remove(path);
    firn_ctx_destroy(ctx);
}

/* The base's hash depends on names, shapes and values, not on the order of declaration. */
static void a_delta_knows_its_base_by_content(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second; /* in this order */
        firn_shape shape;
        float value;
        firn_status status;
    } rows[] = {
        {"base", "head", {2, {2, 2}}, 1, FIRN_OK},
        {"head", "base", {2, {2, 2}}, 1, FIRN_OK},
        {"bass", "head", {2, {2, 2}}, 1, FIRN_ERR_STATE},
        {"base", "head", {1, {4}}, 1, FIRN_ERR_STATE},
        {"base", "head", {2, {4, 1}}, 1, FIRN_ERR_STATE},
        {"base", "head", {2, {2, 2}}, 1.0000001f, FIRN_ERR_STATE},
    };
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        firn_model *m = firn_model_create(ctx);
        const char *const names[] = {rows[i].first, rows[i].second};
        for (int k = 0; k < 2; k++) {
            const bool head = strcmp(names[k], "head") == 0;
            assert_non_null(firn_param(m, names[k], head ? FIRN_SHAPE(2) : rows[i].shape, (firn_init){0}));
            const float v = head ? 5 : rows[i].value;
            assert_ok(ctx, firn_write(m, names[k], (float[]){v, v, v, v}, head ? 2 : 4));
        }
        if (i == 0) {
            assert_ok(ctx, firn_freeze(m, "base", NULL));
            assert_ok(ctx, firn_save_delta(m, path));
        }
        firn_clear_error(ctx);
        assert_status(ctx, rows[i].status, firn_load(m, path, NULL, NULL));
    }
    remove(path);
    firn_ctx_destroy(ctx);
}

/* Values are hashed a few thousand at a time: each of a large tensor's counts, up to the last. */
static void a_delta_knows_a_large_base_to_its_end(void **state)
{
    (void)state;
    enum { COUNT = 3 * FIRN__CHUNK / (int)sizeof(float) + 5 };
    static float values[COUNT];
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    assert_non_null(firn_param(m, "base", FIRN_SHAPE(COUNT), (firn_init){0}));
    assert_non_null(firn_param(m, "head", FIRN_SHAPE(2), (firn_init){0}));
    test_fill(values, COUNT, 1, -1, 1);
    assert_ok(ctx, firn_write(m, "base", values, COUNT));
    assert_ok(ctx, firn_freeze(m, "base", NULL));
    assert_ok(ctx, firn_save_delta(m, path));
    assert_ok(ctx, firn_load(m, path, NULL, NULL));
    for (int i = COUNT - 1; i > 0; i /= 2) {
        values[i] += 1;
        assert_ok(ctx, firn_write(m, "base", values, COUNT));
        assert_fails(ctx, FIRN_ERR_STATE, firn_load(m, path, NULL, NULL), "base hash");
        values[i] -= 1;
    }
    remove(path);
    firn_ctx_destroy(ctx);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *m = make_model(ctx);
    assert_ok(ctx, firn_freeze(m, "bn", NULL));
    firn_status (*const saves[])(const firn_model *, const char *) = {firn_save, firn_save_delta};
    for (int i = 0; i < 2; i++) {
        firn_status st = FIRN_ERR_MEMORY;
        size_t k = 0;
        while (st == FIRN_ERR_MEMORY) {
            assert_false(file_exists(path));
            firn_clear_error(ctx);
            const size_t held = memory.bytes;
            memory.fail_at = memory.calls + ++k;
            st = saves[i](m, path);
            assert_int_equal(memory.bytes, held);
        }
        assert_ok(ctx, st);
        assert_true(k > 5);
        remove(path);
    }
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_norm_layers_get_the_count_that_pytorch_asks_for),
        cmocka_unit_test(no_name_is_written_twice_and_none_is_made_up),
        cmocka_unit_test(the_files_own_key_is_no_tensors_name),
        cmocka_unit_test(an_empty_model_is_a_file_too),
        cmocka_unit_test(a_delta_holds_what_is_not_frozen),
        cmocka_unit_test(a_delta_knows_its_base_by_content),
        cmocka_unit_test(a_delta_knows_a_large_base_to_its_end),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("save", tests, NULL, NULL);
}
