#include <stdint.h>
#include <string.h>

#include "trainer.h"

/* ---- random order: SplitMix64 (Steele, Lea, Flood 2014) as a function of (key, index) ---- */

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Fisher-Yates. bound is below 2^32, so that the product of its high half is a fair enough draw. */
static void shuffle_rows(uint32_t *rows, size_t count, uint64_t key)
{
    for (size_t i = count; i > 1; i--) {
        const size_t j = (size_t)(((mix(key + i) >> 32) * i) >> 32);
        const uint32_t swap = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = swap;
    }
}

void firn__data_shuffle(uint32_t *order, size_t count, uint64_t seed, uint64_t epoch)
{
    for (size_t i = 0; i < count; i++) order[i] = (uint32_t)i;
    shuffle_rows(order, count, mix(mix(seed) ^ epoch));
}

firn_status firn_dataset_split(const firn_dataset *data, double fraction, uint64_t seed, uint32_t *rows,
                               firn_dataset *first, firn_dataset *second)
{
    if (data == NULL || rows == NULL || first == NULL || second == NULL) return FIRN_ERR_ARGUMENT;
    if (!(fraction >= 0 && fraction <= 1) || data->count > UINT32_MAX) return FIRN_ERR_ARGUMENT;
    const firn_dataset whole = *data; /* first or second may be data */
    for (size_t i = 0; i < whole.count; i++) rows[i] = whole.rows ? whole.rows[i] : (uint32_t)i;
    shuffle_rows(rows, whole.count, mix(seed ^ 0x73706c6974u)); /* "split": another order than an epoch's */
    const size_t cut = (size_t)(fraction * (double)whole.count + 0.5);
    *first = *second = whole;
    first->rows = rows;
    first->count = cut;
    second->rows = rows + cut;
    second->count = whole.count - cut;
    return FIRN_OK;
}

/* ---- identity and validity ---- */

uint64_t firn__data_id(const firn_dataset *data)
{
    uint64_t id = mix(data->count);
    for (size_t i = 0; i < data->n_feeds; i++) {
        for (const char *c = data->feeds[i].input; *c != '\0'; c++) id = mix(id ^ (unsigned char)*c);
        id = mix(id ^ (uint64_t)(uintptr_t)data->feeds[i].data);
    }
    for (size_t i = 0; data->rows != NULL && i < data->count; i++) id = mix(id ^ data->rows[i]);
    return id ? id : 1;
}

static bool plan_needs(const firn_plan *plan, const char *name)
{
    const firn_tensor *input;
    for (size_t i = 0; (input = firn_plan_input(plan, i)) != NULL; i++)
        if (strcmp(firn_tensor_name(input), name) == 0) return true;
    return false;
}

/* Every feed has data, a name that some plan of t knows, and no twin. */
static firn_status check_data_feeds(const firn_trainer *t, const firn_plan *plan, const firn_dataset *data,
                                    const char *what)
{
    for (size_t i = 0; i < data->n_feeds; i++) {
        const firn_feed *feed = &data->feeds[i];
        if (feed->input == NULL || feed->data == NULL)
            return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "%s: feed %zu of the data has no name or no data", what, i);
        if (!plan_needs(t->train.plan, feed->input) && !plan_needs(plan, feed->input))
            return firn_fail(t->ctx, FIRN_ERR_NAME, "%s: the data feed \"%.200s\", but no such input is needed", what,
                             feed->input);
        for (size_t j = 0; j < i; j++)
            if (strcmp(feed->input, data->feeds[j].input) == 0)
                return firn_fail(t->ctx, FIRN_ERR_NAME, "%s: the data feed \"%.200s\" twice", what, feed->input);
    }
    return FIRN_OK;
}

firn_status firn__data_check(const firn_trainer *t, const firn_plan *plan, const firn_dataset *data, const char *what)
{
    if (data == NULL || (data->feeds == NULL && data->n_feeds > 0))
        return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "%s: the data or its feeds are NULL", what);
    if (data->count == 0 || data->count > UINT32_MAX)
        return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "%s: the data have %zu samples; it must be 1 to 2^32 - 1", what,
                         data->count);
    const firn_status st = check_data_feeds(t, plan, data, what);
    if (st != FIRN_OK) return st;
    const firn_tensor *input;
    for (size_t i = 0; (input = firn_plan_input(plan, i)) != NULL; i++) {
        size_t f = 0;
        while (f < data->n_feeds && strcmp(data->feeds[f].input, firn_tensor_name(input)) != 0) f++;
        if (f == data->n_feeds)
            return firn_fail(t->ctx, FIRN_ERR_NAME, "%s: the data do not feed the input \"%s\"", what,
                             firn_tensor_name(input));
    }
    return FIRN_OK;
}
