#include "op_cases.h"

#define S(...)                                                                                                             \
    {                                                                                                                      \
        (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), { __VA_ARGS__ }                                                 \
    }
#define NONE                                                                                                               \
    {                                                                                                                      \
        -1, { 0 }                                                                                                          \
    }
#define SCALAR                                                                                                             \
    {                                                                                                                      \
        0, { 0 }                                                                                                           \
    }
#define ATTR(type, ...) (&(const type){__VA_ARGS__})
#define INTS(...) ((const int[]){__VA_ARGS__})
#define ONE_FLOAT(x) (&(const float){x})

static const firn_op_case scale_cases[] = {
    {.in = {S(5)}, .attr = ONE_FLOAT(0.5f)},
    {.in = {S(3, 7)}, .attr = ONE_FLOAT(-2.0f)},
    {.in = {S(2, 3, 4, 5)}, .attr = ONE_FLOAT(1.0f / 255)},
    {.in = {S(4, 17)}, .dtype = {FIRN_U8}, .attr = ONE_FLOAT(0.25f), .high = 200},
    {.in = {S(2, 1, 5, 5)}, .dtype = {FIRN_I32}, .attr = ONE_FLOAT(0.25f), .high = 1000},
    {.in = {SCALAR}, .attr = ONE_FLOAT(3.0f)},
};

static const firn_op_case linear_cases[] = {
    {.in = {S(1, 1), S(1, 1), S(1)}, .param = 6},   {.in = {S(4, 6), S(3, 6), S(3)}, .param = 6},
    {.in = {S(4, 6), S(3, 6), NONE}, .param = 6},   {.in = {S(7, 33), S(10, 33), S(10)}, .param = 6},
    {.in = {S(2, 5), S(37, 5), S(37)}, .param = 6}, {.in = {S(1, 19), S(5, 19), S(5)}, .param = 6},
    {.in = {S(13, 3), S(17, 3), NONE}, .param = 6},
};

static const firn_op_case conv2d_cases[] = {
    {.in = {S(1, 1, 3, 3), S(1, 1, 3, 3), S(1)}, .param = 6},
    {.in = {S(2, 1, 6, 5), S(3, 1, 3, 3), S(3)}, .param = 6},
    {.in = {S(2, 3, 5, 6), S(4, 3, 3, 2), NONE}, .param = 6},
    {.in = {S(2, 3, 5, 5), S(4, 3, 3, 3), S(4)}, .param = 6, .attr = ATTR(firn_conv2d_attr, .pad = 1)},
    {.in = {S(2, 2, 7, 6), S(3, 2, 3, 3), S(3)}, .param = 6, .attr = ATTR(firn_conv2d_attr, .stride = 2, .pad = 1)},
    {.in = {S(1, 2, 8, 9), S(3, 2, 3, 3), S(3)}, .param = 6, .attr = ATTR(firn_conv2d_attr, .dilation = 2)},
    {.in = {S(2, 4, 5, 4), S(6, 2, 3, 3), S(6)}, .param = 6, .attr = ATTR(firn_conv2d_attr, .groups = 2, .pad = 1)},
    {.in = {S(2, 5, 4, 4), S(5, 1, 3, 3), S(5)}, .param = 6, .attr = ATTR(firn_conv2d_attr, .groups = 5, .pad = 1)},
    {.in = {S(1, 4, 6, 6), S(8, 1, 2, 2), NONE}, .param = 6, .attr = ATTR(firn_conv2d_attr, .groups = 4, .stride = 2)},
    {.in = {S(3, 6, 4, 3), S(5, 6, 1, 1), S(5)}, .param = 6},
    {.in = {S(1, 17, 4, 4), S(19, 17, 2, 2), S(19)}, .param = 6, .eps = 5e-2f},
    {.in = {S(1, 2, 6, 7), S(3, 2, 2, 3), S(3)},
     .param = 6,
     .attr = ATTR(firn_conv2d_attr, .stride = 3, .pad = 2, .dilation = 2)},
};

