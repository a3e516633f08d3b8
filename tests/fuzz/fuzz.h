/* fuzz.h: what the fuzz targets share. A target takes bytes, and aborts where something does not hold that must. With
 * FIRN_FUZZ (clang) it is a libFuzzer program, else replay.c runs it on files. */
#ifndef FIRN_TESTS_FUZZ_H
#define FIRN_TESTS_FUZZ_H
#include "file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The context of all runs; its memory is counted and bounded: 8 MB and a hundred times the input. Clears the error. */
firn_ctx *fuzz_ctx(size_t input_size);
/* Nothing is left of a run that should have freed all: fails else. Call with what fuzz_memory() said before. */
size_t fuzz_memory(void);

/* The input as a file. */
void fuzz_open(firn__file *file, firn_ctx *ctx, const void *data, size_t size);
/* The content of a file that the library wrote, for free(). */
uint8_t *fuzz_read(const char *path, size_t *size);

#define MUST(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))
void fuzz_fail(const char *condition, const char *file, int line);

#endif
