/* finetune.c: a network that PyTorch trained goes on training here, and home again. Only what is not frozen trains; the
 * run can be interrupted (Ctrl-C) and resumed to the same bits.
 *
 * In Python, with net = a module whose `features` are Conv2d(1, 32, 3), ReLU, Conv2d(32, 32, 3), ReLU, ...:
 *     from safetensors.torch import load_file, save_file
 *     save_file(net.state_dict(), "pretrained.safetensors")
 * and afterwards, for a module with this head:
 *     net.load_state_dict(load_file("out.safetensors")) */
#include <firn/firn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: finetune [options] PRETRAINED OUT\n"
    "Takes the features of PRETRAINED (safetensors), trains a new head on images, writes OUT (safetensors).\n"
    "  --images FILE, --labels FILE  IDX, plain or gzip. Default: the bundled MNIST training set\n"
    "  --freeze SELECTOR             what does not train. Default: features\n"
    "  --delta                       OUT holds only what was trained, for those who have the rest\n"
    "  --resume                      go on from OUT.checkpoint, which is written after every epoch and on Ctrl-C;\n"
    "                                what is frozen is as it was then\n"
    "  --checkpoint-every N          write it after every N steps, too\n"
    "  --epochs N                    default 3\n"
    "  --threads N                   default: all processors; the results do not depend on it\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n";

typedef struct options {
    const char *images, *labels, *freeze, *pretrained, *out;
    bool delta, resume, help;
    int every, epochs, threads;
} options;

typedef struct job {
    options opt;
    char checkpoint[1024];
    firn_ctx *ctx;
    firn_model *model;
    firn_tensor *logits, *loss;
    firn_trainer *trainer;
    firn_idx images, labels;
    uint32_t *rows;
    firn_status saved; /* of the last checkpoint */
} job;

#define TRY(call)                                                                                                          \
    do {                                                                                                                   \
        const firn_status tried = (call);                                                                                  \
        if (tried != FIRN_OK) return tried;                                                                                \
    } while (0)

/* ---- command line ---- */

static bool parse_count(const char *text, int most, int *out)
{
    char *end;
    const long value = strtol(text, &end, 10);
    *out = (int)value;
    return end != text && *end == '\0' && value >= 1 && value <= most;
}

static bool parse(int argc, char **argv, options *opt)
{
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(word, "--delta") == 0)
            opt->delta = true;
        else if (strcmp(word, "--resume") == 0)
            opt->resume = true;
        else if (strcmp(word, "--help") == 0)
            opt->help = true;
        else if (strcmp(word, "--images") == 0)
            opt->images = argv[++i];
        else if (strcmp(word, "--labels") == 0)
            opt->labels = argv[++i];
        else if (strcmp(word, "--freeze") == 0)
            opt->freeze = argv[++i];
        else if (strcmp(word, "--epochs") == 0 && parse_count(value, 1000000, &opt->epochs))
            i++;
        else if (strcmp(word, "--threads") == 0 && parse_count(value, FIRN_MAX_THREADS, &opt->threads))
            i++;
        else if (strcmp(word, "--checkpoint-every") == 0 && parse_count(value, 1000000, &opt->every))
            i++;
        else if (*word != '-' && opt->pretrained == NULL)
            opt->pretrained = word;
        else if (*word != '-' && opt->out == NULL)
            opt->out = word;
        else
            return false;
        if (i >= argc) return false;
    }
    return opt->help || opt->out != NULL;
}

/* ---- data and net ---- */

static firn_status load_data(job *j)
{
    TRY(firn_idx_load(j->ctx, j->opt.images, &j->images));
    TRY(firn_idx_load(j->ctx, j->opt.labels, &j->labels));
    if (j->images.shape.rank != 3 || j->labels.shape.rank != 1 || j->images.shape.dim[0] != j->labels.shape.dim[0])
        return firn_fail(j->ctx, FIRN_ERR_SHAPE, "%s and %s: the images must be [N, H, W] and the labels [N]",
                         j->opt.images, j->opt.labels);
    j->rows = malloc((size_t)j->images.shape.dim[0] * sizeof *j->rows);
    return j->rows ? FIRN_OK : firn_fail(j->ctx, FIRN_ERR_MEMORY, "no memory for the list of samples");
}

static int count_classes(const firn_idx *labels)
{
    int most = 0;
    for (int64_t i = 0; i < labels->shape.dim[0]; i++)
        if (labels->data[i] > most) most = labels->data[i];
    return most + 1;
}

