/* place.c: where buffers lie: first fit, in the order of those tried that takes least. */
#include <stdlib.h>
#include <string.h>

#include "layout.h"

typedef struct placing {
    size_t bytes;
    int first, last, buffer;
} placing;

static int by_number(const placing *x, const placing *y) { return (x->buffer > y->buffer) - (x->buffer < y->buffer); }

static int larger_first(const void *a, const void *b)
{
    const placing *x = a, *y = b;
    return x->bytes == y->bytes ? by_number(x, y) : x->bytes < y->bytes ? 1 : -1;
}

static int longer_first(const void *a, const void *b)
{
    const placing *x = a, *y = b;
    const int lives = (y->last - y->first) - (x->last - x->first);
    return lives == 0 ? larger_first(a, b) : lives;
}

static int earlier_first(const void *a, const void *b)
{
    const placing *x = a, *y = b;
    return x->first == y->first ? larger_first(a, b) : x->first - y->first;
}

/* Gives the buffers of order, one after the other, the lowest offset at which they overlap none that lives at the same
 * time. placed: room for n, kept sorted by offset. *highest: which of order ends last. False: the sum does not fit. */
static bool place_in_order(firn__layout *l, const placing *order, int n, int *placed, size_t *total, int *highest)
{
    *total = 0;
    *highest = 0;
    for (int i = 0; i < n; i++) {
        firn__buffer *b = &l->buffers[order[i].buffer];
        b->offset = 0;
        for (int j = 0; j < i; j++) {
            const firn__buffer *other = &l->buffers[placed[j]];
            if (other->last < b->first || b->last < other->first) continue;
            if (other->offset >= b->offset + b->bytes) break;
            if (other->offset + other->bytes > b->offset) b->offset = other->offset + other->bytes;
        }
        size_t end;
        if (!firn__add(b->offset, b->bytes, &end)) return false;
        if (end > *total) *total = end, *highest = i;
        int at = i;
        while (at > 0 && l->buffers[placed[at - 1]].offset > b->offset) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = order[i].buffer;
    }
    return true;
}

/* The order in which n buffers take least; *total is what they take then. From each of three orders on, the buffer that
 * ended highest is put first, a number of times. The last round repeats the best. */
static bool place_best(firn__layout *l, placing *order, int n, int *placed, size_t *total)
{
    static int (*const orders[])(const void *, const void *) = {larger_first, longer_first, earlier_first};
    enum { ORDERS = 3, TURNS = 12 };
    size_t least = SIZE_MAX;
    int best = 0, best_turn = 0, highest;
    for (int round = 0; round <= ORDERS; round++) {
        const bool last = round == ORDERS;
        const int turns = last ? best_turn : TURNS;
        qsort(order, (size_t)n, sizeof *order, orders[last ? best : round]);
        for (int turn = 0; turn <= turns; turn++) {
            if (!place_in_order(l, order, n, placed, total, &highest)) return false;
            if (*total < least) least = *total, best = round, best_turn = turn;
            if (turn == turns || n == 0) break;
            const placing first = order[highest];
            memmove(order + 1, order, (size_t)highest * sizeof *order);
            order[0] = first;
        }
    }
    return true;
}

firn_status firn__layout_place(firn__layout *l, int region, size_t *total)
{
    const size_t room = (size_t)l->n_buffers + 1;
    placing *order = firn__alloc(l->ctx, room, sizeof *order);
    int *placed = firn__alloc(l->ctx, room, sizeof *placed);
    firn_status st = FIRN_ERR_MEMORY;
    if (order != NULL && placed != NULL) {
        int n = 0;
        for (int i = 0; i < l->n_buffers; i++) {
            const firn__buffer *b = &l->buffers[i];
            if (b->region == region) order[n++] = (placing){b->bytes, b->first, b->last, i};
        }
        st = place_best(l, order, n, placed, total) ? FIRN_OK : firn__no_memory(l->ctx);
    }
    firn__free(l->ctx, order, room, sizeof *order);
    firn__free(l->ctx, placed, room, sizeof *placed);
    return st;
}
