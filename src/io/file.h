/* file.h: a file that is read from front to back through a small buffer, and the messages about what is wrong in it. */
#ifndef FIRN_IO_FILE_H
#define FIRN_IO_FILE_H
#include <stdio.h>

#include "alloc.h"

typedef struct firn__file {
    firn_ctx *ctx;
    FILE *stream;
    const char *path;   /* borrowed; for messages */
    firn_status status; /* of the first failure; the functions here return false */
    uint64_t offset;    /* in the file, of the first byte of buffer */
    size_t at, end;     /* the bytes that are read but not used */
    uint8_t buffer[8192];
} firn__file;

bool firn__file_open(firn__file *f, firn_ctx *ctx, const char *path);
void firn__file_wrap(firn__file *f, firn_ctx *ctx, FILE *stream, const char *path); /* a stream that is open already */
void firn__file_close(firn__file *f);

/* Makes at least one byte available; false at the end of the file, and after a read error, which is recorded. */
bool firn__file_fill(firn__file *f);
/* Makes the first n bytes of the file available at buffer[at] without using them; false if there are fewer. */
bool firn__file_peek(firn__file *f, size_t n);
/* Uses exactly n bytes; false, with FIRN_ERR_FORMAT, where the file ends before. */
bool firn__file_read(firn__file *f, void *to, size_t n);

/* Bytes from here to the end; false, with FIRN_ERR_IO, where the file cannot tell. The place does not move. */
bool firn__file_remaining(firn__file *f, uint64_t *bytes);
bool firn__file_seek(firn__file *f, uint64_t offset);

static inline uint64_t firn__file_place(const firn__file *f) { return f->offset + f->at; }

/* Each records an error and returns false. FIRN_ERR_FORMAT: "path: byte place: " and the rule that the file breaks. */
bool firn__file_bad(firn__file *f, uint64_t place, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;
bool firn__file_fail(firn__file *f, firn_status st, const char *format, ...) /* "path: " and the sentence */
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* firn__resize() and firn__grow(), which put their failure into the file's status too. */
bool firn__file_grow(firn__file *f, void **items, size_t *capacity, size_t count, size_t size);
void *firn__file_resize(firn__file *f, void *ptr, size_t old_count, size_t count, size_t size);

/* A text from a file, fit for a message or a table: one line, control characters as '?', long ones cut. */
#define FIRN__SHOWN 128
const char *firn__shown(char out[FIRN__SHOWN], const char *text);

#endif
