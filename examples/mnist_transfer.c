/* mnist_transfer.c: the whole path on real data. Trains a small convolutional net on the digits 0-4, freezes its
 * feature layers, and fine-tunes the head on the digits 5-9; then proves that the frozen bytes did not change.
 * The experiment is that of Keras's old example mnist_transfer_cnn, whose authors report 99.8 % and 99.2 %. */
#include <firn/firn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parts/args.h"
#include "parts/show.h"

static const char usage[] =
    "usage: mnist_transfer [options]\n"
    "Pretrains on one half of the classes, freezes, fine-tunes on the other half.\n"
    "  --data DIR         folder with train-images-idx3-ubyte.gz and its three companions (MNIST, Fashion-MNIST,\n"
    "                     KMNIST), or the beginning of their names: DIR/emnist-letters. Default: the bundled MNIST\n"
    "  --freeze SELECTOR  what to freeze before fine-tuning; 'features.conv1', '*.weight', '!*' for nothing.\n"
    "                     Default: features\n"
    "  --epochs N         of each of the two phases (default 5)\n"
    "  --batch N          samples a step (default 128)\n"
    "  --threads N        default: all processors; the results do not depend on it\n"
    "  --seed N           default 1\n"
    "  --cache MB         frozen features to keep at most; those of the other samples are computed in every epoch\n"
    "                     (default 56, which keeps the whole job below 90 MB beside the images)\n"
    "  --no-cache         keep none\n"
    "  --quiet            only the summary\n"
    "  --help             this text\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

typedef struct options {
    const char *data, *freeze;
    int epochs, batch, threads, seed, cache;
    bool no_cache, quiet, help;
} options;

/* One set of images: both halves of its classes are lists of rows of the same feeds. */
typedef struct images {
    firn_idx pixels, labels; /* labels become the class within its half */
    uint32_t *rows;
    firn_feed feeds[2];
    firn_dataset half[2];
} images;

typedef struct memory {
    size_t now, peak;
} memory;

typedef struct phase {
    double seconds;
    firn_metrics test;
} phase;

typedef struct job {
    options opt;
    memory memory;
    firn_ctx *ctx;
    images train, test;
    int classes, first_half; /* in all; in the first half */
    firn_model *model;
    firn_tensor *logits, *loss;
    phase phases[2];
    firn_cache_stats cache;
    char why_no_cache[256];
} job;

/* ---- command line ---- */

static bool parse(int argc, char **argv, options *opt)
{
    const known_option known[] = {
        {"--data", .text = &opt->data},
        {"--freeze", .text = &opt->freeze},
        {"--epochs", .number = &opt->epochs, .most = 1000000},
        {"--batch", .number = &opt->batch, .most = 1000000},
        {"--threads", .number = &opt->threads, .most = FIRN_MAX_THREADS},
        {"--seed", .number = &opt->seed, .most = 1000000},
        {"--cache", .number = &opt->cache, .most = 1000000},
        {"--no-cache", .flag = &opt->no_cache},
        {"--quiet", .flag = &opt->quiet},
        {"--help", .flag = &opt->help},
    };
    return args_parse("mnist_transfer", argc, argv, known, sizeof known / sizeof *known);
}

/* ---- memory and time ---- */

static void *counted_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    memory *m = user;
    void *result = NULL;
    if (size == 0)
        free(ptr);
    else if ((result = realloc(ptr, size)) == NULL)
        return NULL;
    m->now += size - old_size;
    if (m->now > m->peak) m->peak = m->now;
    return result;
}

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The most memory this process ever had in use, in bytes; 0 where the system does not tell in Linux's way. */
static double peak_resident(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL) return 0;
    char line[256];
    long kilobytes = 0;
    while (fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0) kilobytes = strtol(line + 6, NULL, 10);
    fclose(f);
    return 1024.0 * (double)kilobytes;
}

/* ---- data ---- */

