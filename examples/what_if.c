/* what_if.c: what would freezing save? Prints the cost of a training step of a net under several masks, side by side.
 * Nothing is trained: a plan knows its cost before its first step. */
#include <firn/firn.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: what_if [options] [SELECTOR...]\n"
    "Prints what a training step costs with nothing frozen and with each selector's tensors frozen.\n"
    "  --net NAME    cnn: the net of mnist_transfer (default); mlp: 784-512-512-10; residual: 3x3 convolutions with batch\n"
    "                norm, 16, 32 and 64 channels, two blocks a stage\n"
    "  --batch N     samples a step (default 128)\n"
    "  --list        the names of the net's tensors instead\n"
    "  --help        this text\n"
    "SELECTOR: a comma list of names; '*' is any run of characters, '!' takes away: 'features', '*.weight', '*,!head'.\n"
    "Without one: each depth of the net. Exit status: 0 done, 1 failed, 2 wrong usage.\n";

enum { MOST_DEPTHS = 6 };

typedef struct net {
    const char *name;
    firn_tensor *(*build)(firn_tensor *image); /* gives the logits */
    const char *depths[MOST_DEPTHS];           /* selectors, ended by NULL */
} net;

typedef struct options {
    const net *net;
    int batch, n_selectors;
    const char *const *selectors;
    bool list, help;
} options;

/* ---- the nets ---- */

static firn_tensor *dense(firn_tensor *x, const char *name, int out)
{
    return firn_nn_linear(x, name, &(firn_nn_linear_cfg){.out = out});
}

static firn_tensor *build_mlp(firn_tensor *x)
{
    x = firn_relu(dense(firn_flatten(x, 1), "fc1", 512));
    x = firn_relu(dense(x, "fc2", 512));
    return dense(x, "fc3", 10);
}

static firn_tensor *build_cnn(firn_tensor *x)
{
    x = firn_relu(firn_nn_conv2d(x, "features.conv1", &(firn_nn_conv2d_cfg){.out = 32, .kernel = 3}));
    x = firn_relu(firn_nn_conv2d(x, "features.conv2", &(firn_nn_conv2d_cfg){.out = 32, .kernel = 3}));
    x = firn_nn_dropout(firn_flatten(firn_max_pool2d(x, 2, 0), 1), "features.dropout", 0.25f);
    x = firn_relu(dense(x, "head.dense", 128));
    return dense(firn_nn_dropout(x, "head.dropout", 0.5f), "head.logits", 5);
}

static firn_tensor *norm_conv(firn_tensor *x, const char *conv, const char *bn, int out, int kernel, int stride)
{
    const firn_nn_conv2d_cfg cfg = {.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .no_bias = true};
    return firn_nn_batch_norm(firn_nn_conv2d(x, conv, &cfg), bn, NULL);
}

/* Two 3x3 convolutions beside a path that changes nothing but the shape. */
static firn_tensor *block(firn_tensor *x, const char *name, int out, int stride)
{
    firn_model *m = firn_tensor_model(x);
    firn_scope_push(m, name);
    firn_tensor *y = firn_relu(norm_conv(x, "conv1", "bn1", out, 3, stride));
    y = norm_conv(y, "conv2", "bn2", out, 3, 1);
    if (stride > 1) x = norm_conv(x, "down.conv", "down.bn", out, 1, stride);
    y = firn_relu(firn_add(y, x));
    firn_scope_pop(m);
    return y;
}

static firn_tensor *build_residual(firn_tensor *x)
{
    x = firn_relu(norm_conv(x, "stem.conv", "stem.bn", 16, 3, 1));
    x = block(block(x, "stage1.0", 16, 1), "stage1.1", 16, 1);
    x = block(block(x, "stage2.0", 32, 2), "stage2.1", 32, 1);
    x = block(block(x, "stage3.0", 64, 2), "stage3.1", 64, 1);
    return dense(firn_global_avg_pool2d(x), "head", 10);
}

static const net nets[] = {
    {"cnn", build_cnn, {"features.conv1", "features", "features,head.dense"}},
    {"mlp", build_mlp, {"fc1", "fc1,fc2"}},
    {"residual", build_residual, {"stem", "stem,stage1", "stem,stage1,stage2", "*,!head", "*.bn*,*.bn"}},
};

/* ---- command line ---- */

static const net *find_net(const char *name)
{
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        if (strcmp(nets[i].name, name) == 0) return &nets[i];
    return NULL;
}

static bool parse_value(const char *name, const char *value, options *opt)
{
    char *end;
    if (value == NULL) {
        fprintf(stderr, "what_if: %s needs a value; try --help\n", name);
        return false;
    }
    if (strcmp(name, "--net") == 0) {
        opt->net = find_net(value);
        if (opt->net == NULL) fprintf(stderr, "what_if: there is no net '%s', only cnn, mlp and residual\n", value);
        return opt->net != NULL;
    }
    const long batch = strtol(value, &end, 10);
    opt->batch = (int)batch;
    if (end != value && *end == '\0' && batch >= 1 && batch <= 65536) return true;
    fprintf(stderr, "what_if: --batch needs a whole number in 1..65536, not '%s'\n", value);
    return false;
}

/* Options first, selectors behind them. */
static bool parse(int argc, char **argv, options *opt)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--help") == 0)
            opt->help = true;
        else if (strcmp(argv[i], "--list") == 0)
            opt->list = true;
        else if (strcmp(argv[i], "--net") == 0 || strcmp(argv[i], "--batch") == 0) {
            if (!parse_value(argv[i], i + 1 < argc ? argv[i + 1] : NULL, opt)) return false;
            i++;
        } else {
            fprintf(stderr, "what_if: unknown option '%s'; try --help\n", argv[i]);
            return false;
        }
    }
    opt->selectors = i < argc ? (const char *const *)argv + i : opt->net->depths;
    while (i < argc ? opt->n_selectors < argc - i : opt->selectors[opt->n_selectors] != NULL) opt->n_selectors++;
    return true;
}

