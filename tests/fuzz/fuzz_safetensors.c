/* Accepted means: sizes recompute, ranges tile the data, names are unique and found, and what the library can hold goes
 * through save, load and save to the same bytes. */
#include <firn/io.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "fuzz.h"
#include "pattern.h"

__extension__ typedef unsigned __int128 wide;

static void check_header(const firn__st *st, size_t size)
{
    uint64_t end = 0;
    for (size_t i = 0; i < st->count; i++) {
        const firn__st_entry *e = firn__st_at(st, i);
        const char *name = firn__st_name(st, e);
        size_t cursor = 0;
        wide bits = firn__st_type_bits(e->type);
        for (uint32_t d = 0; d < e->rank; d++) {
            bits *= firn__st_dim(st, e, &cursor);
            MUST(bits >> 64 == 0);
        }
        MUST(bits == (wide)(e->end - e->begin) * 8);
        MUST(e->begin == end && e->end >= e->begin);
        end = e->end;
        MUST(firn__st_find(st, name) == e);
        for (size_t k = 0; st->count < 100 && k < i; k++) MUST(strcmp(firn__st_name(st, firn__st_at(st, k)), name) != 0);
    }
    MUST(st->data + end == size);
    firn__st_pair pair = {0};
    size_t pairs = 0;
    for (; firn__st_next_pair(st, &pair); pairs++) MUST(firn__st_metadata(st, pair.key) == pair.value);
    MUST(pairs == st->pairs);
}

/* A model with the tensors of the file; NULL if it has some that no model has. */
static firn_model *model_of(firn_ctx *ctx, const firn__st *st)
{
    firn_model *m = firn_model_create(ctx);
    MUST(m != NULL);
    for (size_t i = 0; i < st->count; i++) {
        const firn__st_entry *e = firn__st_at(st, i);
        firn_shape shape = {.rank = (int)e->rank};
        size_t cursor = 0;
        if (e->rank > FIRN_MAX_RANK || firn__convert_how(e->type) == NULL || !firn__name_valid(firn__st_name(st, e)))
            return NULL;
        for (uint32_t d = 0; d < e->rank; d++) {
            const uint64_t dim = firn__st_dim(st, e, &cursor);
            if (dim == 0 || dim > 1000) return NULL;
            shape.dim[d] = (int64_t)dim;
        }
        if (firn_param(m, firn__st_name(st, e), shape, (firn_init){.kind = FIRN_INIT_ZERO}) == NULL) return NULL;
    }
    return m;
}

static void check_round_trip(firn_ctx *ctx, const firn__st *st, const uint8_t *data, size_t size)
{
    firn_model *a = model_of(ctx, st), *b = a ? model_of(ctx, st) : NULL;
    if (b == NULL) return;
    FILE *f = fopen("fuzz_st_in.tmp", "wb");
    MUST(f != NULL && fwrite(data, 1, size, f) == size && fclose(f) == 0);
    firn_load_report report;
    const firn_status loaded = firn_load(a, "fuzz_st_in.tmp", NULL, &report);
    if (loaded == FIRN_ERR_STATE || loaded == FIRN_ERR_NAME) return; /* it says that it is a delta */
    MUST(loaded == FIRN_OK && report.loaded == st->count && report.unused + report.missing + report.mismatched == 0);
    MUST(firn_save(a, "fuzz_st_a.tmp") == FIRN_OK);
    MUST(firn_load(b, "fuzz_st_a.tmp", NULL, NULL) == FIRN_OK);
    MUST(firn_save(b, "fuzz_st_b.tmp") == FIRN_OK);
    size_t na, nb;
    uint8_t *in_a = fuzz_read("fuzz_st_a.tmp", &na), *in_b = fuzz_read("fuzz_st_b.tmp", &nb);
    MUST(na == nb && memcmp(in_a, in_b, na) == 0);
    free(in_a);
    free(in_b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    firn_ctx *ctx = fuzz_ctx(size), *small = NULL;
    const size_t before = fuzz_memory();
    firn__file file;
    firn__st st;
    fuzz_open(&file, ctx, data, size);
    const bool good = firn__st_read(&st, &file);
    MUST(good == (firn_last_error(ctx) == FIRN_OK) && good == (file.status == FIRN_OK));
    if (good) {
        check_header(&st, size);
        if (st.count > 0 && st.count < 20 && size < 5000 && size % 4 == 0) { /* not always, for it is slow */
            MUST(firn_ctx_create(&small, &(firn_ctx_options){.threads = 1, .isa = "ref"}) == FIRN_OK);
            check_round_trip(small, &st, data, size);
            firn_ctx_destroy(small);
        }
    }
    firn__st_free(&st);
    firn__file_close(&file);
    MUST(fuzz_memory() == before);
    return 0;
}
