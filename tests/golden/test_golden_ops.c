/* Every operator against PyTorch in double precision: outputs, gradients of inputs and parameters, running statistics. */
#include <firn/firn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"

enum { MAX_ROWS = 128, MAX_COUNT = 1 << 15 };

/* What a case's arrays became. x and z are inputs of the network with a gradient of their own: see carried(). */
typedef struct parts {
    const float *attr;
    firn_tensor *x, *z, *w, *b, *running_mean, *running_var, *label;
    firn_shape y_shape;
} parts;

static firn_tensor *scale(const parts *p) { return firn_scale(p->x, p->attr[0]); }
static firn_tensor *linear(const parts *p) { return firn_linear(p->x, p->w, p->b); }
static firn_tensor *conv2d(const parts *p)
{
    const firn_conv2d_attr attr = {(int)p->attr[0], (int)p->attr[1], (int)p->attr[2], (int)p->attr[3]};
    return firn_conv2d(p->x, p->w, p->b, &attr);
}
static firn_tensor *max_pool2d(const parts *p) { return firn_max_pool2d(p->x, (int)p->attr[0], (int)p->attr[1]); }
static firn_tensor *avg_pool2d(const parts *p) { return firn_avg_pool2d(p->x, (int)p->attr[0], (int)p->attr[1]); }
static firn_tensor *global_avg_pool2d(const parts *p) { return firn_global_avg_pool2d(p->x); }
static firn_tensor *relu(const parts *p) { return firn_relu(p->x); }
static firn_tensor *add(const parts *p) { return firn_add(p->x, p->z); }
static firn_tensor *mse(const parts *p) { return firn_mse(p->x, p->z); }
static firn_tensor *flatten(const parts *p) { return firn_flatten(p->x, (int)p->attr[0]); }
static firn_tensor *reshape(const parts *p)
{
    return firn_reshape(p->x, FIRN_SHAPE(FIRN_BATCH, (int64_t)p->attr[0], (int64_t)p->attr[1]));
}
static firn_tensor *softmax(const parts *p) { return firn_softmax(p->x); }
static firn_tensor *cross_entropy(const parts *p)
{
    const firn_cross_entropy_attr attr = {p->attr[0], p->attr[1] > 0, (int32_t)p->attr[2]};
    return firn_cross_entropy(p->x, p->label, &attr);
}
static firn_tensor *batch_norm(const parts *p)
{
    const firn_batch_norm_attr attr = {p->attr[0], p->attr[1]};
    return firn_batch_norm(p->x, p->w, p->b, p->running_mean, p->running_var, &attr);
}

static const struct op_row {
    const char *name;
    firn_tensor *(*build)(const parts *p);
} op_rows[] = {
    {"scale", scale},
    {"scale_u8", scale},
    {"linear", linear},
    {"conv2d", conv2d},
    {"max_pool2d", max_pool2d},
    {"avg_pool2d", avg_pool2d},
    {"global_avg_pool2d", global_avg_pool2d},
    {"relu", relu},
    {"add", add},
    {"mse", mse},
    {"flatten", flatten},
    {"reshape", reshape},
    {"softmax", softmax},
    {"cross_entropy", cross_entropy},
    {"batch_norm", batch_norm},
    {"batch_norm_frozen", batch_norm},
};

static golden ops;
static float identity[MAX_ROWS * MAX_ROWS], buffer[MAX_COUNT];
static uint8_t bytes[MAX_COUNT];
static int32_t integers[MAX_COUNT];

typedef struct feeds {
    firn_feed list[4];
    size_t count;
} feeds;

static firn_shape batched(firn_shape s)
{
    s.dim[0] = FIRN_BATCH;
    return s;
}

static firn_tensor *named(firn_model *m, const char *id, const char *part, bool is_state)
{
    const golden_array *a = golden_find(&ops, id, part);
    if (a == NULL) return NULL;
    firn_tensor *t = is_state ? firn_state(m, part, a->shape, (firn_init){0}) : firn_param(m, part, a->shape, (firn_init){0});
    assert_ok(firn_model_ctx(m), firn_write(m, part, a->data, a->count));
    return t;
}

/* Writes src [rows, columns] to dst [columns, rows]. */
static void transpose(float *dst, const float *src, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) dst[c * rows + r] = src[r * columns + c];
}

/* The values as the product of an identity matrix and a parameter that holds them transposed: both the product and
 * its gradient are exact, and so the parameter's gradient is that of the values. */
static firn_tensor *carried(firn_model *m, const char *id, const char *part, feeds *f)
{
    const golden_array *a = golden_find(&ops, id, part);
    if (a == NULL) return NULL;
    const int64_t rows = a->shape.dim[0], columns = (int64_t)a->count / rows;
    assert_true(rows <= MAX_ROWS && a->count <= MAX_COUNT);
    static firn_tensor *eye;
    if (f->count == 0) {
        for (int64_t i = 0; i < rows * rows; i++) identity[i] = i % (rows + 1) == 0 ? 1.0f : 0.0f;
        eye = firn_input(m, "eye", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, rows));
        f->list[f->count++] = (firn_feed){"eye", identity};
    }
    firn_tensor *t = firn_param(m, part, FIRN_SHAPE(columns, rows), (firn_init){0});
    transpose(buffer, a->data, (size_t)rows, (size_t)columns);
    assert_ok(firn_model_ctx(m), firn_write(m, part, buffer, a->count));
    return firn_reshape(firn_linear(eye, t, NULL), batched(a->shape));
}

