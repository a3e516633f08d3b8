/* check_op.c: an operator alone, on buffers with guards around them: its gradients against differences of its forward,
 * its reads[] against NaN in all that it does not declare. */
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "ops.h"
#include "rng.h"

enum { GUARD = 64, GUARD_BYTE = 0xa5, POISON = 0xff, MAX_IN = FIRN_OP_MAX_IN }; /* POISON: NaN, and no label */

typedef struct guarded {
    unsigned char *raw, *data; /* data: 64-byte aligned, at least GUARD bytes before and behind it */
    size_t bytes, raw_bytes;
} guarded;

/* One operator on one case under one set of wanted inputs. */
typedef struct trial {
    firn_ctx *ctx;
    const firn_op *op; /* as resolved */
    const firn_op_case *c;
    size_t number; /* of the case */
    unsigned wanted, reads;
    firn_view in[MAX_IN], out, dout, din[MAX_IN];
    guarded input[MAX_IN], drawn[MAX_IN];     /* drawn: what input is set to before each run */
    guarded result[MAX_IN], expected[MAX_IN]; /* gradients, where wanted */
    guarded output, gradient, first_output, saved, scratch, prepared;
    guarded zero_attr; /* where the case has none */
    const void *attr;
} trial;

#define DISAGREE(t, format, ...)                                                                                           \
    firn_fail((t)->ctx, FIRN_ERR_NUMERIC, "operator \"%s\", case %zu, wanted 0x%x: " format, (t)->op->name, (t)->number,   \
              (t)->wanted, __VA_ARGS__)

static int64_t elements(const firn_view *v) { return firn_shape_count(v->shape); }
static float *floats(const guarded *g) { return (float *)(void *)g->data; }

static void poison(const guarded *g)
{
    if (g->data != NULL) memset(g->data, POISON, g->bytes);
}
static void copy_buffer(const guarded *to, const guarded *from)
{
    if (from->bytes > 0) memcpy(to->data, from->data, from->bytes);
}

/* ---- setting up ---- */

static bool get_buffer(firn_ctx *ctx, guarded *g, size_t bytes)
{
    *g = (guarded){.bytes = bytes};
    if (bytes == 0) return true;
    if (!firn__add(bytes, 3 * GUARD, &g->raw_bytes)) g->raw_bytes = SIZE_MAX;
    g->raw = firn__alloc(ctx, g->raw_bytes, 1);
    if (g->raw == NULL) return false;
    memset(g->raw, GUARD_BYTE, g->raw_bytes);
    g->data = g->raw + GUARD + (GUARD - (uintptr_t)g->raw % GUARD) % GUARD;
    return true;
}

static bool get_view(firn_ctx *ctx, guarded *g, firn_view *v)
{
    size_t bytes;
    if (!firn__shape_bytes(v->shape, firn_dtype_size(v->dtype), &bytes)) bytes = SIZE_MAX;
    const bool got = get_buffer(ctx, g, bytes);
    v->data = g->data;
    return got;
}

/* Visits every buffer; false as soon as visit says so. */
static bool each_buffer(trial *t, bool (*visit)(firn_ctx *ctx, guarded *g))
{
    bool all = true;
    for (int i = 0; i < MAX_IN; i++)
        all = visit(t->ctx, &t->input[i]) && visit(t->ctx, &t->drawn[i]) && visit(t->ctx, &t->result[i]) &&
              visit(t->ctx, &t->expected[i]) && all;
    return visit(t->ctx, &t->output) && visit(t->ctx, &t->gradient) && visit(t->ctx, &t->first_output) &&
           visit(t->ctx, &t->saved) && visit(t->ctx, &t->scratch) && visit(t->ctx, &t->prepared) &&
           visit(t->ctx, &t->zero_attr) && all;
}
static bool free_buffer(firn_ctx *ctx, guarded *g)
{
    firn__free(ctx, g->raw, g->raw_bytes, 1);
    return true;
}
static bool guards_whole(firn_ctx *ctx, guarded *g)
{
    (void)ctx;
    for (const unsigned char *p = g->raw; p != NULL && p < g->raw + g->raw_bytes; p++)
        if ((p < g->data || p >= g->data + g->bytes) && *p != GUARD_BYTE) return false;
    return true;
}

