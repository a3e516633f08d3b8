#include "args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char *text, int most, int *out)
{
    char *end;
    const long value = strtol(text, &end, 10);
    *out = (int)value;
    return end != text && *end == '\0' && value >= 1 && value <= most;
}

static const known_option *find_option(const char *name, const known_option *known, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, known[i].name) == 0) return &known[i];
    return NULL;
}

/* value: NULL if the command line ends here. */
static bool take_value(const char *program, const known_option *option, const char *value)
{
    if (value == NULL) {
        fprintf(stderr, "%s: %s needs a value; try --help\n", program, option->name);
        return false;
    }
    if (option->text != NULL) {
        *option->text = value;
        return true;
    }
    if (parse_number(value, option->most, option->number)) return true;
    fprintf(stderr, "%s: %s needs a whole number from 1 to %d, not '%s'\n", program, option->name, option->most, value);
    return false;
}

bool args_parse(const char *program, int argc, char **argv, const known_option *known, size_t n)
{
    for (int i = 1; i < argc; i++) {
        const known_option *option = find_option(argv[i], known, n);
        if (option == NULL) {
            fprintf(stderr, "%s: unknown option '%s'; try --help\n", program, argv[i]);
            return false;
        }
        if (option->flag != NULL)
            *option->flag = true;
        else if (!take_value(program, option, i + 1 < argc ? argv[++i] : NULL))
            return false;
    }
    return true;
}
