/* pool2d.c: max_pool2d, avg_pool2d and global_avg_pool2d differ in a kernel and a window. */
#include <firn/ops.h>

#include "ops.h"
#include "vector.h"

typedef struct pool_attr {
    int size, stride; /* stride zero: size. size zero: the whole image (global_avg_pool2d) */
} pool_attr;

/* The window of `attr` on an image of shape s; oh and ow below 1 if there is no room for it. */
static firn__pool_args pool_on(firn_shape s, const pool_attr *attr)
{
    firn__pool_args v = {.c = s.dim[1], .h = s.dim[2], .w = s.dim[3], .kh = attr->size, .kw = attr->size};
    v.stride = attr->stride ? attr->stride : attr->size;
    if (attr->size == 0) {
        v.kh = v.h;
        v.kw = v.w;
        v.stride = 1;
    }
    v.oh = v.h < v.kh ? 0 : (v.h - v.kh) / v.stride + 1;
    v.ow = v.w < v.kw ? 0 : (v.w - v.kw) / v.stride + 1;
    return v;
}

static firn_status pool_shape(firn_op_build *b)
{
    const firn_status st = firn__op_need_image(b);
    if (st != FIRN_OK) return st;
    const pool_attr *attr = b->attr;
    const firn_shape x = b->in[0].shape;
    if (b->op != &firn__op_global_avg_pool2d && (attr->size < 1 || attr->stride < 0))
        return firn_op_fail(b, FIRN_ERR_ARGUMENT, "size must be at least 1, and stride not below 0");
    const firn__pool_args v = pool_on(x, attr);
    if (v.oh < 1 || v.ow < 1) return firn_op_fail(b, FIRN_ERR_SHAPE, "the window must not be larger than H or W of x");
    *b->out = (firn_view){.dtype = FIRN_F32, .shape = {4, {x.dim[0], v.c, v.oh, v.ow}}};
    return FIRN_OK;
}

static firn_status max_pool2d_shape(firn_op_build *b)
{
    const firn_status st = pool_shape(b);
    if (st != FIRN_OK) return st;
    const firn__pool_args v = pool_on(b->in[0].shape, b->attr);
    const int64_t where = firn__vector_where_bytes(&v);
    if (where == 0) return firn_op_fail(b, FIRN_ERR_ARGUMENT, "size must not be above 256");
    return firn__op_reserve(b, &b->saved_bytes, b->in[0].shape.dim[0], where, 1);
}

static firn_status global_avg_pool2d_shape(firn_op_build *b)
{
    const firn_status st = pool_shape(b);
    b->out->shape.rank = 2;
    return st;
}

typedef void pool_kernel(firn__crew crew, int64_t count, const firn__pool_args *a);

static void pool_forward(const firn_op_run *r, pool_kernel *kernel)
{
    firn__pool_args v = pool_on(r->in[0].shape, r->attr);
    v.x = r->in[0].data;
    v.y = r->out->data;
    v.where = r->saved;
    kernel(firn__op_crew(r), r->in[0].shape.dim[0], &v);
}

static void pool_backward(const firn_op_run *r, pool_kernel *kernel)
{
    firn__pool_args v = pool_on(r->din[0].shape, r->attr);
    v.x = r->dout->data;
    v.y = r->din[0].data;
    v.where = r->saved;
    kernel(firn__op_crew(r), r->din[0].shape.dim[0], &v);
}

static void max_pool2d_forward(const firn_op_run *r) { pool_forward(r, firn__vector_max_pool); }
static void max_pool2d_backward(const firn_op_run *r) { pool_backward(r, firn__vector_max_pool_grad); }
static void avg_pool2d_forward(const firn_op_run *r) { pool_forward(r, firn__vector_avg_pool); }
static void avg_pool2d_backward(const firn_op_run *r) { pool_backward(r, firn__vector_avg_pool_grad); }

const firn_op firn__op_max_pool2d = {
    .name = "max_pool2d",
    .n_in = 1,
    .attr_bytes = sizeof(pool_attr),
    .shape = max_pool2d_shape,
    .forward = max_pool2d_forward,
    .backward = max_pool2d_backward,
    .reads = {FIRN_READS_SAVED},
};

const firn_op firn__op_avg_pool2d = {
    .name = "avg_pool2d",
    .n_in = 1,
    .attr_bytes = sizeof(pool_attr),
    .shape = pool_shape,
    .forward = avg_pool2d_forward,
    .backward = avg_pool2d_backward,
};

const firn_op firn__op_global_avg_pool2d = {
    .name = "global_avg_pool2d",
    .n_in = 1,
    .attr_bytes = sizeof(pool_attr),
    .shape = global_avg_pool2d_shape,
    .forward = avg_pool2d_forward,
    .backward = avg_pool2d_backward,
};

firn_tensor *firn_max_pool2d(firn_tensor *x, int size, int stride)
{
    return firn_apply(&firn__op_max_pool2d, &x, &(pool_attr){size, stride});
}

firn_tensor *firn_avg_pool2d(firn_tensor *x, int size, int stride)
{
    return firn_apply(&firn__op_avg_pool2d, &x, &(pool_attr){size, stride});
}

firn_tensor *firn_global_avg_pool2d(firn_tensor *x)
{
    return firn_apply(&firn__op_global_avg_pool2d, &x, &(pool_attr){0, 0});
}
