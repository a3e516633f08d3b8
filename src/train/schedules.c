#include <firn/train.h>
#include <float.h>
#include <limits.h>

/* A list of which the first `capacity` events are written. */
typedef struct event_list {
    firn_freeze_event *events;
    size_t capacity, n;
} event_list;

static void add_event(event_list *list, int epoch, bool unfreeze, const char *layer, float rate)
{
    if (list->events != NULL && list->n < list->capacity)
        list->events[list->n] = (firn_freeze_event){.epoch = epoch, .unfreeze = unfreeze, .selector = layer, .rate = rate};
    list->n++;
}

/* The epoch behind k times `every`; far ones never come. */
static int epoch_after(size_t k, int every)
{
    return k < (size_t)(INT_MAX - 1) / (size_t)every ? 1 + (int)k * every : INT_MAX;
}

/* Epoch 1: only the last layer trains. */
static void add_probe(event_list *list, const char *const *layers, size_t n)
{
    for (size_t i = 0; i < n; i++) add_event(list, 1, i == n - 1, layers[i], 0);
}

/* Never zero, which would mean: as it was. */
static float lower_rate(float rate, float divide) { return rate / divide > FLT_MIN ? rate / divide : FLT_MIN; }

size_t firn_gradual_unfreezing(const char *const *layers, size_t n, int every, float divide, firn_freeze_event *events,
                               size_t capacity)
{
    event_list list = {events, capacity, 0};
    if (layers == NULL || n == 0 || every < 1 || !(divide > 0)) return 0;
    add_probe(&list, layers, n);
    float rate = 1;
    for (size_t k = 1; k < n; k++) {
        rate = lower_rate(rate, divide);
        add_event(&list, epoch_after(k, every), true, layers[n - 1 - k], rate);
    }
    return list.n;
}

size_t firn_probe_then_tune(const char *const *layers, size_t n, int probe, float rate, firn_freeze_event *events,
                            size_t capacity)
{
    event_list list = {events, capacity, 0};
    if (layers == NULL || n == 0 || probe < 1 || !(rate > 0)) return 0;
    add_probe(&list, layers, n);
    for (size_t i = 0; i < n; i++) add_event(&list, epoch_after(1, probe), true, layers[i], rate);
    return list.n;
}

size_t firn_progressive_freezing(const char *const *layers, size_t n, int every, firn_freeze_event *events, size_t capacity)
{
    event_list list = {events, capacity, 0};
    if (layers == NULL || n == 0 || every < 1) return 0;
    for (size_t k = 1; k < n; k++) add_event(&list, epoch_after(k, every), false, layers[k - 1], 0);
    return list.n;
}