/* F32: evenly spread numbers in random order. */
static void draw_input(const trial *t, int i)
{
    const firn_op_case *c = t->c;
    const bool plain = c->low == 0 && c->high == 0;
    const float low = plain ? -1.0f : c->low, high = plain ? 1.0f : c->high;
    const uint64_t key = firn__rng_mix(t->number, (uint64_t)i);
    const int64_t count = elements(&t->in[i]), modulus = c->high >= 1 ? (int64_t)c->high : 1;
    float *x = floats(&t->drawn[i]);
    for (int64_t k = 0; k < count; k++) {
        const int32_t label = (int32_t)(k % modulus);
        if (t->in[i].dtype == FIRN_U8)
            t->drawn[i].data[k] = (unsigned char)label;
        else if (t->in[i].dtype == FIRN_I32)
            memcpy(x + k, &label, sizeof label);
        else
            x[k] = low + (high - low) * ((float)k + 0.5f) / (float)count;
    }
    for (int64_t k = count; k > 1 && t->in[i].dtype == FIRN_F32; k--) { /* Fisher-Yates */
        const int64_t j = (int64_t)firn__rng_below(key, (uint64_t)k, (uint64_t)k);
        const float swap = x[k - 1];
        x[k - 1] = x[j];
        x[j] = swap;
    }
}

/* The gradient of the output: random, not near zero. */
static void draw_gradient(const trial *t)
{
    const uint64_t key = firn__rng_mix(t->number, MAX_IN);
    for (int64_t k = 0; k < elements(&t->dout); k++) {
        const float u = firn__rng_uniform(key, (uint64_t)k);
        floats(&t->gradient)[k] = u < 0.5f ? u - 1.0f : u;
    }
}

static firn_status check_inputs(const trial *t)
{
    for (int i = 0; i < t->op->n_in; i++) {
        const bool absent = t->c->in[i].rank < 0;
        if (absent ? t->op->optional >> i & 1 : firn_shape_count(t->c->in[i]) > 0 && firn_dtype_size(t->c->dtype[i]) > 0)
            continue;
        return firn_fail(
            t->ctx, FIRN_ERR_ARGUMENT,
            "operator \"%s\", case %zu: input %d must have elements, of a known type, or be optional and absent",
            t->op->name, t->number, i);
    }
    return FIRN_OK;
}

/* Runs shape() and resolve() as a planner does. */
static firn_status infer_trial(trial *t, firn_op_build *b)
{
    firn_status st = t->op->shape(b);
    if (st == FIRN_OK) st = firn__op_resolve(b, &t->op);
    if (st == FIRN_OK && t->op != b->op) {
        b->op = t->op;
        b->saved_bytes = b->scratch_bytes = b->prepared_bytes = 0;
        st = t->op->shape(b);
    }
    if (st != FIRN_OK)
        return firn_fail(t->ctx, st, "operator \"%s\" refuses the shapes of case %zu", t->op->name, t->number);
    if (t->out.dtype != FIRN_F32)
        return firn_fail(t->ctx, FIRN_ERR_DTYPE, "operator \"%s\", case %zu: only F32 outputs can be checked", t->op->name,
                         t->number);
    if (elements(&t->out) < 1)
        return firn_fail(t->ctx, FIRN_ERR_SHAPE, "operator \"%s\", case %zu: the output has an empty or invalid shape",
                         t->op->name, t->number);
    if ((t->op->traits & FIRN_OP_VIEW) && (t->in[0].dtype != FIRN_F32 || elements(&t->in[0]) != elements(&t->out)))
        return firn_fail(t->ctx, FIRN_ERR_SHAPE, "operator \"%s\", case %zu: a view must have the elements of its input",
                         t->op->name, t->number);
    return FIRN_OK;
}

