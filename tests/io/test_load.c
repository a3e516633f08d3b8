#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "io_support.h"

static const char *const path = "firn_test_load.safetensors";

static char *copy_text(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    assert_non_null(copy);
    return strcpy(copy, text);
}

/* "a.weight" [2, 3], "a.bias" [2], "b.running_mean" [4] (a state), "b.weight" [4] */
static firn_model *make_model(firn_ctx *ctx)
{
    firn_model *m = firn_model_create(ctx);
    assert_non_null(firn_param(m, "a.weight", FIRN_SHAPE(2, 3), (firn_init){0}));
    assert_non_null(firn_param(m, "a.bias", FIRN_SHAPE(2), (firn_init){0}));
    assert_non_null(firn_state(m, "b.running_mean", FIRN_SHAPE(4), (firn_init){0}));
    assert_non_null(firn_param(m, "b.weight", FIRN_SHAPE(4), (firn_init){.kind = FIRN_INIT_ONE}));
    return m;
}

static void fill_model(firn_model *m, uint64_t seed)
{
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const firn_tensor_info t = firn_tensor_at(m, i);
        float values[64];
        const size_t count = (size_t)firn_shape_count(t.shape);
        test_fill(values, count, seed + i, -1, 1);
        assert_ok(firn_model_ctx(m), firn_write(m, t.name, values, count));
    }
}

static void assert_models_equal(const firn_model *a, const firn_model *b)
{
    assert_int_equal(firn_tensor_count(a), firn_tensor_count(b));
    for (size_t i = 0; i < firn_tensor_count(a); i++) {
        const firn_tensor_info ta = firn_tensor_at(a, i), tb = firn_tensor_at(b, i);
        assert_string_equal(ta.name, tb.name);
        assert_bits_equal(ta.data, tb.data, (size_t)firn_shape_count(ta.shape));
    }
}

static void assert_report(firn_load_report r, size_t loaded, size_t converted, size_t missing, size_t mismatched,
                          size_t unused)
{
    assert_int_equal(r.loaded, loaded);
    assert_int_equal(r.converted, converted);
    assert_int_equal(r.missing, missing);
    assert_int_equal(r.mismatched, mismatched);
    assert_int_equal(r.unused, unused);
}

