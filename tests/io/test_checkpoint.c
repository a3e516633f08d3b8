/* Resume equals the uninterrupted run, bit for bit; whatever is wrong with a checkpoint is told, and nothing changes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "checkpoint.h"
#include "io_support.h"
#include "rng.h"

enum { SAMPLES = 40, VALIDATION = 10, BATCH = 8, EPOCHS = 4, STEPS = EPOCHS * SAMPLES / BATCH };

static float points[SAMPLES][6], other_points[VALIDATION][6];
static uint8_t labels[SAMPLES], other_labels[VALIDATION];
static const firn_feed feeds[] = {{"x", points}, {"label", labels}},
                       other_feeds[] = {{"x", other_points}, {"label", other_labels}};
static const firn_dataset data = {SAMPLES, feeds, 2, NULL}, validation = {VALIDATION, other_feeds, 2, NULL};

static const firn_freeze_event events[] = {
    {.step = 3, .selector = "fc1"},
    {.step = 7, .selector = "bn"},
    {.epoch = 3, .unfreeze = true, .selector = "fc1", .rate = 0.5f}, /* before step 11 */
    {.step = 14, .selector = "fc2.bias"},
    {.step = 17, .unfreeze = true, .selector = "*"},
};

typedef struct rig {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_trainer *t;
    uint64_t stop_at; /* save and stop after this step of the fit; zero: never */
    const char *path;
} rig;

static firn_optim optimizer_of(int kind)
{
    firn_optim how[] = {firn_sgd(0.05f, 0.9f), firn_adam(0.01f), firn_adamw(0.01f), firn_adadelta(1), firn_rmsprop(0.01f)};
    how[kind].weight_decay = 0.01f;
    how[kind].clip_norm = 1;
    return how[kind];
}

static void rig_make(rig *r, int kind, int threads)
{
    *r = (rig){0};
    r->ctx = test_ctx(&r->memory, threads, NULL);
    firn_model *m = r->m = firn_model_create(r->ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 6)),
                *label = firn_input(m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH));
    x = firn_relu(firn_nn_batch_norm(firn_nn_linear(x, "fc1", &(firn_nn_linear_cfg){.out = 9}), "bn", NULL));
    x = firn_nn_dropout(x, "drop", 0.3f);
    firn_tensor *logits = firn_nn_linear(x, "fc2", &(firn_nn_linear_cfg){.out = 3}),
                *loss = firn_cross_entropy(logits, label, NULL);
    const firn_trainer_options how = {
        .batch = BATCH, .optim = optimizer_of(kind), .schedule = {.kind = FIRN_COSINE, .warmup = 2}};
    assert_ok(r->ctx, firn_trainer_create(&r->t, loss, logits, &how));
}

static void rig_free(rig *r)
{
    firn_trainer_destroy(r->t);
    firn_ctx_destroy(r->ctx);
    assert_all_freed(&r->memory);
}

static int stop_and_save(const firn_progress *p, void *user)
{
    rig *r = user;
    (void)p;
    if (firn_trainer_position_get(r->t).fit_steps != r->stop_at) return 0;
    assert_ok(r->ctx, firn_checkpoint_save(r->t, r->path, NULL));
    return 1;
}

static firn_status rig_fit(rig *r)
{
    const firn_fit_options how = {.epochs = EPOCHS,
                                  .validation = &validation,
                                  .patience = 100,
                                  .events = events,
                                  .n_events = sizeof events / sizeof *events,
                                  .on_progress = stop_and_save,
                                  .user = r};
    return firn_fit(r->t, &data, &how);
}

static int make_data(void **state)
{
    (void)state;
    test_fill(points[0], SAMPLES * 6, 1, -1, 1);
    test_fill(other_points[0], VALIDATION * 6, 2, -1, 1);
    test_fill_bytes(labels, SAMPLES, 3, 3);
    test_fill_bytes(other_labels, VALIDATION, 4, 3);
    return 0;
}

