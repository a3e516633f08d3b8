/* custom_op.c: an operator and a layer of your own, outside the library, and the check that both are right. */
#include <firn/firn.h>
#include <firn/op.h>
#include <math.h>

/* y = x * sigmoid(beta * x) (Ramachandran et al. 2017, "swish").
 * dx = dy * (s + beta*x*s*(1 - s)), s = sigmoid(beta*x): reads x only. */
typedef struct swish_attr {
    float beta;
} swish_attr;

static float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

static firn_status swish_shape(firn_op_build *b)
{
    if (b->in[0].dtype != FIRN_F32) return firn_op_fail(b, FIRN_ERR_DTYPE, "x must be F32");
    *b->out = b->in[0];
    return FIRN_OK;
}

static void swish_forward(const firn_op_run *r)
{
    const swish_attr *attr = r->attr;
    const float *x = r->in[0].data;
    float *y = r->out->data;
    for (int64_t i = 0, n = firn_shape_count(r->in[0].shape); i < n; i++) y[i] = x[i] * sigmoid(attr->beta * x[i]);
}

static void swish_backward(const firn_op_run *r)
{
    const swish_attr *attr = r->attr;
    const float *x = r->in[0].data, *dy = r->dout->data;
    float *dx = r->din[0].data;
    for (int64_t i = 0, n = firn_shape_count(r->in[0].shape); i < n; i++) {
        const float s = sigmoid(attr->beta * x[i]);
        dx[i] = dy[i] * (s + attr->beta * x[i] * s * (1.0f - s));
    }
}

static const firn_op swish_op = {
    .name = "swish",
    .n_in = 1,
    .attr_bytes = sizeof(swish_attr),
    .shape = swish_shape,
    .forward = swish_forward,
    .backward = swish_backward,
    .reads = {FIRN_READS_IN(0)},
};

static firn_tensor *swish(firn_tensor *x, float beta) { return firn_apply(&swish_op, &x, &(swish_attr){beta}); }

/* A layer is a function: open a scope, declare parameters, apply operators. This one is W2 W1 x + b, of low rank. */
static firn_tensor *low_rank_linear(firn_tensor *x, const char *name, int out, int rank)
{
    if (x == NULL) return NULL;
    firn_model *m = firn_tensor_model(x);
    firn_scope_push(m, name);
    x = firn_nn_linear(x, "down", &(firn_nn_linear_cfg){.out = rank, .no_bias = true});
    x = firn_nn_linear(x, "up", &(firn_nn_linear_cfg){.out = out});
    firn_scope_pop(m);
    return x;
}

/* Gradients against differences, and that backward reads nothing but what .reads says. */
static firn_status check_swish(firn_ctx *ctx)
{
    const firn_op_case cases[] = {
        {.in = {FIRN_SHAPE(3, 5)}, .attr = &(swish_attr){1.0f}, .low = -3, .high = 3},
        {.in = {FIRN_SHAPE(2, 3, 4, 4)}, .attr = &(swish_attr){0.5f}, .low = -3, .high = 3},
    };
    return firn_check_op(ctx, &swish_op, cases, sizeof cases / sizeof *cases);
}

/* Both in a net, with the first layer frozen: learns the parity of two bits. */
static firn_status train(firn_ctx *ctx)
{
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *label = firn_input(m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *h = swish(firn_nn_linear(x, "first", &(firn_nn_linear_cfg){.out = 16}), 1.0f);
    firn_tensor *logits = low_rank_linear(h, "second", 2, 4);
    firn_tensor *loss = firn_cross_entropy(logits, label, NULL);

    const firn_feed feeds[] = {{"x", (float[]){-1, -1, -1, 1, 1, -1, 1, 1}}, {"label", (uint8_t[]){0, 1, 1, 0}}};
    const firn_dataset data = {.count = 4, .feeds = feeds, .n_feeds = 2};
    firn_trainer *trainer = NULL;
    firn_metrics metrics = {0};
    firn_status st = firn_freeze(m, "first", NULL);
    if (st == FIRN_OK)
        st = firn_trainer_create(&trainer, loss, logits, &(firn_trainer_options){.batch = 4, .optim = firn_adam(0.02f)});
    if (st == FIRN_OK) st = firn_fit(trainer, &data, &(firn_fit_options){.epochs = 200});
    if (st == FIRN_OK) st = firn_evaluate(trainer, &data, &metrics);
    if (st == FIRN_OK) printf("parity of two bits: loss %.4f, accuracy %.0f %%\n", metrics.loss, 100 * metrics.accuracy);
    if (st == FIRN_OK && metrics.accuracy < 1.0) st = firn_fail(ctx, FIRN_ERR_NUMERIC, "the net did not learn the parity");
    firn_trainer_destroy(trainer);
    return st;
}

int main(void)
{
    firn_ctx *ctx = NULL;
    firn_status st = firn_ctx_create(&ctx, NULL);
    if (st == FIRN_OK) st = check_swish(ctx);
    if (st == FIRN_OK) printf("swish: its gradients are right\n");
    if (st == FIRN_OK) st = train(ctx);
    if (st != FIRN_OK) fprintf(stderr, "custom_op: %s\n", *firn_message(ctx) ? firn_message(ctx) : firn_status_text(st));
    firn_ctx_destroy(ctx);
    return st == FIRN_OK ? 0 : 1;
}
