/* idx.h: the IDX format, of any element type, plain or gzip, in a stream. */
#ifndef FIRN_IO_IDX_H
#define FIRN_IO_IDX_H
#include "file.h"

enum { FIRN__IDX_MAX_RANK = 255 };

typedef struct firn__idx_head {
    uint8_t type; /* 8 U8, 9 I8, 11 I16, 12 I32, 13 F32, 14 F64; numbers are big-endian */
    int rank;
    uint32_t dim[FIRN__IDX_MAX_RANK];
    uint64_t bytes; /* of the elements */
    bool gzip;
} firn__idx_head;

/* What is done with the file: head when it is known, then the elements' bytes, chunk by chunk. Either returns false to
 * stop, with the error recorded in the file. NULL: nothing is done. */
typedef struct firn__idx_use {
    bool (*head)(void *user, const firn__idx_head *head);
    bool (*data)(void *user, const uint8_t *bytes, size_t count);
    void *user;
} firn__idx_use;

/* Reads and checks the whole file. */
bool firn__idx_read(firn__file *file, firn__idx_head *head, const firn__idx_use *use);

const char *firn__idx_type_name(uint8_t type); /* NULL for a type that the format does not have */

#endif