static void a_resumed_run_equals_the_uninterrupted_one(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 5};
    for (int kind = 0; kind < 5; kind++) {
        rig whole;
        rig_make(&whole, kind, 1);
        assert_ok(whole.ctx, firn_mask_push(whole.m));
        assert_ok(whole.ctx, rig_fit(&whole));
        assert_ok(whole.ctx, firn_checkpoint_save(whole.t, "firn_cp_whole", NULL));
        rig_free(&whole);
        for (int i = 0; i < 3; i++)
            for (uint64_t stop = 1; stop <= STEPS; stop++) {
                rig first, second;
                int generation = -1;
                rig_make(&first, kind, threads[i]);
                assert_ok(first.ctx, firn_mask_push(first.m));
                first.stop_at = stop;
                first.path = "firn_cp_stop";
                assert_status(first.ctx, FIRN_STOPPED, rig_fit(&first));
                rig_free(&first);

                rig_make(&second, kind, threads[(i + 1) % 3]);
                assert_ok(second.ctx, firn_checkpoint_load(second.t, "firn_cp_stop", &generation));
                assert_int_equal(generation, 0);
                assert_ok(second.ctx, rig_fit(&second));
                assert_ok(second.ctx, firn_verify_frozen(second.m));
                assert_ok(second.ctx, firn_checkpoint_save(second.t, "firn_cp_resumed", NULL));
                assert_int_equal(second.m->n_masks, 1);
                rig_free(&second);
                assert_files_equal("firn_cp_whole", "firn_cp_resumed");
            }
    }
    remove("firn_cp_whole");
    remove("firn_cp_whole.1");
    remove("firn_cp_stop");
    remove("firn_cp_stop.1");
    remove("firn_cp_resumed");
    remove("firn_cp_resumed.1");
}

/* A trainer in the middle of an epoch, with frozen tensors, rates, best weights and a stack, saved at path. */
static void rig_stopped(rig *r, const char *path)
{
    rig_make(r, 1, 1);
    assert_ok(r->ctx, firn_mask_push(r->m));
    r->stop_at = 12;
    r->path = path;
    assert_status(r->ctx, FIRN_STOPPED, rig_fit(r));
}

static void a_checkpoint_loads_into_a_used_trainer(void **state)
{
    (void)state;
    rig a, b;
    rig_stopped(&a, "firn_cp_a");
    rig_make(&b, 1, 1);
    assert_ok(b.ctx, firn_freeze(b.m, "fc2", NULL));
    assert_ok(b.ctx, firn_mask_push(b.m));
    assert_ok(b.ctx, firn_mask_push(b.m));
    assert_ok(b.ctx, firn_optimizer_set_rate(firn_trainer_optimizer(b.t), "fc2", 3));
    assert_ok(b.ctx, firn_unfreeze(b.m, "*", NULL));
    assert_ok(b.ctx, rig_fit(&b));
    assert_ok(b.ctx, firn_checkpoint_load(b.t, "firn_cp_a", NULL));
    assert_ok(b.ctx, firn_checkpoint_save(b.t, "firn_cp_b", NULL));
    assert_files_equal("firn_cp_a", "firn_cp_b");
    rig_free(&a);
    rig_free(&b);
    remove("firn_cp_a");
    remove("firn_cp_b");
}

