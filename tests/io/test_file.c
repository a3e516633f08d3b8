/* Reading, with every fread, fseek and ftell made to fail in turn (linker option --wrap): each failure is told, nothing
 * leaks, and a model or trainer is as it was. */
#include <errno.h>
#include <string.h>

#include "io_support.h"
#include "safetensors.h"

enum { FREAD, FSEEK, FTELL, KINDS };
static size_t calls[KINDS], fail_at[KINDS]; /* from 1; zero: none */
static FILE *failed;                        /* whose fread failed: ferror() says so too */

static bool fails(int kind) { return ++calls[kind] == fail_at[kind]; }

size_t __real_fread(void *to, size_t size, size_t count, FILE *stream);
size_t __wrap_fread(void *to, size_t size, size_t count, FILE *stream);
int __real_ferror(FILE *stream);
int __wrap_ferror(FILE *stream);
int __real_fseek(FILE *stream, long offset, int whence);
int __wrap_fseek(FILE *stream, long offset, int whence);
long __real_ftell(FILE *stream);
long __wrap_ftell(FILE *stream);

size_t __wrap_fread(void *to, size_t size, size_t count, FILE *stream)
{
    if (!fails(FREAD)) return __real_fread(to, size, count, stream);
    failed = stream;
    errno = EIO;
    return 0;
}

int __wrap_ferror(FILE *stream) { return stream == failed || __real_ferror(stream); }

int __wrap_fseek(FILE *stream, long offset, int whence) { return fails(FSEEK) ? -1 : __real_fseek(stream, offset, whence); }
long __wrap_ftell(FILE *stream) { return fails(FTELL) ? -1 : __real_ftell(stream); }

static void none_fails(void)
{
    memset(calls, 0, sizeof calls);
    memset(fail_at, 0, sizeof fail_at);
    failed = NULL;
}

typedef struct rig {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_trainer *t;
} rig;

/* Tensors large enough to be read in several pieces; one has two names. */
static void rig_make(rig *r)
{
    *r = (rig){0};
    r->ctx = test_ctx(&r->memory, 1, NULL);
    r->m = firn_model_create(r->ctx);
    firn_tensor *x = firn_input(r->m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 60));
    x = firn_nn_linear(x, "a", &(firn_nn_linear_cfg){.out = 60});
    firn_tensor *y = firn_nn_linear(firn_relu(x), "b", &(firn_nn_linear_cfg){.out = 60});
    assert_ok(r->ctx, firn_alias(r->m, "tied.weight", firn_find(r->m, "a.weight")));
    assert_ok(r->ctx, firn_trainer_create(&r->t, firn_mse(y, x), y, NULL));
}

static void rig_free(rig *r)
{
    firn_trainer_destroy(r->t);
    firn_ctx_destroy(r->ctx);
    assert_all_freed(&r->memory);
}

static firn_status do_load(rig *r) { return firn_load(r->m, "firn_test_file", NULL, NULL); }
static firn_status do_resume(rig *r) { return firn_checkpoint_load(r->t, "firn_test_file_cp", NULL); }
static firn_status do_inspect(rig *r)
{
    FILE *out = tmpfile();
    const firn_status st = firn_file_inspect(r->ctx, "firn_test_file_cp", out);
    fclose(out);
    return st;
}
static firn_status do_idx(rig *r)
{
    firn_idx idx;
    const firn_status st = firn_idx_load(r->ctx, FIRN_TESTS_DIR "/corpus/idxgz/ok_stored_max.idx.gz", &idx);
    firn_idx_free(r->ctx, &idx);
    return st;
}

static void fill(rig *r, float value)
{
    float values[3600];
    for (int i = 0; i < 3600; i++) values[i] = value;
    for (size_t i = 0; i < firn_tensor_count(r->m); i++) {
        const firn_tensor_info t = firn_tensor_at(r->m, i);
        assert_ok(r->ctx, firn_write(r->m, t.name, values, (size_t)firn_shape_count(t.shape)));
    }
}

static void assert_filled(const rig *r, float value)
{
    for (size_t i = 0; i < firn_tensor_count(r->m); i++) {
        const firn_tensor_info t = firn_tensor_at(r->m, i);
        for (int64_t k = 0; k < firn_shape_count(t.shape); k++) assert_close(t.data[k], value, 0, 0);
    }
}

