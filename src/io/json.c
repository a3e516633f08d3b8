#include "json.h"

#include "utf8.h"

bool firn__json_bad(firn__json *j, const char *rule)
{
    return firn__file_bad(j->file, j->place + j->at, "header: %s", rule);
}

static void skip_space(firn__json *j)
{
    while (j->at < j->size) {
        const char c = j->text[j->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        j->at++;
    }
}

static bool next_is(const firn__json *j, char c) { return j->at < j->size && j->text[j->at] == c; }

bool firn__json_char(firn__json *j, char c)
{
    skip_space(j);
    const char rule[] = {'"', c, '"', ' ', 'm', 'u', 's', 't', ' ', 's', 't', 'a', 'n', 'd', ' ', 'h', 'e', 'r', 'e', '\0'};
    if (!next_is(j, c)) return firn__json_bad(j, rule);
    j->at++;
    return true;
}

bool firn__json_end(firn__json *j)
{
    skip_space(j);
    return j->at == j->size || firn__json_bad(j, "only white space may follow the object");
}

bool firn__json_next(firn__json *j, char closing, bool *first, bool *more)
{
    skip_space(j);
    *more = !next_is(j, closing);
    if (!*more) {
        j->at++;
        return true;
    }
    if (!*first && !firn__json_char(j, ',')) return false;
    *first = false;
    return true;
}

/* The four hexadecimal digits behind \u; -1 if they are not. */
static int32_t hex4(const firn__json *j)
{
    int32_t value = 0;
    if (j->size - j->at < 4) return -1;
    for (size_t i = j->at; i < j->at + 4; i++) {
        const char c = j->text[i];
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            value = value * 16 + ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* What follows "\u", with the second half of a surrogate pair. 0 with the error recorded: no character. */
static uint32_t unicode_escape(firn__json *j)
{
    const int32_t unit = hex4(j);
    uint32_t code = (uint32_t)unit;
    if (unit < 0)
        firn__json_bad(j, "four hexadecimal digits must follow \\u");
    else if (unit == 0)
        firn__json_bad(j, "a NUL cannot be part of a text in C");
    else if (unit >= 0xdc00 && unit < 0xe000)
        firn__json_bad(j, "half a surrogate pair");
    if (unit <= 0 || (unit >= 0xdc00 && unit < 0xe000)) return 0;
    j->at += 4;
    if (unit >= 0xd800 && unit < 0xdc00) {
        int32_t low = -1;
        if (next_is(j, '\\')) {
            j->at++;
            if (next_is(j, 'u')) {
                j->at++;
                low = hex4(j);
            }
        }
        if (low < 0xdc00 || low >= 0xe000) {
            firn__json_bad(j, "half a surrogate pair");
            return 0;
        }
        j->at += 4;
        code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    }
    return code;
}

/* Reads one escape behind the backslash and writes its character to *to, which moves on. */
static bool unescape(firn__json *j, char **to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (next_is(j, 'u')) {
        j->at++;
        const uint32_t code = unicode_escape(j);
        if (code == 0) return false;
        *to += firn__utf8_put(*to, code);
        return true;
    }
    for (size_t i = 0; names[i] != '\0'; i++)
        if (next_is(j, names[i])) {
            *(*to)++ = values[i];
            j->at++;
            return true;
        }
    return firn__json_bad(j, "no escape begins so");
}

bool firn__json_string(firn__json *j, char **out)
{
    if (!firn__json_char(j, '"')) return false;
    char *to = *out = j->text + j->at;
    while (j->at < j->size) {
        const unsigned char c = (unsigned char)j->text[j->at];
        if (c == '"') {
            *to = '\0';
            j->at++;
            return true;
        }
        if (c < ' ') return firn__json_bad(j, "a control character in a text must be escaped");
        if (c == '\\') {
            j->at++;
            if (!unescape(j, &to)) return false;
            continue;
        }
        const size_t length = firn__utf8_length(j->text + j->at, j->size - j->at);
        if (length == 0) return firn__json_bad(j, "a text must be valid UTF-8");
        for (size_t i = 0; i < length; i++) *to++ = j->text[j->at++];
    }
    return firn__json_bad(j, "the text does not end");
}

bool firn__json_number(firn__json *j, uint64_t *out)
{
    uint64_t value = 0;
    skip_space(j);
    const size_t begin = j->at;
    for (; j->at < j->size && j->text[j->at] >= '0' && j->text[j->at] <= '9'; j->at++) {
        const unsigned digit = (unsigned)(j->text[j->at] - '0');
        if (j->at > begin && j->text[begin] == '0') return firn__json_bad(j, "a number must not begin with 0");
        if (value > (UINT64_MAX - digit) / 10) return firn__json_bad(j, "the number is out of range");
        value = value * 10 + digit;
    }
    if (j->at == begin) return firn__json_bad(j, "a whole number that is not negative must stand here");
    if (next_is(j, '.') || next_is(j, 'e') || next_is(j, 'E'))
        return firn__json_bad(j, "the number must be whole, in digits only");
    *out = value;
    return true;
}
