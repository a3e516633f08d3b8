/* The writer, with every fopen, fwrite, fflush, fclose and rename made to fail in turn (linker option --wrap). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "io_support.h"
#include "safetensors.h"
#include "writer.h"

enum { FOPEN, FWRITE, FFLUSH, FCLOSE, RENAME, KINDS };
static size_t calls[KINDS], fail_at[KINDS]; /* from 1; zero: none */
static bool counting;

static bool fails(int kind)
{
    if (!counting || ++calls[kind] != fail_at[kind]) return false;
    errno = ENOSPC;
    return true;
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
size_t __real_fwrite(const void *bytes, size_t size, size_t count, FILE *stream);
size_t __wrap_fwrite(const void *bytes, size_t size, size_t count, FILE *stream);
int __real_fflush(FILE *stream);
int __wrap_fflush(FILE *stream);
int __real_fclose(FILE *stream);
int __wrap_fclose(FILE *stream);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return *mode == 'w' && fails(FOPEN) ? NULL : __real_fopen(path, mode);
}

size_t __wrap_fwrite(const void *bytes, size_t size, size_t count, FILE *stream)
{
    return fails(FWRITE) ? __real_fwrite(bytes, size, count / 2, stream) : __real_fwrite(bytes, size, count, stream);
}

int __wrap_fflush(FILE *stream) { return fails(FFLUSH) ? EOF : __real_fflush(stream); }

int __wrap_fclose(FILE *stream)
{
    const int result = __real_fclose(stream);
    return fails(FCLOSE) ? EOF : result;
}

int __wrap_rename(const char *from, const char *to) { return fails(RENAME) ? -1 : __real_rename(from, to); }

static const char *const path = "firn_test_writer", *const old = "firn_test_writer.1",
                         *const temporary = "firn_test_writer.tmp";

static void remove_all(void)
{
    remove(path);
    remove(old);
    remove(temporary);
}

static void put_text(const char *at, const char *text) { put_file(at, text, strlen(text)); }

static void assert_holds(const char *at, const char *text)
{
    char *bytes = get_file(at, NULL);
    assert_string_equal(bytes, text);
    free(bytes);
}

static float values[5000];

static firn_status write_some(firn_ctx *ctx, bool keep_old)
{
    firn__writer w;
    firn__writer_begin(&w, ctx);
    firn__writer_checksum(&w);
    firn__writer_number(&w, "a.", "number", 7);
    firn__writer_tensor(&w, "", "b", FIRN_SHAPE(50, 100), values);
    const firn_status st = firn__writer_write(&w, path, &(firn__writer_how){.keep_old = keep_old});
    firn__writer_free(&w);
    return st;
}

/* Each call fails once: the status says so, what was there is there, and no temporary file is left. */
static void no_failing_call_harms_the_old_file(void **state)
{
    (void)state;
    size_t failures[KINDS] = {0};
    for (int keep_old = 0; keep_old < 2; keep_old++)
        for (int kind = 0; kind < KINDS; kind++) {
            firn_status st = FIRN_ERR_IO;
            for (size_t k = 1; st != FIRN_OK; k++) {
                test_memory memory = {0};
                firn_ctx *ctx = test_ctx(&memory, 1, NULL);
                put_text(path, "new");
                put_text(old, "old");
                memset(calls, 0, sizeof calls);
                memset(fail_at, 0, sizeof fail_at);
                fail_at[kind] = k;
                counting = true;
                st = write_some(ctx, keep_old);
                counting = false;
                assert_false(file_exists(temporary));
                if (st != FIRN_OK) {
                    failures[kind]++;
                    assert_status(ctx, FIRN_ERR_IO, st);
                    assert_message_has(ctx, path);
                    assert_one_line(firn_message(ctx));
                    assert_holds(path, "new");
                    if (!keep_old) assert_holds(old, "old");
                } else {
                    assert_holds(old, keep_old ? "new" : "old");
                }
                firn_ctx_destroy(ctx);
                assert_all_freed(&memory);
            }
        }
    assert_true(failures[FOPEN] == 2 && failures[FWRITE] == 2 * 5 && failures[FFLUSH] == 2 && failures[FCLOSE] == 2);
    assert_true(failures[RENAME] == 3);
    remove_all();
}