static firn_status load_pair(firn_ctx *ctx, const char *stem, images *set)
{
    char path[2][1024];
    snprintf(path[0], sizeof path[0], "%s-images-idx3-ubyte.gz", stem);
    snprintf(path[1], sizeof path[1], "%s-labels-idx1-ubyte.gz", stem);
    firn_status st = firn_idx_load(ctx, path[0], &set->pixels);
    if (st == FIRN_OK) st = firn_idx_load(ctx, path[1], &set->labels);
    if (st != FIRN_OK) return st;
    const firn_shape p = set->pixels.shape, l = set->labels.shape;
    if (p.rank != 3 || l.rank != 1 || p.dim[0] != l.dim[0] || p.dim[0] < 1)
        return firn_fail(ctx, FIRN_ERR_FORMAT, "%s: images [N, H, W] and labels [N] were expected, with the same N", stem);
    return FIRN_OK;
}

/* MNIST and most of its relatives name their files by folder, EMNIST by a prefix. */
static firn_status load_images(firn_ctx *ctx, const char *dir, const char *part, const char *emnist_part, images *set)
{
    char stem[900];
    snprintf(stem, sizeof stem, "%s-%s", dir, emnist_part);
    const firn_status st = load_pair(ctx, stem, set);
    if (st != FIRN_ERR_IO || set->pixels.data != NULL) return st; /* it is there, whole or not */
    firn_clear_error(ctx);
    snprintf(stem, sizeof stem, "%s/%s", dir, part);
    return load_pair(ctx, stem, set);
}

static int count_classes(const images *set)
{
    int classes = 0;
    for (int64_t i = 0; i < set->labels.shape.dim[0]; i++)
        if (set->labels.data[i] >= classes) classes = set->labels.data[i] + 1;
    return classes;
}

/* rows: those of the first half, then those of the second. A label becomes the class within its half. */
static firn_status split_classes(firn_ctx *ctx, images *set, int first_half)
{
    const size_t n = (size_t)set->labels.shape.dim[0];
    uint8_t *label = set->labels.data;
    set->rows = malloc(n * sizeof *set->rows);
    if (set->rows == NULL) return firn_fail(ctx, FIRN_ERR_MEMORY, "out of memory");
    size_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        if (label[i] < first_half) set->rows[count++] = i;
    set->feeds[0] = (firn_feed){"image", set->pixels.data};
    set->feeds[1] = (firn_feed){"label", label};
    set->half[0] = (firn_dataset){count, set->feeds, 2, set->rows};
    set->half[1] = (firn_dataset){n - count, set->feeds, 2, set->rows + count};
    for (uint32_t i = 0; i < n; i++) {
        if (label[i] < first_half) continue;
        set->rows[count++] = i;
        label[i] = (uint8_t)(label[i] - first_half);
    }
    return FIRN_OK;
}

static firn_status load_data(job *j)
{
    firn_status st = load_images(j->ctx, j->opt.data, "train", "train", &j->train);
    if (st == FIRN_OK) st = load_images(j->ctx, j->opt.data, "t10k", "test", &j->test);
    if (st != FIRN_OK) return st;
    const int64_t *a = j->train.pixels.shape.dim, *b = j->test.pixels.shape.dim;
    j->classes = count_classes(&j->train);
    j->first_half = j->classes / 2;
    if (a[1] != b[1] || a[2] != b[2] || count_classes(&j->test) > j->classes)
        return firn_fail(j->ctx, FIRN_ERR_FORMAT, "%s: training and test images do not belong together", j->opt.data);
    st = split_classes(j->ctx, &j->train, j->first_half);
    if (st == FIRN_OK) st = split_classes(j->ctx, &j->test, j->first_half);
    for (int half = 0; half < 2 && st == FIRN_OK; half++)
        if (j->train.half[half].count == 0 || j->test.half[half].count == 0)
            st = firn_fail(j->ctx, FIRN_ERR_FORMAT, "%s: each half of the classes needs training and test images",
                           j->opt.data);
    return st;
}

/* ---- the network ---- */

