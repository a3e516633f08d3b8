#include <stdlib.h>
#include <string.h>

#include "io_support.h"

static const char *const path = "firn_test_inspect";

/* The status of firn_file_inspect(); text is what it wrote. */
static firn_status inspect(firn_ctx *ctx, char text[4096])
{
    FILE *out = tmpfile();
    assert_non_null(out);
    firn_clear_error(ctx);
    const firn_status st = firn_file_inspect(ctx, path, out);
    rewind(out);
    text[fread(text, 1, 4095, out)] = '\0';
    fclose(out);
    if (st != FIRN_OK) assert_string_equal(text, "");
    return st;
}

static void assert_has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL) fail_msg("no \"%s\" in\n%s", line, text);
}

static void a_model_file_shows_names_types_roles_and_frozen_bits(void **state)
{
    (void)state;
    char text[4096];
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    assert_non_null(firn_param(m, "conv.weight", FIRN_SHAPE(2, 3), (firn_init){0}));
    assert_non_null(firn_param(m, "b", FIRN_SCALAR, (firn_init){0}));
    assert_non_null(firn_state(m, "bn.running_mean", FIRN_SHAPE(4), (firn_init){0}));
    assert_ok(ctx, firn_save(m, path));
    assert_ok(ctx, inspect(ctx, text));
    assert_null(strstr(text, "yes"));
    assert_ok(ctx, firn_freeze(m, "conv,bn", NULL));
    assert_ok(ctx, firn_save(m, path));
    assert_ok(ctx, inspect(ctx, text));
    assert_has(text, "safetensors: 4 tensors, 52 bytes of data");
    assert_has(text, "  firn.frozen = conv.weight,bn.running_mean\n");
    assert_has(text, "  firn.states = bn.running_mean\n");
    assert_has(text, "\nconv.weight             F32                 yes               24  [2, 3]\n");
    assert_has(text, "\nb                       F32                                    4  []\n");
    assert_has(text, "\nbn.running_mean         F32          state  yes               16  [4]\n");
    assert_has(text, "\nbn.num_batches_tracked  I64                                    8  []\n");
    assert_ok(ctx, firn_save_delta(m, path));
    assert_ok(ctx, inspect(ctx, text));
    assert_has(text, "delta: 1 tensors, 4 bytes of data");
    assert_has(text, "  firn.base = ");
    remove(path);
    firn_ctx_destroy(ctx);
}

static void both_names_of_a_tensor_show_what_it_is(void **state)
{
    (void)state;
    char text[4096];
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    assert_ok(ctx, firn_alias(m, "tied.weight", firn_param(m, "embed.weight", FIRN_SHAPE(2, 3), (firn_init){0})));
    assert_ok(ctx, firn_alias(m, "tied.mean", firn_state(m, "mean", FIRN_SHAPE(2), (firn_init){0})));
    assert_ok(ctx, firn_freeze(m, "embed", NULL));
    assert_ok(ctx, firn_save(m, path));
    assert_ok(ctx, inspect(ctx, text));
    assert_has(text, "  firn.frozen = embed.weight,tied.weight\n");
    assert_has(text, "  firn.states = mean,tied.mean\n");
    assert_has(text, "\ntied.mean     F32          state ");
    assert_has(text, "\nembed.weight  F32                 yes ");
    assert_has(text, "\ntied.weight   F32                 yes ");
    remove(path);
    firn_ctx_destroy(ctx);
}

static void a_checkpoint_must_be_whole(void **state)
{
    (void)state;
    char text[4096];
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *y = firn_nn_linear(x, "fc", &(firn_nn_linear_cfg){.out = 2});
    firn_trainer *t = NULL;
    assert_ok(ctx, firn_trainer_create(&t, firn_mse(y, x), y, NULL));
    assert_ok(ctx, firn_checkpoint_save(t, path, NULL));
    assert_ok(ctx, inspect(ctx, text));
    assert_has(text, "checkpoint: 2 tensors");
    assert_has(text, "  firn.position = steps=0 ");
    size_t size;
    uint8_t *bytes = get_file(path, &size);
    bytes[size - 1] ^= 1;
    put_file(path, bytes, size);
    assert_status(ctx, FIRN_ERR_FORMAT, inspect(ctx, text));
    assert_message_has(ctx, "checksum damaged");
    assert_one_line(firn_message(ctx));
    free(bytes);
    remove(path);
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
}

