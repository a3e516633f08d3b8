/* Each scenario is played twice, with and without the cache: the weights must have the same bits, and the figures and
 * the report must say what the cache did. */
#include <string.h>

#include "rig.h"

#define SGD .batch = 16, .optim = {.kind = FIRN_SGD, .lr = 0.05f, .momentum = 0.9f}
static const firn_trainer_options usual = {SGD}, two_batches = {SGD, .accumulate = 2}, augmented = {SGD, .augmented = true},
                                  no_room = {SGD, .cache_bytes = 700}, small = {SGD, .cache_bytes = 4000},
                                  small_batches = {SGD, .cache_bytes = 4000, .accumulate = 2},
                                  larger = {SGD, .cache_bytes = 40000};

typedef struct scenario {
    const char *name;
    void (*play)(rig *r);
    rig_net net;
    uint64_t served;   /* samples, training and validation */
    size_t held;       /* samples at the end */
    const char *words; /* of the report */
    const firn_trainer_options *opt;
} scenario;

/* ---- steps of a play ---- */

static void write_values(rig *r, const char *name, float value)
{
    float values[1024];
    const size_t count = (size_t)firn_shape_count(firn_tensor_shape(firn_find(r->m, name)));
    assert_true(count <= 1024);
    test_fill(values, count, 99, -value, value);
    assert_ok(r->ctx, firn_write(r->m, name, values, count));
}

static void fit_with_events(rig *r, int epochs, const firn_freeze_event *events, size_t n)
{
    assert_ok(r->ctx, firn_fit(r->t, &r->data, &(firn_fit_options){.epochs = epochs, .events = events, .n_events = n}));
}

/* ---- plays ---- */

static void frozen_prefix(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 3);
}

static void nothing_frozen(rig *r) { rig_fit(r, &r->data, 3); }

static void only_the_head_is_frozen(rig *r)
{
    rig_freeze(r, "fc2");
    rig_fit(r, &r->data, 3);
}

static void first_layer_only(rig *r)
{
    rig_freeze(r, "conv1");
    rig_fit(r, &r->data, 3);
}

static void half_a_layer(rig *r)
{
    rig_freeze(r, "conv1,conv2.weight"); /* conv2's bias trains: the frontier is below it */
    rig_fit(r, &r->data, 3);
}

static void memory_fails_while_filling(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 1);                     /* not filled: one epoch */
    r->memory.fail_at = r->memory.calls + 3; /* the order, the table, and then the chunk */
    rig_fit(r, &r->data, 2);
    assert_true(r->memory.calls >= r->memory.fail_at ||
                strcmp(firn_trainer_cache(r->t).why_unused, "turned off by no_cache") == 0);
    r->memory.fail_at = 0;
}

static void unfreeze_inside_the_prefix(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    fit_with_events(r, 4, &(firn_freeze_event){.epoch = 3, .unfreeze = true, .selector = "conv1"}, 1);
}

static void unfreeze_the_top_of_the_prefix(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    fit_with_events(r, 4, &(firn_freeze_event){.epoch = 3, .unfreeze = true, .selector = "conv2"}, 1);
}

static void unfreeze_in_the_middle_of_an_epoch(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    fit_with_events(r, 3, &(firn_freeze_event){.step = 10, .unfreeze = true, .selector = "conv1"}, 1);
}

static void freeze_more_and_more(rig *r)
{
    const char *const layers[] = {"conv1", "conv2", "fc1"};
    firn_freeze_event events[2];
    assert_int_equal(firn_progressive_freezing(layers, 3, 2, events, 2), 2);
    fit_with_events(r, 6, events, 2);
}

static void unfreeze_and_freeze_without_a_step(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    rig_unfreeze(r, "conv1");
    rig_freeze(r, "conv1");
    rig_fit(r, &r->data, 2);
}

static void train_the_prefix_between(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    rig_unfreeze(r, "conv1");
    rig_fit(r, &r->data, 1);
    rig_freeze(r, "conv1");
    rig_fit(r, &r->data, 2);
}