static void build(job *j)
{
    const firn_init_kind init = FIRN_INIT_KERAS;
    const int64_t *dim = j->train.pixels.shape.dim;
    firn_model *m = j->model = firn_model_create(j->ctx);
    firn_tensor *image = firn_input(m, "image", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 1, dim[1], dim[2]));
    firn_tensor *label = firn_input(m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));

    firn_tensor *x = firn_scale(image, 1.0f / 255.0f);
    x = firn_relu(firn_nn_conv2d(x, "features.conv1", &(firn_nn_conv2d_cfg){.out = 32, .kernel = 3, .init = init}));
    x = firn_relu(firn_nn_conv2d(x, "features.conv2", &(firn_nn_conv2d_cfg){.out = 32, .kernel = 3, .init = init}));
    x = firn_flatten(firn_max_pool2d(x, 2, 0), 1); /* before dropout, so that cached features are flat already */
    x = firn_nn_dropout(x, "features.dropout", 0.25f);
    x = firn_relu(firn_nn_linear(x, "head.dense", &(firn_nn_linear_cfg){.out = 128, .init = init}));
    x = firn_nn_dropout(x, "head.dropout", 0.5f);
    j->logits = firn_nn_linear(x, "head.logits", &(firn_nn_linear_cfg){.out = j->classes - j->first_half, .init = init});
    j->loss = firn_cross_entropy(j->logits, label, NULL);
}

/* ---- the two phases ---- */

/* Trains and tests on one half of the classes. */
static firn_status run_phase(job *j, firn_trainer *trainer, int half)
{
    const options *opt = &j->opt;
    printf("%s on classes %d-%d: %zu images\n", half == 0 ? "pretraining" : "fine-tuning", half == 0 ? 0 : j->first_half,
           half == 0 ? j->first_half - 1 : j->classes - 1, j->train.half[half].count);
    const firn_fit_options fit = {
        .epochs = opt->epochs, .on_progress = opt->quiet ? NULL : firn_progress_bar, .user = stdout};
    const double start = now();
    const firn_status st = firn_fit(trainer, &j->train.half[half], &fit);
    j->phases[half].seconds = now() - start;
    return st == FIRN_OK ? firn_evaluate(trainer, &j->test.half[half], &j->phases[half].test) : st;
}

static firn_trainer_options trainer_options(const job *j)
{
    return (firn_trainer_options){.batch = j->opt.batch,
                                  .optim = firn_adadelta(1.0f),
                                  .cache_bytes = (size_t)j->opt.cache * 1000000,
                                  .no_cache = j->opt.no_cache};
}

static firn_status pretrain(job *j)
{
    firn_trainer *trainer = NULL;
    const firn_trainer_options how = trainer_options(j);
    firn_status st = firn_trainer_create(&trainer, j->loss, j->logits, &how);
    if (st == FIRN_OK) st = run_phase(j, trainer, 0);
    firn_trainer_destroy(trainer);
    return st;
}

