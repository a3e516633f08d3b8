#include "random_graph.h"

#include <stdlib.h>
#include <string.h>

enum { POOL = 24, CLASSES = 3, MOST_STEPS = 11, MOST_ELEMENTS = 900 };

typedef struct builder {
    random_graph *g;
    uint64_t random;
    firn_tensor *pool[POOL]; /* F32 values with the batch in front */
    int n_pool, n_inputs, n_names;
    char name[40];
} builder;

int random_below(uint64_t *state, int n) { return (int)(test_random(state) >> 33) % n; }

static int below(builder *b, int n) { return random_below(&b->random, n); }
static bool one_in(builder *b, int n) { return below(b, n) == 0; }

/* A name of its own, or one that others of the same kind and shape may have: then they share weights. */
static const char *layer_name(builder *b, const char *kind, int64_t p, int64_t q, int64_t r)
{
    if (one_in(b, 3))
        snprintf(b->name, sizeof b->name, "%s_%d_%d_%d", kind, (int)p, (int)q, (int)r);
    else
        snprintf(b->name, sizeof b->name, "%s%d", kind, b->n_names++);
    return b->name;
}

static void note(builder *b, const char *what, const firn_tensor *x, const firn_tensor *y, const firn_tensor *out)
{
    const size_t at = strlen(b->g->text);
    int in[2] = {-1, -1};
    for (int i = 0; i < b->n_pool; i++) {
        if (b->pool[i] == x) in[0] = i;
        if (b->pool[i] == y) in[1] = i;
    }
    const firn_shape s = firn_tensor_shape(out);
    snprintf(b->g->text + at, sizeof b->g->text - at, "  #%d = %s(#%d, #%d): rank %d %d %d %d\n", b->n_pool, what, in[0],
             in[1], s.rank, (int)s.dim[1], s.rank > 2 ? (int)s.dim[2] : 0, s.rank > 3 ? (int)s.dim[3] : 0);
}

/* ---- inputs ---- */

static void *input_data(builder *b, firn_dtype dtype, size_t count, unsigned bound)
{
    void *data = malloc(count * firn_dtype_size(dtype));
    const uint64_t seed = test_random(&b->random);
    if (dtype == FIRN_F32)
        test_fill(data, count, seed, -1, 1);
    else if (dtype == FIRN_U8)
        test_fill_bytes(data, count, seed, bound);
    else {
        uint64_t state = seed;
        for (size_t i = 0; i < count; i++) ((int32_t *)data)[i] = random_below(&state, (int)bound);
    }
    return data;
}

static firn_tensor *input(builder *b, const char *name, firn_dtype dtype, firn_shape shape, unsigned bound)
{
    random_graph *g = b->g;
    firn_shape row = shape;
    row.dim[0] = 1;
    const size_t count = (size_t)firn_shape_count(row);
    g->row_bytes[g->n_feeds] = count * firn_dtype_size(dtype);
    g->feeds[g->n_feeds++] = (firn_feed){name, input_data(b, dtype, GRAPH_ROWS * count, bound)};
    return firn_input(g->m, name, dtype, shape);
}

static firn_shape image_shape(builder *b)
{
    return FIRN_SHAPE(FIRN_BATCH, 1 + below(b, 4), 3 + below(b, 6), 3 + below(b, 6));
}

static void add_to_pool(builder *b, const char *what, firn_tensor *x, firn_tensor *y, firn_tensor *out)
{
    if (out == NULL) fail_msg("%s: %s", what, firn_message(b->g->ctx));
    note(b, what, x, y, out);
    b->pool[b->n_pool++] = out;
}

static void add_inputs(builder *b)
{
    static const firn_dtype dtypes[] = {FIRN_F32, FIRN_U8, FIRN_I32};
    const firn_dtype dtype = dtypes[below(b, 3)];
    firn_tensor *x = input(b, "image", dtype, image_shape(b), 256);
    if (dtype != FIRN_F32) x = firn_scale(x, 1.0f / 255);
    add_to_pool(b, "image", NULL, NULL, x);
    if (one_in(b, 3))
        add_to_pool(b, "row", NULL, NULL, input(b, "row", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 1 + below(b, 20)), 0));
    b->n_inputs = b->n_pool;
}

/* ---- operators: NULL if they do not apply to x ---- */

