#include "batch.h"

#include <firn/op.h>
#include <firn/ops.h>
#include <math.h>
#include <string.h>

#include "feature_cache.h"

void *firn__train_alloc(firn_ctx *ctx, size_t count, size_t size)
{
    void *ptr = count > 0 && count <= SIZE_MAX / size ? firn_realloc(ctx, NULL, 0, count * size) : NULL;
    if (ptr != NULL)
        memset(ptr, 0, count * size);
    else
        firn_fail(ctx, FIRN_ERR_MEMORY, "%s", firn_status_text(FIRN_ERR_MEMORY));
    return ptr;
}

void firn__train_free(firn_ctx *ctx, void *ptr, size_t count, size_t size)
{
    if (ptr != NULL) firn_realloc(ctx, ptr, count * size, 0);
}

/* ---- a runner ---- */

static size_t sample_bytes(const firn_tensor *input)
{
    firn_shape s = firn_tensor_shape(input);
    s.dim[0] = 1;
    return (size_t)firn_shape_count(s) * firn_dtype_size(firn_tensor_dtype(input));
}

firn_status firn__runner_ensure(firn__runner *r, firn_ctx *ctx, firn_tensor *root, const firn_plan_options *how)
{
    if (r->plan != NULL) return FIRN_OK;
    const firn_status st = firn_plan_create(&r->plan, root, how);
    if (st != FIRN_OK) return st;
    while (firn_plan_input(r->plan, r->n_inputs) != NULL) r->n_inputs++;
    const size_t n = r->n_inputs ? r->n_inputs : 1;
    r->stages = firn__train_alloc(ctx, n, sizeof *r->stages);
    r->feeds = firn__train_alloc(ctx, n, sizeof *r->feeds);
    r->features = firn__train_alloc(ctx, (size_t)how->batch, sizeof *r->features);
    if (r->stages != NULL && r->feeds != NULL && r->features != NULL) return FIRN_OK;
    firn__runner_destroy(r, ctx);
    return FIRN_ERR_MEMORY;
}

void firn__runner_destroy(firn__runner *r, firn_ctx *ctx)
{
    if (r->plan == NULL) return;
    const size_t n = r->n_inputs ? r->n_inputs : 1, batch = (size_t)firn_plan_batch(r->plan);
    for (size_t i = 0; r->stages != NULL && i < r->n_inputs; i++)
        firn__train_free(ctx, r->stages[i], batch, sample_bytes(firn_plan_input(r->plan, i)));
    firn__train_free(ctx, r->stages, n, sizeof *r->stages);
    firn__train_free(ctx, r->feeds, n, sizeof *r->feeds);
    firn__train_free(ctx, r->features, batch, sizeof *r->features);
    firn_plan_destroy(r->plan);
    *r = (firn__runner){0};
}

/* ---- feeding ---- */

static size_t feed_row(const firn__batch *b, int row)
{
    const size_t sample = firn__batch_sample(b, row);
    return b->data->rows ? b->data->rows[sample] : sample;
}

static bool rows_adjoin(const firn__batch *b)
{
    for (int i = 1; i < b->rows; i++)
        if (feed_row(b, i) != feed_row(b, i - 1) + 1) return false;
    return true;
}

/* Room for a batch of the input; NULL if memory is out. */
static unsigned char *stage_of(firn__runner *r, firn_ctx *ctx, const firn_tensor *input)
{
    size_t i = 0;
    while (firn_plan_input(r->plan, i) != input) i++;
    if (r->stages[i] == NULL) r->stages[i] = firn__train_alloc(ctx, (size_t)firn_plan_batch(r->plan), sample_bytes(input));
    return r->stages[i];
}

typedef struct gathering {
    const firn__batch *batch;
    const unsigned char *from;
    unsigned char *to;
    size_t bytes; /* of a row */
} gathering;

static void gather_rows(void *arg, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    const gathering *g = arg;
    for (int64_t i = begin; i < end; i++)
        memcpy(g->to + (size_t)i * g->bytes, g->from + feed_row(g->batch, (int)i) * g->bytes, g->bytes);
}

/* The batch's rows of one input, in place where they already lie in order. */
static firn_status feed_input(firn__runner *r, firn_ctx *ctx, const firn__batch *b, bool adjoin, const firn_tensor *input)
{
    const firn_feed *from = b->data->feeds;
    while (strcmp(from->input, firn_tensor_name(input)) != 0) from++;
    const size_t bytes = sample_bytes(input);
    const unsigned char *rows = from->data;
    firn_feed feed = {from->input, rows + feed_row(b, 0) * bytes};
    if (!adjoin) {
        unsigned char *stage = stage_of(r, ctx, input);
        if (stage == NULL) return FIRN_ERR_MEMORY;
        gathering g = {b, rows, stage, bytes};
        firn_parallel_for(&(firn_op_run){.ctx = ctx, .worker = -1}, b->rows, 4096 / (int64_t)bytes + 1, gather_rows, &g);
        feed.data = stage;
    }
    r->feeds[r->n_feeds++] = feed;
    return FIRN_OK;
}

