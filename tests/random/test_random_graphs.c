/* What must hold for any net and any mask, on nets that nobody thought of. A failure prints the seed and the net:
 * `test_random_graphs SEED` runs that one alone, `test_random_graphs SEED COUNT` so many from there on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "random_graph.h"
#include "run.h"

enum { GRAPHS = 1500, MOST_TENSORS = 64 };

static uint64_t first_seed = 1, n_seeds = GRAPHS;
static const random_graph *current; /* for the message of a failure */
static uint64_t current_seed;
static struct {
    long compared, skipped;
} slopes; /* against differences */

/* ---- one run of a plan, and all that came out ---- */

typedef struct outcome {
    float *values; /* loss, watch, gradients, states, in this order */
    size_t count;
    size_t at[MOST_TENSORS]; /* of the gradient or the state of a named tensor; zero: none */
} outcome;

static void keep(outcome *o, const float *x, size_t count)
{
    o->values = realloc(o->values, (o->count + count) * sizeof(float));
    memcpy(o->values + o->count, x, count * sizeof(float));
    o->count += count;
}

static size_t count_of(const firn_tensor *t, int rows)
{
    return (size_t)firn_shape_count(firn__shape_with_rows(firn_tensor_shape(t), rows));
}

/* What a run must not read holds NaN. */
static void poison(firn_plan *plan)
{
    if (plan->arena.data != NULL) memset(plan->arena.data, 0xff, plan->arena.bytes);
    if (plan->grads.data != NULL) memset(plan->grads.data, 0xff, plan->grads.bytes);
}

/* Running statistics as they were at first, so that every run starts from the same net. */
typedef struct start {
    float *state[MOST_TENSORS];
} start;

static start remember(const random_graph *g)
{
    start s = {{NULL}};
    assert_true(firn_tensor_count(g->m) <= MOST_TENSORS);
    for (size_t i = 0; i < firn_tensor_count(g->m); i++) {
        const firn_tensor_info t = firn_tensor_at(g->m, i);
        const size_t bytes = (size_t)firn_shape_count(t.shape) * sizeof(float);
        if (!t.is_state) continue;
        s.state[i] = malloc(bytes);
        memcpy(s.state[i], t.data, bytes);
    }
    return s;
}

static void restore(const random_graph *g, const start *s)
{
    for (size_t i = 0; i < firn_tensor_count(g->m); i++) {
        const firn_tensor_info t = firn_tensor_at(g->m, i);
        if (t.is_state && !t.frozen)
            assert_ok(g->ctx, firn_write(g->m, t.name, s->state[i], (size_t)firn_shape_count(t.shape)));
    }
}

static void forget(start *s)
{
    for (int i = 0; i < MOST_TENSORS; i++) free(s->state[i]);
}

/* The feeds that plan needs, from row `first` on. */
static size_t take_feeds(const random_graph *g, const firn_plan *plan, bool features, int first, firn_feed *feeds)
{
    size_t n = 0;
    for (size_t i = 0;; i++) {
        const firn_tensor *input = features ? firn_plan_features_input(plan, i) : firn_plan_input(plan, i);
        if (input == NULL) return n;
        for (size_t k = 0; k < g->n_feeds; k++)
            if (strcmp(g->feeds[k].input, firn_tensor_name(input)) == 0)
                feeds[n++] = (firn_feed){g->feeds[k].input,
                                         (const unsigned char *)g->feeds[k].data + (size_t)first * g->row_bytes[k]};
    }
}

static void forward(const random_graph *g, const start *s, firn_plan *plan, const void *const *features, int first,
                    int rows)
{
    firn_feed feeds[GRAPH_FEEDS];
    restore(g, s);
    firn_plan_set_step(plan, 3);
    poison(plan);
    const size_t n = take_feeds(g, plan, features != NULL, first, feeds);
    if (features != NULL)
        assert_ok(g->ctx, firn_plan_forward_features(plan, features, feeds, n, rows));
    else
        assert_ok(g->ctx, firn_plan_forward(plan, feeds, n, rows));
}

static outcome collect(const random_graph *g, firn_plan *plan, int rows)
{
    outcome o = {NULL, 0, {0}};
    const firn_tensor *watch = plan->options.watch;
    keep(&o, firn_plan_value(plan, NULL), count_of(plan->root, rows));
    if (watch != NULL) keep(&o, firn_plan_value(plan, watch), count_of(watch, rows));
    for (size_t i = 0; i < firn_tensor_count(g->m); i++) {
        const firn_tensor_info t = firn_tensor_at(g->m, i);
        const float *x = t.is_state ? t.data : firn_plan_grad(plan, t.name);
        if (t.is_state && plan->options.mode == FIRN_EVAL) continue;
        if (x == NULL) continue;
        o.at[i] = o.count;
        keep(&o, x, (size_t)firn_shape_count(t.shape));
    }
    return o;
}

