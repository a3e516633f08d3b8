/* nets.h: the nets that are measured, and a few steps of them. On the public interface alone. */
#ifndef FIRN_TESTS_NETS_H
#define FIRN_TESTS_NETS_H
#include <firn/firn.h>

typedef struct net {
    const char *name;
    const char *what;
    firn_tensor *(*logits)(firn_tensor *x, int classes); /* x [N, 1, 28, 28] F32, gives [N, classes] */
    int batch;
    firn_optim optim;
    const char *first_half; /* selector of what is frozen in NET_HALF */
    const char *last_layer; /* and of what is not in NET_LAST */
} net;

extern const net nets[];
extern const size_t n_nets;
const net *net_find(const char *name); /* NULL if there is none */

typedef enum net_mode { NET_FULL, NET_HALF, NET_LAST, NET_MODES } net_mode;
extern const char *const net_mode_names[NET_MODES];
FIRN_MUST_USE firn_status net_freeze(const net *n, firn_model *m, net_mode mode);

/* A model with the inputs "image" [N, 1, 28, 28] U8 and "label" [N] U8; the scope of nothing. */
typedef struct net_model {
    firn_model *model;
    firn_tensor *logits, *loss;
} net_model;
net_model net_build(const net *n, firn_ctx *ctx, int classes); /* a broken one has loss NULL */

/* Images and their digits, made up: the same on every machine. Freed by the caller with free(images). */
enum { net_pixels = 28 * 28 };
typedef struct net_data {
    size_t count;
    uint8_t *images, *labels; /* one block */
} net_data;
net_data net_data_make(size_t count, int classes, bool dense); /* dense: no zeros. images NULL: out of memory */

/* A hash of the weights after `steps` steps of `batch` samples from the context's seed on; the last step has three
 * samples fewer, if there are as many. */
FIRN_MUST_USE firn_status net_hash(const net *n, const firn_ctx_options *how, int batch, int steps, uint64_t *hash);

double net_seconds(void); /* of a clock */

#endif
