/* bench_step: milliseconds a training step and an inference of the benchmark nets, and how far that is from the limit:
 * the products of the step at the multiply-add peak of the cores, measured between the steps.
 *   bench_step [--json] [--cpu] [--dense] [--net NAME] [--mode MODE] [--threads N] [--isa NAME] [--rounds N]
 * --cpu takes processor time: for one thread on a machine that others use as well. Four in five pixels of the images are
 * zero, as in MNIST's, and zeros save work; with --dense none is. Modes: full, half (first half frozen),
 * last (all but the last layer frozen), infer1, infer128, infer1024, and layers1024: the same, but not depth first. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nets.h"
#include "peak.h"

enum { INFER1 = NET_MODES, INFER128, INFER1024, LAYERS1024, MODES }; /* modes beyond those of net_mode */
static const char *const mode_names[MODES] = {"full", "half", "last", "infer1", "infer128", "infer1024", "layers1024"};

enum { most_rounds = 101, most_steps = 2000, images = 1024 };
static const double round_seconds = 0.15;

/* One thing to measure. */
typedef struct job {
    firn_ctx *ctx;
    firn_plan *plan;
    firn_optimizer *optimizer; /* NULL: inference */
    const net_data *data;
    int batch;
    size_t at; /* the next batch's first image */
} job;

static firn_status run_step(job *j)
{
    const size_t first = j->at;
    j->at = first + 2 * (size_t)j->batch <= j->data->count ? first + (size_t)j->batch : 0;
    const firn_feed feeds[] = {{"image", j->data->images + first * net_pixels}, {"label", j->data->labels + first}};
    firn_status st = firn_plan_forward(j->plan, feeds, j->optimizer != NULL ? 2 : 1, j->batch);
    if (st != FIRN_OK || j->optimizer == NULL) return st;
    st = firn_plan_backward(j->plan);
    return st == FIRN_OK ? firn_optimizer_step(j->optimizer, j->plan, 1) : st;
}

static firn_status open_job(job *j, const net *n, int mode, const net_data *data, const firn_ctx_options *how)
{
    firn_status st = firn_ctx_create(&j->ctx, how);
    if (st != FIRN_OK) return st;
    const net_model made = net_build(n, j->ctx, 10);
    const bool train = mode < (int)NET_MODES;
    j->data = data;
    j->batch = train ? n->batch : mode == INFER1 ? 1 : mode == INFER128 ? 128 : 1024;
    if (train) st = net_freeze(n, made.model, (net_mode)mode);
    if (st == FIRN_OK && train) st = firn_optimizer_create(&j->optimizer, made.model, &n->optim);
    const firn_plan_options plan = {
        .mode = train ? FIRN_TRAIN : FIRN_EVAL, .batch = j->batch, .layer_by_layer = mode == LAYERS1024};
    return st == FIRN_OK ? firn_plan_create(&j->plan, train ? made.loss : made.logits, &plan) : st;
}

static void close_job(job *j)
{
    firn_optimizer_destroy(j->optimizer);
    firn_plan_destroy(j->plan);
    firn_ctx_destroy(j->ctx);
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int count)
{
    qsort(v, (size_t)count, sizeof *v, by_value);
    return v[count / 2];
}

static bool cpu;
static double now_seconds(void) { return cpu ? (double)clock() / CLOCKS_PER_SEC : net_seconds(); }

/* Median seconds of the steps that fit in a round. */
static firn_status time_round(job *j, double *seconds)
{
    static double spent[most_steps];
    const double begin = now_seconds();
    int steps = 0;
    for (double now = begin; steps < 3 || (steps < most_steps && now - begin < round_seconds);) {
        const firn_status st = run_step(j);
        if (st != FIRN_OK) return st;
        const double then = now;
        now = now_seconds();
        spent[steps++] = now - then;
    }
    *seconds = median(spent, steps);
    return FIRN_OK;
}

typedef struct result {
    double seconds, limit; /* a step; its share of the peak */
} result;