static void masks_pushed_and_popped(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    assert_ok(r->ctx, firn_mask_push(r->m));
    assert_ok(r->ctx, firn_freeze_only(r->m, "fc1", NULL));
    rig_fit(r, &r->data, 2);
    assert_ok(r->ctx, firn_mask_pop(r->m));
    rig_fit(r, &r->data, 2);
}

static void write_into_the_prefix(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    write_values(r, "conv1.weight", 0.3f);
    rig_fit(r, &r->data, 2);
}

static void write_above_the_frontier(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    write_values(r, "fc1.weight", 0.2f);
    rig_fit(r, &r->data, 2);
}

static int write_in_step_eight(const firn_progress *p, void *user)
{
    if (p->epoch == 2 && p->step == 2) write_values(user, "conv2.bias", 0.5f);
    return 0;
}

static void write_from_the_callback(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    assert_ok(r->ctx,
              firn_fit(r->t, &r->data, &(firn_fit_options){.epochs = 3, .on_progress = write_in_step_eight, .user = r}));
}

static void other_data(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    rig_fit(r, &r->other, 2);
    rig_fit(r, &r->data, 2);
}

static void other_rows_of_the_same_data(rig *r)
{
    static uint32_t rows[RIG_TRAIN];
    rig_freeze(r, "conv1,conv2");
    for (uint32_t i = 0; i < RIG_TRAIN; i++) rows[i] = i;
    const firn_dataset data = {RIG_TRAIN, r->feeds, 2, rows};
    rig_fit(r, &data, 2);
    for (uint32_t i = 0; i < RIG_TRAIN; i++) rows[i] = RIG_TRAIN - 1 - i; /* the same array, another order */
    rig_fit(r, &data, 2);
}

static void fewer_samples_that_fit(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    rig_fit(r, &r->val, 2);
}

static void data_rewritten_and_forgotten(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    memmove(r->images, r->images + RIG_TRAIN * RIG_PIXELS, RIG_TRAIN * RIG_PIXELS);
    firn_trainer_forget_features(r->t);
    rig_fit(r, &r->data, 2);
}

static void another_order(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    assert_ok(r->ctx, firn_fit(r->t, &r->data, &(firn_fit_options){.epochs = 2, .no_shuffle = true}));
}

static void single_epochs(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    for (int i = 0; i < 4; i++) rig_fit(r, &r->data, 1);
}

static void one_epoch(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 1);
}

static void dropout_turned_off_in_the_prefix(rig *r)
{
    assert_ok(r->ctx, firn_freeze_eval(r->m, "conv1,conv2,drop1", NULL));
    rig_fit(r, &r->data, 3);
}

static void dropout_turned_off_and_on(rig *r)
{
    dropout_turned_off_in_the_prefix(r);
    rig_unfreeze(r, "drop1");
    rig_fit(r, &r->data, 2);
}

static void norm_frozen(rig *r)
{
    rig_freeze(r, "conv1,bn1,conv2,bn2");
    rig_fit(r, &r->data, 3);
}

static void norm_statistics_run(rig *r)
{
    rig_freeze(r, "conv1,bn1.weight,bn1.bias,conv2,bn2");
    rig_fit(r, &r->data, 3);
}

static void norm_statistics_frozen_affine_trains(rig *r)
{
    rig_freeze(r, "conv1,bn1,conv2,bn2.running_*");
    rig_fit(r, &r->data, 3);
}

static void statistics_written(rig *r)
{
    norm_frozen(r);
    write_values(r, "bn1.running_mean", 0.1f);
    rig_fit(r, &r->data, 2);
}

static void skip_across_the_frontier(rig *r)
{
    rig_freeze(r, "conv1,conv2"); /* conv2's and conv1's outputs are both read above */
    rig_fit(r, &r->data, 3);
}

