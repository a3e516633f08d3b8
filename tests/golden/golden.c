#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_golden(const char *name, const char *ending, const char *mode)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/golden/%s%s", FIRN_TESTS_DIR, name, ending);
    FILE *f = fopen(path, mode);
    if (f == NULL) fail_msg("cannot open %s", path);
    return f;
}

static bool read_line(FILE *f, golden_array *a)
{
    char line[256], *end;
    if (fgets(line, sizeof line, f) == NULL) return false;
    *a = (golden_array){.count = 1};
    const size_t length = strcspn(line, " \n");
    assert_true(length < sizeof a->name);
    memcpy(a->name, line, length);
    for (char *p = line + length;; p = end) {
        const long dim = strtol(p, &end, 10);
        if (end == p) return true;
        assert_true(a->shape.rank < FIRN_MAX_RANK && dim >= 0);
        a->shape.dim[a->shape.rank++] = dim;
        a->count *= (size_t)dim;
    }
}

golden golden_open(const char *name)
{
    golden g = {0};
    size_t total = 0;
    FILE *f = open_golden(name, ".txt", "r");
    golden_array a;
    while (read_line(f, &a)) {
        g.arrays = realloc(g.arrays, (g.count + 1) * sizeof a);
        assert_non_null(g.arrays);
        g.arrays[g.count++] = a;
        total += a.count;
    }
    fclose(f);
    f = open_golden(name, ".bin", "rb");
    g.data = malloc(total * sizeof *g.data);
    assert_non_null(g.data);
    assert_int_equal(fread(g.data, sizeof *g.data, total, f), total);
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    const float *at = g.data;
    for (size_t i = 0; i < g.count; at += g.arrays[i++].count) g.arrays[i].data = at;
    return g;
}

void golden_close(golden *g)
{
    free(g->arrays);
    free(g->data);
    *g = (golden){0};
}

const golden_array *golden_find(const golden *g, const char *name, const char *part)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%s", name, part);
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(g->arrays[i].name, full) == 0) return &g->arrays[i];
    return NULL;
}

void test_golden(const float *actual, const golden_array *expected, double rtol, const char *file, int line)
{
    double largest = 0;
    for (size_t i = 0; i < expected->count; i++) largest = fmax(largest, fabs((double)expected->data[i]));
    if (actual == NULL) {
        print_error("nothing to compare with %s\n", expected->name);
        _fail(file, line);
    }
    test_close_array(actual, expected->data, expected->count, rtol, 5e-6 * largest, expected->name, file, line);
}