/* ---- the table ---- */

static double kib(size_t bytes) { return (double)bytes / 1024; }
static uint64_t all_flops(const firn_cost *c) { return c->flops_forward + c->flops_grad_weight + c->flops_grad_input; }
static size_t all_bytes(const firn_cost *c) { return c->bytes_arena + c->bytes_grads + c->bytes_packed + c->bytes_optim; }

static void print_head(const options *opt)
{
    printf("%s, batch %d, Adam. MFLOP: a multiply-add is 2. memory: arena, gradients, packed weights, optimizer.\n\n",
           opt->net->name, opt->batch);
    printf("%-21s %8s %22s %22s %22s %19s\n", "", "trained", "MFLOP a sample", "KiB a sample", "KiB in all", "times less");
    printf("%-21s %8s %8s %6s %6s %8s %6s %6s %8s %6s %6s %7s %5s %5s\n", "frozen", "k params", "forward", "dW", "dX",
           "saved", "arena", "cache", "grads", "packed", "optim", "memory", "FLOP", "+cache");
}

static double ratio(double all, double now) { return now > 0 ? all / now : 0; }

static void print_row(const char *mask, const firn_cost *c, const firn_cost *all, int batch)
{
    const double mega = 1e-6 / batch, total = (double)all_flops(all);
    if (strlen(mask) > 22)
        printf("%.110s\n%-21s", mask, "");
    else
        printf("%-21s", mask);
    printf(" %8.1f", 1e-3 * (double)c->params_trainable);
    printf(" %8.2f %6.2f %6.2f", mega * (double)c->flops_forward, mega * (double)c->flops_grad_weight,
           mega * (double)c->flops_grad_input);
    printf(" %8.1f %6.1f %6.1f", kib(c->bytes_saved) / batch, kib(c->bytes_arena) / batch, kib(c->cache_bytes_per_sample));
    printf(" %8.0f %6.0f %6.0f", kib(c->bytes_grads), kib(c->bytes_packed), kib(c->bytes_optim));
    printf(" %7.1f %5.1f", ratio((double)all_bytes(all), (double)all_bytes(c)), ratio(total, (double)all_flops(c)));
    const double cached = ratio(total, (double)(all_flops(c) - c->flops_cached));
    if (c->cache_bytes_per_sample > 0)
        printf(" %5.*f\n", cached < 1000 ? 1 : 0, cached);
    else
        printf(" %5s\n", "-");
}

static firn_status print_masks(const options *opt, firn_model *m, const firn_trainer *t)
{
    firn_cost now, all;
    firn_status st = firn_trainer_cost(t, &now, &all);
    for (int i = 0; i < opt->n_selectors && st == FIRN_OK; i++) st = firn_freeze_only(m, opt->selectors[i], NULL);
    if (st != FIRN_OK) return st;
    print_head(opt);
    print_row("(nothing)", &all, &all, opt->batch);
    for (int i = 0; i < opt->n_selectors; i++) {
        st = firn_freeze_only(m, opt->selectors[i], NULL);
        if (st == FIRN_OK) st = firn_trainer_cost(t, &now, NULL);
        if (st != FIRN_OK) return st;
        print_row(opt->selectors[i], &now, &all, opt->batch);
    }
    return FIRN_OK;
}

static void print_names(const firn_model *m)
{
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const firn_tensor_info t = firn_tensor_at(m, i);
        printf("%-28s %8lld%s\n", t.name, (long long)firn_shape_count(t.shape), t.is_state ? "  state" : "");
    }
}

static firn_status run(const options *opt, firn_ctx *ctx)
{
    firn_model *m = firn_model_create(ctx);
    firn_tensor *image = firn_input(m, "image", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 1, 28, 28));
    firn_tensor *label = firn_input(m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *loss = firn_cross_entropy(opt->net->build(firn_scale(image, 1.0f / 255)), label, NULL);
    if (loss == NULL) return firn_last_error(ctx);
    firn_trainer *trainer = NULL;
    firn_status st = FIRN_OK;
    if (opt->list)
        print_names(m);
    else
        st = firn_trainer_create(&trainer, loss, NULL,
                                 &(firn_trainer_options){.batch = opt->batch, .optim = firn_adam(0.001f)});
    if (st == FIRN_OK && !opt->list) st = print_masks(opt, m, trainer);
    firn_trainer_destroy(trainer);
    if (st == FIRN_OK && (fflush(stdout) != 0 || ferror(stdout)))
        st = firn_fail(ctx, FIRN_ERR_IO, "the table could not be written");
    return st;
}

int main(int argc, char **argv)
{
    options opt = {.net = &nets[0], .batch = 128};
    if (!parse(argc, argv, &opt)) return 2;
    if (opt.help) {
        fputs(usage, stdout);
        return 0;
    }
    firn_ctx *ctx = NULL;
    firn_status st = firn_ctx_create(&ctx, NULL);
    if (st == FIRN_OK) st = run(&opt, ctx);
    if (st != FIRN_OK) fprintf(stderr, "what_if: %s\n", *firn_message(ctx) ? firn_message(ctx) : firn_status_text(st));
    firn_ctx_destroy(ctx);
    return st == FIRN_OK ? 0 : 1;
}
