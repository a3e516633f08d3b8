/* What freezing costs and saves, as it is told before the first step. */
#include <stdio.h>
#include <string.h>

#include "small_net.h"

static void freezing_costs_less_and_the_report_says_so_before_any_step(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0.25f);
    const size_t before = n.memory.bytes;
    assert_ok(n.ctx, firn_freeze(n.m, "conv1,conv2", NULL));
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    firn_cost now, all;
    const size_t handed_out = n.memory.bytes - before;
    assert_ok(n.ctx, firn_plan_cost(plan, &now, &all));
    assert_int_equal(now.bytes_arena + now.bytes_grads + now.bytes_packed + now.bytes_tables, handed_out);
    assert_true(now.flops_forward == all.flops_forward);
    assert_true(now.flops_grad_weight < all.flops_grad_weight && now.flops_grad_input < all.flops_grad_input);
    assert_true(now.bytes_saved < all.bytes_saved && now.bytes_grads < all.bytes_grads &&
                now.bytes_arena < all.bytes_arena);
    const uint64_t linear = 2 * BATCH * (125 * 12 + 12 * 12 * 2 + 12 * CLASSES);
    assert_true(now.flops_grad_weight >= linear); /* biases count one an element */
    assert_true(now.cache_bytes_per_sample >= 125 * sizeof(float));
    assert_int_equal(all.cache_bytes_per_sample, 0);
    /* the mask of the report is that of the next step, and re-planning agrees with it */
    assert_ok(n.ctx, firn_unfreeze(n.m, "*", NULL));
    assert_ok(n.ctx, firn_plan_cost(plan, &now, NULL));
    net_forward(&n, plan, 0, BATCH);
    assert_int_equal(now.bytes_arena + now.bytes_grads + now.bytes_packed + now.bytes_tables, n.memory.bytes - before);
    assert_true(now.flops_grad_weight == all.flops_grad_weight && now.bytes_arena == all.bytes_arena);
    firn_plan_forget(plan);
    assert_ok(n.ctx, firn_freeze(n.m, "conv1,conv2", NULL)); /* what is not needed any more is given back */
    assert_ok(n.ctx, firn_plan_cost(plan, &now, NULL));
    net_forward(&n, plan, 0, BATCH);
    assert_int_equal(now.bytes_arena + now.bytes_grads + now.bytes_packed + now.bytes_tables, n.memory.bytes - before);
    firn_plan_destroy(plan);
    net_finish(&n);
}

/* The report in text, zero-terminated. */
static void report(net *n, const firn_plan *plan, char text[8192])
{
    FILE *out = tmpfile();
    assert_non_null(out);
    assert_ok(n->ctx, firn_plan_report(plan, out));
    rewind(out);
    text[fread(text, 1, 8191, out)] = '\0';
    fclose(out);
}

/* Of the rows of the report, and how many rows there are. */
static double sum_of_saved(const char *text, int *rows)
{
    double sum = 0, saved;
    *rows = 0;
    for (const char *line = strstr(text, "layer"); (line = strchr(line, '\n')) != NULL && *++line != '\n'; ++*rows) {
        assert_int_equal(sscanf(line, "%*s %*d %*d %*f %*f %*f %lf", &saved), 1);
        sum += saved;
    }
    return sum;
}

static void the_column_of_what_is_saved_adds_up(void **state)
{
    (void)state;
    static const char *const frozen[] = {"head.bias", "conv1", "conv1,conv2", "*,!head", "*"};
    char text[8192];
    for (size_t f = 0; f < sizeof frozen / sizeof *frozen; f++) {
        net n;
        net_build(&n, 1, NULL, 0.25f);
        assert_ok(n.ctx, firn_freeze(n.m, frozen[f], NULL));
        firn_plan *plan; /* of so many rows that their labels are more than the rounding */
        firn_cost now;
        assert_ok(n.ctx, firn_plan_create(&plan, n.loss, &(firn_plan_options){.batch = 2048, .watch = n.logits}));
        assert_ok(n.ctx, firn_plan_cost(plan, &now, NULL));
        report(&n, plan, text);
        int rows;
        const double sum = sum_of_saved(text, &rows);
        assert_true(rows > 5);
        assert_close(sum, (double)now.bytes_saved / 1024, 0, 0.051 * rows);
        firn_plan_destroy(plan);
        net_finish(&n);
    }
}

