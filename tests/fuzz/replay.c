/* Runs a fuzz target on files: those named, or those in the first column of tables named with a leading @.
 * usage: fuzz_x FILE... @TABLE... */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#ifndef FIRN_FUZZ

static size_t runs;

static void run_file(const char *path)
{
    size_t size = 0, capacity = 1 << 16;
    uint8_t *bytes = malloc(capacity);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fprintf(stderr, "%s cannot be opened\n", path);
        exit(1);
    }
    for (size_t got = 1; got > 0; size += got) {
        if (size == capacity) bytes = realloc(bytes, capacity *= 2);
        MUST(bytes != NULL);
        got = fread(bytes + size, 1, capacity - size, f);
    }
    fclose(f);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    runs++;
}

/* Paths in a table are relative to its folder; the first line is a heading. */
static void run_table(const char *table)
{
    char line[4096], path[8192];
    const char *slash = strrchr(table, '/');
    const int folder = slash ? (int)(slash - table) + 1 : 0;
    FILE *f = fopen(table, "r");
    if (f == NULL || fgets(line, sizeof line, f) == NULL) {
        fprintf(stderr, "%s cannot be read\n", table);
        exit(1);
    }
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\t\n")] = '\0';
        snprintf(path, sizeof path, "%.*s%s", folder, table, line);
        run_file(path);
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == '@')
            run_table(argv[i] + 1);
        else
            run_file(argv[i]);
    printf("%zu files\n", runs);
    return runs == 0;
}

#else
typedef int replay_is_not_needed;
#endif
