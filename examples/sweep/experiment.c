#include "experiment.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const layer_names[LAYERS + 1] = {"conv1", "conv2", "conv3", "conv4", "dense", "logits"};

/* ---- images ---- */

static firn_status split_digits(firn_ctx *ctx, digits *d, const char *labels)
{
    const size_t n = (size_t)d->labels.shape.dim[0];
    for (int half = 0; half < HALVES; half++) {
        d->rows[half] = malloc(n * sizeof *d->rows[half]);
        if (d->rows[half] == NULL) return firn_fail(ctx, FIRN_ERR_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t *label = &d->labels.data[i];
        if (*label >= HALVES * CLASSES)
            return firn_fail(ctx, FIRN_ERR_FORMAT, "%s: label %zu is %d: digits were expected", labels, i, *label);
        const int half = *label / CLASSES;
        d->rows[half][d->count[half]++] = (uint32_t)i;
        *label %= CLASSES;
    }
    if (d->count[0] == 0 || d->count[1] == 0)
        return firn_fail(ctx, FIRN_ERR_FORMAT, "%s: one half of the digits has no images", labels);
    d->feeds[0] = (firn_feed){"image", d->pixels.data};
    d->feeds[1] = (firn_feed){"label", d->labels.data};
    return FIRN_OK;
}

firn_status digits_load(firn_ctx *ctx, const char *dir, const char *part, digits *d)
{
    char path[1200];
    snprintf(path, sizeof path, "%.1000s/%s-images-idx3-ubyte.gz", dir, part);
    firn_status st = firn_idx_load(ctx, path, &d->pixels);
    snprintf(path, sizeof path, "%.1000s/%s-labels-idx1-ubyte.gz", dir, part);
    if (st == FIRN_OK) st = firn_idx_load(ctx, path, &d->labels);
    if (st != FIRN_OK) return st;
    const firn_shape p = d->pixels.shape, l = d->labels.shape;
    if (p.rank != 3 || l.rank != 1 || p.dim[0] != l.dim[0] || p.dim[0] < 1 || p.dim[1] < 16 || p.dim[2] < 16)
        return firn_fail(ctx, FIRN_ERR_FORMAT, "%s: images [N, H, W] of at least 16 x 16 and as many labels were expected",
                         path);
    return split_digits(ctx, d, path);
}

void digits_free(firn_ctx *ctx, digits *d)
{
    firn_idx_free(ctx, &d->pixels);
    firn_idx_free(ctx, &d->labels);
    for (int half = 0; half < HALVES; half++) free(d->rows[half]);
    *d = (digits){0};
}

/* Up to per_class images of each class, from another place in the file for every seed; chosen has room for all. */
static size_t choose(const digits *d, int half, int per_class, int seed, uint32_t *chosen)
{
    const size_t n = d->count[half], start = (size_t)seed * 7919 % n;
    int taken[CLASSES] = {0};
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t row = d->rows[half][(start + i) % n];
        if (taken[d->labels.data[row]]++ < per_class) chosen[count++] = row;
    }
    return count;
}

/* ---- the net ---- */

typedef struct net {
    firn_model *m;
    firn_tensor *logits, *loss;
} net;

static firn_tensor *conv(firn_tensor *x, int layer, int out)
{
    return firn_relu(firn_nn_conv2d(x, layer_names[layer], &(firn_nn_conv2d_cfg){.out = out, .kernel = 3}));
}

static net build(firn_ctx *ctx, const firn_shape images)
{
    net n = {.m = firn_model_create(ctx)};
    firn_tensor *image = firn_input(n.m, "image", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 1, images.dim[1], images.dim[2]));
    firn_tensor *label = firn_input(n.m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *x = conv(firn_scale(image, 1.0f / 255), 0, 16);
    x = firn_max_pool2d(conv(x, 1, 16), 2, 0);
    x = conv(x, 2, 32);
    x = firn_flatten(firn_max_pool2d(conv(x, 3, 32), 2, 0), 1);
    x = firn_relu(firn_nn_linear(x, layer_names[4], &(firn_nn_linear_cfg){.out = 64}));
    n.logits = firn_nn_linear(x, layer_names[LAYERS], &(firn_nn_linear_cfg){.out = CLASSES});
    n.loss = firn_cross_entropy(n.logits, label, NULL);
    return n;
}

