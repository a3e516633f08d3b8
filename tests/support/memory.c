#include <stdlib.h>
#include <string.h>

#include "support.h"

/* In front of every block, so that the size given back can be checked. */
typedef union block_header {
    struct {
        size_t bytes;
        const test_memory *owner;
    } is;
    max_align_t aligned;
} block_header;

enum { FRESH = 0xfb, STALE = 0xdb }; /* as floats: large negative numbers that no test expects */

static void *hand_out(test_memory *m, size_t size)
{
    block_header *h = malloc(sizeof *h + size);
    if (h == NULL) return NULL;
    h->is.bytes = size;
    h->is.owner = m;
    memset(h + 1, FRESH, size);
    m->bytes += size;
    m->blocks++;
    if (m->bytes > m->peak) m->peak = m->bytes;
    return h + 1;
}

static void take_back(test_memory *m, void *ptr)
{
    block_header *h = (block_header *)ptr - 1;
    m->bytes -= h->is.bytes;
    m->blocks--;
    memset(ptr, STALE, h->is.bytes);
    h->is.owner = NULL;
    free(h);
}

static void *counting_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    test_memory *m = user;
    if (ptr == NULL && old_size != 0) fail_msg("the allocator got no block but old_size %zu", old_size);
    if (ptr != NULL) {
        const block_header *h = (const block_header *)ptr - 1;
        if (h->is.owner != m) fail_msg("the allocator got a block that it did not hand out");
        if (h->is.bytes != old_size) fail_msg("old_size is %zu for a block of %zu bytes", old_size, h->is.bytes);
    }
    if (size == 0) {
        if (ptr != NULL) take_back(m, ptr);
        return NULL;
    }
    if (++m->calls == m->fail_at) return NULL;
    /* A resize always moves, so that a pointer kept across it is caught. */
    void *fresh = hand_out(m, size);
    if (fresh == NULL || ptr == NULL) return fresh;
    memcpy(fresh, ptr, old_size < size ? old_size : size);
    take_back(m, ptr);
    return fresh;
}

firn_allocator test_memory_allocator(test_memory *memory) { return (firn_allocator){counting_realloc, memory}; }