static void files_are_told_apart_by_content(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
        const char *words; /* of the table; of the message after '!' */
    } rows[] = {
        {"\0\0\x08\1\0\0\0\2hi", 10, "IDX: U8 [2], 2 bytes"},
        {"\0\0\x0b\2\0\0\0\1\0\0\0\1hi", 14, "IDX: I16 [1, 1], 2 bytes"},
        {"\0\0\x08\1\0\0\0\0", 8, "!"}, /* could be the length of a header of 17 MB */
        {"\0\0\x08\1", 4, "!IDX end before"},
        {"\0\1", 2, "!ends"},
        {"\0", 1, "!ends"},
        {"", 0, "!ends"},
        {"\x1f\x8b", 2, "!compressed"},
        {"\x1f", 1, "!ends"},
        {"\2\0\0\0\0\0\0\0{}", 10, "safetensors: 0 tensors, 0 bytes of data behind a header of 2"},
        {"a,b,c\n1,2,3\n", 12, "!not safetensors"},
    };
    char text[4096];
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_file(path, rows[i].bytes, rows[i].count);
        const bool good = *rows[i].words != '!';
        assert_status(ctx, good ? FIRN_OK : FIRN_ERR_FORMAT, inspect(ctx, text));
        if (good)
            assert_has(text, rows[i].words);
        else
            assert_message_has(ctx, rows[i].words + 1);
    }
    remove(path);
    firn_ctx_destroy(ctx);
}

/* Names come from strangers: nothing in them reaches a terminal as a command, and none is endless. */
static void odd_names_are_shown_harmlessly(void **state)
{
    (void)state;
    char text[4096], header[1024], name[400];
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    memset(name, 0, sizeof name);
    for (int i = 0; i < 120; i++) strcat(name, "\xc3\xa9");
    snprintf(header, sizeof header,
             "{\"__metadata__\":{\"\\u001b[2J\":\"\\u0007\",\"firn.frozen\":\"x,no,,y\\n\"},"
             "\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
             "\"y\\n\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
             name);
    put_safetensors(path, header, 2);
    assert_ok(ctx, inspect(ctx, text));
    assert_has(text, "  ?[2J = ?\n");
    assert_has(text, "\xc3\xa9...  U8 ");
    assert_has(text, "\ny? ");
    assert_has(text, "yes");
    for (const char *p = text; *p; p++) assert_true((unsigned char)*p >= ' ' || *p == '\n');
    remove(path);
    firn_ctx_destroy(ctx);
}

static void misuse_is_named(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    assert_status(NULL, FIRN_ERR_ARGUMENT, firn_file_inspect(NULL, path, stdout));
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_file_inspect(ctx, NULL, stdout), "path NULL");
    assert_fails(ctx, FIRN_ERR_ARGUMENT, firn_file_inspect(ctx, path, NULL), "out NULL");
    assert_fails(ctx, FIRN_ERR_IO, firn_file_inspect(ctx, "firn_no_such_file", stdout), "firn_no_such_file");
    assert_fails(ctx, FIRN_ERR_IO, firn_file_inspect(ctx, ".", stdout), "read");
    put_file(path, "\2\0\0\0\0\0\0\0{}", 10);
    FILE *read_only = fopen(path, "rb");
    assert_non_null(read_only);
    setvbuf(read_only, NULL, _IONBF, 0);
    assert_fails(ctx, FIRN_ERR_IO, firn_file_inspect(ctx, path, read_only), "table written");
    fclose(read_only);
    remove(path);
    firn_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_file_shows_names_types_roles_and_frozen_bits),
        cmocka_unit_test(both_names_of_a_tensor_show_what_it_is),
        cmocka_unit_test(a_checkpoint_must_be_whole),
        cmocka_unit_test(files_are_told_apart_by_content),
        cmocka_unit_test(odd_names_are_shown_harmlessly),
        cmocka_unit_test(misuse_is_named),
    };
    return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