static outcome train(const random_graph *g, const start *s, firn_plan *plan, const void *const *features, int first,
                     int rows)
{
    forward(g, s, plan, features, first, rows);
    if (plan->layout.trainable) assert_ok(g->ctx, firn_plan_backward(plan));
    outcome o = collect(g, plan, rows);
    for (size_t i = 0; i < o.count; i++)
        if (!isfinite(o.values[i])) fail_msg("value %zu of %zu is %g", i, o.count, (double)o.values[i]);
    return o;
}

static outcome evaluate(const random_graph *g, const start *s, firn_plan *plan, int first, int rows)
{
    forward(g, s, plan, NULL, first, rows);
    return collect(g, plan, rows);
}

static void same(const outcome *a, const outcome *b)
{
    assert_int_equal(a->count, b->count);
    assert_bits_equal(a->values, b->values, a->count);
}

static void drop(outcome *o)
{
    free(o->values);
    *o = (outcome){NULL, 0, {0}};
}

/* The gradients that both have, and all before them. */
static void same_where_both(const random_graph *g, const outcome *masked, const outcome *full)
{
    size_t n_first = full->count;
    for (size_t i = 0; i < firn_tensor_count(g->m); i++) {
        const firn_tensor_info t = firn_tensor_at(g->m, i);
        if (full->at[i] > 0 && full->at[i] < n_first) n_first = full->at[i];
        if (masked->at[i] == 0) {
            if (!t.frozen && full->at[i] > 0) fail_msg("%s is not frozen and has no gradient", t.name);
            continue;
        }
        if (t.frozen && !t.is_state) fail_msg("%s is frozen and has a gradient", t.name);
        if (full->at[i] == 0) fail_msg("%s has a gradient that the unfrozen net has not", t.name);
        assert_bits_equal(masked->values + masked->at[i], full->values + full->at[i], (size_t)firn_shape_count(t.shape));
    }
    assert_bits_equal(masked->values, full->values, n_first);
}

/* ---- plans and masks ---- */

static firn_plan *plan_of(const random_graph *g, firn_plan_options how)
{
    firn_plan *plan = NULL;
    if (how.batch == 0) how.batch = GRAPH_BATCH;
    how.watch = g->watch;
    assert_ok(g->ctx, firn_plan_create(&plan, how.mode == FIRN_EVAL ? g->result : g->loss, &how));
    return plan;
}

static void freeze(const random_graph *g, const char *name) { assert_ok(g->ctx, firn_freeze(g->m, name, NULL)); }

/* Statistics and dropout: what a mask changes in the arithmetic. */
static void freeze_states(const random_graph *g, uint64_t *random)
{
    for (size_t i = 0; i + 1 < firn_tensor_count(g->m); i++) {
        const firn_tensor_info mean = firn_tensor_at(g->m, i), var = firn_tensor_at(g->m, i + 1);
        if (!mean.is_state || !var.is_state || random_below(random, 2)) continue;
        freeze(g, mean.name);
        freeze(g, var.name);
    }
    for (size_t i = 0; i < g->m->n_nodes; i++) {
        const firn__node *n = g->m->nodes[i];
        if (strncmp(n->scope, "drop", 4) == 0 && random_below(random, 2))
            assert_ok(g->ctx, firn_freeze_eval(g->m, n->scope, NULL));
    }
}

/* Parameters; at random, or all up to some place, as people do. */
static void freeze_parameters(const random_graph *g, uint64_t *random)
{
    const int n = (int)firn_tensor_count(g->m), end = random_below(random, n + 1);
    const bool prefix = random_below(random, 2);
    for (int i = 0; i < n; i++) {
        const firn_tensor_info t = firn_tensor_at(g->m, (size_t)i);
        if (!t.is_state && (prefix ? i < end : random_below(random, 2))) freeze(g, t.name);
    }
}

static void thaw_parameters(const random_graph *g)
{
    for (size_t i = 0; i < firn_tensor_count(g->m); i++) {
        const firn_tensor_info t = firn_tensor_at(g->m, i);
        if (!t.is_state && t.frozen) assert_ok(g->ctx, firn_unfreeze(g->m, t.name, NULL));
    }
}

/* ---- what must hold ---- */

