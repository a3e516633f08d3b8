/* guarded.h: buffers for kernels: behind each lies memory that may not be touched, in front of it a pattern. */
#ifndef FIRN_TESTS_GUARDED_H
#define FIRN_TESTS_GUARDED_H
#include <stddef.h>

/* Bytes that end where the forbidden page begins, so that float buffers start at any multiple of 4; contents 0xff (NaN).
 * Fails the test if there is no more room: GUARDED_SLOTS buffers of at most GUARDED_BYTES. */
enum { GUARDED_SLOTS = 48, GUARDED_BYTES = 1 << 23 };
void *guarded_get(size_t bytes);

/* Takes all buffers back; fails the test if a pattern in front of one is broken. */
void guarded_take_back(void);

#endif