static void what_is_saved_loads(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *from = make_model(ctx), *to = make_model(ctx);
    firn_load_report report;
    fill_model(from, 1);
    assert_ok(ctx, firn_save(from, path));
    assert_ok(ctx, firn_load(to, path, NULL, &report));
    assert_report(report, 4, 0, 0, 0, 0);
    assert_models_equal(from, to);
    assert_ok(ctx, firn_save(to, "firn_test_load_2.safetensors"));
    assert_files_equal(path, "firn_test_load_2.safetensors");
    assert_ok(ctx, firn_load(to, path, NULL, NULL));
    remove("firn_test_load_2.safetensors");
    remove(path);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

/* Every option, against one file: the list has a line for each tensor. */
static void options_say_what_is_loaded(void **state)
{
    (void)state;
    static const struct {
        firn_load_options how;
        firn_status status;
        const char *words; /* of the message, or of the list */
        size_t loaded, missing, mismatched, unused;
    } rows[] = {
        /* the file: net.a.weight [2, 3], a.bias [3], b.running_mean [4], b.num_batches_tracked, xnum_batches_tracked [1] */
        {{0}, FIRN_ERR_SHAPE, "a.bias [3] [2] file model", 1, 2, 1, 2},
        {{.select = "!a"}, FIRN_ERR_NAME, "b.weight missing", 1, 1, 0, 3},
        {{.select = "!a", .allow_missing = true},
         FIRN_OK,
         "missing b.weight ignored b.num_batches_tracked unused xnum_batches_tracked",
         1,
         1,
         0,
         3},
        {{.select = "b.run*"}, FIRN_OK, "loaded b.running_mean F32 [4]", 1, 0, 0, 3},
        {{.select = "a", .rename = "net.a.=a."}, FIRN_ERR_NAME, "\"a.bias\" missing \"net.a.bias\"", 1, 1, 0, 3},
        {{.select = "a.weight", .rename = "net.=", .freeze_loaded = true}, FIRN_OK, "loaded a.weight", 1, 0, 0, 3},
        {{.allow_missing = true, .skip_mismatched = true}, FIRN_OK, "shape a.bias another", 1, 2, 1, 2},
        {{.skip_mismatched = true}, FIRN_ERR_NAME, "a.weight missing (2 of 4 asked", 1, 2, 1, 2},
        {{.select = "none"}, FIRN_ERR_NAME, "none matches", 0, 0, 0, 0},
        {{.select = ","}, FIRN_ERR_ARGUMENT, "empty term", 0, 0, 0, 0},
        {{.rename = "net."}, FIRN_ERR_ARGUMENT, "rename net.", 0, 0, 0, 0},
        {{.rename = "a=b=c"}, FIRN_ERR_ARGUMENT, "rename a=b=c", 0, 0, 0, 0},
    };
    put_safetensors(path,
                    "{\"net.a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                    "\"a.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[32,44]},"
                    "\"b.running_mean\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[44,60]},"
                    "\"b.num_batches_tracked\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                    "\"xnum_batches_tracked\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[60,64]}}",
                    64);
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *before = make_model(ctx);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        firn_model *m = make_model(ctx);
        firn_load_options how = rows[i].how;
        firn_load_report report;
        how.list = tmpfile();
        firn_clear_error(ctx);
        const firn_status st = firn_load(m, path, &how, &report);
        if (st != rows[i].status) print_error("row %zu\n", i);
        assert_status(ctx, rows[i].status, st);
        assert_report(report, rows[i].loaded, 0, rows[i].missing, rows[i].mismatched, rows[i].unused);
        if (st != FIRN_OK) {
            assert_message_has(ctx, rows[i].words);
            assert_one_line(firn_message(ctx));
            assert_models_equal(m, before);
        } else {
            char list[2048] = {0}, *words = copy_text(rows[i].words);
            rewind(how.list);
            assert_true(fread(list, 1, sizeof list - 1, how.list) > 0);
            for (char *w = strtok(words, " "); w != NULL; w = strtok(NULL, " "))
                if (strstr(list, w) == NULL) fail_msg("row %zu: no %s in %s", i, w, list);
            free(words);
        }
        if (how.freeze_loaded)
            for (size_t k = 0; k < 4; k++) assert_int_equal(firn_tensor_at(m, k).frozen, k == 0);
        fclose(how.list);
    }
    remove(path);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

static void every_type_is_converted(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        size_t bytes;
        uint8_t data[16];
        float expected[2];
    } rows[] = {
        {"BOOL", 1, {0, 1}, {0, 1}},
        {"U8", 1, {200, 1}, {200, 1}},
        {"I8", 1, {0xff, 5}, {-1, 5}},
        {"I16", 2, {0xfe, 0xff, 0, 1}, {-2, 256}},
        {"U16", 2, {0xfe, 0xff, 0, 1}, {65534, 256}},
        {"I32", 4, {0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0}, {-1, 1}},
        {"U32", 4, {0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0}, {4294967296.0f, 1}},
        {"I64", 8, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1}, {-2, 4294967296.0f}},
        {"U64", 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7}, {18446744073709551616.0f, 7}},
        {"F16", 2, {0x01, 0x80, 0x00, 0x3c}, {-0x1p-24f, 1}},
        {"F16", 2, {0xff, 0x7b, 0x00, 0xfc}, {65504, -INFINITY}},
        {"F16", 2, {0xff, 0x03, 0x00, 0x04}, {0x1.ff8p-15f, 0x1p-14f}},
        {"F16", 2, {0x00, 0x80, 0x55, 0x35}, {-0.0f, 0x1.554p-2f}},
        {"BF16", 2, {0x80, 0x3f, 0x01, 0xc0}, {1, -2.015625f}},
        {"F64", 8, {0, 0, 0, 0, 0, 0, 0xf0, 0xbf, 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f}, {-1, 0.1f}},
        {"F32", 4, {0, 0, 0x80, 0xbf, 0, 0, 0, 0x40}, {-1, 2}},
    };
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    assert_non_null(firn_param(m, "w", FIRN_SHAPE(2), (firn_init){0}));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[128];
        uint8_t file[256];
        firn_load_report report;
        const size_t n =
            (size_t)snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%zu]}}",
                             rows[i].type, 2 * rows[i].bytes);
        firn__put_le64(file, n);
        memcpy(file + 8, header, n);
        memcpy(file + 8 + n, rows[i].data, 2 * rows[i].bytes);
        put_file(path, file, 8 + n + 2 * rows[i].bytes);
        assert_ok(ctx, firn_load(m, path, NULL, &report));
        assert_int_equal(report.converted, strcmp(rows[i].type, "F32") != 0);
        assert_bits_equal(firn_tensor_at(m, 0).data, rows[i].expected, 2);
    }
    static const char *const without[] = {"C64", "F8_E4M3", "F8_E5M2", "F8_E8M0"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        char header[128];
        const size_t bytes = i == 0 ? 16 : 2;
        snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%zu]}}", without[i],
                 bytes);
        put_safetensors(path, header, bytes);
        assert_fails(ctx, FIRN_ERR_DTYPE, firn_load(m, path, NULL, NULL), "conversion w");
        firn_load_options how = {.list = tmpfile()};
        char line[128];
        assert_fails(ctx, FIRN_ERR_DTYPE, firn_load(m, path, &how, NULL), without[i]);
        rewind(how.list);
        assert_non_null(fgets(line, sizeof line, how.list));
        assert_non_null(strstr(line, "no conversion"));
        fclose(how.list);
    }
    remove(path);
    firn_ctx_destroy(ctx);
}

