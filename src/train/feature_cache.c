#include "feature_cache.h"

#include <string.h>

/* Few and large, and never moved: a new page costs the system more than packing what goes on it. */
#define CHUNK_BYTES ((size_t)32 << 20)

struct firn__cache_chunk {
    firn__cache_chunk *next;
    size_t bytes, used; /* this header included */
};

static size_t budget_of(const firn__cache *c) { return c->budget > c->beside->bytes ? c->budget - c->beside->bytes : 0; }
static size_t budget_left(const firn__cache *c) { return budget_of(c) > c->bytes ? budget_of(c) - c->bytes : 0; }
static size_t table_bytes(const firn__cache *c) { return c->count * sizeof *c->features; }

void firn__cache_clear(firn__cache *c)
{
    while (c->chunks != NULL) {
        firn__cache_chunk *first = c->chunks;
        c->chunks = first->next;
        firn_realloc(c->ctx, first, first->bytes, 0);
    }
    if (c->features != NULL) firn_realloc(c->ctx, c->features, table_bytes(c), 0);
    c->features = NULL;
    c->bytes = c->filled = 0;
}

static void turn_off(firn__cache *c, const char *why)
{
    firn__cache_clear(c);
    c->off = true;
    snprintf(c->why, sizeof c->why, "%s", why);
}

void firn__cache_start(firn__cache *c, uint64_t data_id, size_t count, size_t budget, bool again)
{
    const bool same = c->data_id == data_id && c->count == count;
    if (!same) firn__cache_clear(c);
    c->off = c->off && same;
    c->data_id = data_id;
    c->count = count;
    c->budget = budget;
    c->fill = again || same;
}

/* Asking a plan may need memory; that there is none is no error of the training. */
static uint64_t ask_version(const firn__cache *c, const firn_plan *plan)
{
    const bool clean = firn_last_error(c->ctx) == FIRN_OK;
    const uint64_t version = firn_plan_features_version(plan);
    if (clean) firn_clear_error(c->ctx);
    return version;
}

static uint64_t ask_flops_a_sample(const firn__cache *c, const firn_plan *plan)
{
    const bool clean = firn_last_error(c->ctx) == FIRN_OK;
    firn_cost now = {0};
    const firn_status st = firn_plan_cost(plan, &now, NULL);
    if (clean) firn_clear_error(c->ctx);
    return st == FIRN_OK ? now.flops_cached / (uint64_t)firn_plan_batch(plan) : 0;
}

bool firn__cache_valid(firn__cache *c, const firn_plan *plan)
{
    const uint64_t version = ask_version(c, plan);
    if (version != c->version) {
        firn__cache_clear(c);
        if (c->above != NULL) firn__cache_clear(c->above);
        c->version = version;
        c->flops_a_sample = 0;
        c->off = false;
    }
    return c->filled > 0;
}

const void *firn__cache_get(const firn__cache *c, size_t sample) { return c->features[sample]; }

/* There is no room: for the rest of the samples, or, so that there is nothing to serve, for a single one. */
static void end_of_budget(firn__cache *c, size_t need)
{
    char why[sizeof c->why];
    if (c->filled > 0) return;
    snprintf(why, sizeof why, "the features of a single sample take %.4g MB at most, more than the %.4g MB of the budget",
             (double)need / 1e6, (double)budget_of(c) / 1e6);
    turn_off(c, why);
}

/* Room for `bound` bytes at the end of the newest chunk; NULL: there is none. */
static unsigned char *make_room(firn__cache *c, size_t bound)
{
    firn__cache_chunk *last = c->chunks;
    if (last != NULL && last->bytes - last->used >= bound) return (unsigned char *)last + last->used;
    const size_t missing = c->count - c->filled, left = budget_left(c), header = sizeof *last;
    size_t bytes = missing < CHUNK_BYTES / bound ? missing * bound + header : CHUNK_BYTES;
    if (bytes < bound + header) bytes = bound + header;
    if (bytes > left) bytes = left;
    if (bytes < bound + header) {
        end_of_budget(c, table_bytes(c) + header + bound);
        return NULL;
    }
    firn__cache_chunk *chunk = firn_realloc(c->ctx, NULL, 0, bytes);
    if (chunk == NULL) {
        turn_off(c, "memory ran out while it was filled");
        return NULL;
    }
    *chunk = (firn__cache_chunk){.next = last, .bytes = bytes, .used = header};
    c->chunks = chunk;
    c->bytes += bytes;
    return (unsigned char *)chunk + header;
}

static bool make_table(firn__cache *c, size_t bound)
{
    if (c->features != NULL) return true;
    if (table_bytes(c) > budget_left(c)) {
        end_of_budget(c, table_bytes(c) + bound);
        return false;
    }
    c->features = firn_realloc(c->ctx, NULL, 0, table_bytes(c));
    if (c->features == NULL) {
        turn_off(c, "memory ran out while it was filled");
        return false;
    }
    for (size_t i = 0; i < c->count; i++) c->features[i] = NULL;
    c->bytes = table_bytes(c);
    return true;
}

void firn__cache_fill(firn__cache *c, const firn_plan *plan, const firn__batch *b)
{
    firn__cache_valid(c, plan); /* the forward may have re-planned */
    if (c->off || !c->fill) return;
    const char *why = NULL;
    const size_t bound = firn_plan_features_bound(plan, &why);
    if (bound == 0) turn_off(c, why ? why : "there are no frozen features");
    if (bound == 0 || !make_table(c, bound)) return;
    for (int row = 0; row < b->rows; row++) {
        const size_t sample = firn__batch_sample(b, row);
        if (c->features[sample] != NULL) continue;
        unsigned char *room = make_room(c, bound);
        if (room == NULL) return;
        const size_t used = firn_plan_features_pack(plan, row, room);
        if (used == 0) return; /* not packed under this mask */
        c->features[sample] = room;
        c->chunks->used += used;
        c->filled++;
    }
}

void firn__cache_count(firn__cache *c, const firn_plan *plan, int rows)
{
    if (c->flops_a_sample == 0) c->flops_a_sample = ask_flops_a_sample(c, plan);
    c->served += (uint64_t)rows;
    c->flops_saved += c->flops_a_sample * (uint64_t)rows;
}
