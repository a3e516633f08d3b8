/* layer.h: what the layers share. */
#ifndef FIRN_NN_LAYER_H
#define FIRN_NN_LAYER_H
#include <firn/nn.h>

/* Records: linear "head.0": x is [N, 32, 14, 14]; <rule>. Returns NULL. */
firn_tensor *firn__layer_reject(const firn_tensor *x, firn_status st, const char *layer, const char *name,
                                const char *rule);

/* Can `kind` stand without a value, so that a layer can take it? Else records it. */
bool firn__layer_takes(const firn_tensor *x, firn_init_kind kind, const char *layer, const char *name);

/* Leaves the layer's scope, and with y NULL takes back what was declared in it. Returns y. */
firn_tensor *firn__layer_leave(firn_model *m, firn_tensor *y);

/* Of a bias, as PyTorch does it for Linear and Conv2d: U(-b, b), b = 1 / sqrt(fan_in) of the weight; zero for all other
 * kinds of weight. */
firn_init firn__layer_bias_init(firn_init_kind weight, double fan_in);

#endif