static firn_tensor *conv(builder *b, firn_tensor *x)
{
    const firn_shape s = firn_tensor_shape(x);
    if (s.rank != 4) return NULL;
    const int channels = (int)s.dim[1], groups = one_in(b, 4) ? channels : 1, kernel = 1 + below(b, 3), pad = below(b, 2);
    if (s.dim[2] + 2 * pad < kernel || s.dim[3] + 2 * pad < kernel) return NULL;
    const int out = groups * (1 + below(b, groups > 1 ? 2 : 7));
    const firn_nn_conv2d_cfg cfg = {
        .out = out, .kernel = kernel, .pad = pad, .stride = 1 + below(b, 2), .groups = groups, .no_bias = false};
    return firn_nn_conv2d(x, layer_name(b, "conv", channels * 10 + groups, out, kernel), &cfg);
}

/* A weight may be a parameter or computed from some. */
static firn_tensor *weight(builder *b, int64_t out, int64_t in)
{
    firn_model *m = b->g->m;
    const firn_init init = {.kind = FIRN_INIT_UNIFORM, .value = 0.3f};
    const char *name = layer_name(b, "w", out, in, 0);
    switch (below(b, 6)) {
    case 0:
        return firn_reshape(firn_param(m, layer_name(b, "flat", out, in, 0), FIRN_SHAPE(out * in), init),
                            FIRN_SHAPE(out, in));
    case 1:
        return firn_scale(firn_param(m, name, FIRN_SHAPE(out, in), init), 0.7f);
    case 2:
        return firn_dropout(firn_param(m, name, FIRN_SHAPE(out, in), init), 0.3f);
    case 3: {
        firn_tensor *w = firn_param(m, name, FIRN_SHAPE(out, in), init);
        return firn_add(w, one_in(b, 2) ? w : firn_relu(w));
    }
    default:
        return firn_param(m, name, FIRN_SHAPE(out, in), init);
    }
}

static firn_tensor *linear(builder *b, firn_tensor *x)
{
    const firn_shape s = firn_tensor_shape(x);
    if (s.rank != 2) return NULL;
    const int out = 1 + below(b, 20);
    if (one_in(b, 3)) return firn_linear(x, weight(b, out, s.dim[1]), NULL);
    return firn_nn_linear(x, layer_name(b, "fc", s.dim[1], out, 0), &(firn_nn_linear_cfg){.out = out});
}

static firn_tensor *pool(builder *b, firn_tensor *x)
{
    const firn_shape s = firn_tensor_shape(x);
    const int size = 1 + below(b, 3), stride = below(b, 3), kind = below(b, 3);
    if (s.rank != 4) return NULL;
    if (kind == 2) return firn_global_avg_pool2d(x);
    if (s.dim[2] < size || s.dim[3] < size) return NULL;
    return kind == 0 ? firn_max_pool2d(x, size, stride) : firn_avg_pool2d(x, size, stride);
}

/* The same elements as an image, a row, or of rank 3. */
static firn_tensor *reshape(builder *b, firn_tensor *x)
{
    firn_shape s = firn_tensor_shape(x);
    int64_t count = 1;
    for (int i = 1; i < s.rank; i++) count *= s.dim[i];
    if (one_in(b, 3) && s.rank > 2) return firn_flatten(x, 1 + below(b, s.rank - 1));
    int64_t channels = 1 + below(b, 6), height = 1 + below(b, 6);
    if (count % channels != 0) channels = 1;
    if (count / channels % height != 0) height = 1;
    if (one_in(b, 3)) return firn_reshape(x, FIRN_SHAPE(FIRN_BATCH, channels, count / channels));
    return firn_reshape(x, FIRN_SHAPE(FIRN_BATCH, channels, height, count / channels / height));
}

static firn_tensor *other_of_shape(builder *b, firn_tensor *x)
{
    const int first = below(b, b->n_pool);
    for (int i = 0; i < b->n_pool; i++) {
        firn_tensor *y = b->pool[(first + i) % b->n_pool];
        if (firn_shape_equal(firn_tensor_shape(x), firn_tensor_shape(y)) && (y != x || one_in(b, 3))) return y;
    }
    return NULL;
}

static firn_tensor *dropout(builder *b, firn_tensor *x)
{
    const float p = 0.1f * (float)(1 + below(b, 6));
    snprintf(b->name, sizeof b->name, "drop%d", b->n_names++);
    return one_in(b, 2) ? firn_dropout(x, p) : firn_nn_dropout(x, b->name, p);
}

