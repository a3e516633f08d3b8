/* The selector language against a second, recursive reading of its rules. The input is a selector. */
#include <firn/model.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pattern.h"

static const char *const names[] = {"a",         "ab.c",          "ab.cd.e", "abc.d", "conv1.weight", "conv10.weight",
                                    "b.a.a.a.b", "x.running_mean"};
enum { NAMES = sizeof names / sizeof *names };

/* Does pattern[0..n) match the whole name, or a layer above it? Steps are counted: what is too slow for this is let be. */
static int matches(const char *pattern, size_t n, const char *name, int *steps)
{
    if (++*steps > 20000) return -1;
    if (n == 0) return *name == '\0' || *name == '.';
    if (*pattern == '*') {
        for (const char *rest = name;; rest++) {
            const int found = matches(pattern + 1, n - 1, rest, steps);
            if (found != 0) return found;
            if (*rest == '\0') return 0;
        }
    }
    if (*name == '\0' || (*pattern == '?' ? *name == '.' : *pattern != *name)) return 0;
    return matches(pattern + 1, n - 1, name + 1, steps);
}

static firn_model *the_model(firn_ctx *ctx)
{
    static firn_model *m;
    if (m != NULL) return m;
    m = firn_model_create(ctx);
    for (int i = 0; i < NAMES; i++) MUST(firn_param(m, names[i], FIRN_SHAPE(1), (firn_init){0}) != NULL);
    return m;
}

/* -1: too slow to say. 0: an error. Else 1 and selected is filled in. */
static int select_by_rules(const char *selector, bool selected[NAMES])
{
    memset(selected, 0, NAMES * sizeof *selected);
    bool first = true, good = true;
    for (const char *p = selector; p != NULL;) {
        const char *comma = strchr(p, ','), *end = comma ? comma : p + strlen(p);
        while (p < end && strchr(" \t\r\n", *p)) p++;
        while (p < end && strchr(" \t\r\n", end[-1])) end--;
        const bool minus = p < end && *p == '!';
        if (minus) p++;
        while (p < end && strchr(" \t\r\n", *p)) p++;
        if (p == end || *p == '!') return 0;
        if (first && minus)
            for (int i = 0; i < NAMES; i++) selected[i] = true;
        first = false;
        bool any = false;
        for (int i = 0; i < NAMES; i++) {
            int steps = 0;
            const int found = matches(p, (size_t)(end - p), names[i], &steps);
            if (found < 0) return -1;
            if (found) selected[i] = !minus;
            any = any || found;
        }
        good = good && (any || minus);
        p = comma ? comma + 1 : NULL;
    }
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    firn_ctx *ctx = fuzz_ctx(size);
    firn_model *m = the_model(ctx);
    const size_t before = fuzz_memory();
    char *selector = malloc(size + 1);
    bool selected[NAMES], expected[NAMES];
    size_t count = 0, frozen = 0;
    MUST(selector != NULL);
    if (size > 0) memcpy(selector, data, size);
    selector[size] = '\0';
    const firn_status st = firn_select(m, selector, selected, &count);
    MUST(st == FIRN_OK || st == FIRN_ERR_NAME || st == FIRN_ERR_ARGUMENT);
    const int rules = select_by_rules(selector, expected);
    if (rules >= 0) MUST((rules == 1) == (st == FIRN_OK));
    if (st == FIRN_OK) {
        if (rules == 1) MUST(memcmp(selected, expected, sizeof selected) == 0);
        MUST(firn_freeze_only(m, selector, &frozen) == FIRN_OK && frozen == count);
        MUST(firn_freeze(m, selector, &frozen) == FIRN_OK && frozen == count);
        for (size_t i = 0; i < NAMES; i++) MUST(firn_tensor_at(m, i).frozen == selected[i]);
        MUST(firn_unfreeze(m, selector, NULL) == FIRN_OK);
        for (size_t i = 0; i < NAMES; i++) MUST(!firn_tensor_at(m, i).frozen);
    }
    free(selector);
    MUST(fuzz_memory() == before);
    return 0;
}
