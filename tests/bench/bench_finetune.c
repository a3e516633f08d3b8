/* bench_finetune: the fine-tuning phase of the reference job on MNIST's digits 5 to 9, from weights pretrained on 0 to 4.
 *   bench_finetune pretrain|full|frozen|cached --weights FILE [--net NAME] [--epochs N] [--threads N] [--data DIR]
 * pretrain writes FILE, the others read it: full trains all of the net, frozen has its first part frozen, cached keeps
 * that part's features. When training is done, and before the test digits are counted, it prints
 *   seconds   of the phase by the clock; cpu: by processor time
 *   cpu_total processor time since the program began
 *   peak_kb   the most memory that was resident (where /proc/self/status says)
 *   base_kb   what was resident before the phase, the digits included
 *   predicted_kb  what firn_trainer_cost() says that the phase takes, without cached features */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nets.h"

enum { half = 5 };

typedef struct options {
    const char *what, *weights, *data;
    const net *net;
    int epochs, threads;
} options;

/* What is frozen: all that has learned to see. */
static const char *frozen_part(const net *n)
{
    return strcmp(n->name, "cnn") == 0 ? "features" : "conv1,bn1,layer1,layer2";
}

/* ---- data ---- */

typedef struct digits {
    firn_idx images, labels;
    uint32_t *rows;
    firn_feed feeds[2];
    firn_dataset set;
} digits;

static firn_status load(firn_ctx *ctx, const char *folder, const char *file, firn_idx *out)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return firn_idx_load(ctx, path, out);
}

/* Half of the digits, counted from zero. */
static firn_status open_digits(firn_ctx *ctx, const char *folder, const char *kind, bool upper, digits *d)
{
    char file[64];
    snprintf(file, sizeof file, "%s-images-idx3-ubyte", kind);
    firn_status st = load(ctx, folder, file, &d->images);
    snprintf(file, sizeof file, "%s-labels-idx1-ubyte", kind);
    if (st == FIRN_OK) st = load(ctx, folder, file, &d->labels);
    if (st != FIRN_OK) return st;
    const uint32_t count = (uint32_t)d->labels.shape.dim[0];
    d->rows = malloc(count * sizeof *d->rows);
    if (d->rows == NULL || d->images.shape.dim[0] != d->labels.shape.dim[0]) return FIRN_ERR_MEMORY;
    size_t taken = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *label = &d->labels.data[i];
        if ((*label >= half) != upper) continue;
        *label = (uint8_t)(*label % half);
        d->rows[taken++] = i;
    }
    d->feeds[0] = (firn_feed){"image", d->images.data};
    d->feeds[1] = (firn_feed){"label", d->labels.data};
    d->set = (firn_dataset){taken, d->feeds, 2, d->rows};
    return FIRN_OK;
}

static void close_digits(firn_ctx *ctx, digits *d)
{
    firn_idx_free(ctx, &d->images);
    firn_idx_free(ctx, &d->labels);
    free(d->rows);
}

/* ---- the phase ---- */

static long resident_kb(const char *which)
{
    long kb = 0;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, which, 6) == 0) kb = strtol(line + 6, NULL, 10);
    if (f != NULL) fclose(f);
    return kb;
}

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static firn_status train(const options *opt, firn_trainer *t, const digits *d)
{
    firn_cost cost;
    firn_status st = firn_trainer_cost(t, &cost, NULL);
    const long base_kb = resident_kb("VmRSS:");
    const double begin = net_seconds(), cpu = cpu_seconds();
    if (st == FIRN_OK) st = firn_fit(t, &d->set, &(firn_fit_options){.epochs = opt->epochs});
    if (st != FIRN_OK) return st;
    printf("seconds %.3f\ncpu %.3f\ncpu_total %.3f\npeak_kb %ld\nbase_kb %ld\npredicted_kb %zu\n", net_seconds() - begin,
           cpu_seconds() - cpu, cpu_seconds(), resident_kb("VmHWM:"), base_kb,
           (cost.bytes_arena + cost.bytes_grads + cost.bytes_packed + cost.bytes_tables + cost.bytes_optim) >> 10);
    fflush(stdout);
    return FIRN_OK;
}

static firn_status test(firn_ctx *ctx, const options *opt, firn_trainer *t, bool upper)
{
    digits d = {0};
    firn_metrics m;
    firn_status st = open_digits(ctx, opt->data, "t10k", upper, &d);
    if (st == FIRN_OK) st = firn_evaluate(t, &d.set, &m);
    if (st == FIRN_OK) printf("accuracy %.4f\n", m.accuracy);
    close_digits(ctx, &d);
    return st;
}

static firn_status run(firn_ctx *ctx, const options *opt)
{
    const bool pretrain = strcmp(opt->what, "pretrain") == 0, full = pretrain || strcmp(opt->what, "full") == 0;
    const net_model made = net_build(opt->net, ctx, half);
    const firn_trainer_options how = {
        .batch = opt->net->batch, .optim = opt->net->optim, .no_cache = strcmp(opt->what, "cached") != 0};
    firn_trainer *t = NULL;
    digits d = {0};
    firn_status st = firn_trainer_create(&t, made.loss, made.logits, &how);
    if (st == FIRN_OK && !pretrain) st = firn_load(made.model, opt->weights, NULL, NULL);
    if (st == FIRN_OK && !full) st = firn_freeze(made.model, frozen_part(opt->net), NULL);
    if (st == FIRN_OK) st = open_digits(ctx, opt->data, "train", !pretrain, &d);
    if (st == FIRN_OK) st = train(opt, t, &d);
    if (st == FIRN_OK) st = test(ctx, opt, t, !pretrain);
    if (st == FIRN_OK && pretrain) st = firn_save(made.model, opt->weights);
    close_digits(ctx, &d);
    firn_trainer_destroy(t);
    return st;
}

int main(int argc, char **argv)
{
    options opt = {.what = argc > 1 ? argv[1] : "",
                   .data = FIRN_TESTS_DIR "/../examples/data/mnist",
                   .net = net_find("cnn"),
                   .epochs = 5,
                   .threads = 1};
    static const char *const whats[] = {"pretrain", "full", "frozen", "cached"};
    bool known = false;
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++) known = known || strcmp(opt.what, whats[i]) == 0;
    for (int i = 2; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--weights") == 0)
            opt.weights = value;
        else if (strcmp(argv[i], "--net") == 0)
            opt.net = net_find(value);
        else if (strcmp(argv[i], "--epochs") == 0)
            opt.epochs = atoi(value);
        else if (strcmp(argv[i], "--threads") == 0)
            opt.threads = atoi(value);
        else if (strcmp(argv[i], "--data") == 0)
            opt.data = value;
        else
            known = false;
    }
    if (!known || opt.weights == NULL || opt.net == NULL || opt.epochs < 1) {
        fprintf(stderr,
                "usage: bench_finetune pretrain|full|frozen|cached --weights FILE [--net cnn|resnet_bn] [--epochs N]\n"
                "                      [--threads N] [--data DIR]\n");
        return 2;
    }
    firn_ctx *ctx;
    const firn_ctx_options how = {.threads = opt.threads};
    if (firn_ctx_create(&ctx, &how) != FIRN_OK) return 1;
    const firn_status st = run(ctx, &opt);
    if (st != FIRN_OK) fprintf(stderr, "bench_finetune: %s: %s\n", firn_status_text(st), firn_message(ctx));
    firn_ctx_destroy(ctx);
    return st == FIRN_OK ? 0 : 1;
}
