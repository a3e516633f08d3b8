/* nets.h: small nets with their data, for tests of what must hold for any net. Without cmocka, so that tools can use
 * them where it does not exist. */
#ifndef FIRN_TESTS_NETS_H
#define FIRN_TESTS_NETS_H
#include <firn/firn.h>

enum { NET_BATCH = 12 };

/* Records a net on m and returns its logits; x is [N, 1, 10, 9], the label one of 4 classes. */
typedef firn_tensor *(*net_builder)(firn_tensor *x);

typedef struct net_row {
    const char *name;
    net_builder build;
} net_row;

/* mlp: three layers, dropout. tied: convolutions, one of them used twice, pooling. residual: a skip connection,
 * strides, groups, batch norm. Ends with a row of NULLs. */
extern const net_row net_rows[];

typedef struct net {
    firn_model *model;
    firn_tensor *logits, *loss;
} net;
net net_build(firn_ctx *ctx, const net_row *row); /* loss NULL: see firn_message() */

/* Feeds for batch number `index`; valid until the next call. */
const firn_feed *net_feeds(int index);
enum { NET_FEEDS = 2 };

/* A hash of all named tensors. */
uint64_t net_hash(const firn_model *m);

/* Trains for `steps` steps on a plan of its own with the tensors of `frozen` (NULL: none) frozen. */
firn_status net_train(const net *n, const firn_optim *how, const char *frozen, int steps);

#endif
