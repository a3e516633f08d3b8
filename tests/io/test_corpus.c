/* Every file of tests/corpus gives the outcome that its manifest says, in little memory and time. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "idx.h"
#include "io_support.h"
#include "safetensors.h"

#define CORPUS FIRN_TESTS_DIR "/corpus/"

static test_memory memory;
static firn_ctx *ctx;

/* Splits a line of a table in place at its tabs; the line's end is cut off. Returns the start of the next line. */
static char *split_line(char *line, char *columns[], int n)
{
    char *end = strchr(line, '\n');
    assert_non_null(end);
    *end = '\0';
    for (int i = 0; i < n; i++) {
        columns[i] = line;
        char *tab = strchr(line, '\t');
        if (tab != NULL) *tab = '\0';
        line = tab != NULL ? tab + 1 : line + strlen(line);
    }
    return end + 1;
}

/* What firn_file_inspect() says; its output is read back into text. */
static firn_status inspect(const char *path, char *text, size_t size)
{
    FILE *out = tmpfile();
    assert_non_null(out);
    firn_clear_error(ctx);
    const firn_status st = firn_file_inspect(ctx, path, out);
    rewind(out);
    text[fread(text, 1, size - 1, out)] = '\0';
    fclose(out);
    return st;
}

static void check_file(const char *name, const char *expected)
{
    static char path[1024], text[1 << 16];
    snprintf(path, sizeof path, CORPUS "%s", name);
    memory.peak = memory.bytes;
    const clock_t before = clock();
    const firn_status st = inspect(path, text, sizeof text);
    const double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
    if (st != FIRN_OK) {
        assert_status(ctx, FIRN_ERR_FORMAT, st);
        assert_message_has(ctx, name);
        assert_message_has(ctx, "byte");
        assert_one_line(firn_message(ctx));
        assert_string_equal(text, "");
    } else {
        assert_string_equal(firn_message(ctx), "");
        assert_true(strlen(text) > 10);
    }
    if (strcmp(expected, "either") != 0 && (strcmp(expected, "accept") == 0) != (st == FIRN_OK))
        fail_msg("%s must be %sed, but: %s", name, expected, st == FIRN_OK ? text : firn_message(ctx));
    if (memory.peak > 32 << 20 || seconds > 5) fail_msg("%s takes %zu bytes and %.1f seconds", name, memory.peak, seconds);
}

static void check_table(const char *table, size_t least)
{
    char *text = get_file(table, NULL), *columns[3], *next = split_line(text, columns, 3);
    size_t rows = 0;
    for (; *next != '\0'; rows++) {
        next = split_line(next, columns, 3);
        check_file(columns[0], columns[2]);
    }
    assert_true(rows >= least);
    free(text);
}

static void the_manifest_holds(void **state) { (void)state, check_table(CORPUS "manifest.tsv", 150); }
static void the_policy_files_end_cleanly(void **state) { (void)state, check_table(CORPUS "policy.tsv", 10); }

/* ---- expect.tsv: type, shape and CRC-32 of everything that is valid ---- */

static uint8_t seen[1 << 18];
static size_t seen_count;

static bool keep_seen(void *user, const uint8_t *bytes, size_t count)
{
    (void)user;
    assert_true(count <= sizeof seen - seen_count);
    memcpy(seen + seen_count, bytes, count);
    seen_count += count;
    return true;
}

typedef struct found {
    const char *type;
    char shape[128]; /* as in the table */
} found;

static found read_idx(firn__file *file)
{
    firn__idx_head head;
    found f = {0};
    seen_count = 0;
    assert_true(firn__idx_read(file, &head, &(firn__idx_use){.data = keep_seen}));
    f.type = firn__idx_type_name(head.type);
    for (int i = 0; i < head.rank; i++) {
        const size_t used = strlen(f.shape);
        snprintf(f.shape + used, sizeof f.shape - used, "%s%u", i ? "," : "", (unsigned)head.dim[i]);
    }
    return f;
}

/* name: unescaped. */
static found read_tensor(firn__file *file, const char *name)
{
    firn__st st;
    found f = {0};
    assert_true(firn__st_read(&st, file));
    const firn__st_entry *e = firn__st_find(&st, name);
    assert_non_null(e);
    f.type = firn__st_type_name(e->type);
    size_t cursor = 0;
    for (uint32_t i = 0; i < e->rank; i++) {
        const size_t used = strlen(f.shape);
        snprintf(f.shape + used, sizeof f.shape - used, "%s%llu", i ? "," : "",
                 (unsigned long long)firn__st_dim(&st, e, &cursor));
    }
    if (e->rank == 0) strcpy(f.shape, "scalar");
    seen_count = (size_t)(e->end - e->begin);
    assert_true(firn__file_seek(file, st.data + e->begin) && firn__file_read(file, seen, seen_count));
    firn__st_free(&st);
    return f;
}

/* The table writes names as JSON texts. */
static const char *unescaped(const char *item)
{
    static char header[1 << 10];
    static char name[1 << 10];
    firn__file file;
    firn__st st;
    snprintf(header, sizeof header, "{%s:{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", item);
    put_safetensors("firn_test_corpus.safetensors", header, 0);
    assert_true(firn__file_open(&file, ctx, "firn_test_corpus.safetensors"));
    assert_true(firn__st_read(&st, &file));
    strcpy(name, firn__st_name(&st, &st.entries[0]));
    firn__st_free(&st);
    firn__file_close(&file);
    remove("firn_test_corpus.safetensors");
    return name;
}

static void what_is_read_is_what_was_written(void **state)
{
    (void)state;
    char *text = get_file(CORPUS "expect.tsv", NULL), *c[6], *next = split_line(text, c, 6), path[1024];
    size_t rows = 0;
    for (; *next != '\0'; rows++) {
        next = split_line(next, c, 6);
        const char *name = *c[1] == '"' ? unescaped(c[1]) : NULL;
        snprintf(path, sizeof path, CORPUS "%s", c[0]);
        firn__file file;
        assert_true(firn__file_open(&file, ctx, path));
        const found f = name ? read_tensor(&file, name) : read_idx(&file);
        firn__file_close(&file);
        assert_string_equal(f.type, c[2]);
        assert_string_equal(f.shape, c[3]);
        assert_int_equal(seen_count, strtoul(c[4], NULL, 10));
        assert_int_equal(reference_crc32(seen, seen_count), strtoul(c[5], NULL, 16));
    }
    assert_true(rows >= 40);
    free(text);
}

int main(void)
{
    ctx = test_ctx(&memory, 1, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manifest_holds),
        cmocka_unit_test(the_policy_files_end_cleanly),
        cmocka_unit_test(what_is_read_is_what_was_written),
    };
    const int failed = cmocka_run_group_tests_name("corpus", tests, NULL, NULL);
    firn_ctx_destroy(ctx);
    return failed + (memory.blocks != 0);
}
