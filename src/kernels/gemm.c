#include "alloc.h"
#include "ref.h"

void firn__gemm(firn__crew crew, const firn__gemm_args *g) { firn__ref_gemm(crew, g); }

size_t firn__gemm_packed_bytes(const firn_ctx *ctx, int64_t n, int64_t k)
{
    (void)ctx;
    size_t bytes;
    if (!firn__mul((size_t)n, (size_t)k, &bytes) || !firn__mul(bytes, sizeof(float), &bytes)) return 0;
    return firn__round_up(bytes, 64, &bytes) ? bytes : 0;
}

void firn__gemm_pack_b(firn__crew crew, int64_t n, int64_t k, const float *b, int64_t ldb, bool b_transposed, float *packed)
{
    (void)crew;
    firn__ref_gemm_pack_b(n, k, b, ldb, b_transposed, packed);
}
