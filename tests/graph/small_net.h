/* small_net.h: a net in which every mask can be tried: convolutions with a skip connection, pooling, dropout, a linear
 * layer used twice (shared weights), a head. */
#ifndef FIRN_TEST_SMALL_NET_H
#define FIRN_TEST_SMALL_NET_H
#include "support.h"

enum { BATCH = 7, SIDE = 10, CLASSES = 4 };

typedef struct net {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_tensor *image, *label, *logits, *loss;
    uint8_t pixels[BATCH * 2 * SIDE * SIDE], labels[BATCH];
} net;

void net_build(net *n, int threads, const char *isa, float dropout);
void net_finish(net *n); /* all memory must be free by then */

/* With features; watches the logits if root is the loss. */
firn_plan *net_plan(net *n, firn_tensor *root, firn_mode mode, bool layer_by_layer);
void net_forward(net *n, firn_plan *plan, int first, int rows);

/* Those of the named tensors i; NULL where there is none. */
typedef struct gradients {
    float loss, *of[16];
} gradients;
gradients net_gradients(net *n, firn_plan *plan); /* of a step on all samples */
void gradients_free(gradients *g);

#endif
