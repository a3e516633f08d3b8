/* rig.h: a small convolutional net, data it can learn, and a trainer. */
#ifndef FIRN_TESTS_RIG_H
#define FIRN_TESTS_RIG_H
#include "support.h"

enum { RIG_TRAIN = 90, RIG_VAL = 30, RIG_ROWS = 2 * RIG_TRAIN + RIG_VAL, RIG_PIXELS = 64, RIG_CLASSES = 4 };

typedef enum rig_net {
    RIG_PLAIN,          /* conv1 conv2 pool dropout fc1 dropout fc2 */
    RIG_DROPOUT_INSIDE, /* conv1 drop1 conv2 pool fc1 fc2 */
    RIG_NORM,           /* conv1 bn1 conv2 bn2 pool fc1 fc2 */
    RIG_SKIP            /* conv1 conv2 conv3, and conv1's output added to conv3's; pool fc1 fc2 */
} rig_net;

typedef struct rig {
    test_memory memory;
    firn_ctx *ctx;
    firn_model *m;
    firn_tensor *loss, *logits;
    firn_trainer *t;
    uint8_t images[RIG_ROWS * RIG_PIXELS], labels[RIG_ROWS];
    firn_feed feeds[2], other_feeds[2], val_feeds[2];
    firn_dataset data, other, val; /* other: as many samples as data */
} rig;

void rig_open(rig *r, rig_net net, const firn_trainer_options *opt, int threads);
void rig_close(rig *r); /* and checks that nothing is left allocated */
/* Steps that must succeed. validated: conv1 and conv2 frozen, three epochs with validation and patience. */
void rig_freeze(rig *r, const char *selector);
void rig_unfreeze(rig *r, const char *selector);
void rig_fit(rig *r, const firn_dataset *data, int epochs);
void rig_validated(rig *r);
firn_trainer_options rig_without_cache(const firn_trainer_options *opt);
/* Every named tensor has the same bits in both. */
void rig_assert_equal(const rig *a, const rig *b);
/* What a checkpoint does: weights, masks, rates, optimizer state, best weights, position. */
void rig_transfer(const rig *from, rig *to);
/* The trainer's report as text, in a static buffer. */
const char *rig_report(const rig *r);
/* Each of the blank-separated words is in it. name: of the case, for the message. */
void rig_assert_report_has(const rig *r, const char *words, const char *name);

#endif