/* The best weights are written back at the end; those of the prefix are what they were. */
static void frozen_on_the_way_and_restored(rig *r)
{
    const firn_freeze_event event = {.epoch = 2, .selector = "conv1,conv2"};
    assert_ok(r->ctx, firn_fit(r->t, &r->data,
                               &(firn_fit_options){
                                   .epochs = 4, .validation = &r->val, .patience = 4, .events = &event, .n_events = 1}));
    rig_fit(r, &r->data, 2);
}

static int stop_in_the_first_epoch(const firn_progress *p, void *user)
{
    (void)user;
    return p->epoch == 1 && p->step == 4;
}

static void stopped_while_filling(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    const firn_fit_options how = {.epochs = 3, .on_progress = stop_in_the_first_epoch};
    assert_status(r->ctx, FIRN_STOPPED, firn_fit(r->t, &r->data, &how));
    assert_ok(r->ctx, firn_fit(r->t, &r->data, &how));
}

static void evaluated_between(rig *r)
{
    rig_freeze(r, "conv1,conv2");
    rig_fit(r, &r->data, 2);
    firn_metrics m;
    assert_ok(r->ctx, firn_evaluate(r->t, &r->val, &m));
    rig_fit(r, &r->data, 1);
}

enum { ALL = RIG_TRAIN };
static const scenario scenarios[] = {
    {"frozen prefix", frozen_prefix, RIG_PLAIN, 2 * ALL, ALL, "holds 90 served 180", &usual},
    {"two batches a step", frozen_prefix, RIG_PLAIN, 2 * ALL, ALL, "served 180", &two_batches},
    {"nothing frozen", nothing_frozen, RIG_PLAIN, 0, 0, "not used", &usual},
    {"only the head frozen", only_the_head_is_frozen, RIG_PLAIN, 0, 0, "not used", &usual},
    {"first layer only", first_layer_only, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"half a layer", half_a_layer, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"augmented", frozen_prefix, RIG_PLAIN, 0, 0, "not used differ between epochs", &augmented},
    {"no room for the table", frozen_prefix, RIG_PLAIN, 0, 0, "not used a single sample budget", &no_room},
    {"room for two thirds", frozen_prefix, RIG_PLAIN, 2 * 60, 60, "holds 60 of 90 served 120", &small},
    {"two thirds, two batches a step", frozen_prefix, RIG_PLAIN, 2 * 60, 60, "holds 60 of 90", &small_batches},
    {"two thirds, statistics frozen", norm_frozen, RIG_NORM, 2 * 60, 60, "holds 60 of 90", &small},
    {"a part, with a skip", skip_across_the_frontier, RIG_SKIP, 2 * 31, 31, "holds 31 of 90", &larger},
    {"fewer samples that fit", fewer_samples_that_fit, RIG_PLAIN, 60 + RIG_VAL, RIG_VAL, "holds 30 of 30 served 90", &small},
    {"memory fails while filling", memory_fails_while_filling, RIG_PLAIN, 0, 0, "not used memory ran out", &usual},
    {"unfreeze inside", unfreeze_inside_the_prefix, RIG_PLAIN, ALL, 0, "not used", &usual},
    {"unfreeze the top", unfreeze_the_top_of_the_prefix, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"unfreeze in mid-epoch", unfreeze_in_the_middle_of_an_epoch, RIG_PLAIN, 48, 0, "not used", &usual},
    {"freeze more and more", freeze_more_and_more, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"unfreeze and freeze", unfreeze_and_freeze_without_a_step, RIG_PLAIN, 3 * ALL, ALL, "served 270", &usual},
    {"train the prefix between", train_the_prefix_between, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"masks pushed and popped", masks_pushed_and_popped, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"write into the prefix", write_into_the_prefix, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"write above the frontier", write_above_the_frontier, RIG_PLAIN, 3 * ALL, ALL, "served 270", &usual},
    {"write from the callback", write_from_the_callback, RIG_PLAIN, 90, ALL, "holds 90", &usual},
    {"other data", other_data, RIG_PLAIN, 3 * ALL, ALL, "served 270", &usual},
    {"other rows", other_rows_of_the_same_data, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"data rewritten", data_rewritten_and_forgotten, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"another order", another_order, RIG_PLAIN, 3 * ALL, ALL, "served 270", &usual},
    {"single epochs", single_epochs, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"one epoch", one_epoch, RIG_PLAIN, 0, 0, "not used single epoch", &usual},
    {"dropout inside", frozen_prefix, RIG_DROPOUT_INSIDE, 2 * ALL, ALL, "served 180", &usual},
    {"dropout inside turned off", dropout_turned_off_in_the_prefix, RIG_DROPOUT_INSIDE, 2 * ALL, ALL, "served 180", &usual},
    {"dropout turned off and on", dropout_turned_off_and_on, RIG_DROPOUT_INSIDE, 3 * ALL, ALL, "served 270", &usual},
    {"norm frozen", norm_frozen, RIG_NORM, 2 * ALL, ALL, "served 180", &usual},
    {"norm statistics run", norm_statistics_run, RIG_NORM, 2 * ALL, ALL, "served 180", &usual},
    {"norm affine trains", norm_statistics_frozen_affine_trains, RIG_NORM, 2 * ALL, ALL, "served 180", &usual},
    {"statistics written", statistics_written, RIG_NORM, 3 * ALL, ALL, "served 270", &usual},
    {"skip across the frontier", skip_across_the_frontier, RIG_SKIP, 2 * ALL, ALL, "served 180", &usual},
    {"validated", rig_validated, RIG_PLAIN, 2 * (ALL + RIG_VAL), ALL + RIG_VAL, "holds 120 served 240", &usual},
    {"frozen on the way, restored", frozen_on_the_way_and_restored, RIG_PLAIN, 4 * ALL + 2 * RIG_VAL, ALL,
     "holds 90 of 90 served 420", &usual},
    {"stopped while filling", stopped_while_filling, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
    {"evaluated between", evaluated_between, RIG_PLAIN, 2 * ALL, ALL, "served 180", &usual},
};

static void play(const scenario *s)
{
    static rig with, without;
    const firn_trainer_options off = rig_without_cache(s->opt);
    rig_open(&with, s->net, s->opt, 2);
    rig_open(&without, s->net, &off, 1);
    s->play(&with);
    s->play(&without);
    rig_assert_equal(&with, &without);
    assert_int_equal(firn_trainer_cache(without.t).served, 0);
    const firn_cache_stats stats = firn_trainer_cache(with.t);
    if (stats.served != s->served || stats.samples != s->held)
        fail_msg("%s: served %llu (expected %llu), holds %zu (expected %zu)", s->name, (unsigned long long)stats.served,
                 (unsigned long long)s->served, stats.samples, s->held);
    assert_int_equal(stats.bytes > 0, s->held > 0);
    assert_int_equal(stats.flops_saved > 0, s->served > 0);
    rig_assert_report_has(&with, s->words, s->name);
    rig_close(&with);
    rig_close(&without);
}

static void training_from_the_cache_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) play(&scenarios[i]);
}

