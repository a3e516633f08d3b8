/* run_program.h: runs an example as a user does, and keeps what it said. */
#ifndef FIRN_TESTS_RUN_PROGRAM_H
#define FIRN_TESTS_RUN_PROGRAM_H
#include "support.h"

typedef struct program_run {
    int status; /* exit status */
    char out[20000], err[4000];
} program_run;

/* arguments: as on a shell's command line. Fails the test if the program does not exit by itself. */
void run_program(const char *program, const char *arguments, program_run *r);

/* The text of a file, in a static buffer; fails the test if there is none or it is too long. */
const char *read_text(const char *path);

size_t count_lines(const char *text);

/* Two IDX files of 20 black images of classes 0 to 9: part-images-idx3-ubyte and part-labels-idx1-ubyte. */
void put_images(const char *part, uint8_t height, uint8_t width);
void put_byte(const char *path, long at, int byte);

#endif
