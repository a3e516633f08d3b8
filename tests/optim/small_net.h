/* small_net.h: two linear layers and a mean squared error on fixed random data, one training plan, one optimizer. */
#ifndef FIRN_TESTS_SMALL_NET_H
#define FIRN_TESTS_SMALL_NET_H
#include "support.h"

enum { NET_ROWS = 8, NET_IN = 6, NET_HIDDEN = 5, NET_OUT = 3, NET_PARAMS = 4 };

typedef struct small_net {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_plan *plan;
    firn_optimizer *o;
    float x[NET_ROWS * NET_IN], y[NET_ROWS * NET_OUT];
} small_net;

extern const char *const net_param[NET_PARAMS]; /* a.weight a.bias b.weight b.bias */

void net_open(small_net *net, const firn_optim *how);
void net_close(small_net *net); /* and checks that nothing is left allocated */
/* Forward and backward on rows begin..begin+rows-1 of the data. */
void net_gradients(small_net *net, int begin, int rows);
void net_step(small_net *net); /* on all rows */
size_t net_count(const small_net *net, int param);
const float *net_data(const small_net *net, int param);

/* Every kind, with and without momentum, decay and clipping. */
typedef struct optim_case {
    const char *name;
    firn_optim how;
} optim_case;
extern const optim_case optim_cases[];
extern const size_t n_optim_cases;

#endif