static const firn_op_case max_pool2d_cases[] = {
    {.in = {S(1, 1, 2, 2)}, .attr = INTS(2, 2), .low = -3, .high = 3},
    {.in = {S(2, 3, 4, 6)}, .attr = INTS(2, 0), .low = -4, .high = 4},
    {.in = {S(2, 8, 5, 5)}, .attr = INTS(2, 2), .low = -9, .high = 9},
    {.in = {S(1, 19, 4, 5)}, .attr = INTS(2, 2), .low = -9, .high = 9},
    {.in = {S(2, 2, 7, 7)}, .attr = INTS(3, 2), .low = -5, .high = 5},
    {.in = {S(1, 3, 5, 4)}, .attr = INTS(2, 1), .low = -3, .high = 3},
    {.in = {S(1, 2, 6, 6)}, .attr = INTS(2, 3), .low = -3, .high = 3},
    {.in = {S(1, 1, 18, 17)}, .attr = INTS(17, 1), .low = -9, .high = 9},
};

static const firn_op_case avg_pool2d_cases[] = {
    {.in = {S(1, 1, 2, 2)}, .attr = INTS(2, 2)},  {.in = {S(2, 3, 4, 6)}, .attr = INTS(2, 0)},
    {.in = {S(2, 17, 5, 5)}, .attr = INTS(3, 2)}, {.in = {S(1, 4, 5, 4)}, .attr = INTS(2, 1)},
    {.in = {S(1, 2, 7, 6)}, .attr = INTS(2, 3)},
};

static const firn_op_case global_avg_pool2d_cases[] = {
    {.in = {S(1, 1, 1, 1)}, .attr = INTS(0, 0)},
    {.in = {S(2, 3, 4, 5)}, .attr = INTS(0, 0)},
    {.in = {S(3, 18, 3, 3)}, .attr = INTS(0, 0)},
};

static const firn_op_case relu_cases[] = {
    /* an even number of elements, so that none is at 0 */
    {.in = {S(2)}, .low = -1, .high = 1},       {.in = {S(2, 7)}, .low = -1, .high = 1},
    {.in = {S(3, 34)}, .low = -5, .high = 5},   {.in = {S(2, 3, 4, 4)}, .low = -5, .high = 5},
    {.in = {S(2, 9, 3)}, .low = -5, .high = 5},
};

static const firn_op_case add_cases[] = {
    {.in = {S(3), S(3)}},
    {.in = {S(4, 19), S(4, 19)}},
    {.in = {S(2, 3, 4, 5), S(2, 3, 4, 5)}},
    {.in = {S(2, 16), S(2, 16)}, .low = 1, .high = 2},
};

static const firn_op_case reshape_cases[] = {
    {.in = {S(2, 3, 4, 5)}, .attr = ATTR(firn_shape, 2, {FIRN_BATCH, 60})},
    {.in = {S(2, 9, 10, 9)}, .attr = ATTR(firn_shape, 2, {FIRN_BATCH, 810}), .eps = 0.1f},
    {.in = {S(3, 24)}, .attr = ATTR(firn_shape, 4, {FIRN_BATCH, 4, 3, 2})},
    {.in = {S(2, 4, 3, 2)}, .attr = ATTR(firn_shape, 4, {FIRN_BATCH, 2, 4, 3})},
    {.in = {S(2, 4, 3, 2)}, .attr = ATTR(firn_shape, 4, {FIRN_BATCH, 4, 3, 2})},
    {.in = {S(2, 1, 3, 4)}, .attr = ATTR(firn_shape, 2, {FIRN_BATCH, 12})},
    {.in = {S(2, 12)}, .attr = ATTR(firn_shape, 3, {2, 3, 4}), .param = 1},
    {.in = {S(2, 5, 1, 1)}, .attr = ATTR(firn_shape, 2, {FIRN_BATCH, 5})},
};

static const firn_op_case reshape_view_cases[] = {
    {.in = {S(2, 12)}, .attr = ATTR(firn_shape, 3, {2, 3, 4}), .param = 1},
    {.in = {S(2, 1, 3, 4)}, .attr = ATTR(firn_shape, 2, {FIRN_BATCH, 12})},
};

static const firn_op_case dropout_cases[] = {
    {.in = {S(4, 9)}, .attr = ONE_FLOAT(0.5f)},
    {.in = {S(2, 3, 4, 5)}, .attr = ONE_FLOAT(0.25f)},
    {.in = {S(100)}, .attr = ONE_FLOAT(0.9f)},
    {.in = {S(4, 9)}, .attr = ONE_FLOAT(0.0f)},
    {.in = {S(4, 9)}, .attr = ONE_FLOAT(0.5f), .eval = true},
};

static const firn_op_case dropout_off_cases[] = {{.in = {S(4, 9)}, .attr = ONE_FLOAT(0.5f)}};

