/* definition.h: products and convolutions in the fewest words, what firn's kernels must be bit for bit wherever an element
 * is one chain (kernels.h, conv.h). Slow, serial, and written without a look at how the kernels do it. */
#ifndef FIRN_TEST_DEFINITION_H
#define FIRN_TEST_DEFINITION_H
#include "kernels.h"

void define_product(const firn__gemm_args *g); /* b_packed is not read */
void define_forward(const firn__conv_args *v, const float *x, const float *w, float *y, const firn__epilogue_args *e);
void define_dx(const firn__conv_args *v, const float *dy, const float *w, float *dx);
void define_dw(const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db);

#endif