static void the_older_generation_is_used_when_the_newer_is_damaged(void **state)
{
    (void)state;
    rig r;
    int generation = -1;
    rig_stopped(&r, "firn_cp");
    assert_ok(r.ctx, firn_checkpoint_save(r.t, "firn_cp", NULL));
    size_t size;
    uint8_t *bytes = get_file("firn_cp", &size), *copy = malloc(size);
    assert_true(file_exists("firn_cp.1"));
    for (size_t i = 0; i < size; i += i < 2000 ? 17 : 301) { /* one byte changed, anywhere */
        memcpy(copy, bytes, size);
        copy[i] ^= 0x11;
        put_file("firn_cp", copy, size);
        assert_ok(r.ctx, firn_checkpoint_load(r.t, "firn_cp", &generation));
        assert_int_equal(generation, 1);
        assert_string_equal(firn_message(r.ctx), "");
    }
    for (size_t n = 0; n < size; n += n < 2000 ? 19 : 307) { /* cut anywhere */
        put_file("firn_cp", bytes, n);
        assert_ok(r.ctx, firn_checkpoint_load(r.t, "firn_cp", &generation));
        assert_int_equal(generation, 1);
    }
    remove("firn_cp");
    assert_ok(r.ctx, firn_checkpoint_load(r.t, "firn_cp", &generation));
    assert_int_equal(generation, 1);
    assert_status(r.ctx, FIRN_ERR_IO, firn_load(r.m, "firn_no_such_file", NULL, NULL));
    assert_ok(r.ctx, firn_checkpoint_load(r.t, "firn_cp", &generation)); /* an earlier error stays */
    assert_message_has(r.ctx, "firn_no_such_file");
    put_file("firn_cp", bytes, size / 2);
    remove("firn_cp.1");
    assert_fails(r.ctx, FIRN_ERR_FORMAT, firn_checkpoint_load(r.t, "firn_cp", &generation), "firn_cp: byte");
    assert_int_equal(generation, 0);
    remove("firn_cp");
    assert_fails(r.ctx, FIRN_ERR_IO, firn_checkpoint_load(r.t, "firn_cp", NULL), "firn_cp opened");
    free(bytes);
    free(copy);
    rig_free(&r);
}

static firn_trainer *other_trainer(firn_ctx *ctx, firn_trainer_options how, const char *layer, int width)
{
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    firn_tensor *y = firn_nn_linear(x, layer, &(firn_nn_linear_cfg){.out = width});
    firn_trainer *t = NULL;
    assert_ok(ctx,
              firn_trainer_create(&t, firn_mse(y, firn_input(m, "y", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, width))), y, &how));
    return t;
}

static void a_checkpoint_of_another_run_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        firn_trainer_options how;
        const char *layer;
        int width;
        firn_status status;
        const char *words;
    } rows[] = {
        {{.batch = 4, .optim = {.kind = FIRN_ADAM}}, "fc", 2, FIRN_ERR_STATE, "batch=8 batch=4"},
        {{.batch = 8, .accumulate = 2, .optim = {.kind = FIRN_ADAM}}, "fc", 2, FIRN_ERR_STATE, "accumulate=1 accumulate=2"},
        {{.batch = 8, .optim = {.kind = FIRN_ADAM, .lr = 0.5f}}, "fc", 2, FIRN_ERR_STATE, "lr=0x"},
        {{.batch = 8, .optim = {.kind = FIRN_ADAM}, .schedule = {.warmup = 3}},
         "fc",
         2,
         FIRN_ERR_STATE,
         "warmup=0 warmup=3"},
        {{.batch = 8, .optim = {.kind = FIRN_ADAM}, .schedule = {.floor = 0.5f}}, "fc", 2, FIRN_ERR_STATE, "floor="},
        {{.batch = 8, .optim = {.kind = FIRN_ADAM}}, "other", 2, FIRN_ERR_NAME, "another run lacks fc.weight"},
        {{.batch = 8, .optim = {.kind = FIRN_ADAM}}, "fc", 3, FIRN_ERR_SHAPE, "another run shape fc"},
        {{.batch = 8, .optim = {.kind = FIRN_ADAM}}, "fc", 2, FIRN_OK, ""},
    };
    firn_ctx *ctx = test_ctx(NULL, 1, NULL), *seeded = NULL;
    firn_trainer *t = other_trainer(ctx, rows[7].how, "fc", 2);
    assert_ok(ctx, firn_checkpoint_save(t, "firn_cp_run", NULL));
    firn_trainer_destroy(t);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        t = other_trainer(ctx, rows[i].how, rows[i].layer, rows[i].width);
        firn_clear_error(ctx);
        assert_status(ctx, rows[i].status, firn_checkpoint_load(t, "firn_cp_run", NULL));
        assert_message_has(ctx, rows[i].words);
        firn_trainer_destroy(t);
    }
    assert_ok(NULL, firn_ctx_create(&seeded, &(firn_ctx_options){.threads = 1, .seed = 77}));
    t = other_trainer(seeded, rows[7].how, "fc", 2);
    assert_fails(seeded, FIRN_ERR_STATE, firn_checkpoint_load(t, "firn_cp_run", NULL), "seed=1 seed=77");
    assert_int_equal(rename("firn_cp_run", "firn_cp_run.1"), 0); /* the older one is whole: it is no matter of reading */
    assert_fails(seeded, FIRN_ERR_STATE, firn_checkpoint_load(t, "firn_cp_run", NULL), "firn_cp_run.1: seed=1 seed=77");
    firn_trainer_destroy(t);
    remove("firn_cp_run.1");
    firn_ctx_destroy(seeded);
    firn_ctx_destroy(ctx);
}