static const firn_op_case softmax_cases[] = {
    {.in = {S(1, 1)}},
    {.in = {S(3, 5)}},
    {.in = {S(2, 16)}, .low = -3, .high = 3},
    {.in = {S(2, 35)}, .low = -2, .high = 2},
    {.in = {S(2, 3, 7)}},
};

static const firn_op_case cross_entropy_cases[] = {
    {.in = {S(1, 2), S(1)}, .dtype = {FIRN_F32, FIRN_U8}, .high = 2, .low = -2},
    {.in = {S(7, 5), S(7)}, .dtype = {FIRN_F32, FIRN_U8}, .high = 5, .low = -3},
    {.in = {S(9, 10), S(9)}, .dtype = {FIRN_F32, FIRN_I32}, .high = 10, .low = -1},
    {.in = {S(3, 37), S(3)}, .dtype = {FIRN_F32, FIRN_I32}, .high = 37, .low = -1},
    {.in = {S(6, 5), S(6)},
     .dtype = {FIRN_F32, FIRN_U8},
     .high = 5,
     .low = -3,
     .attr = ATTR(firn_cross_entropy_attr, .label_smoothing = 0.1f)},
    {.in = {S(6, 17), S(6)},
     .dtype = {FIRN_F32, FIRN_I32},
     .high = 5,
     .low = -3,
     .attr = ATTR(firn_cross_entropy_attr, .label_smoothing = 0.3f, .has_ignore_index = true, .ignore_index = 2)},
    {.in = {S(4, 3), S(4)},
     .dtype = {FIRN_F32, FIRN_U8},
     .high = 1,
     .low = -1,
     .attr = ATTR(firn_cross_entropy_attr, .has_ignore_index = true)},
};

static const firn_op_case mse_cases[] = {{.in = {S(1), S(1)}},
                                         {.in = {S(4, 5), S(4, 5)}},
                                         {.in = {S(2, 3, 4, 4), S(2, 3, 4, 4)}},
                                         {.in = {S(3, 33), S(3, 33)}, .low = -2, .high = 2}};

static const firn_op_case batch_norm_cases[] = {
    /* param 6: the statistics are not frozen; 30: they are */
    {.in = {S(8, 3), S(3), S(3), S(3), S(3)}, .param = 6, .low = 0.5f, .high = 2},
    {.in = {S(5, 17), S(17), S(17), S(17), S(17)}, .param = 6, .low = 0.5f, .high = 3},
    {.in = {S(2, 3, 4, 3), S(3), S(3), S(3), S(3)}, .param = 6, .low = 0.5f, .high = 2},
    {.in = {S(3, 2, 5, 5), S(2), S(2), S(2), S(2)},
     .param = 6,
     .low = 0.5f,
     .high = 3,
     .attr = ATTR(firn_batch_norm_attr, .eps = 0.1f)},
    {.in = {S(8, 3), S(3), S(3), S(3), S(3)}, .param = 30, .low = 0.5f, .high = 2},
    {.in = {S(1, 4), S(4), S(4), S(4), S(4)}, .param = 30, .low = 0.5f, .high = 2},
    {.in = {S(2, 18, 2, 3), S(18), S(18), S(18), S(18)}, .param = 30, .low = 0.5f, .high = 2},
    {.in = {S(2, 3, 4, 3), S(3), S(3), S(3), S(3)}, .param = 6, .low = 0.5f, .high = 2, .eval = true},
};

static const firn_op_case batch_norm_frozen_cases[] = {
    {.in = {S(2, 3, 4, 3), S(3), S(3), S(3), S(3)}, .param = 30, .low = 0.5f, .high = 2},
};

#define ROW(name)                                                                                                          \
    {                                                                                                                      \
        &firn__op_##name, name##_cases, sizeof name##_cases / sizeof *name##_cases                                         \
    }
const op_cases all_op_cases[] = {
    ROW(scale),   ROW(linear),        ROW(conv2d),  ROW(max_pool2d),   ROW(avg_pool2d),        ROW(global_avg_pool2d),
    ROW(relu),    ROW(add),           ROW(reshape), ROW(reshape_view), ROW(dropout),           ROW(dropout_off),
    ROW(softmax), ROW(cross_entropy), ROW(mse),     ROW(batch_norm),   ROW(batch_norm_frozen),
};
const size_t all_op_cases_count = sizeof all_op_cases / sizeof *all_op_cases;