static void build_net(job *j)
{
    firn_model *m = j->model = firn_model_create(j->ctx);
    const int64_t *dim = j->images.shape.dim;
    firn_tensor *x = firn_input(m, "image", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 1, dim[1], dim[2]));
    firn_tensor *label = firn_input(m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    x = firn_relu(firn_nn_conv2d(firn_scale(x, 1.0f / 255), "features.0", &(firn_nn_conv2d_cfg){.out = 32, .kernel = 3}));
    x = firn_relu(firn_nn_conv2d(x, "features.2", &(firn_nn_conv2d_cfg){.out = 32, .kernel = 3}));
    x = firn_flatten(firn_max_pool2d(x, 2, 2), 1);
    x = firn_relu(firn_nn_linear(x, "head.1", &(firn_nn_linear_cfg){.out = 128}));
    x = firn_nn_dropout(x, "head.3", 0.5f);
    j->logits = firn_nn_linear(x, "head.4", &(firn_nn_linear_cfg){.out = count_classes(&j->labels)});
    j->loss = firn_cross_entropy(j->logits, label, NULL);
}

/* ---- training ---- */

static volatile sig_atomic_t interrupted;
static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* Called after every step: shows progress, writes the checkpoint when it is time, stops when it must. */
static int after_step(const firn_progress *p, void *user)
{
    job *j = user;
    const bool due = p->epoch_end || interrupted || (j->opt.every > 0 && p->step % (size_t)j->opt.every == 0);
    firn_progress_bar(p, stderr);
    if (due) j->saved = firn_checkpoint_save(j->trainer, j->checkpoint, NULL);
    return interrupted || j->saved != FIRN_OK;
}

static firn_status start_or_resume(job *j)
{
    int generation = 0;
    if (j->opt.resume) {
        TRY(firn_checkpoint_load(j->trainer, j->checkpoint, &generation));
        fprintf(stderr, "resumed from %s%s\n", j->checkpoint, generation ? ".1, for it is missing or damaged" : "");
        return FIRN_OK;
    }
    const firn_load_options how = {.select = "features", .list = stderr};
    TRY(firn_load(j->model, j->opt.pretrained, &how, NULL));
    return firn_freeze(j->model, j->opt.freeze, NULL);
}

static firn_status run(job *j)
{
    TRY(load_data(j));
    build_net(j);
    const firn_trainer_options how = {.batch = 64, .optim = firn_adamw(0.001f)};
    TRY(firn_trainer_create(&j->trainer, j->loss, j->logits, &how));
    TRY(start_or_resume(j));
    TRY(firn_trainer_report(j->trainer, stdout));

    const firn_feed feeds[] = {{"image", j->images.data}, {"label", j->labels.data}};
    const firn_dataset all = {(size_t)j->images.shape.dim[0], feeds, 2, NULL};
    firn_dataset train, validation;
    TRY(firn_dataset_split(&all, 0.9, 1, j->rows, &train, &validation));
    const firn_fit_options fit = {.epochs = j->opt.epochs, .validation = &validation, .on_progress = after_step, .user = j};
    const firn_status st = firn_fit(j->trainer, &train, &fit);
    if (j->saved != FIRN_OK) return j->saved;
    TRY(st); /* FIRN_STOPPED, too */
    TRY(firn_verify_frozen(j->model));
    return j->opt.delta ? firn_save_delta(j->model, j->opt.out) : firn_save(j->model, j->opt.out);
}

int main(int argc, char **argv)
{
    job j = {.opt = {.images = MNIST_DIR "/train-images-idx3-ubyte.gz",
                     .labels = MNIST_DIR "/train-labels-idx1-ubyte.gz",
                     .freeze = "features",
                     .epochs = 3}};
    if (!parse(argc, argv, &j.opt)) {
        fputs(usage, stderr);
        return 2;
    }
    if (j.opt.help) return fputs(usage, stdout) < 0;
    if (snprintf(j.checkpoint, sizeof j.checkpoint, "%s.checkpoint", j.opt.out) >= (int)sizeof j.checkpoint) {
        fputs("finetune: the path of OUT is too long\n", stderr);
        return 2;
    }
    signal(SIGINT, interrupt);
    signal(SIGTERM, interrupt);
    firn_status st = firn_ctx_create(&j.ctx, &(firn_ctx_options){.threads = j.opt.threads});
    if (st == FIRN_OK) st = run(&j);
    if (st == FIRN_OK)
        printf("written: %s\n", j.opt.out);
    else if (st == FIRN_STOPPED)
        fprintf(stderr, "\ninterrupted; the same command with --resume goes on from here\n");
    else
        fprintf(stderr, "finetune: %s\n", *firn_message(j.ctx) ? firn_message(j.ctx) : firn_status_text(st));
    firn_trainer_destroy(j.trainer);
    firn_idx_free(j.ctx, &j.images);
    firn_idx_free(j.ctx, &j.labels);
    free(j.rows);
    firn_ctx_destroy(j.ctx);
    return st == FIRN_OK ? 0 : st == FIRN_STOPPED ? 130 : 1;
}