static void features_stand_for_the_frozen_part(const random_graph *g, const start *s, const outcome *masked)
{
    firn_plan *plan = plan_of(g, (firn_plan_options){.features = true});
    const size_t bound = firn_plan_features_bound(plan, NULL);
    outcome whole = train(g, s, plan, NULL, 0, GRAPH_BATCH);
    same(&whole, masked);
    if (bound > 0) {
        unsigned char *packed = malloc(bound * GRAPH_BATCH);
        const void *rows[GRAPH_BATCH];
        forward(g, s, plan, NULL, 0, GRAPH_BATCH);
        for (int i = 0; i < GRAPH_BATCH; i++) {
            const size_t used = firn_plan_features_pack(plan, i, packed + (size_t)i * bound);
            assert_true(used > 0 && used <= bound);
            rows[i] = packed + (size_t)i * bound;
        }
        firn_plan_forget(plan);
        outcome tail = train(g, s, plan, rows, 0, GRAPH_BATCH);
        same(&tail, masked);
        drop(&tail);
        free(packed);
    }
    drop(&whole);
    firn_plan_destroy(plan);
}

static void the_bytes_are_those_of_the_report(random_graph *g)
{
    const size_t before = g->memory.bytes;
    firn_plan *plan = plan_of(g, (firn_plan_options){.mode = FIRN_TRAIN});
    firn_cost c;
    const size_t handed_out = g->memory.bytes - before;
    assert_ok(g->ctx, firn_plan_cost(plan, &c, NULL));
    assert_int_equal(c.bytes_arena + c.bytes_grads + c.bytes_packed + c.bytes_tables, handed_out);
    firn_plan_destroy(plan);
}

static void order_and_capacity_do_not_matter(const random_graph *g, const start *s, const outcome *masked, uint64_t *random)
{
    firn_plan *flat = plan_of(g, (firn_plan_options){.layer_by_layer = true});
    outcome o = train(g, s, flat, NULL, 0, GRAPH_BATCH);
    same(&o, masked);
    drop(&o);
    const int rows = 2 + random_below(random, GRAPH_BATCH - 2);
    firn_plan *tight = plan_of(g, (firn_plan_options){.batch = rows});
    o = train(g, s, flat, NULL, 1, rows);
    outcome p = train(g, s, tight, NULL, 1, rows);
    same(&o, &p);
    drop(&o);
    drop(&p);
    firn_plan_destroy(tight);
    firn_plan_destroy(flat);
}

/* In evaluation each sample is by itself, so it may go in slices, in passes, or among others. The watched value may not be:
 * no slice of it is checked. */
static void evaluation_is_sample_by_sample(const random_graph *g, const start *s, uint64_t *random)
{
    const int batch = random_below(random, 4) ? GRAPH_BATCH : GRAPH_ROWS;
    firn_plan *deep = plan_of(g, (firn_plan_options){.mode = FIRN_EVAL, .batch = batch}),
              *flat = plan_of(g, (firn_plan_options){.mode = FIRN_EVAL, .batch = batch, .layer_by_layer = true});
    const int rows = 1 + random_below(random, batch - 1), first = random_below(random, batch - rows + 1);
    const size_t elements = count_of(g->result, 1);
    outcome whole = evaluate(g, s, flat, 0, batch), o = evaluate(g, s, deep, 0, batch);
    same(&o, &whole);
    drop(&o);
    o = evaluate(g, s, deep, first, rows);
    assert_bits_equal(o.values, whole.values + (size_t)first * elements, (size_t)rows * elements);
    drop(&o);
    drop(&whole);
    firn_plan_destroy(flat);
    firn_plan_destroy(deep);
}

/* The same net on other threads and another instruction set. */
static void another_machine_gives_the_same_bits(uint64_t seed, const outcome *full, uint64_t *random)
{
    const char *const *isas = test_isas();
    int n = 0;
    while (isas[n] != NULL) n++;
    random_graph g;
    random_graph_open(&g, seed, 1 + random_below(random, 3), isas[random_below(random, n)]);
    start s = remember(&g);
    uint64_t masks = seed;
    freeze_states(&g, &masks);
    firn_plan *plan = plan_of(&g, (firn_plan_options){.mode = FIRN_TRAIN});
    outcome o = train(&g, &s, plan, NULL, 0, GRAPH_BATCH);
    same(&o, full);
    drop(&o);
    firn_plan_destroy(plan);
    forget(&s);
    random_graph_close(&g);
}

/* ---- gradients against differences ---- */

