/* experiment.h: one transfer of the first layers of a net from one half of the digits to the other (Yosinski, Clune,
 * Bengio, Lipson 2014, "How transferable are features in deep neural networks?"). */
#ifndef EXPERIMENT_H
#define EXPERIMENT_H
#include <firn/firn.h>

enum { LAYERS = 5, CLASSES = 5, HALVES = 2 }; /* layers below the last one, which is never transferred */

/* conv1, conv2, pool, conv3, conv4, pool, dense, logits: the names, the last one at index LAYERS. */
extern const char *const layer_names[LAYERS + 1];

/* ---- images: those of the digits 0-4 and those of 5-9 ---- */
typedef struct digits {
    firn_idx pixels, labels; /* labels become the class within the half */
    uint32_t *rows[HALVES];
    size_t count[HALVES];
    firn_feed feeds[2];
} digits;
firn_status digits_load(firn_ctx *ctx, const char *dir, const char *part, digits *d); /* part: "train" or "t10k" */
void digits_free(firn_ctx *ctx, digits *d);

/* ---- training ---- */
typedef enum transfer_mode { FINE_TUNED, FROZEN, FROZEN_UNCACHED, MODES } transfer_mode;

typedef struct transfer {
    int half;  /* of the digits to learn */
    int depth; /* the first so many layers come from base and are frozen, or fine-tuned with the rest */
    transfer_mode mode;
    int per_class; /* images to learn from */
    int epochs;
    int seed;           /* of the layers not transferred, and of the choice of images */
    float *const *base; /* values of each named tensor of another net of this kind; may be NULL with depth 0 */
} transfer;

typedef struct result {
    double accuracy, loss; /* on the test images of the half */
    double seconds;        /* of training */
    size_t peak_bytes;     /* that firn had allocated at one time while training, its cache of features included */
    size_t cache_bytes;
    uint64_t trainable; /* parameters */
} result;

enum { TENSORS = 2 * (LAYERS + 1) }; /* a weight and a bias a layer */

typedef struct setting {
    const digits *train, *test;
    size_t test_count; /* at most so many test images a half */
    int threads;
} setting;

/* Trains and tests. learned: NULL, or receives the trained values, malloc'd, TENSORS of them. On an error, message says
 * why. */
firn_status transfer_run(const setting *s, const transfer *t, result *out, float **learned, char message[256]);

#endif