/* ---- checkpoints that are whole, but wrong: a text is replaced by another of the same length, and the checksum set ----
 */

static uint64_t true_checksum(const uint8_t *bytes, size_t size)
{
    /* as in checkpoint_load.c: the header in one piece, then every tensor in pieces of 8192 bytes */
    const size_t header = 8 + (size_t)firn__le64(bytes);
    uint64_t hash = firn__hash(0, bytes, header);
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    firn__file file;
    firn__st st;
    put_file("firn_cp_sum", bytes, size);
    assert_true(firn__file_open(&file, ctx, "firn_cp_sum"));
    if (!firn__st_read(&st, &file)) fail_msg("%s", firn_message(ctx));
    for (size_t i = 0; i < st.count; i++) {
        const firn__st_entry *e = firn__st_at(&st, i);
        for (uint64_t at = e->begin; at < e->end; at += 8192)
            hash = firn__hash(hash, bytes + header + at, e->end - at < 8192 ? (size_t)(e->end - at) : 8192);
    }
    firn__st_free(&st);
    firn__file_close(&file);
    remove("firn_cp_sum");
    firn_ctx_destroy(ctx);
    return hash;
}

static uint8_t *find_text(uint8_t *bytes, size_t size, const char *text)
{
    for (size_t i = 0; i + strlen(text) <= size; i++)
        if (memcmp(bytes + i, text, strlen(text)) == 0) return bytes + i;
    fail_msg("no %s in the file", text);
    return NULL;
}