/* An input that two layers read and keep is kept once. */
static void a_saved_input_of_two_layers_counts_once(void **state)
{
    (void)state;
    enum { ROWS = 1024, WIDTH = 64 };
    char text[8192];
    int rows;
    net n;
    net_build(&n, 1, NULL, 0);
    firn_tensor *x = firn_input(n.m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, WIDTH));
    firn_tensor *left = firn_nn_linear(x, "left", &(firn_nn_linear_cfg){.out = 1}),
                *right = firn_nn_linear(x, "right", &(firn_nn_linear_cfg){.out = 1});
    firn_plan *plan;
    firn_cost now;
    assert_ok(n.ctx, firn_plan_create(&plan, firn_mse(left, right), &(firn_plan_options){.batch = ROWS}));
    assert_ok(n.ctx, firn_plan_cost(plan, &now, NULL));
    assert_int_equal(now.bytes_saved, (ROWS * WIDTH + 2 * ROWS) * sizeof(float));
    report(&n, plan, text);
    assert_close(sum_of_saved(text, &rows), (double)now.bytes_saved / 1024, 0, 0.2);
    assert_int_equal(rows, 3);
    firn_plan_destroy(plan);
    net_finish(&n);
}

static void what_only_a_user_reads_is_not_saved_for_backward(void **state)
{
    (void)state;
    net n;
    net_build(&n, 1, NULL, 0);
    firn_cost alone, watched;
    firn_plan *plan;
    assert_ok(n.ctx, firn_plan_create(&plan, n.loss, &(firn_plan_options){.batch = BATCH}));
    assert_ok(n.ctx, firn_plan_cost(plan, &alone, NULL));
    firn_plan_destroy(plan);
    plan = net_plan(&n, n.loss, FIRN_TRAIN, false); /* watches the logits */
    assert_ok(n.ctx, firn_plan_cost(plan, &watched, NULL));
    assert_true(alone.bytes_saved > 0);
    assert_int_equal(watched.bytes_saved, alone.bytes_saved);
    firn_plan_destroy(plan);
    net_finish(&n);
}

/* A second head beside the one that trains: it runs, but no gradient reaches it. */
static void a_layer_that_only_the_watched_value_reads_counts_as_forward_alone(void **state)
{
    (void)state;
    enum { OTHER = 7 };
    char text[8192];
    net n;
    net_build(&n, 1, NULL, 0);
    firn_cost alone, watched, unfrozen;
    firn_plan *plan;
    assert_ok(n.ctx, firn_plan_create(&plan, n.loss, &(firn_plan_options){.batch = BATCH}));
    assert_ok(n.ctx, firn_plan_cost(plan, &alone, NULL));
    firn_plan_destroy(plan);
    firn_tensor *other = firn_nn_linear(n.logits, "other", &(firn_nn_linear_cfg){.out = OTHER});
    assert_ok(n.ctx, firn_plan_create(&plan, n.loss, &(firn_plan_options){.batch = BATCH, .watch = other}));
    assert_ok(n.ctx, firn_plan_cost(plan, &watched, &unfrozen));
    assert_int_equal(watched.params, alone.params);
    assert_int_equal(watched.params_trainable, alone.params_trainable);
    assert_int_equal(unfrozen.params_trainable, alone.params_trainable);
    assert_int_equal(watched.bytes_grads, alone.bytes_grads);
    assert_int_equal(watched.flops_forward - alone.flops_forward, 2 * BATCH * CLASSES * OTHER);
    report(&n, plan, text);
    int params, trainable;
    assert_int_equal(sscanf(strstr(text, "\nother "), " other %d %d", &params, &trainable), 2);
    assert_int_equal(params, (CLASSES + 1) * OTHER);
    assert_int_equal(trainable, 0);
    firn_plan_destroy(plan);
    net_finish(&n);
}

/* FREEZE F7 */
static void the_report_has_notes_on_what_may_not_be_meant(void **state)
{
    (void)state;
    char text[8192];
    net n;
    net_build(&n, 1, NULL, 0);
    assert_ok(n.ctx, firn_alias(n.m, "tied", firn_find(n.m, "fc1.weight")));
    firn_plan *plan = net_plan(&n, n.loss, FIRN_TRAIN, false);
    report(&n, plan, text);
    assert_null(strstr(text, "note:"));
    assert_ok(n.ctx, firn_freeze(n.m, "conv1.weight,tied", NULL));
    report(&n, plan, text);
    assert_non_null(strstr(text, "note: conv1 is partly frozen\n"));
    assert_non_null(strstr(text, "note: fc1 is partly frozen\n"));
    assert_non_null(strstr(text, "note: fc1.weight and tied are one tensor, frozen\n"));
    assert_null(strstr(text, "nothing to train"));
    assert_ok(n.ctx, firn_freeze(n.m, "*", NULL));
    report(&n, plan, text);
    assert_null(strstr(text, "partly"));
    assert_non_null(strstr(text, "note: nothing to train: every parameter is frozen\n"));
    firn_plan_destroy(plan);
    net_finish(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freezing_costs_less_and_the_report_says_so_before_any_step),
        cmocka_unit_test(the_column_of_what_is_saved_adds_up),
        cmocka_unit_test(a_saved_input_of_two_layers_counts_once),
        cmocka_unit_test(what_only_a_user_reads_is_not_saved_for_backward),
        cmocka_unit_test(a_layer_that_only_the_watched_value_reads_counts_as_forward_alone),
        cmocka_unit_test(the_report_has_notes_on_what_may_not_be_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