static void no_failing_read_changes_anything(void **state)
{
    (void)state;
    firn_status (*const actions[])(rig *) = {do_load, do_resume, do_inspect, do_idx};
    size_t failures[4][KINDS] = {{0}};
    rig r;
    rig_make(&r);
    fill(&r, 1);
    assert_ok(r.ctx, firn_save(r.m, "firn_test_file"));
    assert_ok(r.ctx, firn_checkpoint_save(r.t, "firn_test_file_cp", NULL));
    remove("firn_test_file_cp.1"); /* no older one to fall back to */
    for (int a = 0; a < 4; a++)
        for (int kind = 0; kind < KINDS; kind++) {
            firn_status st = FIRN_ERR_IO;
            for (size_t k = 1; st != FIRN_OK; k++) {
                fill(&r, 2);
                const size_t held = r.memory.bytes;
                firn_clear_error(r.ctx);
                none_fails();
                fail_at[kind] = k;
                st = actions[a](&r);
                none_fails();
                if (st != FIRN_OK) {
                    failures[a][kind]++;
                    assert_status(r.ctx, FIRN_ERR_IO, st);
                    assert_message_has(r.ctx, a == 3 ? "ok_stored_max" : "firn_test_file");
                    if (kind == FREAD) assert_message_has(r.ctx, strerror(EIO));
                    assert_one_line(firn_message(r.ctx));
                    assert_filled(&r, 2);
                    assert_int_equal(r.memory.bytes, held);
                } else if (a < 2) {
                    assert_filled(&r, 1);
                }
            }
        }
    for (int a = 0; a < 3; a++) assert_true(failures[a][FREAD] > 1 && failures[a][FSEEK] > 1 && failures[a][FTELL] == 1);
    assert_true(failures[3][FREAD] > 10);
    remove("firn_test_file");
    remove("firn_test_file_cp");
    rig_free(&r);
}

/* Without memory for a second copy the file is read twice: all failures of the first reading change nothing. */
static void with_little_memory_the_first_reading_finds_what_is_wrong(void **state)
{
    (void)state;
    rig r;
    rig_make(&r);
    fill(&r, 1);
    assert_ok(r.ctx, firn_save(r.m, "firn_test_file"));
    size_t without_memory = r.memory.calls;
    assert_ok(r.ctx, do_load(&r));
    without_memory = r.memory.calls - without_memory; /* the last one is for the last tensor's copy */
    size_t unchanged = 0, changed = 0;
    firn_status st = FIRN_ERR_IO;
    for (size_t k = 1; st != FIRN_OK; k++) {
        fill(&r, 2);
        firn_clear_error(r.ctx);
        none_fails();
        fail_at[FREAD] = k;
        r.memory.fail_at = r.memory.calls + without_memory;
        st = do_load(&r);
        r.memory.fail_at = 0;
        none_fails();
        if (st == FIRN_OK) break;
        assert_status(r.ctx, FIRN_ERR_IO, st);
        if (firn_tensor_at(r.m, 0).data[0] > 1.5f) {
            assert_filled(&r, 2);
            assert_int_equal(changed, 0);
            unchanged++;
        } else {
            changed++;
        }
    }
    assert_filled(&r, 1);
    assert_true(unchanged > changed);
    remove("firn_test_file");
    rig_free(&r);
}

static void texts_are_shown_in_one_line_and_not_cut_inside_a_character(void **state)
{
    (void)state;
    char out[FIRN__SHOWN], text[400] = "";
    assert_string_equal(firn__shown(out, ""), "");
    assert_string_equal(firn__shown(out, "a\n\x1b[0m\x7f"), "a??[0m?");
    assert_string_equal(firn__shown(out, "\xc2\x80 \xc2\x9b"
                                         "2J \xc2\xa0 \xc3\x9b \xe2\x82\x82"),
                        "?? ??2J \xc2\xa0 \xc3\x9b \xe2\x82\x82");
    for (int lead = 0; lead < 4; lead++) {
        memset(text, 'x', (size_t)lead);
        text[lead] = '\0';
        for (int i = 0; i < 60; i++) strcat(text, "\xf0\x9f\x98\x80");
        firn__shown(out, text);
        const size_t length = strlen(out);
        assert_true(length < FIRN__SHOWN && length > FIRN__SHOWN - 10);
        assert_string_equal(out + length - 3, "...");
        assert_int_equal((length - 3 - (size_t)lead) % 4, 0);
    }
    memset(text, 'y', FIRN__SHOWN - 4);
    text[FIRN__SHOWN - 4] = '\0';
    assert_string_equal(firn__shown(out, text), text);
}

static void places_beyond_what_a_long_holds_are_refused(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn__file file;
    none_fails();
    assert_true(firn__file_open(&file, ctx, FIRN_TESTS_DIR "/corpus/idx/ok_labels.idx"));
    assert_false(firn__file_seek(&file, UINT64_MAX));
    assert_int_equal(file.status, FIRN_ERR_IO);
    firn__file_close(&file);
    firn__file_close(&file);
    firn_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failing_read_changes_anything),
        cmocka_unit_test(with_little_memory_the_first_reading_finds_what_is_wrong),
        cmocka_unit_test(texts_are_shown_in_one_line_and_not_cut_inside_a_character),
        cmocka_unit_test(places_beyond_what_a_long_holds_are_refused),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