static void whole_but_wrong_checkpoints_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        firn_status status;
        const char *words;
    } rows[] = {
        {"\"firn.version\":\"1\"", "\"firn.version\":\"2\"", FIRN_ERR_STATE, "version"},
        {"\"firn.version\"", "\"firn_version\"", FIRN_ERR_STATE, "version"},
        {"\"firn.run\"", "\"firn_run\"", FIRN_ERR_STATE, "version"},
        {"\"firn.position\"", "\"firn_position\"", FIRN_ERR_STATE, "version"},
        {"epochs=", "epocks=", FIRN_ERR_STATE, "version"},
        {"steps=12 epochs", "steps=1x epochs", FIRN_ERR_STATE, "version"},
        {"steps=12 epochs", "steps= 2 epochs", FIRN_ERR_STATE, "version"},
        {"epochs=2", "epochs-2", FIRN_ERR_STATE, "version"},
        {"firn.mask\":\"", "firn_mask\":\"", FIRN_ERR_STATE, "mask firn.mask"},
        {"firn.mask\":\"0", "firn.mask\":\"2", FIRN_ERR_STATE, "mask firn.mask"},
        {"firn.mask.0\":\"0", "firn.mask.0\":\"x", FIRN_ERR_STATE, "mask firn.mask.0"},
        {"\"step of fc1.weight\":{\"dtype\":\"I64\",\"shape\":[]", "\"step of fc1.weight\":{\"dtype\":\"U8\",\"shape\":[8]",
         FIRN_ERR_FORMAT, "number"},
        {"\"best of fc1.weight\"", "\"bost of fc1.weight\"", FIRN_ERR_NAME, "buffer bost"},
        {"\"exp_avg of fc2.weight\"", "\"exp_avg of fc2.wicked\"", FIRN_ERR_NAME, "lacks fc2.wicked"},
        {"\"exp_avg of fc1.weight\"", "\"exp_avg of bn.running\"", FIRN_ERR_NAME, "lacks"},
        {"\"fc1.weight\":{\"dtype\":\"F32\"", "\"fc1.weight\":{\"dtype\":\"I32\"", FIRN_ERR_SHAPE, "shape fc1.weight"},
        {"\"rate of fc1.weight\":{\"dtype\":\"F32\"", "\"rate of fc1.weight\":{\"dtype\":\"I32\"", FIRN_ERR_NAME, "rate"},
        {"firn.checksum", "firn_checksum", FIRN_ERR_FORMAT, "no checksum"},
        {"\"firn.checksum\":\"", "\"firn.checksum\": ", FIRN_ERR_FORMAT, ""},
        {"\"checkpoint\"", "\"chekkpoint\"", FIRN_ERR_FORMAT, "not a checkpoint"},
    };
    rig r;
    rig_stopped(&r, "firn_cp_wrong");
    size_t size;
    uint8_t *bytes = get_file("firn_cp_wrong", &size), *copy = malloc(size);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char digits[17];
        const char sum[] = "firn.checksum\":\"";
        memcpy(copy, bytes, size);
        uint8_t *said = find_text(copy, size, sum) + sizeof sum - 1;
        assert_int_equal(strlen(rows[i].from), strlen(rows[i].to));
        memcpy(find_text(copy, size, rows[i].from), rows[i].to, strlen(rows[i].to));
        if (strstr(rows[i].from, "checksum") == NULL) {
            memset(said, '0', 16);
            snprintf(digits, sizeof digits, "%016llx", (unsigned long long)true_checksum(copy, size));
            memcpy(said, digits, 16);
        }
        put_file("firn_cp_wrong", copy, size);
        assert_ok(r.ctx, firn_checkpoint_save(r.t, "firn_cp_before", NULL));
        assert_fails(r.ctx, rows[i].status, firn_checkpoint_load(r.t, "firn_cp_wrong", NULL), rows[i].words);
        assert_ok(r.ctx, firn_checkpoint_save(r.t, "firn_cp_after", NULL));
        assert_files_equal("firn_cp_before", "firn_cp_after");
    }
    free(bytes);
    free(copy);
    rig_free(&r);
    remove("firn_cp_wrong");
    remove("firn_cp_before");
    remove("firn_cp_before.1");
    remove("firn_cp_after");
    remove("firn_cp_after.1");
}

/* Made by hand: fc.weight [2, 2], fc.bias [2], Adam. */
typedef struct made {
    const char *mask, *saved; /* NULL: what the trainer has; saved: each mask of the stack */
    int n_saved;
    bool no_bias, first_buffer, second_buffer;
    const float *rate;
} made;