static firn_status measure(job *j, int rounds, result *out)
{
    firn_cost cost;
    double seconds[most_rounds], limit[most_rounds];
    firn_status st = firn_plan_cost(j->plan, &cost, NULL);
    for (int i = 0; st == FIRN_OK && i < 3; i++) st = run_step(j); /* pages, packed weights, optimizer state */
    const double flops = (double)(cost.flops_forward + cost.flops_grad_weight + cost.flops_grad_input);
    for (int i = 0; st == FIRN_OK && i < rounds; i++) {
        const double before = peak_flops(firn_ctx_isa(j->ctx));
        st = time_round(j, &seconds[i]);
        const double after = peak_flops(firn_ctx_isa(j->ctx)),
                     peak = (before > after ? before : after) * firn_ctx_threads(j->ctx);
        limit[i] = peak > 0 ? flops / peak / seconds[i] : 0;
    }
    if (st != FIRN_OK) return st;
    *out = (result){median(seconds, rounds), median(limit, rounds)};
    return FIRN_OK;
}

/* ---- the table ---- */

typedef struct options {
    bool json, dense;
    const char *net, *mode;
    firn_ctx_options ctx;
    int threads, rounds; /* threads zero: 1, then 2 */
} options;

static firn_status run_row(const options *opt, const net *n, int mode, int threads, const net_data *data)
{
    static bool first = true;
    job j = {0};
    result r = {0};
    const firn_ctx_options how = {.isa = opt->ctx.isa, .threads = threads};
    firn_status st = open_job(&j, n, mode, data, &how);
    if (st == FIRN_OK) st = measure(&j, opt->rounds, &r);
    if (st != FIRN_OK)
        fprintf(stderr, "bench_step: %s: %s\n", n->name, j.ctx != NULL ? firn_message(j.ctx) : firn_status_text(st));
    else if (opt->json)
        printf("%s\n  {\"net\": \"%s\", \"mode\": \"%s\", \"batch\": %d, \"threads\": %d, \"isa\": \"%s\", \"ms\": %.5f, "
               "\"limit\": %.4f}",
               first ? "" : ",", n->name, mode_names[mode], j.batch, threads, firn_ctx_isa(j.ctx), r.seconds * 1e3,
               r.limit);
    else
        printf("%-10s %-9s %5d %8d %-7s %10.3f ms %8.1f %%\n", n->name, mode_names[mode], j.batch, threads,
               firn_ctx_isa(j.ctx), r.seconds * 1e3, 100 * r.limit);
    fflush(stdout);
    first = false;
    close_job(&j);
    return st;
}

static firn_status run_table(const options *opt, const net_data *data)
{
    if (opt->json)
        printf("[");
    else
        printf("net        mode      batch  threads isa         a step    of the peak\n");
    firn_status st = FIRN_OK;
    for (size_t i = 0; i < n_nets; i++) {
        if (opt->net != NULL && strcmp(opt->net, nets[i].name) != 0) continue;
        for (int m = 0; m < MODES; m++) {
            if (opt->mode != NULL && strcmp(opt->mode, mode_names[m]) != 0) continue;
            const int from = opt->threads > 0 ? opt->threads : 1, to = opt->threads > 0 ? opt->threads : 2;
            for (int t = from; st == FIRN_OK && t <= to; t++) st = run_row(opt, &nets[i], m, t, data);
        }
    }
    if (opt->json) printf("\n]\n");
    return st;
}

int main(int argc, char **argv)
{
    options opt = {.rounds = 7};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--json") == 0)
            opt.json = true;
        else if (strcmp(argv[i], "--cpu") == 0)
            cpu = true;
        else if (strcmp(argv[i], "--dense") == 0)
            opt.dense = true;
        else if (strcmp(argv[i], "--net") == 0)
            opt.net = value, i++;
        else if (strcmp(argv[i], "--mode") == 0)
            opt.mode = value, i++;
        else if (strcmp(argv[i], "--threads") == 0)
            opt.threads = atoi(value), i++;
        else if (strcmp(argv[i], "--isa") == 0)
            opt.ctx.isa = value, i++;
        else if (strcmp(argv[i], "--rounds") == 0)
            opt.rounds = atoi(value), i++;
        else
            opt.rounds = 0;
    }
    if (opt.rounds < 1 || opt.rounds > most_rounds) {
        fprintf(stderr,
                "usage: bench_step [--json] [--cpu] [--dense] [--net NAME] [--mode MODE] [--threads N] [--isa NAME]\n"
                "                  [--rounds 1-%d]\n"
                "modes: full half last infer1 infer128 infer1024 layers1024\n",
                most_rounds);
        return 2;
    }
    const net_data data = net_data_make(images, 10, opt.dense);
    if (data.images == NULL) return 1;
    const firn_status st = run_table(&opt, &data);
    free(data.images);
    return st == FIRN_OK ? 0 : 1;
}
