/* freeze_sweep.c: how transferable are the features of a digit net, layer by layer? The experiment of Yosinski, Clune,
 * Bengio, Lipson 2014 on MNIST: the first n layers of a net that knows one half of the digits are taken over by a net
 * that learns the other half; they are frozen, or fine-tuned with the rest. Writes a table and a chart of accuracy,
 * seconds and memory over n. */
#include <firn/firn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parts/args.h"
#include "sweep/chart.h"
#include "sweep/experiment.h"

static const char usage[] =
    "usage: freeze_sweep [options]\n"
    "Transfers the first n layers of a digit net between the halves 0-4 and 5-9, for every n, frozen and fine-tuned,\n"
    "with few and with many images to learn from; writes accuracy, seconds and memory.\n"
    "  --data DIR     folder of the four MNIST files, or of another set with ten classes (default: the bundled MNIST)\n"
    "  --seeds N      repetitions (default 3)\n"
    "  --epochs N     passes over the many images, and 20 N over the few (default 5)\n"
    "  --threads N    default: all processors; the accuracies do not depend on it\n"
    "  --quick        a tiny version of everything, to see that it runs\n"
    "  --csv FILE     table of all runs (default freeze_sweep.csv)\n"
    "  --svg FILE     chart (default freeze_sweep.svg)\n"
    "  --help         this text\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

enum { SIZES = 2, MOST_SEEDS = CHART_DOTS / HALVES };
static const char *const half_names[HALVES] = {"0-4", "5-9"};
static const char *const mode_names[MODES] = {"fine-tuned", "frozen", "frozen-uncached"};

typedef struct options {
    const char *data, *csv, *svg;
    int seeds, epochs, threads;
    bool quick, help;
} options;

typedef struct sweep {
    options opt;
    firn_ctx *ctx; /* of the images */
    digits train, test;
    setting setting;
    int base_images, base_epochs, images[SIZES]; /* a class */
    int passes[SIZES];                           /* a pass over the few images is a single step: they get more */
    result results[SIZES][HALVES][MODES][LAYERS + 1][MOST_SEEDS];
    FILE *csv, *svg;
} sweep;

/* ---- command line ---- */

static bool parse(int argc, char **argv, options *opt)
{
    const known_option known[] = {
        {"--data", .text = &opt->data},
        {"--csv", .text = &opt->csv},
        {"--svg", .text = &opt->svg},
        {"--seeds", .number = &opt->seeds, .most = MOST_SEEDS},
        {"--epochs", .number = &opt->epochs, .most = 1000},
        {"--threads", .number = &opt->threads, .most = FIRN_MAX_THREADS},
        {"--quick", .flag = &opt->quick},
        {"--help", .flag = &opt->help},
    };
    return args_parse("freeze_sweep", argc, argv, known, sizeof known / sizeof *known);
}

static void choose_sizes(sweep *s)
{
    const bool quick = s->opt.quick;
    if (s->opt.seeds == 0) s->opt.seeds = quick ? 1 : 3;
    if (s->opt.epochs == 0) s->opt.epochs = quick ? 1 : 5;
    s->base_images = quick ? 20 : 3000;
    s->base_epochs = quick ? 1 : 2;
    s->images[0] = quick ? 2 : 10;
    s->images[1] = quick ? 10 : 400;
    s->passes[0] = s->opt.epochs * (quick ? 2 : 20);
    s->passes[1] = s->opt.epochs;
    s->setting = (setting){&s->train, &s->test, quick ? 40 : SIZE_MAX, s->opt.threads};
}

/* ---- the runs ---- */

static firn_status failed(const sweep *s, firn_status st, const char *message)
{
    return firn_fail(s->ctx, st, "%s", message);
}

