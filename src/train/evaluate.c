#include <string.h>

#include "trainer.h"

static firn_status ensure_runner(firn_trainer *t, firn__runner *r, firn_tensor *root, firn_tensor *watch)
{
    return firn__runner_ensure(r, t->ctx, root,
                               &(firn_plan_options){.mode = FIRN_EVAL,
                                                    .batch = t->opt.batch,
                                                    .watch = watch,
                                                    .features = r == &t->eval && !t->opt.no_cache && !t->opt.augmented,
                                                    .layer_by_layer = t->opt.layer_by_layer});
}

/* The i-th batch of the data in order; rows 0 behind the last. */
static firn__batch batch_at(const firn_trainer *t, const firn_dataset *data, size_t i)
{
    const size_t size = (size_t)t->opt.batch, begin = i * size, left = data->count > begin ? data->count - begin : 0;
    return (firn__batch){data, NULL, begin, (int)(left < size ? left : size)};
}

firn_status firn__evaluate_prepare(firn_trainer *t, const firn_dataset *data, const char *what)
{
    const firn_status st = ensure_runner(t, &t->eval, t->loss, t->output);
    return st == FIRN_OK ? firn__data_check(t, t->eval.plan, data, what) : st;
}

firn_status firn__evaluate(firn_trainer *t, const firn_dataset *data, firn__cache *cache, firn__metrics *out)
{
    firn_status st = FIRN_OK;
    firn__batch b;
    *out = (firn__metrics){0};
    for (size_t i = 0; st == FIRN_OK && (b = batch_at(t, data, i)).rows > 0; i++) {
        st = firn__runner_forward(&t->eval, t->ctx, cache, &b, NULL);
        if (st == FIRN_OK) firn__runner_measure(&t->eval, &b, t->loss, t->output, out);
    }
    return st;
}

firn_status firn_evaluate(firn_trainer *t, const firn_dataset *data, firn_metrics *out)
{
    if (t == NULL) return FIRN_ERR_ARGUMENT;
    if (out == NULL) return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_evaluate: out must not be NULL");
    firn__metrics sum = {0};
    firn_status st = firn__evaluate_prepare(t, data, "firn_evaluate");
    if (st == FIRN_OK) st = firn__evaluate(t, data, NULL, &sum);
    *out = (firn_metrics){firn__metrics_loss(&sum), firn__metrics_accuracy(&sum), st == FIRN_OK ? data->count : 0};
    return st;
}

firn_status firn_predict(firn_trainer *t, const firn_dataset *data, float *out)
{
    if (t == NULL) return FIRN_ERR_ARGUMENT;
    const firn_shape s = firn_tensor_shape(t->output);
    if (out == NULL) return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_predict: out must not be NULL");
    if (t->output == NULL)
        return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_predict: the trainer was made without an output");
    if (s.rank < 1 || s.dim[0] != FIRN_BATCH)
        return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_predict: the trainer's output \"%s\" must have a row a sample",
                         firn_tensor_name(t->output));
    firn_shape sample = s;
    sample.dim[0] = 1;
    const size_t per = (size_t)firn_shape_count(sample);
    firn_status st = ensure_runner(t, &t->predict, t->output, NULL);
    if (st == FIRN_OK) st = firn__data_check(t, t->predict.plan, data, "firn_predict");
    firn__batch b;
    for (size_t i = 0; st == FIRN_OK && (b = batch_at(t, data, i)).rows > 0; i++) {
        st = firn__runner_forward(&t->predict, t->ctx, NULL, &b, NULL);
        if (st == FIRN_OK)
            memcpy(out + b.begin * per, firn_plan_value(t->predict.plan, NULL), (size_t)b.rows * per * sizeof(float));
    }
    return st;
}