static double loss_with(const random_graph *g, const start *s, firn_plan *plan, const firn_tensor_info *t, float *values,
                        size_t i, float x)
{
    values[i] = x;
    assert_ok(g->ctx, firn_write(g->m, t->name, values, (size_t)firn_shape_count(t->shape)));
    forward(g, s, plan, NULL, 0, GRAPH_BATCH);
    firn_plan_forget(plan);
    return (double)*firn_plan_value(plan, NULL);
}

/* The gradient must be about the slope at one distance at least, unless the slopes to both sides differ: a kink of relu or
 * max_pool2d lies in between, or two of them at like distances. */
static void a_gradient_is_a_slope(const random_graph *g, const start *s, firn_plan *plan, const outcome *full,
                                  uint64_t *random)
{
    static const float steps[] = {2e-3f, 4e-4f};
    const size_t which = (size_t)random_below(random, (int)firn_tensor_count(g->m));
    const firn_tensor_info t = firn_tensor_at(g->m, which);
    if (t.is_state || full->at[which] == 0) return;
    const size_t count = (size_t)firn_shape_count(t.shape), i = (size_t)random_below(random, (int)count);
    float *values = malloc(count * sizeof(float));
    memcpy(values, t.data, count * sizeof(float));
    const float x = values[i];
    const double here = loss_with(g, s, plan, &t, values, i, x), noise = 1e-3 * (1 + fabs(here));
    const double grad = (double)full->values[full->at[which] + i];
    bool smooth = true, close = false;
    double slope = 0;
    for (int k = 0; k < 2; k++) {
        const float above = x + steps[k], below = x - steps[k];
        const double up = loss_with(g, s, plan, &t, values, i, above), down = loss_with(g, s, plan, &t, values, i, below);
        const double right = (up - here) / ((double)above - (double)x), left = (here - down) / ((double)x - (double)below);
        slope = (up - down) / ((double)above - (double)below);
        smooth = smooth && fabs(right - left) <= noise + 0.02 * fabs(slope);
        close = close || fabs(grad - slope) <= noise + 0.02 * fabs(slope);
    }
    loss_with(g, s, plan, &t, values, i, x);
    if (smooth && !close) fail_msg("%s[%zu]: the gradient is %g, the slope %g", t.name, i, grad, slope);
    *(close ? &slopes.compared : &slopes.skipped) += 1;
    free(values);
}

/* ---- all of it ---- */

static void check_graph(uint64_t seed)
{
    random_graph g;
    uint64_t random = seed, masks = seed;
    current = &g;
    current_seed = seed;
    random_graph_open(&g, seed, seed % 8 < 6 ? 1 : (int)(seed % 8 - 4), NULL);
    start s = remember(&g);
    freeze_states(&g, &masks);
    firn_plan *plan = plan_of(&g, (firn_plan_options){.mode = FIRN_TRAIN});
    outcome full = train(&g, &s, plan, NULL, 0, GRAPH_BATCH);
    for (int i = 0; i < 2; i++) {
        freeze_parameters(&g, &random);
        outcome masked = train(&g, &s, plan, NULL, 0, GRAPH_BATCH);
        same_where_both(&g, &masked, &full);
        features_stand_for_the_frozen_part(&g, &s, &masked);
        order_and_capacity_do_not_matter(&g, &s, &masked, &random);
        evaluation_is_sample_by_sample(&g, &s, &random);
        the_bytes_are_those_of_the_report(&g);
        assert_ok(g.ctx, firn_verify_frozen(g.m));
        drop(&masked);
        thaw_parameters(&g);
    }
    outcome again = train(&g, &s, plan, NULL, 0, GRAPH_BATCH);
    same(&again, &full);
    a_gradient_is_a_slope(&g, &s, plan, &full, &random);
    if (seed % 8 == 0) another_machine_gives_the_same_bits(seed, &full, &random);
    drop(&again);
    drop(&full);
    firn_plan_destroy(plan);
    forget(&s);
    random_graph_close(&g);
    current = NULL;
}

static void what_holds_for_any_net_holds_for_random_ones(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < n_seeds; i++) check_graph(first_seed + i);
    if (slopes.compared < slopes.skipped && n_seeds > 1)
        fail_msg("only %ld gradients were compared, %ld skipped", slopes.compared, slopes.skipped);
    print_message("%llu nets; %ld gradients compared with slopes, %ld at kinks skipped\n", (unsigned long long)n_seeds,
                  slopes.compared, slopes.skipped);
}

static int name_the_seed(void **state)
{
    (void)state;
    if (current != NULL) print_error("the net of seed %llu:\n%s", (unsigned long long)current_seed, current->text);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) first_seed = strtoull(argv[1], NULL, 10), n_seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_holds_for_any_net_holds_for_random_ones, name_the_seed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