static void grow(builder *b)
{
    static const float factors[] = {0.5f, -1, 1.25f, 0};
    firn_tensor *x = b->pool[one_in(b, 3) ? below(b, b->n_pool) : b->n_pool - 1], *y = NULL, *out = NULL;
    const firn_shape s = firn_tensor_shape(x);
    const char *what = "";
    switch (below(b, 15)) {
    case 0:
    case 1:
    case 2:
        what = "conv", out = conv(b, x);
        break;
    case 3:
    case 4:
        what = "linear", out = linear(b, x);
        break;
    case 5:
        what = "pool", out = pool(b, x);
        break;
    case 6:
    case 7:
        what = "relu", out = firn_relu(x);
        break;
    case 8:
        what = "scale", out = firn_scale(x, factors[below(b, 4)]);
        break;
    case 9:
        what = "dropout", out = dropout(b, x);
        break;
    case 10:
    case 11:
        what = "reshape", out = reshape(b, x);
        break;
    case 12:
        what = "add", y = other_of_shape(b, x), out = firn_add(x, y);
        break;
    case 13:
        what = "softmax", out = s.rank < 4 && one_in(b, 3) ? firn_softmax(x) : NULL;
        break;
    default:
        what = "batch_norm";
        if (s.rank == 2 || s.rank == 4) out = firn_nn_batch_norm(x, layer_name(b, "bn", s.dim[1], 0, 0), NULL);
    }
    firn_shape row = firn_tensor_shape(out);
    row.dim[0] = 1;
    if (out != NULL && firn_shape_count(row) <= MOST_ELEMENTS) add_to_pool(b, what, x, y, out);
}

/* ---- the loss ---- */

static firn_tensor *flat(firn_tensor *x) { return firn_tensor_shape(x).rank == 2 ? x : firn_flatten(x, 1); }

/* One that an operator gave, so that a plan can show it. */
static firn_tensor *some_value(builder *b, firn_tensor *otherwise)
{
    return b->n_pool > b->n_inputs ? b->pool[b->n_inputs + below(b, b->n_pool - b->n_inputs)] : otherwise;
}

static void add_loss(builder *b)
{
    random_graph *g = b->g;
    firn_tensor *end = b->pool[b->n_pool - 1], *other = b->pool[below(b, b->n_pool)];
    const firn_dtype labels = one_in(b, 2) ? FIRN_U8 : FIRN_I32;
    firn_tensor *label = input(b, "label", labels, FIRN_SHAPE(FIRN_BATCH), CLASSES);
    firn_tensor *logits = firn_nn_linear(flat(end), "head", &(firn_nn_linear_cfg){.out = CLASSES});
    const firn_cross_entropy_attr how = {
        .label_smoothing = one_in(b, 2) ? 0.1f : 0, .has_ignore_index = one_in(b, 3), .ignore_index = 1};
    g->loss = firn_cross_entropy(logits, label, &how);
    if (one_in(b, 2)) {
        firn_tensor *target = input(b, "target", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2), 0);
        firn_tensor *second = firn_nn_linear(flat(other), "side", &(firn_nn_linear_cfg){.out = 2});
        g->loss = firn_add(g->loss, firn_mse(second, target));
    }
    if (one_in(b, 4)) g->loss = firn_scale(g->loss, 0.5f);
    if (g->loss == NULL) fail_msg("%s", firn_message(g->ctx));
    g->result = one_in(b, 2) ? logits : some_value(b, logits);
    if (one_in(b, 2)) g->watch = some_value(b, logits);
    if (one_in(b, 12)) g->watch = firn_scale(g->loss, 2);
}

/* Values without symmetry: nothing is exactly zero, where relu has its kink. */
static void fill_parameters(builder *b)
{
    firn_model *m = b->g->m;
    for (size_t i = 0; i < firn_tensor_count(m); i++) {
        const firn_tensor_info t = firn_tensor_at(m, i);
        const size_t count = (size_t)firn_shape_count(t.shape);
        float *values = malloc(count * sizeof(float));
        test_fill(values, count, test_random(&b->random), t.is_state ? 0.3f : -0.5f, t.is_state ? 1.3f : 0.6f);
        assert_ok(b->g->ctx, firn_write(m, t.name, values, count));
        free(values);
    }
}

void random_graph_open(random_graph *g, uint64_t seed, int threads, const char *isa)
{
    *g = (random_graph){0};
    builder b = {.g = g, .random = seed};
    g->ctx = test_ctx(&g->memory, threads, isa);
    g->m = firn_model_create(g->ctx);
    add_inputs(&b);
    const int steps = 2 + below(&b, MOST_STEPS);
    for (int i = 0; i < 3 * steps && b.n_pool < steps && b.n_pool < POOL; i++) grow(&b);
    add_loss(&b);
    fill_parameters(&b);
    if (firn_last_error(g->ctx) != FIRN_OK) fail_msg("%s", firn_message(g->ctx));
}

void random_graph_close(random_graph *g)
{
    for (size_t i = 0; i < g->n_feeds; i++) free((void *)(uintptr_t)g->feeds[i].data);
    firn_ctx_destroy(g->ctx);
    assert_all_freed(&g->memory);
}
