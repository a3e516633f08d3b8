/* A text that is accepted is UTF-8 without NUL, and comes back when it is written and read again; a number is what strtoull
 * says. The first byte chooses what is read. */
#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "utf8.h"
#include "writer.h"

static void check_text(firn_ctx *ctx, const char *text)
{
    for (const char *p = text; *p != '\0';) {
        const size_t length = firn__utf8_length(p, strlen(p));
        MUST(length > 0);
        p += length;
    }
    firn__writer w;
    firn__writer_begin(&w, ctx);
    const size_t begin = w.size;
    firn__writer_metadata(&w, text, "");
    MUST(w.status == FIRN_OK);
    firn__json again = {.text = w.text, .size = w.size, .at = begin};
    char *back;
    MUST(firn__json_char(&again, ',') && firn__json_string(&again, &back) && strcmp(back, text) == 0);
    firn__writer_free(&w);
}

/* As many members as there are: texts, or "text":number. */
static bool read_members(firn__json *j, bool object)
{
    bool first = true, more = true;
    if (!firn__json_char(j, object ? '{' : '[')) return false;
    while (more) {
        char *text, *begin;
        uint64_t number;
        if (!firn__json_next(j, object ? '}' : ']', &first, &more)) return false;
        if (!more) break;
        if (!firn__json_string(j, &text)) return false;
        MUST(text + strlen(text) < j->text + j->at);
        check_text(j->file->ctx, text);
        if (!object) continue;
        if (!firn__json_char(j, ':')) return false;
        begin = j->text + j->at;
        if (!firn__json_number(j, &number)) return false;
        char digits[64];
        while (strchr(" \t\r\n", *begin) != NULL) begin++;
        const size_t length = (size_t)(j->text + j->at - begin);
        MUST(length < sizeof digits);
        memcpy(digits, begin, length);
        digits[length] = '\0';
        MUST(strtoull(digits, NULL, 10) == number);
    }
    return firn__json_end(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    firn_ctx *ctx = fuzz_ctx(size);
    const size_t before = fuzz_memory();
    char *text = malloc(size);
    MUST(text != NULL);
    memcpy(text, data + 1, size - 1);
    firn__file file;
    fuzz_open(&file, ctx, data, size);
    firn__json j = {.file = &file, .text = text, .size = size - 1};
    const bool good = read_members(&j, data[0] & 1);
    MUST(good == (file.status == FIRN_OK));
    if (good) MUST(j.at == j.size);
    MUST(j.at <= j.size);
    firn__file_close(&file);
    free(text);
    MUST(fuzz_memory() == before);
    return 0;
}
