/* vector_try.h: one random problem for each vector kernel, on every instruction set: the plain kernels against double,
 * the others against their bits. */
#ifndef FIRN_TESTS_VECTOR_TRY_H
#define FIRN_TESTS_VECTOR_TRY_H
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "guarded.h"
#include "support.h"
#include "vector.h"

enum { TRY_SETS = 4 };
extern firn_ctx *try_contexts[TRY_SETS]; /* one for each instruction set, "ref" first */
extern const firn__vector_kernels *try_sets[TRY_SETS];
extern size_t try_count;
extern uint64_t try_seed; /* what the problem is a function of */

void try_open(void); /* fills the above */
void try_close(void);

#define EACH_SET(s) for (size_t s = 0; s < try_count; s++)

int64_t try_below(int64_t n);
bool try_coin(void);
int64_t try_size(void);                               /* small most of the time, or around a multiple of 16; at most 322 */
float *try_numbers(int64_t n, float low, float high); /* guarded */
float *try_blank(int64_t n);                          /* guarded, NaN */

/* The first set's result is kept, and later ones must have the same bits. which: 0..3, one for each result. */
void try_same(size_t set, const void *result, size_t bytes, int which);
void try_same_floats(size_t set, const float *y, int64_t n, int which);
void try_near(float got, double want, double scale); /* within a few roundings of numbers of that size */

#define FIRN_X(name, type, work) void try_##name(void);
FIRN__VECTOR_MAP(FIRN_X)
#undef FIRN_X
void try_transpose(void);
void try_pack(void);

#endif