/* One hash for every optimizer over cache on and off and any number of threads. */
static void every_optimizer_gives_the_same_bits_with_any_number_of_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    for (int kind = FIRN_SGD; kind <= FIRN_RMSPROP; kind++)
        for (int net = RIG_PLAIN; net <= RIG_SKIP; net++) {
            static rig with, without;
            const firn_trainer_options on = {.batch = 16,
                                             .optim = {.kind = (firn_optim_kind)kind,
                                                       .weight_decay = 0.01f,
                                                       .clip_norm = 1}},
                                       off = rig_without_cache(&on);
            rig_open(&without, (rig_net)net, &off, 1);
            rig_validated(&without);
            for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
                rig_open(&with, (rig_net)net, &on, threads[i]);
                rig_validated(&with);
                assert_int_equal(firn_trainer_cache(with.t).served, 2 * (ALL + RIG_VAL));
                rig_assert_equal(&with, &without);
                rig_close(&with);
            }
            rig_close(&without);
        }
}

/* Two inputs of one shape, below two frozen layers. */
static float trained_on_swapped_feeds(bool no_cache)
{
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2)),
                *y = firn_input(m, "y", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    x = firn_nn_linear(x, "of_x", &(firn_nn_linear_cfg){.out = 4});
    y = firn_nn_linear(y, "of_y", &(firn_nn_linear_cfg){.out = 4});
    firn_tensor *out = firn_nn_linear(firn_add(x, y), "head", &(firn_nn_linear_cfg){.out = 1});
    firn_trainer *t;
    assert_ok(ctx, firn_freeze(m, "of_x,of_y", NULL));
    assert_ok(ctx, firn_trainer_create(&t, firn_mse(out, firn_scale(out, 0)), NULL,
                                       &(firn_trainer_options){.no_cache = no_cache}));
    const float p[4] = {1, 2, 3, 4}, q[4] = {-1, 5, 0, 2};
    const firn_feed feeds[2] = {{"x", p}, {"y", q}}, swapped[2] = {{"y", p}, {"x", q}};
    assert_ok(ctx, firn_fit(t, &(firn_dataset){2, feeds, 2, NULL}, &(firn_fit_options){.epochs = 2}));
    assert_ok(ctx, firn_fit(t, &(firn_dataset){2, swapped, 2, NULL}, &(firn_fit_options){.epochs = 2}));
    const float weight = *firn_data(firn_find(m, "head.weight"));
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
    return weight;
}