/* The first layers get the base's values; then everything before the next layer is frozen, if it is to be. */
static firn_status take_layers(const net *n, const transfer *t)
{
    firn_status st = FIRN_OK;
    for (int i = 0; i < 2 * t->depth && st == FIRN_OK; i++) {
        const firn_tensor_info info = firn_tensor_at(n->m, (size_t)i);
        st = firn_write(n->m, info.name, t->base[i], (size_t)firn_shape_count(info.shape));
    }
    if (st == FIRN_OK && t->depth > 0 && t->mode != FINE_TUNED) st = firn_freeze_to(n->m, layer_names[t->depth], NULL);
    return st;
}

static firn_status copy_values(const net *n, float **learned)
{
    for (size_t i = 0; i < TENSORS; i++) {
        const firn_tensor_info info = firn_tensor_at(n->m, i);
        const size_t bytes = (size_t)firn_shape_count(info.shape) * sizeof(float);
        learned[i] = malloc(bytes);
        if (learned[i] == NULL) return firn_fail(firn_model_ctx(n->m), FIRN_ERR_MEMORY, "out of memory");
        memcpy(learned[i], info.data, bytes);
    }
    return FIRN_OK;
}

/* ---- a run: a context of its own, so that its memory can be counted ---- */

typedef struct counter {
    size_t now, peak;
} counter;

static void *counted_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    counter *c = user;
    void *moved = NULL;
    if (size == 0)
        free(ptr);
    else if ((moved = realloc(ptr, size)) == NULL)
        return NULL;
    c->now += size - old_size;
    if (c->now > c->peak) c->peak = c->now;
    return moved;
}

static double seconds_now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static firn_status train_and_test(firn_trainer *trainer, const firn_dataset *train, const firn_dataset *test, int epochs,
                                  const counter *memory, result *out)
{
    const double start = seconds_now();
    firn_status st = firn_fit(trainer, train, &(firn_fit_options){.epochs = epochs});
    out->seconds = seconds_now() - start;
    out->peak_bytes = memory->peak;
    out->cache_bytes = firn_trainer_cache(trainer).bytes;
    firn_cost now;
    firn_metrics metrics;
    if (st == FIRN_OK) st = firn_trainer_cost(trainer, &now, NULL);
    if (st == FIRN_OK) st = firn_evaluate(trainer, test, &metrics);
    if (st != FIRN_OK) return st;
    out->trainable = now.params_trainable;
    out->accuracy = metrics.accuracy;
    out->loss = metrics.loss;
    return FIRN_OK;
}

static firn_status run_in(firn_ctx *ctx, const counter *memory, const setting *s, const transfer *t, uint32_t *chosen,
                          result *out, float **learned)
{
    const net n = build(ctx, s->train->pixels.shape);
    const size_t tests = s->test->count[t->half];
    const firn_dataset train = {choose(s->train, t->half, t->per_class, t->seed, chosen), s->train->feeds, 2, chosen};
    const firn_dataset test = {tests < s->test_count ? tests : s->test_count, s->test->feeds, 2, s->test->rows[t->half]};
    const firn_trainer_options how = {.batch = 50, .optim = firn_adam(0.002f), .no_cache = t->mode == FROZEN_UNCACHED};
    firn_trainer *trainer = NULL;
    firn_status st = n.loss != NULL ? take_layers(&n, t) : firn_last_error(ctx);
    if (st == FIRN_OK) st = firn_trainer_create(&trainer, n.loss, n.logits, &how);
    if (st == FIRN_OK) st = train_and_test(trainer, &train, &test, t->epochs, memory, out);
    if (st == FIRN_OK) st = firn_verify_frozen(n.m);
    if (st == FIRN_OK && learned != NULL) st = copy_values(&n, learned);
    firn_trainer_destroy(trainer);
    return st;
}

firn_status transfer_run(const setting *s, const transfer *t, result *out, float **learned, char message[256])
{
    counter memory = {0};
    firn_ctx *ctx = NULL;
    uint32_t *chosen = malloc(s->train->count[t->half] * sizeof *chosen);
    const firn_ctx_options how = {
        .allocator = {counted_realloc, &memory}, .threads = s->threads, .seed = (uint64_t)t->seed};
    firn_status st = chosen != NULL ? firn_ctx_create(&ctx, &how) : FIRN_ERR_MEMORY;
    if (st == FIRN_OK) st = run_in(ctx, &memory, s, t, chosen, out, learned);
    if (st != FIRN_OK) {
        const char *why = firn_message(ctx);
        snprintf(message, 256, "%s", *why ? why : firn_status_text(st));
    }
    firn_ctx_destroy(ctx);
    free(chosen);
    return st;
}
