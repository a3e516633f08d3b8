#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "guarded.h"

#include <string.h>
#include <sys/mman.h>

#include "support.h"

enum { PAGE = 1 << 16, PATTERN = 64, SLOT = GUARDED_BYTES + PAGE }; /* PAGE: a multiple of every page size in use */

static unsigned char *memory;
static size_t given, bytes_given[GUARDED_SLOTS];

static unsigned char *slot_end(size_t slot) { return memory + slot * (SLOT + PAGE) + SLOT; }

void *guarded_get(size_t bytes)
{
    if (memory == NULL) {
        memory =
            mmap(NULL, (size_t)GUARDED_SLOTS * (SLOT + PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(memory != MAP_FAILED);
        for (size_t slot = 0; slot < GUARDED_SLOTS; slot++) assert_int_equal(mprotect(slot_end(slot), PAGE, PROT_NONE), 0);
    }
    assert_true(given < GUARDED_SLOTS && bytes <= GUARDED_BYTES);
    unsigned char *data = slot_end(given) - bytes;
    memset(data - PATTERN, 0xa5, PATTERN);
    memset(data, 0xff, bytes);
    bytes_given[given++] = bytes;
    return data;
}

void guarded_take_back(void)
{
    for (size_t slot = 0; slot < given; slot++) {
        const unsigned char *data = slot_end(slot) - bytes_given[slot];
        for (int i = 1; i <= PATTERN; i++) assert_int_equal(data[-i], 0xa5);
    }
    given = 0;
}