static void swapped_feeds_are_other_data(void **state)
{
    (void)state;
    assert_close(trained_on_swapped_feeds(false), trained_on_swapped_feeds(true), 0, 0);
}

typedef struct accuracies {
    float epoch[3];
} accuracies;

static int keep_accuracy(const firn_progress *p, void *user)
{
    if (p->epoch_end) ((accuracies *)user)->epoch[p->epoch - 1] = p->accuracy;
    return 0;
}

/* The labels reach the loss through a frozen layer alone, so that a batch from the cache need not feed them. */
static accuracies trained_on_encoded_labels(bool no_cache)
{
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2)),
                *label = firn_input(m, "label", FIRN_I32, FIRN_SHAPE(FIRN_BATCH)),
                *one = firn_reshape(firn_scale(label, 1), FIRN_SHAPE(FIRN_BATCH, 1)),
                *code = firn_nn_linear(one, "code", &(firn_nn_linear_cfg){.out = 2}),
                *out = firn_nn_linear(x, "head", &(firn_nn_linear_cfg){.out = 2});
    const float values[8] = {1, 0, 0, 1, 2, 1, 1, 2};
    const int32_t labels[4] = {0, 1, 0, 1};
    const firn_feed feeds[2] = {{"x", values}, {"label", labels}};
    accuracies got;
    firn_trainer *t;
    assert_ok(ctx, firn_freeze(m, "code", NULL));
    assert_ok(ctx, firn_trainer_create(&t, firn_mse(out, code), out, &(firn_trainer_options){.no_cache = no_cache}));
    assert_ok(ctx, firn_fit(t, &(firn_dataset){4, feeds, 2, NULL},
                            &(firn_fit_options){.epochs = 3, .on_progress = keep_accuracy, .user = &got}));
    assert_int_equal(firn_trainer_cache(t).served, no_cache ? 0 : 2 * 4);
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
    return got;
}

static void accuracy_counts_labels_that_the_cache_spares_the_plan(void **state)
{
    (void)state;
    const accuracies with = trained_on_encoded_labels(false), without = trained_on_encoded_labels(true);
    for (int e = 0; e < 3; e++) assert_close(with.epoch[e], without.epoch[e], 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_from_the_cache_gives_the_same_bits),
        cmocka_unit_test(every_optimizer_gives_the_same_bits_with_any_number_of_threads),
        cmocka_unit_test(swapped_feeds_are_other_data),
        cmocka_unit_test(accuracy_counts_labels_that_the_cache_spares_the_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
