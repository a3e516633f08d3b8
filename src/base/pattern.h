/* pattern.h: names and selectors (FREEZE F5). */
#ifndef FIRN_BASE_PATTERN_H
#define FIRN_BASE_PATTERN_H
#include <stdbool.h>
#include <stddef.h>

/* Dotted, no empty component, none of , ! * ? and no blank or control character. */
bool firn__name_valid(const char *name);

/* One term of a comma list: text without blanks around it and without '!'. */
typedef struct firn__term {
    const char *text;
    size_t length;
    bool minus;
} firn__term;

/* Steps through a selector: at *cursor (start with the selector) reads one term and moves on. 1: a term; 0: the end;
 * -1: an empty term or a second '!', so the selector is malformed. */
int firn__term_next(const char **cursor, firn__term *term);

/* Does the term name this tensor, or a layer above it? */
bool firn__term_matches(const firn__term *term, const char *name);

#endif