static void make_checkpoint(const firn_trainer *t, made how)
{
    static const float values[] = {1, 2, 3, 4};
    char run[FIRN__RUN_TEXT], position[FIRN__POSITION_TEXT], key[32];
    const firn_trainer_position p = {.steps = 5};
    firn__writer w;
    firn__run_text(t, run);
    firn__position_text(&p, position);
    firn__writer_begin(&w, t->ctx);
    firn__writer_metadata(&w, "firn.kind", "checkpoint");
    firn__writer_metadata(&w, "firn.version", "1");
    firn__writer_checksum(&w);
    firn__writer_metadata(&w, "firn.run", run);
    firn__writer_metadata(&w, "firn.position", position);
    firn__writer_metadata(&w, "firn.mask", how.mask ? how.mask : "01 00");
    for (int i = 0; i < how.n_saved; i++) {
        snprintf(key, sizeof key, "firn.mask.%d", i);
        firn__writer_metadata(&w, key, how.saved);
    }
    firn__writer_tensor(&w, "", "fc.weight", FIRN_SHAPE(2, 2), values);
    if (!how.no_bias) firn__writer_tensor(&w, "", "fc.bias", FIRN_SHAPE(2), values);
    if (how.first_buffer) firn__writer_tensor(&w, "exp_avg of ", "fc.weight", FIRN_SHAPE(2, 2), values);
    if (how.second_buffer) firn__writer_tensor(&w, "exp_avg_sq of ", "fc.weight", FIRN_SHAPE(2, 2), values);
    if (how.rate != NULL) firn__writer_tensor(&w, "rate of ", "fc.bias", FIRN_SCALAR, how.rate);
    assert_ok(t->ctx, firn__writer_write(&w, "firn_cp_made", &(firn__writer_how){0}));
    firn__writer_free(&w);
}

