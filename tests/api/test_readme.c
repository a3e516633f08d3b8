/* The README tells the truth: a code block is a part of the file named in the comment above it, all of which are built
 * and run by tests; and every line of a shell block is run by .ci/run. Blocks of output are marked "text". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static char *read_file(const char *path)
{
    char full[1024];
    snprintf(full, sizeof full, "%s/../%s", FIRN_TESTS_DIR, path);
    FILE *f = fopen(full, "rb");
    if (f == NULL) fail_msg("cannot open %s", full);
    size_t used = 0, room = 1 << 20;
    char *text = malloc(room);
    assert_non_null(text);
    used = fread(text, 1, room - 1, f);
    fclose(f);
    text[used] = '\0';
    return text;
}

typedef struct block {
    char language[16], file[256]; /* file: "" where no comment stands above */
    char *text;
} block;

/* The next fenced block from *at on; false at the end. */
static bool next_block(const char **at, block *b)
{
    *b = (block){0};
    for (const char *line = *at; *line != '\0';) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        if (strncmp(line, "```", 3) == 0) {
            const char *stop = strstr(end, "\n```");
            assert_non_null(stop);
            snprintf(b->language, sizeof b->language, "%.*s", (int)(end - line - 3), line + 3);
            const size_t length = (size_t)(stop + 1 - (end + 1));
            b->text = malloc(length + 1);
            assert_non_null(b->text);
            memcpy(b->text, end + 1, length);
            b->text[length] = '\0';
            *at = strchr(stop + 1, '\n') + 1;
            return true;
        }
        char file[256];
        if (sscanf(line, "<!-- %255s -->", file) == 1)
            strcpy(b->file, file);
        else if (end != line)
            b->file[0] = '\0';
        line = end + 1;
    }
    return false;
}

static void check_shell(const char *commands)
{
    char *gate = read_file(".ci/run");
    for (const char *line = commands; *line != '\0'; line = strchr(line, '\n') + 1) {
        char command[256];
        snprintf(command, sizeof command, "%.*s", (int)strcspn(line, "\n"), line);
        if (strstr(gate, command) == NULL) fail_msg(".ci/run does not run \"%s\"", command);
    }
    free(gate);
}

static void code_blocks_are_parts_of_files(void **state)
{
    (void)state;
    char *readme = read_file("README.md");
    const char *at = readme;
    block b;
    int blocks = 0;
    for (; next_block(&at, &b); free(b.text)) {
        if (strcmp(b.language, "text") == 0) continue;
        blocks++;
        if (strcmp(b.language, "sh") == 0) {
            check_shell(b.text);
            continue;
        }
        if (b.file[0] == '\0') fail_msg("no file is named above the block that begins \"%.60s\"", b.text);
        char *file = read_file(b.file);
        if (strstr(file, b.text) == NULL) fail_msg("%s does not contain the block that begins \"%.60s\"", b.file, b.text);
        free(file);
    }
    assert_true(blocks >= 5);
    free(readme);
}

static void the_quickstart_is_there_as_a_whole(void **state)
{
    (void)state;
    char *readme = read_file("README.md"), *program = read_file("examples/quickstart.c");
    assert_non_null(strstr(readme, program));
    free(program);
    free(readme);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_blocks_are_parts_of_files),
        cmocka_unit_test(the_quickstart_is_there_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
