/* json.h: a strict reader of JSON (RFC 8259) for a text in memory, in the order in which it stands. Nothing recurses:
 * the caller says what it expects. Strings are unescaped in place, so the text is used up as it is read. */
#ifndef FIRN_IO_JSON_H
#define FIRN_IO_JSON_H
#include "file.h"

typedef struct firn__json {
    firn__file *file; /* for messages: text[0] stood at byte `place` of it */
    uint64_t place;
    char *text;
    size_t size, at;
} firn__json;

/* All skip white space first, return false after recording an error, and leave the reader behind what was read. */
bool firn__json_char(firn__json *j, char c);          /* exactly this one of { [ : , */
bool firn__json_string(firn__json *j, char **out);    /* valid UTF-8 without NUL; a NUL ends it; points into text */
bool firn__json_number(firn__json *j, uint64_t *out); /* a whole number that is not negative, in decimal digits only */

/* Steps through an object or an array, of which the opening bracket is read. Sets *more if there is a further member
 * (then its value, or for objects its name, is next), else the closing bracket was read. first: true for the first step,
 * made false. */
bool firn__json_next(firn__json *j, char closing, bool *first, bool *more);

bool firn__json_end(firn__json *j); /* nothing but white space is left */

/* Records the rule that is broken at the present place. */
bool firn__json_bad(firn__json *j, const char *rule);

#endif
