#include "rig.h"

#include <string.h>

static firn_tensor *conv(firn_tensor *x, const char *name, int out, int pad)
{
    return firn_nn_conv2d(x, name, &(firn_nn_conv2d_cfg){.out = out, .kernel = 3, .pad = pad});
}

static firn_tensor *features(firn_tensor *x, rig_net net)
{
    if (net == RIG_SKIP) {
        firn_tensor *h = firn_relu(conv(x, "conv1", 4, 1));
        x = firn_relu(firn_add(conv(firn_relu(conv(h, "conv2", 4, 1)), "conv3", 4, 1), h));
        return firn_max_pool2d(x, 4, 0);
    }
    x = conv(x, "conv1", 4, 0);
    if (net == RIG_NORM) x = firn_nn_batch_norm(x, "bn1", NULL);
    x = firn_relu(x);
    if (net == RIG_DROPOUT_INSIDE) x = firn_nn_dropout(x, "drop1", 0.25f);
    x = conv(x, "conv2", 6, 0);
    if (net == RIG_NORM) x = firn_nn_batch_norm(x, "bn2", NULL);
    x = firn_max_pool2d(firn_relu(x), 2, 0);
    return net == RIG_PLAIN ? firn_nn_dropout(x, "drop2", 0.25f) : x;
}

static void build(rig *r, rig_net net)
{
    firn_tensor *image = firn_input(r->m, "image", FIRN_U8, FIRN_SHAPE(FIRN_BATCH, 1, 8, 8));
    firn_tensor *label = firn_input(r->m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    firn_tensor *x = firn_flatten(features(firn_scale(image, 1.0f / 255), net), 1);
    x = firn_relu(firn_nn_linear(x, "fc1", &(firn_nn_linear_cfg){.out = 12}));
    if (net == RIG_PLAIN) x = firn_nn_dropout(x, "drop3", 0.5f);
    r->logits = firn_nn_linear(x, "fc2", &(firn_nn_linear_cfg){.out = RIG_CLASSES});
    r->loss = firn_cross_entropy(r->logits, label, NULL);
}

/* Noise, and a brighter quadrant that tells the class. */
static void draw_data(rig *r)
{
    test_fill_bytes(r->images, sizeof r->images, 5, 120);
    test_fill_bytes(r->labels, sizeof r->labels, 6, RIG_CLASSES);
    for (int i = 0; i < RIG_ROWS; i++)
        for (int p = 0; p < RIG_PIXELS; p++)
            if (p / 32 * 2 + p % 8 / 4 == r->labels[i])
                r->images[i * RIG_PIXELS + p] = (uint8_t)(r->images[i * RIG_PIXELS + p] + 60);
}

static firn_dataset part(rig *r, firn_feed *feeds, size_t begin, size_t count)
{
    feeds[0] = (firn_feed){"image", r->images + begin * RIG_PIXELS};
    feeds[1] = (firn_feed){"label", r->labels + begin};
    return (firn_dataset){.count = count, .feeds = feeds, .n_feeds = 2};
}

void rig_open(rig *r, rig_net net, const firn_trainer_options *opt, int threads)
{
    memset(r, 0, sizeof *r);
    r->ctx = test_ctx(&r->memory, threads, NULL);
    r->m = firn_model_create(r->ctx);
    build(r, net);
    draw_data(r);
    r->data = part(r, r->feeds, 0, RIG_TRAIN);
    r->other = part(r, r->other_feeds, RIG_TRAIN, RIG_TRAIN);
    r->val = part(r, r->val_feeds, 2 * RIG_TRAIN, RIG_VAL);
    assert_ok(r->ctx, firn_trainer_create(&r->t, r->loss, r->logits, opt));
}

void rig_close(rig *r)
{
    firn_trainer_destroy(r->t);
    firn_ctx_destroy(r->ctx);
    assert_all_freed(&r->memory);
}

void rig_assert_equal(const rig *a, const rig *b)
{
    for (size_t i = 0; i < firn_tensor_count(a->m); i++) {
        const firn_tensor_info x = firn_tensor_at(a->m, i), y = firn_tensor_at(b->m, i);
        assert_int_equal(x.frozen, y.frozen);
        test_bits_equal(x.data, y.data, (size_t)firn_shape_count(x.shape), x.name, __FILE__, __LINE__);
    }
}

void rig_transfer(const rig *from, rig *to)
{
    const firn_optimizer *o = firn_trainer_optimizer(from->t);
    for (size_t i = 0; i < firn_tensor_count(from->m); i++) {
        const firn_tensor_info x = firn_tensor_at(from->m, i);
        assert_ok(to->ctx, firn_write(to->m, x.name, x.data, (size_t)firn_shape_count(x.shape)));
        assert_ok(to->ctx, x.frozen ? firn_freeze(to->m, x.name, NULL) : firn_unfreeze(to->m, x.name, NULL));
        assert_ok(to->ctx, firn_optimizer_set_rate(firn_trainer_optimizer(to->t), x.name, firn_optimizer_rate(o, x.name)));
    }
    for (size_t i = 0; i < firn_optimizer_entries(o); i++) {
        const firn_optimizer_entry e = firn_optimizer_entry_at(o, i);
        assert_ok(to->ctx, firn_optimizer_restore(firn_trainer_optimizer(to->t), &e));
    }
    const firn_trainer_position p = firn_trainer_position_get(from->t);
    assert_ok(to->ctx, firn_trainer_position_set(to->t, &p));
    firn_tensor_info best;
    for (size_t i = 0; (best = firn_trainer_best_at(from->t, i)).data != NULL; i++)
        assert_ok(to->ctx, firn_trainer_best_set(to->t, best.name, best.data, (size_t)firn_shape_count(best.shape)));
}

const char *rig_report(const rig *r)
{
    static char text[1 << 16];
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_ok(r->ctx, firn_trainer_report(r->t, f));
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

void rig_assert_report_has(const rig *r, const char *words, const char *name)
{
    char list[160], *save = list;
    snprintf(list, sizeof list, "%s", words);
    const char *report = rig_report(r);
    for (char *word = strtok(save, " "); word != NULL; word = strtok(NULL, " "))
        if (strstr(report, word) == NULL) fail_msg("%s: \"%s\" is not in the report:\n%s", name, word, report);
}

void rig_freeze(rig *r, const char *selector) { assert_ok(r->ctx, firn_freeze(r->m, selector, NULL)); }
void rig_unfreeze(rig *r, const char *selector) { assert_ok(r->ctx, firn_unfreeze(r->m, selector, NULL)); }

void rig_fit(rig *r, const firn_dataset *data, int epochs)
{
    assert_ok(r->ctx, firn_fit(r->t, data, &(firn_fit_options){.epochs = epochs}));
}

void rig_validated(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    assert_ok(r->ctx, firn_fit(r->t, &r->data, &(firn_fit_options){.epochs = 3, .validation = &r->val, .patience = 3}));
}

firn_trainer_options rig_without_cache(const firn_trainer_options *opt)
{
    firn_trainer_options off = *opt;
    off.no_cache = true;
    return off;
}
