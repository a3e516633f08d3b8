/* Prints one hash of matrix products and convolutions over a fixed list of random shapes for each instruction set:
 * they must all be the same, on this machine and on others. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels.h"

static uint64_t state;
static int64_t below(int64_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((state >> 33) % (uint64_t)n);
}

static float *floats(int64_t count)
{
    float *p = aligned_alloc(64, ((size_t)count * sizeof *p + 127) / 64 * 64);
    if (p == NULL) exit(1);
    for (int64_t i = 0; i < count; i++) p[i] = (float)(below(2001) - 1000) / 617.0f;
    return p;
}

static uint64_t hashed(uint64_t h, const float *p, int64_t count) /* FNV-1a */
{
    const unsigned char *bytes = (const unsigned char *)p;
    for (size_t i = 0; i < (size_t)count * sizeof *p; i++) h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

static uint64_t hash_gemm(firn_ctx *ctx, uint64_t h)
{
    const int64_t m = 1 + below(40), n = 1 + below(70), k = 1 + below(below(4) ? 50 : 700);
    float *a = floats(m * k), *b = floats(n * k), *c = floats(m * n), *bias = floats(n);
    const firn__gemm_args g = {.m = m,
                               .n = n,
                               .k = k,
                               .a = a,
                               .lda = k,
                               .b = b,
                               .ldb = k,
                               .b_transposed = true,
                               .c = c,
                               .ldc = n,
                               .accumulate = below(2) == 0,
                               .epilogue = {.bias = bias, .relu = below(2) == 0}};
    firn__gemm((firn__crew){ctx, -1}, &g);
    h = hashed(h, c, m * n);
    free(a), free(b), free(c), free(bias);
    return h;
}

static uint64_t hash_conv(firn_ctx *ctx, uint64_t h)
{
    firn__conv_args v = {
        .n = 1 + below(9), .kh = 1 + below(4), .kw = 1 + below(4), .oh = 1 + below(9), .ow = 1 + below(16)};
    v.groups = below(3) ? 1 : 1 + (int)below(5);
    const bool depthwise = below(4) == 0;
    const int64_t cg = depthwise ? 1 : 1 + below(20), og = depthwise ? 1 : 1 + below(40);
    v.c = cg * v.groups, v.o = og * v.groups;
    v.stride = 1 + (int)below(2), v.dilation = 1 + (int)below(2);
    v.h = (v.oh - 1) * v.stride + (v.kh - 1) * v.dilation + 1, v.w = (v.ow - 1) * v.stride + (v.kw - 1) * v.dilation + 1;
    if (v.h > 4 && v.w > 4) v.pad = 1 + (int)below(2), v.h -= 2 * v.pad, v.w -= 2 * v.pad;
    if (v.h < 1 || v.w < 1) return h;
    const firn__crew crew = {ctx, -1};
    const int64_t xs = v.n * v.h * v.w * v.c, ys = v.n * v.oh * v.ow * v.o, ws = v.o * cg * v.kh * v.kw;
    float *x = floats(xs), *y = floats(ys), *w = floats(ws), *db = floats(v.o);
    float *packed = aligned_alloc(64, firn__conv_packed_bytes(ctx, &v, false)),
          *packed_dx = aligned_alloc(64, firn__conv_packed_bytes(ctx, &v, true));
    void *scratch = aligned_alloc(64, firn__conv_scratch_bytes(crew, &v, true, true));
    if (packed == NULL || packed_dx == NULL || scratch == NULL) exit(1);
    firn__conv_pack(crew, &v, w, false, packed);
    firn__conv_pack(crew, &v, w, true, packed_dx);
    firn__conv_dw(crew, &v, x, y, w, db, scratch);
    h = hashed(hashed(h, w, ws), db, v.o);
    firn__conv_forward(crew, &v, x, packed, y, NULL, scratch);
    h = hashed(h, y, ys);
    firn__conv_dx(crew, &v, y, packed_dx, x, scratch);
    h = hashed(h, x, xs);
    free(x), free(y), free(w), free(db), free(packed), free(packed_dx), free(scratch);
    return h;
}

int main(void)
{
    static const char *const isas[] = {"ref", "avx2", "avx512", "neon"};
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        const firn_ctx_options how = {.isa = isas[i], .threads = 1 + (int)i};
        firn_ctx *ctx;
        if (firn_ctx_create(&ctx, &how) != FIRN_OK) continue;
        uint64_t h = 0xcbf29ce484222325u;
        state = 1;
        for (int round = 0; round < 60; round++) h = hash_conv(ctx, hash_gemm(ctx, h));
        firn_ctx_destroy(ctx);
        if (i == 0) first = h;
        if (h != first) return fprintf(stderr, "%s: %016" PRIx64 " is not ref's %016" PRIx64 "\n", isas[i], h, first), 1;
    }
    printf("products %016" PRIx64 "\n", first);
    return 0;
}