static firn_tensor *fed(firn_model *m, const char *id, const char *part, firn_dtype dtype, feeds *f)
{
    const golden_array *a = golden_find(&ops, id, part);
    if (a == NULL) return NULL;
    assert_true(a->count <= MAX_COUNT);
    for (size_t i = 0; i < a->count; i++) bytes[i] = (uint8_t)a->data[i], integers[i] = (int32_t)a->data[i];
    const void *data = dtype == FIRN_U8 ? (const void *)bytes : dtype == FIRN_I32 ? (const void *)integers : a->data;
    f->list[f->count++] = (firn_feed){part, data};
    return firn_input(m, part, dtype, batched(a->shape));
}

static void check_gradient(firn_plan *plan, const char *id, const char *part)
{
    char of[16];
    snprintf(of, sizeof of, "d%s", part);
    const golden_array *expected = golden_find(&ops, id, of);
    if (expected == NULL) return;
    const float *grad = firn_plan_grad(plan, part);
    assert_non_null(grad);
    if (strcmp(part, "x") == 0 || strcmp(part, "z") == 0) {
        const size_t rows = (size_t)expected->shape.dim[0];
        transpose(buffer, grad, expected->count / rows, rows);
        grad = buffer;
    }
    assert_golden(grad, expected, 1e-5);
}

static void check_state(firn_model *m, const char *id, const char *part)
{
    char after[32];
    snprintf(after, sizeof after, "%s_after", part);
    const golden_array *expected = golden_find(&ops, id, after);
    if (expected != NULL) assert_golden(firn_data(firn_find(m, part)), expected, 1e-5);
}

static void check_case(firn_ctx *ctx, const struct op_row *row, const char *id, int number)
{
    const golden_array *y = golden_find(&ops, id, "y");
    const bool has_gradient = golden_find(&ops, id, "dx") != NULL;
    firn_model *m = firn_model_create(ctx);
    feeds f = {0};
    parts p = {.attr = golden_find(&ops, id, "attr")->data};
    p.x = has_gradient ? carried(m, id, "x", &f) : fed(m, id, "x", FIRN_U8, &f);
    p.z = carried(m, id, "z", &f);
    p.w = named(m, id, "w", false);
    p.b = named(m, id, "b", false);
    p.running_mean = named(m, id, "running_mean", true);
    p.running_var = named(m, id, "running_var", true);
    p.label = fed(m, id, "label", number % 2 ? FIRN_U8 : FIRN_I32, &f);
    firn_tensor *out = row->build(&p);
    const int rows = (int)golden_find(&ops, id, "x")->shape.dim[0];

    /* Evaluation: the same output, unless statistics of the batch are meant. */
    firn_plan *plan = NULL;
    if (strcmp(row->name, "batch_norm") != 0) {
        assert_ok(ctx, firn_plan_create(&plan, out, &(firn_plan_options){.mode = FIRN_EVAL, .batch = rows}));
        assert_ok(ctx, firn_plan_forward(plan, f.list, f.count, rows));
        assert_golden(firn_plan_value(plan, NULL), y, 1e-5);
        firn_plan_destroy(plan);
    }
    if (!has_gradient) return;

    firn_tensor *loss = y->shape.rank == 0 ? out : firn_mse(out, fed(m, id, "t", FIRN_F32, &f));
    if (strcmp(row->name, "batch_norm_frozen") == 0) assert_ok(ctx, firn_freeze(m, "running_*", NULL));
    assert_ok(ctx, firn_plan_create(&plan, loss, &(firn_plan_options){.mode = FIRN_TRAIN, .batch = rows, .watch = out}));
    assert_ok(ctx, firn_plan_forward(plan, f.list, f.count, rows));
    assert_golden(firn_plan_value(plan, out), y, 1e-5);
    assert_ok(ctx, firn_plan_backward(plan));
    static const char *const with_gradient[] = {"x", "z", "w", "b"};
    for (size_t i = 0; i < 4; i++) check_gradient(plan, id, with_gradient[i]);
    check_state(m, id, "running_mean");
    check_state(m, id, "running_var");
    firn_plan_destroy(plan);
}

static void agrees_with_pytorch(void **state)
{
    const struct op_row *row = *state;
    for (const char *const *isa = test_isas(); *isa; isa++) {
        firn_ctx *ctx = test_ctx(NULL, 2, *isa);
        int number = 0;
        for (char id[64];; number++) {
            snprintf(id, sizeof id, "%s.%d", row->name, number);
            if (golden_find(&ops, id, "attr") == NULL) break;
            check_case(ctx, row, id, number);
        }
        assert_true(number >= 2);
        firn_ctx_destroy(ctx);
    }
}

int main(void)
{
    enum { ROWS = sizeof op_rows / sizeof *op_rows };
    struct CMUnitTest tests[ROWS];
    static char names[ROWS][64];
    for (size_t i = 0; i < ROWS; i++) {
        snprintf(names[i], sizeof names[i], "%s_agrees_with_pytorch", op_rows[i].name);
        tests[i] = (struct CMUnitTest){names[i], agrees_with_pytorch, NULL, NULL, (void *)(uintptr_t)&op_rows[i]};
    }
    ops = golden_open("ops");
    const int failed = cmocka_run_group_tests_name("golden ops", tests, NULL, NULL);
    golden_close(&ops);
    return failed;
}