static firn_status open_trial(trial *t)
{
    const firn_op_case *c = t->c;
    firn_status st = check_inputs(t);
    if (st != FIRN_OK) return st;
    if (!get_buffer(t->ctx, &t->zero_attr, t->op->attr_bytes)) return FIRN_ERR_MEMORY;
    if (t->op->attr_bytes > 0) memset(t->zero_attr.data, 0, t->op->attr_bytes);
    t->attr = c->attr ? c->attr : t->zero_attr.data;
    for (int i = 0; i < t->op->n_in; i++) t->in[i] = (firn_view){.dtype = c->dtype[i], .shape = c->in[i]};
    firn_op_build b = {.in = t->in,
                       .n_in = t->op->n_in,
                       .attr = t->attr,
                       .training = !c->eval,
                       .out = &t->out,
                       .ctx = t->ctx,
                       .op = t->op};
    b.want = t->wanted;
    b.frozen = c->param & ~t->wanted;
    st = infer_trial(t, &b);
    if (st != FIRN_OK) return st;
    if (t->op->backward == NULL && !(t->op->traits & FIRN_OP_VIEW)) t->wanted = 0; /* it resolves to what has no gradient */
    bool got = true;
    for (int i = 0; got && i < t->op->n_in; i++) {
        if (c->in[i].rank < 0) continue;
        got = get_view(t->ctx, &t->input[i], &t->in[i]) && get_buffer(t->ctx, &t->drawn[i], t->input[i].bytes);
        if (got) draw_input(t, i);
        if (!(t->wanted >> i & 1)) continue;
        t->reads |= t->op->reads[i];
        t->din[i] = t->in[i];
        got = got && get_view(t->ctx, &t->result[i], &t->din[i]) && get_buffer(t->ctx, &t->expected[i], t->input[i].bytes);
    }
    t->dout = t->out;
    got = got && get_view(t->ctx, &t->output, &t->out) && get_view(t->ctx, &t->gradient, &t->dout) &&
          get_buffer(t->ctx, &t->first_output, t->output.bytes) && get_buffer(t->ctx, &t->saved, b.saved_bytes) &&
          get_buffer(t->ctx, &t->scratch, b.scratch_bytes) &&
          get_buffer(t->ctx, &t->prepared, t->op->prepare != NULL ? b.prepared_bytes : 0);
    if (!got) return FIRN_ERR_MEMORY;
    draw_gradient(t);
    return FIRN_OK;
}

/* ---- running ---- */

static firn_op_run run_of(const trial *t, bool with_saved)
{
    firn_op_run r = {
        .in = t->in, .out = &t->out, .attr = t->attr, .dout = &t->dout, .din = t->din, .ctx = t->ctx, .op = t->op};
    r.saved = with_saved ? t->saved.data : NULL;
    r.scratch = t->scratch.data;
    r.prepared = t->prepared.bytes > 0 ? t->prepared.data : NULL;
    r.training = !t->c->eval;
    r.frozen = t->c->param & ~t->wanted;
    r.want = t->wanted;
    r.rng_key = firn__rng_mix(t->number, MAX_IN + 1);
    r.worker = -1;
    return r;
}

/* Forward from the inputs as drawn; input `nudged`, if not below 0, is moved by `by` at one element. */
static void run_forward(trial *t, bool with_saved, int nudged, int64_t element, float by)
{
    for (int i = 0; i < MAX_IN; i++) copy_buffer(&t->input[i], &t->drawn[i]);
    if (nudged >= 0) floats(&t->input[nudged])[element] += by;
    const guarded *lost[] = {&t->saved, &t->scratch, &t->prepared};
    for (size_t k = 0; k < sizeof lost / sizeof *lost; k++) poison(lost[k]);
    if (t->out.data == t->output.data) poison(&t->output);
    const firn_op_run r = run_of(t, with_saved);
    if (r.prepared != NULL) t->op->prepare(&r);
    if (t->op->traits & FIRN_OP_VIEW)
        copy_buffer(&t->output, &t->input[0]);
    else
        t->op->forward(&r);
}

static void run_backward(trial *t, bool with_saved)
{
    for (int i = 0; i < MAX_IN; i++) poison(&t->result[i]);
    poison(&t->scratch);
    const firn_op_run r = run_of(t, with_saved);
    if (t->op->traits & FIRN_OP_VIEW)
        copy_buffer(&t->result[0], &t->gradient);
    else
        t->op->backward(&r);
}

/* A fixed combination of the outputs. */
static double projection(trial *t, int input, int64_t element, float by)
{
    run_forward(t, false, input, element, by);
    double sum = 0;
    for (int64_t k = 0; k < elements(&t->out); k++) sum += (double)floats(&t->output)[k] * (double)floats(&t->gradient)[k];
    return sum;
}

static firn_status compare_with_differences(trial *t, int input)
{
    const double rtol = t->c->rtol > 0 ? (double)t->c->rtol : 2e-3, atol = t->c->atol > 0 ? (double)t->c->atol : 2e-4;
    const float h = t->c->eps > 0 ? t->c->eps : 1e-2f;
    for (int64_t k = 0; k < elements(&t->in[input]); k++) {
        const double near = projection(t, input, k, h) - projection(t, input, k, -h);
        const double far = projection(t, input, k, 2 * h) - projection(t, input, k, -2 * h);
        const double want = (8 * near - far) / (12 * (double)h), got = (double)floats(&t->expected[input])[k];
        if (!(fabs(got - want) <= atol + rtol * fabs(want)))
            return DISAGREE(t, "the gradient of input %d at element %lld is %.9g, and differences give %.9g", input,
                            (long long)k, got, want);
    }
    return FIRN_OK;
}