static int largest(const float *logits, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static firn_status show_predictions(job *j, firn_trainer *trainer)
{
    const firn_dataset *test = &j->test.half[1];
    const int n = j->classes - j->first_half;
    float *logits = malloc(test->count * (size_t)n * sizeof *logits);
    int *predicted = malloc(test->count * sizeof *predicted);
    firn_status st =
        logits && predicted ? firn_predict(trainer, test, logits) : firn_fail(j->ctx, FIRN_ERR_MEMORY, "out of memory");
    if (st == FIRN_OK) {
        for (size_t i = 0; i < test->count; i++) predicted[i] = largest(logits + i * (size_t)n, n);
        const answers a = {&j->test.pixels, j->test.labels.data, test, predicted, j->first_half, n};
        if (!j->opt.quiet) show_images(&a);
        show_confusion(&a);
    }
    free(predicted);
    free(logits);
    return st;
}

static firn_status finetune(job *j)
{
    size_t frozen = 0;
    firn_status st = firn_freeze(j->model, j->opt.freeze, &frozen);
    if (st != FIRN_OK) return st;
    printf("frozen: %s (%zu tensors)\n\n", j->opt.freeze, frozen);
    firn_trainer *trainer = NULL;
    const firn_trainer_options how = trainer_options(j);
    st = firn_trainer_create(&trainer, j->loss, j->logits, &how);
    if (st == FIRN_OK && !j->opt.quiet) st = firn_trainer_report(trainer, stdout);
    if (st == FIRN_OK) st = run_phase(j, trainer, 1);
    j->cache = firn_trainer_cache(trainer);
    if (j->cache.why_unused != NULL) /* which is the trainer's */
        snprintf(j->why_no_cache, sizeof j->why_no_cache, "%s", j->cache.why_unused);
    if (st == FIRN_OK) st = firn_verify_frozen(j->model);
    if (st == FIRN_OK) printf("verified: the frozen bytes are those of before\n\n");
    if (st == FIRN_OK) st = show_predictions(j, trainer);
    firn_trainer_destroy(trainer);
    return st;
}

static void print_summary(const job *j)
{
    printf("%-14s%10s%12s%12s\n", "", "test loss", "accuracy", "training");
    for (int half = 0; half < 2; half++) {
        const phase *p = &j->phases[half];
        printf("classes %2d-%-3d%10.4f%10.2f %%%10.2f s\n", half ? j->first_half : 0,
               half ? j->classes - 1 : j->first_half - 1, p->test.loss, 100 * p->test.accuracy, p->seconds);
    }
    if (*j->why_no_cache != '\0')
        printf("cached features: none (%s)\n", j->why_no_cache);
    else
        printf("cached features: %zu of %zu samples in %.1f MB, which saved %.1f GFLOP\n", j->cache.samples,
               j->cache.wanted, 1e-6 * (double)j->cache.bytes, 1e-9 * (double)j->cache.flops_saved);
    printf("peak memory: %.1f MB asked for by firn, the images included", 1e-6 * (double)j->memory.peak);
    const double resident = peak_resident();
    if (resident > 0) printf("; %.1f MB resident in all", 1e-6 * resident);
    printf("\n");
}

/* Tries to freeze: a mistake in the selector should not show only after pretraining. */
static firn_status check_selector(job *j)
{
    size_t frozen;
    const firn_status st = firn_freeze(j->model, j->opt.freeze, &frozen);
    if (st != FIRN_OK) return st;
    if (frozen == firn_tensor_count(j->model))
        return firn_fail(j->ctx, FIRN_ERR_ARGUMENT, "--freeze %s leaves nothing to fine-tune", j->opt.freeze);
    return firn_unfreeze(j->model, "*", NULL);
}

static firn_status run(job *j)
{
    firn_status st = load_data(j);
    if (st != FIRN_OK) return st;
    build(j);
    st = check_selector(j);
    if (st == FIRN_OK) st = pretrain(j);
    if (st == FIRN_OK) st = finetune(j);
    if (st == FIRN_OK) print_summary(j);
    if (st == FIRN_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = firn_fail(j->ctx, FIRN_ERR_IO, "the results could not be written");
    return st;
}

static void free_images(firn_ctx *ctx, images *set)
{
    firn_idx_free(ctx, &set->pixels);
    firn_idx_free(ctx, &set->labels);
    free(set->rows);
}

int main(int argc, char **argv)
{
    job j = {.opt = {.data = MNIST_DIR, .freeze = "features", .epochs = 5, .batch = 128, .cache = 56}};
    if (!parse(argc, argv, &j.opt)) return 2;
    if (j.opt.help) {
        fputs(usage, stdout);
        return 0;
    }
    const firn_ctx_options how = {
        .allocator = {counted_realloc, &j.memory}, .threads = j.opt.threads, .seed = (uint64_t)j.opt.seed};
    firn_status st = firn_ctx_create(&j.ctx, &how);
    if (st == FIRN_OK) st = run(&j);
    if (st != FIRN_OK) {
        const char *message = firn_message(j.ctx);
        fprintf(stderr, "mnist_transfer: %s\n", *message ? message : firn_status_text(st));
    }
    if (j.ctx != NULL) {
        free_images(j.ctx, &j.train);
        free_images(j.ctx, &j.test);
    }
    firn_ctx_destroy(j.ctx);
    return st == FIRN_OK ? 0 : 1;
}