static void tied_names_must_agree(void **state)
{
    (void)state;
    static const char one[] = "{\"x.w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
                      two[] = "{\"x.w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                              "\"y.w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
                      types[] = "{\"x.w\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                                "\"y.w\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
                      shapes[] = "{\"x.w\":{\"dtype\":\"U8\",\"shape\":[1,2],\"data_offsets\":[0,2]},"
                                 "\"y.w\":{\"dtype\":\"U8\",\"shape\":[1,2],\"data_offsets\":[2,4]}}";
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *w = firn_param(m, "y.w", FIRN_SHAPE(2), (firn_init){0});
    assert_ok(ctx, firn_alias(m, "x.w", w));
    put_safetensors(path, one, 2);
    assert_ok(ctx, firn_load(m, path, NULL, NULL));
    put_safetensors(path, two, 4);
    assert_fails(ctx, FIRN_ERR_FORMAT, firn_load(m, path, NULL, NULL), "x.w another name y.w differ");
    put_safetensors(path, types, 4);
    assert_fails(ctx, FIRN_ERR_FORMAT, firn_load(m, path, NULL, NULL), "x.w y.w");
    assert_ok(ctx, firn_save(m, path)); /* both names, as PyTorch wants */
    firn_load_report report;
    assert_ok(ctx, firn_load(m, path, NULL, &report));
    assert_report(report, 1, 0, 0, 0, 0);
    put_safetensors(path, shapes, 4);
    assert_ok(ctx, firn_load(m, path, &(firn_load_options){.skip_mismatched = true}, &report));
    assert_report(report, 0, 0, 0, 1, 0); /* one tensor, under two names */
    remove(path);
    firn_ctx_destroy(ctx);
}

static void frozen_tensors_are_loaded_and_stay_frozen(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = make_model(ctx), *other = make_model(ctx);
    fill_model(m, 3);
    assert_ok(ctx, firn_save(m, path));
    assert_ok(ctx, firn_freeze(other, "a", NULL));
    assert_ok(ctx, firn_load(other, path, NULL, NULL));
    assert_models_equal(m, other);
    assert_ok(ctx, firn_verify_frozen(other));
    assert_true(firn_tensor_at(other, 0).frozen);
    assert_false(firn_tensor_at(other, 3).frozen);
    remove(path);
    firn_ctx_destroy(ctx);
}

