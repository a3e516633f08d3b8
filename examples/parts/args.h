/* args.h: a command line of options alone: "--name value" and "--flag". */
#ifndef ARGS_H
#define ARGS_H
#include <stdbool.h>
#include <stddef.h>

/* One of text, number and flag receives the value; a number is whole, from 1 to most. */
typedef struct known_option {
    const char *name, **text;
    int *number, most;
    bool *flag;
} known_option;

/* False after a line on standard error, which begins with program. */
bool args_parse(const char *program, int argc, char **argv, const known_option *known, size_t n);

#endif
