#include "pattern.h"

#include <string.h>

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool firn__name_valid(const char *name)
{
    if (name == NULL || *name == '\0') return false;
    for (const char *p = name; *p != '\0'; p++) {
        const unsigned char c = (unsigned char)*p;
        if (c <= ' ' || c == 0x7f || strchr(",!*?", c) != NULL) return false;
        if (c == '.' && (p == name || p[1] == '.' || p[1] == '\0')) return false;
    }
    return true;
}

int firn__term_next(const char **cursor, firn__term *term)
{
    const char *p = *cursor;
    if (p == NULL) return 0;
    const char *end = strchr(p, ',');
    *cursor = end ? end + 1 : NULL;
    if (end == NULL) end = p + strlen(p);
    while (p < end && is_blank(*p)) p++;
    while (p < end && is_blank(end[-1])) end--;
    term->minus = p < end && *p == '!';
    if (term->minus) p++;
    while (p < end && is_blank(*p)) p++;
    term->text = p;
    term->length = (size_t)(end - p);
    return p < end && *p != '!' ? 1 : -1;
}

/* Wildcards with one point to fall back to: the last '*' seen. Matching may end at a dot of the name: a layer. */
bool firn__term_matches(const firn__term *term, const char *name)
{
    const char *p = term->text, *const end = p + term->length, *n = name, *star = NULL, *resume = NULL;
    for (;;) {
        if (p == end && (*n == '\0' || (*n == '.' && n > name))) return true;
        if (p < end && *p == '*') {
            star = ++p;
            resume = n;
        } else if (p < end && *n != '\0' && (*p == '?' ? *n != '.' : *p == *n)) {
            p++;
            n++;
        } else if (star != NULL && *resume != '\0') {
            p = star;
            n = ++resume;
        } else {
            return false;
        }
    }
}