static void a_delta_fits_its_base_alone(void **state)
{
    (void)state;
    const char *delta = "firn_test_load.delta";
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *tuned = make_model(ctx), *base = make_model(ctx), *other = make_model(ctx);
    firn_load_report report;
    fill_model(tuned, 1);
    assert_ok(ctx, firn_save(tuned, path));
    assert_ok(ctx, firn_load(base, path, NULL, NULL));
    assert_ok(ctx, firn_freeze(tuned, "a", NULL));
    assert_ok(ctx, firn_write(tuned, "b.weight", (float[]){9, 8, 7, 6}, 4));
    assert_ok(ctx, firn_write(tuned, "b.running_mean", (float[]){5, 5, 5, 5}, 4));
    assert_ok(ctx, firn_save_delta(tuned, delta));

    FILE *list = tmpfile();
    char lines[256] = {0};
    assert_ok(ctx, firn_load(base, delta, &(firn_load_options){.list = list}, &report));
    assert_report(report, 2, 0, 0, 0, 0);
    rewind(list);
    assert_true(fread(lines, 1, sizeof lines - 1, list) > 0);
    fclose(list);
    assert_non_null(strstr(lines, "base      a.weight\n")); /* it is not missing */
    assert_null(strstr(lines, "missing"));
    assert_models_equal(base, tuned);

    fill_model(other, 2);
    firn_model *kept = make_model(ctx);
    fill_model(kept, 2);
    assert_status(ctx, FIRN_ERR_STATE, firn_load(other, delta, NULL, NULL));
    assert_message_has(ctx, "delta base");
    size_t hashes = 0, digits = 0;
    for (const char *p = firn_message(ctx); *p != '\0'; p++) {
        digits = strchr("0123456789abcdef", *p) ? digits + 1 : 0;
        hashes += digits == 16;
    }
    assert_int_equal(hashes, 2);
    assert_models_equal(other, kept);

    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_load(base, delta, &(firn_load_options){.select = "b"}, NULL), "whole");
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_load(base, delta, &(firn_load_options){.rename = "x=y"}, NULL), "whole");
    firn_model *stranger = firn_model_create(ctx);
    assert_non_null(firn_param(stranger, "b.weight", FIRN_SHAPE(4), (firn_init){0}));
    assert_fails(ctx, FIRN_ERR_NAME, firn_load(stranger, delta, NULL, NULL), "lacks \"b.running_mean\" 1");
    put_safetensors(path, "{\"__metadata__\":{\"firn.kind\":\"delta\"}}", 0);
    assert_fails(ctx, FIRN_ERR_STATE, firn_load(base, path, NULL, NULL), "(none)");
    remove(path);
    remove(delta);
    firn_ctx_destroy(ctx);
}

static void misuse_is_named(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = make_model(ctx);
    assert_status(NULL, FIRN_ERR_ARGUMENT, firn_load(NULL, path, NULL, NULL));
    assert_status(NULL, FIRN_ERR_ARGUMENT, firn_save(NULL, path));
    assert_status(NULL, FIRN_ERR_ARGUMENT, firn_save_delta(NULL, path));
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_load(m, NULL, NULL, NULL), "path NULL");
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_save(m, NULL), "path NULL");
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_save_delta(m, NULL), "path NULL");
    assert_fails(ctx, FIRN_ERR_IO, firn_load(m, "firn_no_such_file", NULL, NULL), "firn_no_such_file opened");
    assert_fails(ctx, FIRN_ERR_IO, firn_save(m, "firn_no_such_folder/file"), "firn_no_such_folder opened");
    put_file(path, "PK\3\4 and more", 13);
    assert_fails(ctx, FIRN_ERR_FORMAT, firn_load(m, path, NULL, NULL), "torch.save() save_file()");
    put_file(path, "\x80\2 and more", 11);
    assert_fails(ctx, FIRN_ERR_FORMAT, firn_load(m, path, NULL, NULL), "torch.save() save_file()");
    remove(path);
    firn_ctx_destroy(ctx);
}

/* Every allocation fails once: the load succeeds all the same (it can do with less memory) or says so and has changed
 * nothing. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_model *from = make_model(ctx), *m = make_model(ctx), *before = make_model(ctx);
    fill_model(from, 1);
    fill_model(before, 2);
    assert_ok(ctx, firn_save(from, path));
    size_t failures = 0, loads = 0;
    for (size_t k = 1; loads < 12; k++) {
        fill_model(m, 2);
        assert_ok(ctx, firn_unfreeze(m, "*", NULL));
        firn_clear_error(ctx);
        const size_t held = memory.bytes, calls = memory.calls;
        memory.fail_at = calls + k;
        const firn_status st = firn_load(m, path, &(firn_load_options){.freeze_loaded = true}, NULL);
        memory.fail_at = 0;
        assert_int_equal(memory.bytes, held);
        assert_true(st == FIRN_OK || st == FIRN_ERR_MEMORY);
        assert_models_equal(m, st == FIRN_OK ? from : before);
        assert_int_equal(firn_tensor_at(m, 0).frozen, st == FIRN_OK);
        failures += st != FIRN_OK;
        loads += st == FIRN_OK;
        if (st == FIRN_OK) assert_string_equal(firn_message(ctx), "");
    }
    assert_true(failures > 5);
    remove(path);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_loads),
        cmocka_unit_test(options_say_what_is_loaded),
        cmocka_unit_test(every_type_is_converted),
        cmocka_unit_test(tied_names_must_agree),
        cmocka_unit_test(frozen_tensors_are_loaded_and_stay_frozen),
        cmocka_unit_test(a_delta_fits_its_base_alone),
        cmocka_unit_test(misuse_is_named),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