static void checkpoints_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const float rates[] = {0.5f, 0, -1, NAN, INFINITY};
    const struct {
        made how;
        firn_status status;
        const char *words;
    } rows[] = {
        {{.rate = &rates[0], .first_buffer = true, .second_buffer = true}, FIRN_OK, ""},
        {{.first_buffer = true}, FIRN_ERR_NAME, "lacks buffer fc.weight"},
        {{.second_buffer = true}, FIRN_ERR_NAME, "lacks buffer fc.weight"},
        {{.no_bias = true}, FIRN_ERR_NAME, "lacks fc.bias"},
        {{.rate = &rates[1]}, FIRN_ERR_STATE, "rate fc.bias"},
        {{.rate = &rates[2]}, FIRN_ERR_STATE, "rate fc.bias"},
        {{.rate = &rates[3]}, FIRN_ERR_STATE, "rate fc.bias"},
        {{.rate = &rates[4]}, FIRN_ERR_STATE, "rate fc.bias"},
        {{.mask = ""}, FIRN_OK, ""},
        {{.mask = "0"}, FIRN_OK, ""},
        {{.mask = "010"}, FIRN_ERR_STATE, "mask firn.mask"},
        {{.mask = "01 000"}, FIRN_ERR_STATE, "mask firn.mask"},
        {{.mask = "01 0 "}, FIRN_ERR_STATE, "mask firn.mask"},
        {{.saved = "10 1", .n_saved = 17}, FIRN_OK, ""},
        {{.saved = "x", .n_saved = 1}, FIRN_ERR_STATE, "mask firn.mask.0"},
    };
    test_memory memory = {0};
    firn_ctx *ctx = test_ctx(&memory, 1, NULL);
    firn_trainer *t = other_trainer(ctx, (firn_trainer_options){.optim = firn_adam(0.1f)}, "fc", 2);
    assert_int_equal(t->m->n_nodes, 2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        make_checkpoint(t, rows[i].how);
        firn_clear_error(ctx);
        const firn_status st = firn_checkpoint_load(t, "firn_cp_made", NULL);
        if (st != rows[i].status) print_error("row %zu\n", i);
        assert_status(ctx, rows[i].status, st);
        assert_message_has(ctx, rows[i].words);
        if (rows[i].how.rate == &rates[0]) {
            assert_close(firn_optimizer_rate(firn_trainer_optimizer(t), "fc.bias"), 0.5, 0, 0);
            assert_true(firn_tensor_at(t->m, 1).frozen);
            assert_int_equal(firn_optimizer_entries(firn_trainer_optimizer(t)), 2);
        }
    }
    assert_int_equal(t->m->n_masks, FIRN_MAX_MASKS);
    put_safetensors("firn_cp_made",
                    "{\"__metadata__\":{\"firn.kind\":\"checkpoint\",\"firn.checksu\\u006d\":\"0123456789abcdef\"}}", 0);
    assert_fails(ctx, FIRN_ERR_FORMAT, firn_checkpoint_load(t, "firn_cp_made", NULL), "16 digits");
    put_safetensors("firn_cp_made", "{\"__metadata__\":{\"firn.kind\":\"checkpoint\",\"firn.checksum\":\"01234\"}}", 0);
    assert_fails(ctx, FIRN_ERR_FORMAT, firn_checkpoint_load(t, "firn_cp_made", NULL), "16 digits");
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
    assert_all_freed(&memory);
    remove("firn_cp_made");
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    rig from, r;
    rig_stopped(&from, "firn_cp_memory");
    rig_free(&from);
    rig_make(&r, 1, 1);
    size_t failures = 0;
    for (size_t k = 1, done = 0; done < 3; k++) {
        assert_ok(r.ctx, firn_checkpoint_save(r.t, "firn_cp_before", NULL));
        firn_clear_error(r.ctx);
        r.memory.fail_at = r.memory.calls + k;
        const firn_status st = firn_checkpoint_load(r.t, "firn_cp_memory", NULL);
        r.memory.fail_at = 0;
        assert_true(st == FIRN_OK || st == FIRN_ERR_MEMORY);
        if (st == FIRN_OK) {
            done++;
            continue;
        }
        failures++;
        /* Optimizer state may have been made, all zero, which means the same as none. */
        const firn_trainer_position p = firn_trainer_position_get(r.t);
        assert_int_equal(p.steps, 0);
        assert_int_equal(r.m->n_masks, 0);
        assert_ok(r.ctx, firn_save(r.m, "firn_cp_weights"));
        rig fresh;
        rig_make(&fresh, 1, 1);
        assert_ok(fresh.ctx, firn_save(fresh.m, "firn_cp_fresh"));
        rig_free(&fresh);
        assert_files_equal("firn_cp_weights", "firn_cp_fresh");
    }
    assert_true(failures > 20);
    assert_ok(r.ctx, rig_fit(&r));
    rig_free(&r);

    rig_stopped(&r, "firn_cp_memory");
    for (size_t k = 1, done = 0; done < 3; k++) {
        r.memory.fail_at = r.memory.calls + k;
        firn_clear_error(r.ctx);
        const size_t held = r.memory.bytes;
        const firn_status st = firn_checkpoint_save(r.t, "firn_cp_saved", NULL);
        r.memory.fail_at = 0;
        assert_int_equal(held, r.memory.bytes);
        assert_true(st == FIRN_OK || st == FIRN_ERR_MEMORY);
        done += st == FIRN_OK;
        if (st == FIRN_OK) assert_files_equal("firn_cp_saved", "firn_cp_memory");
        assert_false(file_exists("firn_cp_saved.tmp"));
    }
    rig_free(&r);
    static const char *const left[] = {"firn_cp_memory",  "firn_cp_memory.1", "firn_cp_before", "firn_cp_before.1",
                                       "firn_cp_weights", "firn_cp_fresh",    "firn_cp_saved",  "firn_cp_saved.1"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) remove(left[i]);
}

static int sync_called;
static int count_sync(FILE *stream, void *user)
{
    assert_non_null(stream);
    sync_called++;
    return *(int *)user;
}

static int load_inside(const firn_progress *p, void *user)
{
    (void)p;
    rig *r = user;
    assert_fails(r->ctx, FIRN_ERR_STATE, firn_checkpoint_load(r->t, "firn_cp_misuse", NULL), "fit running");
    return 1;
}

