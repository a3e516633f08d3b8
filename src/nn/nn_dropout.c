#include "layer.h"

firn_tensor *firn_nn_dropout(firn_tensor *x, const char *name, float p)
{
    if (x == NULL) return NULL;
    firn_model *m = firn_tensor_model(x);
    firn_scope_push(m, name);
    firn_tensor *y = firn_dropout(x, p);
    return firn__layer_leave(m, y);
}