static firn_status run_one(sweep *s, int size, const transfer *t, int seed)
{
    char message[256];
    result *r = &s->results[size][t->half][t->mode][t->depth][seed];
    const firn_status st = transfer_run(&s->setting, t, r, NULL, message);
    if (st != FIRN_OK) return failed(s, st, message);
    fprintf(s->csv, "%s,%s,%d,%d,%s,%s,%d,%.6f,%.6f,%.4f,%zu,%zu,%llu\n", half_names[1 - t->half], half_names[t->half],
            t->per_class, t->depth, t->depth > 0 ? layer_names[t->depth - 1] : "none", mode_names[t->mode], seed + 1,
            r->accuracy, r->loss, r->seconds, r->peak_bytes, r->cache_bytes, (unsigned long long)r->trainable);
    fflush(s->csv); /* what is done can be read if the rest is interrupted */
    return FIRN_OK;
}

/* With nothing transferred there is nothing to freeze: one run stands for all modes. */
static firn_status run_depths(sweep *s, int size, transfer t, int seed)
{
    t.per_class = s->images[size];
    t.epochs = s->passes[size];
    for (t.depth = 0; t.depth <= LAYERS; t.depth++)
        for (int mode = 0; mode < (t.depth > 0 ? MODES : 1); mode++) {
            t.mode = (transfer_mode)mode;
            const firn_status st = run_one(s, size, &t, seed);
            if (st != FIRN_OK) return st;
        }
    for (int mode = 1; mode < MODES; mode++)
        s->results[size][t.half][mode][0][seed] = s->results[size][t.half][FINE_TUNED][0][seed];
    return FIRN_OK;
}

/* A net learns one half of the digits; all that follows learns the other half. */
static firn_status run_half(sweep *s, int half, int seed)
{
    float *base[TENSORS] = {NULL};
    char message[256];
    result r;
    const transfer own = {.half = 1 - half, .per_class = s->base_images, .epochs = s->base_epochs, .seed = 1000 + seed};
    firn_status st = transfer_run(&s->setting, &own, &r, base, message);
    if (st != FIRN_OK) st = failed(s, st, message);
    if (st == FIRN_OK)
        printf("seed %d of %d, %s to %s: the first net knows its own digits to %.1f %%\n", seed + 1, s->opt.seeds,
               half_names[1 - half], half_names[half], 100 * r.accuracy);
    fflush(stdout);
    for (int size = 0; size < SIZES && st == FIRN_OK; size++)
        st = run_depths(s, size, (transfer){.half = half, .seed = 1 + seed, .base = base}, seed);
    for (int i = 0; i < TENSORS; i++) free(base[i]);
    return st;
}

/* Keeping the features of the frozen layers must not change what is learned. */
static firn_status check_cache(const sweep *s)
{
    for (int size = 0; size < SIZES; size++)
        for (int half = 0; half < HALVES; half++)
            for (int depth = 0; depth <= LAYERS; depth++)
                for (int seed = 0; seed < s->opt.seeds; seed++) {
                    const result *a = &s->results[size][half][FROZEN][depth][seed],
                                 *b = &s->results[size][half][FROZEN_UNCACHED][depth][seed];
                    if (a->loss < b->loss || a->loss > b->loss)
                        return failed(s, FIRN_ERR_STATE, "a run from cached features differs from the one without");
                }
    return FIRN_OK;
}

/* ---- table and chart ---- */

typedef enum figure { ACCURACY, SECONDS, MEGABYTES } figure;