static void misuse_is_named(void **state)
{
    (void)state;
    rig r;
    int answer = 0;
    rig_make(&r, 0, 1);
    assert_status(NULL, FIRN_ERR_ARGUMENT, firn_checkpoint_save(NULL, "x", NULL));
    assert_status(NULL, FIRN_ERR_ARGUMENT, firn_checkpoint_load(NULL, "x", NULL));
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_checkpoint_save(r.t, NULL, NULL), "path NULL");
    assert_fails(r.ctx, FIRN_ERR_ARGUMENT, firn_checkpoint_load(r.t, NULL, NULL), "path NULL");
    assert_ok(r.ctx, firn_checkpoint_save(r.t, "firn_cp_misuse", &(firn_checkpoint_options){count_sync, &answer}));
    assert_int_equal(sync_called, 1);
    answer = 1;
    assert_fails(r.ctx, FIRN_ERR_IO,
                 firn_checkpoint_save(r.t, "firn_cp_misuse", &(firn_checkpoint_options){count_sync, &answer}), "sync");
    assert_false(file_exists("firn_cp_misuse.tmp"));
    assert_status(r.ctx, FIRN_STOPPED, firn_fit(r.t, &data, &(firn_fit_options){.on_progress = load_inside, .user = &r}));
    assert_ok(r.ctx, firn_plan_forward(firn_trainer_plan(r.t), feeds, 2, BATCH));
    assert_fails(r.ctx, FIRN_ERR_STATE, firn_checkpoint_save(r.t, "firn_cp_misuse", NULL), "between");
    assert_fails(r.ctx, FIRN_ERR_STATE, firn_checkpoint_load(r.t, "firn_cp_misuse", NULL), "between");
    firn_plan_forget(firn_trainer_plan(r.t));
    assert_non_null(firn_param(r.m, "__metadata__", FIRN_SCALAR, (firn_init){0}));
    assert_fails(r.ctx, FIRN_ERR_NAME, firn_checkpoint_save(r.t, "firn_cp_misuse", NULL), "\"__metadata__\" file");
    rig_free(&r);
    remove("firn_cp_misuse");
}

static void firn_load_takes_the_weights_out_of_a_checkpoint(void **state)
{
    (void)state;
    rig r, other;
    firn_load_report report;
    rig_stopped(&r, "firn_cp_out");
    rig_make(&other, 0, 1);
    assert_ok(other.ctx, firn_load(other.m, "firn_cp_out", NULL, &report));
    assert_int_equal(report.loaded, firn_tensor_count(r.m));
    assert_true(report.unused > 0);
    for (size_t i = 0; i < firn_tensor_count(r.m); i++)
        assert_bits_equal(firn_tensor_at(other.m, i).data, firn_tensor_at(r.m, i).data,
                          (size_t)firn_shape_count(firn_tensor_at(r.m, i).shape));
    size_t size;
    uint8_t *bytes = get_file("firn_cp_out", &size);
    bytes[size - 1] ^= 1;
    put_file("firn_cp_out", bytes, size);
    free(bytes);
    assert_fails(other.ctx, FIRN_ERR_FORMAT, firn_load(other.m, "firn_cp_out", NULL, &report), "checksum damaged");
    assert_int_equal(report.loaded, firn_tensor_count(r.m));
    rig_free(&r);
    rig_free(&other);
    remove("firn_cp_out");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_equals_the_uninterrupted_one),
        cmocka_unit_test(a_checkpoint_loads_into_a_used_trainer),
        cmocka_unit_test(the_older_generation_is_used_when_the_newer_is_damaged),
        cmocka_unit_test(a_checkpoint_of_another_run_is_refused_by_name),
        cmocka_unit_test(whole_but_wrong_checkpoints_are_refused),
        cmocka_unit_test(checkpoints_that_make_no_sense_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(misuse_is_named),
        cmocka_unit_test(firn_load_takes_the_weights_out_of_a_checkpoint),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, make_data, NULL);
}
