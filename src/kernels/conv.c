#include "conv.h"

#include "ref.h"

size_t firn__conv_packed_bytes(const firn_ctx *ctx, const firn__conv_args *v, bool with_dx)
{
    (void)with_dx;
    return firn__gemm_packed_bytes(ctx, v->o, v->c / v->groups * v->kh * v->kw);
}

void firn__conv_pack(firn__crew crew, const firn__conv_args *v, const float *weight, bool with_dx, float *packed)
{
    (void)crew, (void)with_dx;
    firn__ref_conv_pack(v, weight, packed);
}

size_t firn__conv_scratch_bytes(const firn_ctx *ctx, const firn__conv_args *v, bool with_dx, bool with_dw)
{
    (void)ctx, (void)v, (void)with_dx, (void)with_dw;
    return 64;
}

void firn__conv_forward(firn__crew crew, const firn__conv_args *v, const float *x, const float *packed, float *y,
                        const firn__epilogue_args *epilogue, void *scratch)
{
    (void)scratch;
    firn__ref_conv_forward(crew, v, x, packed, y, epilogue);
}

void firn__conv_dx(firn__crew crew, const firn__conv_args *v, const float *dy, const float *packed, float *dx, void *scratch)
{
    (void)scratch;
    firn__ref_conv_dx(crew, v, dy, packed, dx);
}

void firn__conv_dw(firn__crew crew, const firn__conv_args *v, const float *x, const float *dy, float *dw, float *db, void *scratch)
{
    (void)scratch;
    firn__ref_conv_dw(crew, v, x, dy, dw, db);
}
