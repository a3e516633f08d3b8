/* golden.h: reads the arrays that make_golden.py wrote (the format is described there). */
#ifndef FIRN_TESTS_GOLDEN_H
#define FIRN_TESTS_GOLDEN_H
#include "support.h"

typedef struct golden_array {
    char name[64];
    firn_shape shape;
    size_t count;
    const float *data;
} golden_array;

typedef struct golden {
    golden_array *arrays;
    size_t count;
    float *data;
} golden;

golden golden_open(const char *name); /* "ops": ops.txt, ops.bin. Fails the test if they do not fit together */
void golden_close(golden *g);

/* The array "case.part"; NULL if there is none. */
const golden_array *golden_find(const golden *g, const char *name, const char *part);

/* Relative error per element, with room for what cancels: 5e-6 of the largest element. */
#define assert_golden(actual, array, rtol) test_golden((actual), (array), (rtol), __FILE__, __LINE__)
void test_golden(const float *actual, const golden_array *expected, double rtol, const char *file, int line);

#endif