static double value_of(const result *r, figure f)
{
    return f == ACCURACY ? 100 * r->accuracy : f == SECONDS ? r->seconds : (double)r->peak_bytes * 1e-6;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Over seeds and over halves first..last: the mean; of seconds, which others on the machine disturb, the median. */
static double middle_of(const sweep *s, figure f, int size, int first, int last, int mode, int depth, chart_line *dots)
{
    double values[CHART_DOTS], sum = 0;
    int n = 0;
    for (int half = first; half <= last; half++)
        for (int seed = 0; seed < s->opt.seeds; seed++) {
            values[n] = value_of(&s->results[size][half][mode][depth][seed], f);
            if (dots != NULL) dots->dots[depth][n] = values[n];
            sum += values[n++];
        }
    if (dots != NULL) dots->n_dots[depth] = n;
    qsort(values, (size_t)n, sizeof *values, ascending);
    return f == SECONDS ? (values[n / 2] + values[(n - 1) / 2]) / 2 : sum / n;
}

static void fill_panel(const sweep *s, chart_panel *p, figure f, int size, int first, int last)
{
    p->n_lines = f == ACCURACY ? 2 : MODES; /* cached or not is no question of accuracy */
    p->from_zero = f != ACCURACY;
    p->unit = f == ACCURACY ? "%" : f == SECONDS ? "s" : "MB";
    p->y_label = f == ACCURACY ? "test accuracy, %" : f == SECONDS ? "training time, s" : "peak memory, MB";
    for (int mode = 0; mode < p->n_lines; mode++)
        for (int depth = 0; depth <= LAYERS; depth++)
            p->lines[mode].middle[depth] = middle_of(s, f, size, first, last, mode, depth, &p->lines[mode]);
}

static void print_table(const sweep *s)
{
    for (int size = 0; size < SIZES; size++) {
        printf("\n%d images a class; mean (of times: median) of %d seeds and both directions\n", s->images[size],
               s->opt.seeds);
        printf("%-8s %-10s %21s   %32s   %32s\n", "", "", "test accuracy, %", "training time, s", "peak memory, MB");
        printf("%-8s %-10s %10s %10s   %10s %10s %10s   %10s %10s %10s\n", "layers", "up to", "fine-tuned", "frozen",
               "fine-tuned", "cached", "no cache", "fine-tuned", "cached", "no cache");
        for (int depth = 0; depth <= LAYERS; depth++) {
            printf("%-8d %-10s", depth, depth > 0 ? layer_names[depth - 1] : "none");
            for (int f = ACCURACY; f <= MEGABYTES; f++) {
                for (int mode = 0; mode < (f == ACCURACY ? 2 : MODES); mode++)
                    printf(" %10.*f", f == SECONDS ? 3 : 2,
                           middle_of(s, (figure)f, size, 0, HALVES - 1, mode, depth, NULL));
                printf(f == MEGABYTES ? "\n" : "  ");
            }
        }
    }
}

static void draw(const sweep *s)
{
    static chart c;
    static char notes[2][160], titles[CHART_PANELS][80];
    c = (chart){.title = "How transferable are the features of a digit net?",
                .notes = {"The first n layers come from a net that knows the other five digits; the rest starts at random.",
                          notes[0], notes[1]},
                .x_label = "layers transferred (and the last of them)",
                .x = {"none"},
                .names = {"fine-tuned with the rest", "frozen, features cached", "frozen, no cache (same accuracy)"},
                .short_names = {"fine-tuned", "frozen", "frozen, no cache"}};
    snprintf(notes[0], sizeof notes[0],
             "Mean of %d seed%s (of times: median); dots are single runs. Convolutions 3x3: 16, 16, pool, 32, 32, pool; "
             "dense 64; output 5.",
             s->opt.seeds, s->opt.seeds > 1 ? "s" : "");
    snprintf(notes[1], sizeof notes[1],
             "Adam, rate 0.002, batch 50, %d passes over the many images, %d over the few. After Yosinski et al. 2014.",
             s->opt.epochs, s->passes[0]);
    for (int i = 1; i <= LAYERS; i++) c.x[i] = layer_names[i - 1];
    for (int half = HALVES - 1; half >= 0; half--)
        for (int size = 0; size < SIZES; size++) {
            snprintf(titles[c.n_panels], sizeof titles[0], "Digits %s to %s, %d images a class", half_names[1 - half],
                     half_names[half], s->images[size]);
            c.panels[c.n_panels].title = titles[c.n_panels];
            fill_panel(s, &c.panels[c.n_panels++], ACCURACY, size, half, half);
        }
    for (int f = SECONDS; f <= MEGABYTES; f++) {
        snprintf(titles[c.n_panels], sizeof titles[0], "%s, %d images a class, both directions",
                 f == SECONDS ? "Training time" : "Memory", s->images[SIZES - 1]);
        c.panels[c.n_panels].title = titles[c.n_panels];
        fill_panel(s, &c.panels[c.n_panels++], (figure)f, SIZES - 1, 0, HALVES - 1);
    }
    chart_write(&c, s->svg);
}

/* ---- all of it ---- */

/* Opened before the work, so that a path that cannot be written is known at once. */
static firn_status open_file(const sweep *s, const char *path, FILE **out)
{
    *out = fopen(path, "w");
    return *out != NULL ? FIRN_OK : firn_fail(s->ctx, FIRN_ERR_IO, "%s cannot be written", path);
}

static firn_status close_file(const sweep *s, const char *path, FILE **file, firn_status st)
{
    if (*file == NULL) return st;
    const bool bad = ferror(*file) != 0;
    if ((fclose(*file) != 0 || bad) && st == FIRN_OK) st = firn_fail(s->ctx, FIRN_ERR_IO, "%s could not be written", path);
    *file = NULL;
    return st;
}

static firn_status load(sweep *s)
{
    firn_status st = digits_load(s->ctx, s->opt.data, "train", &s->train);
    if (st == FIRN_OK) st = digits_load(s->ctx, s->opt.data, "t10k", &s->test);
    const int64_t *a = s->train.pixels.shape.dim, *b = s->test.pixels.shape.dim;
    if (st == FIRN_OK && (a[1] != b[1] || a[2] != b[2]))
        st = firn_fail(s->ctx, FIRN_ERR_SHAPE, "%s: the training images are %d x %d, but the test images %d x %d",
                       s->opt.data, (int)a[1], (int)a[2], (int)b[1], (int)b[2]);
    return st;
}

static firn_status run(sweep *s)
{
    firn_status st = load(s);
    if (st == FIRN_OK) st = open_file(s, s->opt.csv, &s->csv);
    if (st == FIRN_OK) st = open_file(s, s->opt.svg, &s->svg);
    if (st != FIRN_OK) return st;
    fprintf(s->csv, "from,to,images_per_class,layers,last_layer,mode,seed,accuracy,loss,seconds,peak_bytes,cache_bytes,"
                    "trainable_parameters\n");
    for (int seed = 0; seed < s->opt.seeds && st == FIRN_OK; seed++)
        for (int half = HALVES - 1; half >= 0 && st == FIRN_OK; half--) st = run_half(s, half, seed);
    if (st == FIRN_OK) st = check_cache(s);
    if (st != FIRN_OK) return st;
    print_table(s);
    draw(s);
    printf("\nwritten: %s, %s\n", s->opt.csv, s->opt.svg);
    if (fflush(stdout) != 0 || ferror(stdout)) st = failed(s, FIRN_ERR_IO, "the table could not be written");
    return st;
}

int main(int argc, char **argv)
{
    static sweep s = {.opt = {.data = MNIST_DIR, .csv = "freeze_sweep.csv", .svg = "freeze_sweep.svg"}};
    if (!parse(argc, argv, &s.opt)) return 2;
    if (s.opt.help) {
        fputs(usage, stdout);
        return 0;
    }
    choose_sizes(&s);
    firn_status st = firn_ctx_create(&s.ctx, &(firn_ctx_options){.threads = 1});
    if (st == FIRN_OK) st = run(&s);
    st = close_file(&s, s.opt.csv, &s.csv, st);
    st = close_file(&s, s.opt.svg, &s.svg, st);
    if (st != FIRN_OK)
        fprintf(stderr, "freeze_sweep: %s\n", *firn_message(s.ctx) ? firn_message(s.ctx) : firn_status_text(st));
    digits_free(s.ctx, &s.train);
    digits_free(s.ctx, &s.test);
    firn_ctx_destroy(s.ctx);
    return st == FIRN_OK ? 0 : 1;
}
