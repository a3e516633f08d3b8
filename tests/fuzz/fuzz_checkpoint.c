/* The checksum of the input is set right, so that what lies behind it is reached. Refused means that nothing has changed;
 * accepted, that what is saved then loads again and is saved to the same bytes. */
#include <firn/firn.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "checkpoint.h"
#include "fuzz.h"
#include "rng.h"

static const firn_feed feeds[] = {{"x", (float[]){1, 2, 3, 4, 5, 6}}, {"y", (float[]){1, 0, 1}}};
static const firn_dataset samples = {3, feeds, 2, NULL};

static int stop_at_two(const firn_progress *p, void *user)
{
    (void)user;
    return p->step == 2;
}

/* A trainer that has stopped in the middle of an epoch. */
static firn_trainer *make_trainer(firn_ctx *ctx)
{
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2)),
                *y = firn_input(m, "y", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1));
    x = firn_nn_linear(firn_relu(firn_nn_linear(x, "a", &(firn_nn_linear_cfg){.out = 2})), "b",
                       &(firn_nn_linear_cfg){.out = 1});
    firn_trainer *t = NULL;
    MUST(firn_trainer_create(&t, firn_mse(x, y), x, &(firn_trainer_options){.batch = 1, .optim = firn_adam(0.1f)}) ==
         FIRN_OK);
    MUST(firn_fit(t, &samples, &(firn_fit_options){.on_progress = stop_at_two}) == FIRN_STOPPED);
    MUST(firn_freeze(m, "a.bias", NULL) == FIRN_OK && firn_mask_push(m) == FIRN_OK);
    MUST(firn_optimizer_set_rate(firn_trainer_optimizer(t), "b", 0.5f) == FIRN_OK);
    return t;
}

static uint64_t hash_number(uint64_t hash, uint64_t number) { return firn__rng_mix(hash, number); }

/* Of all that a checkpoint brings. */
static uint64_t state_of(const firn_trainer *t)
{
    const firn_trainer_position p = firn_trainer_position_get(t);
    char text[FIRN__POSITION_TEXT];
    firn__position_text(&p, text);
    uint64_t hash = firn__rng_name(1, text);
    for (size_t i = 0; i < t->m->n_named; i++) {
        const firn_tensor *named = t->m->named[i];
        hash = firn__hash(hash, firn__values(named), named->block.bytes);
        hash = hash_number(hash, named->frozen);
    }
    const firn_optimizer *o = t->optimizer;
    for (size_t i = 0; i < firn_optimizer_entries(o); i++) {
        const firn_optimizer_entry e = firn_optimizer_entry_at(o, i);
        hash = hash_number(firn__hash(firn__rng_name(hash, e.buffer), e.data, e.count * sizeof(float)), e.step);
    }
    for (size_t i = 0; i < t->m->n_masks; i++) hash = firn__hash(hash, t->m->masks[i].bits, t->m->masks[i].n_named);
    firn_tensor_info best;
    for (size_t i = 0; (best = firn_trainer_best_at(t, i)).data != NULL; i++)
        hash = firn__hash(hash, best.data, (size_t)firn_shape_count(best.shape) * sizeof(float));
    return hash;
}

/* Computed as the reader does, and written over what the input says. */
static void set_checksum(firn_ctx *ctx, uint8_t *bytes, size_t size)
{
    static const char key[] = "firn.checksum\":\"";
    firn__file file;
    firn__st st;
    fuzz_open(&file, ctx, bytes, size);
    if (firn__st_read(&st, &file)) {
        const size_t header = (size_t)st.data;
        for (size_t i = 8; i + sizeof key + 16 < header; i++) {
            if (memcmp(bytes + i, key, sizeof key - 1) != 0) continue;
            char digits[17];
            memset(bytes + i + sizeof key - 1, '0', 16);
            uint64_t hash = firn__hash(0, bytes, header);
            for (size_t k = 0; k < st.count; k++) {
                const firn__st_entry *e = firn__st_at(&st, k);
                for (uint64_t at = e->begin; at < e->end; at += 8192)
                    hash = firn__hash(hash, bytes + header + at, e->end - at < 8192 ? (size_t)(e->end - at) : 8192);
            }
            snprintf(digits, sizeof digits, "%016" PRIx64, hash);
            memcpy(bytes + i + sizeof key - 1, digits, 16);
            break;
        }
    }
    firn__st_free(&st);
    firn__file_close(&file);
    firn_clear_error(ctx);
}

static firn_status resume(firn_trainer *t, const uint8_t *bytes, size_t size)
{
    firn__file file;
    fuzz_open(&file, t->ctx, bytes, size);
    const firn_status st = firn__checkpoint_resume(t, &file);
    firn__file_close(&file);
    return st;
}

static void check_round_trip(const firn_trainer *t, firn_trainer *other)
{
    size_t na, nb;
    MUST(firn_checkpoint_save(t, "fuzz_cp.tmp", NULL) == FIRN_OK);
    uint8_t *a = fuzz_read("fuzz_cp.tmp", &na);
    MUST(resume(other, a, na) == FIRN_OK);
    MUST(firn_checkpoint_save(other, "fuzz_cp.tmp", NULL) == FIRN_OK);
    uint8_t *b = fuzz_read("fuzz_cp.tmp", &nb);
    MUST(na == nb && memcmp(a, b, na) == 0);
    free(a);
    free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static firn_trainer *t, *other;
    static uint8_t *start;
    static size_t start_size;
    static unsigned accepted;
    firn_ctx *ctx = fuzz_ctx(size + 20000);
    if (t == NULL) {
        t = make_trainer(ctx);
        other = make_trainer(ctx);
        MUST(firn_checkpoint_save(t, "fuzz_cp.tmp", NULL) == FIRN_OK);
        start = fuzz_read("fuzz_cp.tmp", &start_size);
        LLVMFuzzerTestOneInput(start, start_size); /* so that optimizer state is there, as it will be from now on */
    }
    uint8_t *bytes = malloc(size + 1);
    MUST(bytes != NULL);
    if (size > 0) memcpy(bytes, data, size);
    set_checksum(ctx, bytes, size);
    const uint64_t before = state_of(t);
    const firn_status st = resume(t, bytes, size);
    if (st != FIRN_OK) {
        MUST(st == FIRN_ERR_FORMAT || st == FIRN_ERR_STATE || st == FIRN_ERR_NAME || st == FIRN_ERR_SHAPE ||
             st == FIRN_ERR_IO);
        MUST(state_of(t) == before);
    } else {
        if (accepted++ % 64 == 0) check_round_trip(t, other);
        firn_clear_error(ctx);
        MUST(resume(t, start, start_size) == FIRN_OK);
    }
    free(bytes);
    return 0;
}