/* How many rows have features. */
static int find_features(const firn__cache *cache, const firn__batch *b, const void **features)
{
    int found = 0;
    for (int i = 0; i < b->rows; i++) {
        features[i] = firn__cache_get(cache, firn__batch_sample(b, i));
        found += features[i] != NULL;
    }
    return found;
}

firn_status firn__runner_forward(firn__runner *r, firn_ctx *ctx, firn__cache *cache, const firn__batch *b, bool *cached)
{
    const int served = cache != NULL && firn__cache_valid(cache, r->plan) ? find_features(cache, b, r->features) : 0;
    const bool all = served == b->rows, adjoin = rows_adjoin(b);
    if (cached != NULL && served > 0) *cached = true;
    firn_status st = FIRN_OK;
    const firn_tensor *input;
    r->n_feeds = 0;
    for (size_t i = 0; st == FIRN_OK; i++) {
        input = all ? firn_plan_features_input(r->plan, i) : firn_plan_input(r->plan, i);
        if (input == NULL) break;
        st = feed_input(r, ctx, b, adjoin, input);
    }
    if (st != FIRN_OK) return st;
    if (served > 0)
        st = firn_plan_forward_features(r->plan, r->features, r->feeds, r->n_feeds, b->rows);
    else
        st = firn_plan_forward(r->plan, r->feeds, r->n_feeds, b->rows);
    if (st != FIRN_OK || cache == NULL) return st;
    if (served > 0) firn__cache_count(cache, r->plan, served);
    if (!all) firn__cache_fill(cache, r->plan, b);
    return FIRN_OK;
}

/* ---- measuring ---- */

/* The labels of a batch, from its data: a plan that has the features may not be fed them. */
typedef struct batch_labels {
    const firn__batch *batch;
    const void *data; /* of all rows; NULL: there are none */
    firn_dtype dtype;
    firn_cross_entropy_attr loss; /* of any other loss: zero, nothing is ignored */
} batch_labels;

/* The only integer input [N] of the plan; NULL if there is none, or more. */
static const firn_tensor *only_integers(const firn__runner *r)
{
    const firn_tensor *only = NULL;
    for (size_t i = 0; i < r->n_inputs; i++) {
        const firn_tensor *input = firn_plan_input(r->plan, i);
        if (firn_tensor_shape(input).rank != 1 || firn_tensor_dtype(input) == FIRN_F32) continue;
        if (only != NULL) return NULL;
        only = input;
    }
    return only;
}

static batch_labels find_labels(const firn__runner *r, const firn__batch *b, const firn_tensor *loss)
{
    batch_labels found = {.batch = b};
    firn_tensor *of_loss = NULL;
    const firn_tensor *label = firn_cross_entropy_of(loss, &of_loss, &found.loss) ? of_loss : only_integers(r);
    found.dtype = firn_tensor_dtype(label);
    for (size_t i = 0; label != NULL && i < b->data->n_feeds; i++)
        if (strcmp(b->data->feeds[i].input, firn_tensor_name(label)) == 0) found.data = b->data->feeds[i].data;
    return found;
}

static int32_t label_at(const batch_labels *l, int row)
{
    const size_t i = feed_row(l->batch, row);
    if (l->dtype == FIRN_U8) return ((const uint8_t *)l->data)[i];
    int32_t label; /* the data may lie anywhere */
    memcpy(&label, (const unsigned char *)l->data + i * sizeof label, sizeof label);
    return label;
}

static bool is_ignored(const batch_labels *l, int row)
{
    return l->data != NULL && l->loss.has_ignore_index && label_at(l, row) == l->loss.ignore_index;
}

static int64_t argmax(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static void count_hits(const firn__runner *r, const batch_labels *labels, const firn_tensor *output, firn__metrics *sum)
{
    const firn_shape s = firn_tensor_shape(output);
    const float *logits = firn_plan_value(r->plan, output);
    if (s.rank != 2 || s.dim[0] != FIRN_BATCH || logits == NULL || labels->data == NULL) return;
    for (int i = 0; i < labels->batch->rows; i++) {
        const int32_t label = label_at(labels, i);
        if (is_ignored(labels, i) || label < 0 || label >= s.dim[1]) continue; /* a loss of a user's may ignore these */
        sum->labelled++;
        sum->correct += argmax(logits + i * s.dim[1], s.dim[1]) == label;
    }
}

float firn__runner_measure(const firn__runner *r, const firn__batch *b, const firn_tensor *loss, const firn_tensor *output,
                           firn__metrics *sum)
{
    const batch_labels labels = find_labels(r, b, loss);
    const float mean = *firn_plan_value(r->plan, NULL);
    int rows = 0;
    for (int i = 0; i < b->rows; i++) rows += !is_ignored(&labels, i);
    sum->loss_sum += (double)mean * rows;
    sum->rows += (uint64_t)rows;
    if (output != NULL) count_hits(r, &labels, output, sum);
    return mean;
}

double firn__metrics_loss(const firn__metrics *m) { return m->rows > 0 ? m->loss_sum / (double)m->rows : (double)NAN; }

double firn__metrics_accuracy(const firn__metrics *m)
{
    return m->labelled > 0 ? (double)m->correct / (double)m->labelled : (double)NAN;
}
