/* What the planner fuses behind linear and conv2d has the bits of the separate operators. */
#include <string.h>

#include "alloc.h"
#include "epilogue.h"
#include "ops.h"
#include "support.h"

typedef struct memory_of {
    firn__block x, w, b, y, prepared, scratch, scale, bits;
} memory_of;

static float *block(firn_ctx *ctx, firn__block *b, size_t bytes, uint64_t seed)
{
    assert_true(firn__block_alloc(ctx, b, bytes + 64));
    memset(b->data, 0, bytes + 64);
    if (seed != 0) test_fill(b->data, bytes / sizeof(float), seed, -1, 1);
    return b->data;
}

static size_t bytes_of(firn_shape s) { return (size_t)firn_shape_count(s) * sizeof(float); }

static void check_fused(const char *isa, int threads, const firn_op *op, firn_shape x, firn_shape w, const void *attr)
{
    firn_ctx *ctx = test_ctx(NULL, threads, isa);
    const firn_view in[3] = {{NULL, FIRN_F32, x}, {NULL, FIRN_F32, w}, {NULL, FIRN_F32, FIRN_SHAPE(w.dim[0])}};
    firn_view out;
    firn_op_build build = {.in = in, .n_in = 3, .attr = attr, .training = true, .out = &out, .ctx = ctx, .op = op};
    assert_ok(ctx, op->shape(&build));

    memory_of m;
    const int64_t channels = w.dim[0], per = firn__op_per_sample(out.shape), rows = out.shape.dim[0];
    firn_view at[3] = {in[0], in[1], in[2]};
    at[0].data = block(ctx, &m.x, bytes_of(x), 1);
    at[1].data = block(ctx, &m.w, bytes_of(w), 2);
    at[2].data = block(ctx, &m.b, bytes_of(in[2].shape), 3);
    float *fused = block(ctx, &m.y, 2 * bytes_of(out.shape), 0), *apart = fused + per * rows;
    float *scale = block(ctx, &m.scale, 2 * bytes_of(in[2].shape), 4);
    unsigned char *bits = (unsigned char *)block(ctx, &m.bits, 2 * (size_t)rows * (size_t)(per / 8 + 1), 0);
    unsigned char *bits_apart = bits + rows * (per / 8 + 1);

    const firn__epilogue with = {firn__batch_norm_scale(scale), firn__batch_norm_shift(scale, channels), true, bits};
    firn_op_run r = {.in = at, .out = &out, .attr = attr, .ctx = ctx, .worker = -1, .op = op, .epilogue = &with};
    r.prepared = block(ctx, &m.prepared, build.prepared_bytes, 0);
    r.scratch = block(ctx, &m.scratch, build.scratch_bytes, 0);
    out.data = fused;
    op->prepare(&r);
    op->forward(&r);

    r.epilogue = NULL;
    out.data = apart;
    op->forward(&r);
    const firn_view y = out;
    firn_op_run norm = {.in = &y, .out = &out, .prepared = scale, .ctx = ctx, .worker = -1};
    firn__op_batch_norm_frozen.forward(&norm);
    firn_op_run relu = {.in = &y, .out = &out, .saved = bits_apart, .ctx = ctx, .worker = -1};
    firn__op_relu.forward(&relu);
    assert_bits_equal(fused, apart, (size_t)(per * rows));
    assert_memory_equal(bits, bits_apart, (size_t)rows * (size_t)((per + 7) / 8));

    firn__block *all[] = {&m.x, &m.w, &m.b, &m.y, &m.prepared, &m.scratch, &m.scale, &m.bits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) firn__block_free(ctx, all[i]);
    firn_ctx_destroy(ctx);
}

static void norm_and_relu_fused_behind_a_product_have_the_bits_of_separate_operators(void **state)
{
    (void)state;
    const firn_conv2d_attr plain = {0}, padded = {.pad = 1, .stride = 2};
    for (const char *const *isa = test_isas(); *isa != NULL; isa++) {
        for (int threads = 1; threads <= 3; threads += 2) {
            check_fused(*isa, threads, &firn__op_linear, FIRN_SHAPE(9, 33), FIRN_SHAPE(21, 33), NULL);
            check_fused(*isa, threads, &firn__op_linear, FIRN_SHAPE(1, 5), FIRN_SHAPE(3, 5), NULL);
            check_fused(*isa, threads, &firn__op_conv2d, FIRN_SHAPE(3, 2, 9, 8), FIRN_SHAPE(5, 2, 3, 3), &plain);
            check_fused(*isa, threads, &firn__op_conv2d, FIRN_SHAPE(7, 3, 9, 8), FIRN_SHAPE(16, 3, 3, 3), &padded);
            check_fused(*isa, threads, &firn__op_conv2d, FIRN_SHAPE(20, 1, 50, 50), FIRN_SHAPE(32, 1, 3, 3), &plain);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm_and_relu_fused_behind_a_product_have_the_bits_of_separate_operators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
