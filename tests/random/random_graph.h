/* random_graph.h: a small net of random operators, a function of its seed alone, with data to feed it. */
#ifndef FIRN_TESTS_RANDOM_GRAPH_H
#define FIRN_TESTS_RANDOM_GRAPH_H
#include "support.h"

enum { GRAPH_BATCH = 5, GRAPH_ROWS = 37, GRAPH_FEEDS = 4 };

typedef struct random_graph {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_tensor *loss, *result, *watch; /* result: a value of each sample, to evaluate; watch: any value, or NULL */
    firn_feed feeds[GRAPH_FEEDS];       /* GRAPH_ROWS rows each */
    size_t row_bytes[GRAPH_FEEDS], n_feeds;
    char text[4000]; /* what it is made of, a line an operator */
} random_graph;

void random_graph_open(random_graph *g, uint64_t seed, int threads, const char *isa);
void random_graph_close(random_graph *g); /* and checks that nothing is left allocated */

/* 0..n-1 */
int random_below(uint64_t *state, int n);

#endif