static void without_an_old_file_there_is_none_to_keep(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    remove_all();
    assert_ok(ctx, write_some(ctx, true));
    assert_true(file_exists(path));
    assert_false(file_exists(old));
    remove_all();
    firn_ctx_destroy(ctx);
}

/* What stands where the temporary file would be, and cannot be written, is not the writer's to remove. */
static void what_is_in_the_way_is_left_there(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    remove_all();
    assert_int_equal(mkdir(temporary, 0777), 0);
    assert_fails(ctx, FIRN_ERR_IO, write_some(ctx, true), "firn_test_writer.tmp opened");
    assert_true(file_exists(temporary));
    remove_all();
    firn_ctx_destroy(ctx);
}

/* A folder is no older file: it is not moved out of the way. */
static void a_folder_is_not_kept_as_the_old_file(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    remove_all();
    assert_int_equal(mkdir(path, 0777), 0);
    assert_fails(ctx, FIRN_ERR_IO, write_some(ctx, true), path);
    assert_false(file_exists(old));
    assert_false(file_exists(temporary));
    remove_all();
    firn_ctx_destroy(ctx);
}

static void texts_are_escaped(void **state)
{
    (void)state;
    static const char odd[] = "\"quotes\" \\ / \n\t\x01\x1f \x7f \xc3\xa9 \xe2\x80\xa8 \xf0\x9f\x98\x80";
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn__writer w;
    firn__writer_begin(&w, ctx);
    firn__writer_metadata(&w, odd, "value");
    firn__writer_metadata(&w, "key", odd);
    firn__writer_tensor(&w, "", odd, FIRN_SCALAR, values);
    assert_ok(ctx, firn__writer_write(&w, path, &(firn__writer_how){0}));
    firn__writer_free(&w);

    firn__file file;
    firn__st st;
    assert_true(firn__file_open(&file, ctx, path));
    if (!firn__st_read(&st, &file)) fail_msg("%s", firn_message(ctx));
    assert_int_equal(st.data % 8, 0);
    assert_non_null(firn__st_find(&st, odd));
    assert_string_equal(firn__st_metadata(&st, odd), "value");
    assert_string_equal(firn__st_metadata(&st, "key"), odd);
    assert_string_equal(firn__st_metadata(&st, "format"), "pt");
    assert_null(firn__st_metadata(&st, "none"));
    firn__st_free(&st);
    firn__file_close(&file);

    static const char *const bad[] = {
        "\xff", "\xc0\x80", "a\xed\xa0\x80", "\xe2\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        firn_clear_error(ctx);
        firn__writer_begin(&w, ctx);
        firn__writer_tensor(&w, "", bad[i], FIRN_SCALAR, values);
        firn__writer_tensor(&w, "", bad[i], FIRN_SCALAR, values);
        assert_status(ctx, FIRN_ERR_NAME, firn__writer_write(&w, path, &(firn__writer_how){0}));
        assert_message_has(ctx, "UTF-8");
        firn__writer_free(&w);
    }
    remove_all();
    firn_ctx_destroy(ctx);
}

/* The names of all frozen tensors are one text: it must not be measured anew for each character. */
static void long_texts_take_little_time(void **state)
{
    (void)state;
    enum { LENGTH = 4000000 };
    char *text = malloc(LENGTH + 1);
    assert_non_null(text);
    memset(text, 'x', LENGTH);
    text[LENGTH] = '\0';
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn__writer w;
    const clock_t start = clock();
    firn__writer_begin(&w, ctx);
    firn__writer_metadata(&w, "key", text);
    assert_true(clock() - start < 10 * CLOCKS_PER_SEC);
    assert_int_equal(w.status, FIRN_OK);
    firn__writer_free(&w);
    free(text);
    firn_ctx_destroy(ctx);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_status st = FIRN_ERR_MEMORY;
    size_t k = 0;
    remove_all();
    while (st == FIRN_ERR_MEMORY) {
        firn_clear_error(ctx);
        assert_false(file_exists(path));
        memory.fail_at = memory.calls + ++k;
        st = write_some(ctx, true);
        assert_false(file_exists(temporary));
    }
    assert_ok(ctx, st);
    assert_true(k > 4);
    remove_all();
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_failing_call_harms_the_old_file),
        cmocka_unit_test(without_an_old_file_there_is_none_to_keep),
        cmocka_unit_test(what_is_in_the_way_is_left_there),
        cmocka_unit_test(a_folder_is_not_kept_as_the_old_file),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(long_texts_take_little_time),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