static firn_status same_bits(const trial *t, const guarded *got, const guarded *want, size_t from, const char *what,
                             int input)
{
    for (size_t at = from; at < want->bytes; at += sizeof(float)) {
        if (memcmp(got->data + at, want->data + at, sizeof(float)) == 0) continue;
        const size_t k = at / sizeof(float);
        return DISAGREE(t, "%s %d at element %zu is %.9g and not %.9g", what, input, k, (double)floats(got)[k],
                        (double)floats(want)[k]);
    }
    return FIRN_OK;
}

/* ---- the checks ---- */

/* All that the wanted gradients do not read is NaN, and saved memory that they do not read is not there. */
static firn_status check_reads(trial *t)
{
    const bool with_saved = (t->reads & FIRN_READS_SAVED) != 0;
    firn_status st = FIRN_OK;
    run_forward(t, with_saved, -1, 0, 0);
    for (int i = 0; i < MAX_IN; i++)
        if (!(t->reads & FIRN_READS_IN(i))) poison(&t->input[i]);
    if (!(t->reads & FIRN_READS_OUT)) poison(&t->output);
    run_backward(t, with_saved);
    for (int i = 0; st == FIRN_OK && i < MAX_IN; i++)
        st = same_bits(t, &t->result[i], &t->expected[i], 0,
                       "with NaN in what reads[] does not name, the gradient of input", i);
    return st;
}

static firn_status check_in_place(trial *t)
{
    if (!(t->op->traits & FIRN_OP_INPLACE) || t->in[0].dtype != FIRN_F32 || t->input[0].bytes != t->output.bytes)
        return FIRN_OK;
    t->out.data = t->in[0].data;
    run_forward(t, true, -1, 0, 0);
    t->out.data = t->output.data;
    firn_status st = same_bits(t, &t->input[0], &t->first_output, 0, "in place, output", 0);
    if (st != FIRN_OK || !(t->wanted & 1)) return st;
    run_forward(t, true, -1, 0, 0);
    t->din[0].data = t->dout.data;
    run_backward(t, true);
    t->din[0].data = t->result[0].data;
    copy_buffer(&t->result[0], &t->gradient);
    draw_gradient(t);
    for (int i = 0; st == FIRN_OK && i < MAX_IN; i++)
        st = same_bits(t, &t->result[i], &t->expected[i], 0, "in place, the gradient of input", i);
    return st;
}

/* Scratch for the sample alone, as a region asks for it: what all threads need for it must fit into theirs together. */
static firn_status get_alone(const trial *t, const firn_view *in, guarded *scratch)
{
    firn_view out = {0};
    firn_op_build b = {
        .in = in, .n_in = t->op->n_in, .attr = t->attr, .training = !t->c->eval, .out = &out, .ctx = t->ctx, .op = t->op};
    b.want = t->wanted;
    b.frozen = t->c->param & ~t->wanted;
    firn_status st = t->op->shape(&b);
    const size_t together = b.scratch_bytes, threads = (size_t)firn_ctx_threads(t->ctx);
    b.alone = true;
    b.scratch_bytes = 0;
    if (st == FIRN_OK) st = t->op->shape(&b);
    if (st != FIRN_OK)
        return firn_fail(t->ctx, st, "operator \"%s\" refuses one sample of case %zu", t->op->name, t->number);
    if (t->wanted == 0 && b.scratch_bytes < together / threads)
        return DISAGREE(t, "alone it asks for %zu bytes of scratch, which is less than a thread's share of %zu",
                        b.scratch_bytes, together);
    return get_buffer(t->ctx, scratch, b.scratch_bytes) ? FIRN_OK : FIRN_ERR_MEMORY;
}

