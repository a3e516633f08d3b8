/* quickstart.c: train a net, freeze its first layer, fine-tune the rest. */
#include <firn/firn.h>

enum { SAMPLES = 600 };
static float points[SAMPLES][2];
static uint8_t inside[SAMPLES], corner[SAMPLES];

/* Points of a square, with two labels: whether they lie in a circle, and whether they lie right of the diagonal. */
static void make_data(void)
{
    for (int i = 0; i < SAMPLES; i++) {
        const float x = points[i][0] = (float)(i * 37 % SAMPLES) / (SAMPLES / 2) - 1;
        const float y = points[i][1] = (float)(i * 101 % SAMPLES) / (SAMPLES / 2) - 1;
        inside[i] = x * x + y * y < 0.6f;
        corner[i] = x > y;
    }
}

int main(void)
{
    make_data();
    const firn_feed first[] = {{"x", points}, {"label", inside}}, second[] = {{"x", points}, {"label", corner}};
    const firn_dataset circle = {SAMPLES, first, 2, NULL}, diagonal = {SAMPLES, second, 2, NULL};

    firn_ctx *ctx = NULL;
    if (firn_ctx_create(&ctx, NULL) != FIRN_OK) return 1;
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *label = firn_input(m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    x = firn_relu(firn_nn_linear(x, "features", &(firn_nn_linear_cfg){.out = 32}));
    firn_tensor *logits = firn_nn_linear(x, "head", &(firn_nn_linear_cfg){.out = 2});
    firn_tensor *loss = firn_cross_entropy(logits, label, NULL);

    const firn_trainer_options how = {.batch = 20, .optim = firn_adam(0.01f)};
    const firn_fit_options fit = {.epochs = 30, .on_progress = firn_progress_bar, .user = stdout};
    firn_trainer *trainer = NULL;
    firn_metrics result = {0};
    firn_status st = firn_trainer_create(&trainer, loss, logits, &how);
    if (st == FIRN_OK) st = firn_fit(trainer, &circle, &fit);
    if (st == FIRN_OK) st = firn_freeze(m, "features", NULL);     /* effective from the next step */
    if (st == FIRN_OK) st = firn_trainer_report(trainer, stdout); /* what that saves */
    if (st == FIRN_OK) st = firn_fit(trainer, &diagonal, &fit);
    if (st == FIRN_OK) st = firn_verify_frozen(m); /* not one byte has changed */
    if (st == FIRN_OK) st = firn_evaluate(trainer, &diagonal, &result);
    if (st == FIRN_OK)
        printf("accuracy %.1f %%\n", 100 * result.accuracy);
    else
        fprintf(stderr, "%s\n", firn_message(ctx));
    firn_trainer_destroy(trainer);
    firn_ctx_destroy(ctx);
    return st != FIRN_OK;
}
