/* Whatever the net and the mask: training from cached features, depth first and layer by layer, on any number of threads,
 * ends with the same weights. `test_random_fits SEED` runs that net alone. */
#include <stdlib.h>
#include <string.h>

#include "random_graph.h"

enum { GRAPHS = 250 };

static uint64_t first_seed = 1, n_seeds = GRAPHS, current_seed;
static const random_graph *current;
static long served, fits, failed; /* served: samples from caches */

/* Freezes the same tensors in any copy of the net: layers from the first up to some place, and perhaps dropout. */
static void freeze_some(const random_graph *g, uint64_t random)
{
    const size_t n = firn_tensor_count(g->m), end = (size_t)random_below(&random, (int)n);
    for (size_t i = 0; i < end; i++) assert_ok(g->ctx, firn_freeze(g->m, firn_tensor_at(g->m, i).name, NULL));
    for (size_t i = end; i + 1 < n; i++) { /* both of a pair of statistics, or neither */
        const firn_tensor_info mean = firn_tensor_at(g->m, i), var = firn_tensor_at(g->m, i + 1);
        if (mean.is_state && var.is_state && mean.frozen != var.frozen)
            assert_ok(g->ctx, firn_freeze(g->m, var.name, NULL));
    }
    if (end > 0 && firn_tensor_at(g->m, end - 1).is_state && !firn_tensor_at(g->m, end).frozen &&
        firn_tensor_at(g->m, end).is_state)
        assert_ok(g->ctx, firn_freeze(g->m, firn_tensor_at(g->m, end).name, NULL));
    if (random_below(&random, 2)) {
        firn_status st = firn_freeze_eval(g->m, "drop*", NULL); /* there may be none */
        if (st != FIRN_OK) firn_clear_error(g->ctx);
    }
}

/* Fits, unfreezes the rest half way, and goes on. */
static firn_status fit(random_graph *g, firn_trainer_options how)
{
    how.batch = 8;
    how.optim = firn_sgd(0.01f, 0.9f);
    how.optim.clip_norm = 1;
    const firn_freeze_event events[] = {{.step = 12, .selector = "head.bias", .unfreeze = true},
                                        {.epoch = 4, .selector = "*", .unfreeze = true}};
    firn_trainer *t;
    assert_ok(g->ctx, firn_trainer_create(&t, g->loss, g->watch, &how));
    firn_feed feeds[GRAPH_FEEDS]; /* without inputs that nothing reads */
    size_t n_feeds = 0;
    const firn_tensor *input;
    while ((input = firn_plan_input(firn_trainer_plan(t), n_feeds)) != NULL) {
        for (size_t k = 0; k < g->n_feeds; k++)
            if (strcmp(g->feeds[k].input, firn_tensor_name(input)) == 0) feeds[n_feeds] = g->feeds[k];
        n_feeds++;
    }
    const firn_dataset data = {GRAPH_ROWS, feeds, n_feeds, NULL}, validation = {9, feeds, n_feeds, NULL};
    const firn_status st =
        firn_fit(t, &data, &(firn_fit_options){.epochs = 4, .validation = &validation, .events = events, .n_events = 2});
    served += (long)firn_trainer_cache(t).served;
    firn_trainer_destroy(t);
    return st;
}

static void check_graph(uint64_t seed)
{
    static const firn_trainer_options ways[] = {
        {.no_cache = true, .layer_by_layer = true}, {0}, {.layer_by_layer = true}, {0},
        {.cache_bytes = 4000}, {.layer_by_layer = true, .cache_bytes = 8000}};
    static random_graph first, other;
    firn_status expected = FIRN_OK;
    current_seed = seed;
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        random_graph *g = w == 0 ? &first : &other;
        random_graph_open(g, seed, w > 2 ? 2 : 1, NULL);
        current = g;
        freeze_some(g, seed);
        const firn_status st = fit(g, ways[w]);
        failed += st != FIRN_OK;
        fits++;
        if (w == 0) {
            expected = st;
            continue;
        }
        assert_int_equal(st, expected);
        for (size_t i = 0; i < firn_tensor_count(g->m); i++) {
            const firn_tensor_info a = firn_tensor_at(g->m, i), b = firn_tensor_at(first.m, i);
            assert_int_equal(a.frozen, b.frozen);
            assert_bits_equal(a.data, b.data, (size_t)firn_shape_count(a.shape));
        }
        random_graph_close(g);
    }
    random_graph_close(&first);
    current = NULL;
}

static void a_fit_ends_with_the_same_weights_whatever_way_it_runs(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < n_seeds; i++) check_graph(first_seed + i);
    print_message("%ld fits, %ld stopped by an error, %ld samples served from caches\n", fits, failed, served);
    assert_true(n_seeds == 1 || (served > 0 && failed < fits / 10));
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
        cmocka_unit_test_teardown(a_fit_ends_with_the_same_weights_whatever_way_it_runs, name_the_seed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