/* The last sample alone, as part of a parallel region, gives what it gave among the others. */
static firn_status check_slice(trial *t)
{
    const int64_t n = t->out.shape.rank > 0 ? t->out.shape.dim[0] : 0;
    const unsigned excluded = FIRN_OP_BATCHMIX | FIRN_OP_RANDOM | FIRN_OP_VIEW;
    if ((t->op->traits & excluded) || n < 2 || firn__op_samples(t->in[0].shape) != n || (t->c->param & 1)) return FIRN_OK;
    run_forward(t, false, -1, 0, 0);
    poison(&t->output);
    firn_op_run r = run_of(t, false);
    firn_view in[MAX_IN], out = t->out;
    memcpy(in, t->in, sizeof in);
    for (int i = 0; i < t->op->n_in; i++) {
        if ((t->c->param >> i & 1) || in[i].data == NULL || firn__op_samples(in[i].shape) != n) continue;
        in[i].data = t->input[i].data + t->input[i].bytes / (size_t)n * (size_t)(n - 1);
        in[i].shape.dim[0] = 1;
    }
    const size_t begin = t->output.bytes / (size_t)n * (size_t)(n - 1);
    out.data = t->output.data + begin;
    out.shape.dim[0] = 1;
    r.in = in;
    r.out = &out;
    r.worker = 0;
    guarded scratch = {0};
    firn_status st = get_alone(t, in, &scratch);
    r.scratch = scratch.data;
    if (st == FIRN_OK) {
        t->op->forward(&r);
        st = same_bits(t, &t->output, &t->first_output, begin, "alone, the last sample's output", 0);
    }
    if (st == FIRN_OK && !guards_whole(t->ctx, &scratch)) st = DISAGREE(t, "%s", "alone, it writes outside of its scratch");
    free_buffer(t->ctx, &scratch);
    return st;
}

/* full: the trial that wants all inputs, whose gradients are checked already, and must be the same; NULL for itself. */
static firn_status run_trial(trial *t, const trial *full)
{
    run_forward(t, true, -1, 0, 0);
    copy_buffer(&t->first_output, &t->output);
    firn_status st = check_slice(t);
    if (t->wanted != 0) {
        run_forward(t, true, -1, 0, 0);
        run_backward(t, true);
        for (int i = 0; i < MAX_IN; i++) copy_buffer(&t->expected[i], &t->result[i]);
        if (st == FIRN_OK) st = check_reads(t);
        for (int i = 0; st == FIRN_OK && i < MAX_IN; i++) {
            if (!(t->wanted >> i & 1)) continue;
            st = full == NULL || full->op != t->op ? compare_with_differences(t, i)
                                                   : same_bits(t, &t->expected[i], &full->expected[i], 0,
                                                               "unlike with all wanted, the gradient of input", i);
        }
    }
    if (st == FIRN_OK) st = check_in_place(t);
    if (st == FIRN_OK && !each_buffer(t, guards_whole)) st = DISAGREE(t, "%s", "it writes outside of its buffers");
    return st;
}

static unsigned differentiable(const firn_op *op, const firn_op_case *c)
{
    unsigned inputs = 0;
    for (int i = 0; (op->backward != NULL || (op->traits & FIRN_OP_VIEW)) && i < op->n_in; i++)
        if (c->in[i].rank >= 0 && c->dtype[i] == FIRN_F32 && !(op->states >> i & 1)) inputs |= 1u << i;
    return inputs;
}

static firn_status check_case(firn_ctx *ctx, const firn_op *op, const firn_op_case *c, size_t number)
{
    const unsigned all = differentiable(op, c);
    trial full = {.ctx = ctx, .op = op, .c = c, .number = number, .wanted = all};
    firn_status st = open_trial(&full);
    if (st == FIRN_OK) st = run_trial(&full, NULL);
    for (unsigned wanted = 0; st == FIRN_OK && wanted < all; wanted++) {
        if ((wanted & all) != wanted) continue;
        trial t = {.ctx = ctx, .op = op, .c = c, .number = number, .wanted = wanted};
        st = open_trial(&t);
        if (st == FIRN_OK) st = run_trial(&t, &full);
        each_buffer(&t, free_buffer);
    }
    each_buffer(&full, free_buffer);
    return st;
}

firn_status firn_check_op(firn_ctx *ctx, const firn_op *op, const firn_op_case *cases, size_t n_cases)
{
    if (ctx == NULL) return FIRN_ERR_ARGUMENT;
    if (op == NULL || (cases == NULL && n_cases > 0))
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "firn_check_op: op or cases is NULL");
    const char *flaw = firn__op_flaw(op);
    if (flaw != NULL)
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "firn_check_op: operator \"%s\" %s", op->name ? op->name : "", flaw);
    firn_status st = FIRN_OK;
    for (size_t k = 0; st == FIRN_OK && k < n_cases; k++) st = check_case(ctx, op, &cases[k], k);
    return st;
}
