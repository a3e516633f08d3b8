/* trainer.h: what the files of this floor share. Public headers alone: whatever they do, a user can do. */
#ifndef FIRN_TRAIN_TRAINER_H
#define FIRN_TRAIN_TRAINER_H
#include "feature_cache.h"

struct firn_trainer {
    firn_ctx *ctx;
    firn_model *m;
    firn_tensor *loss, *output;
    firn_trainer_options opt;
    firn_optimizer *optimizer;
    firn__runner train, eval, predict; /* the last two are made when they are first needed */
    firn__cache train_cache, eval_cache;
    firn_trainer_position position;
    uint64_t data_id; /* of the running fit; zero: not known (a position from a file) */
    bool fitting;     /* inside firn_fit() */
    float **best;     /* best weights by index of the named tensor; NULL where none are kept */
    size_t n_best;
};

/* ---- dataset.c ---- */
uint64_t firn__data_id(const firn_dataset *data); /* never zero. The feeds have been checked */
/* 0..count-1 in the order of an epoch, a function of (seed, epoch). */
void firn__data_shuffle(uint32_t *order, size_t count, uint64_t seed, uint64_t epoch);
/* Is every input that plan needs fed once, and every feed known? */
firn_status firn__data_check(const firn_trainer *t, const firn_plan *plan, const firn_dataset *data, const char *what);

/* ---- evaluate.c ---- */
firn_status firn__evaluate_prepare(firn_trainer *t, const firn_dataset *data, const char *what);
firn_status firn__evaluate(firn_trainer *t, const firn_dataset *data, firn__cache *cache, firn__metrics *out);

/* ---- early_stopping.c ---- */
firn_status firn__best_take(firn_trainer *t);   /* copies of what trains, and of what has a copy already */
firn_status firn__best_extend(firn_trainer *t); /* of what trains from now on and has none: not changed since the best */
firn_status firn__best_restore(firn_trainer *t);
void firn__best_clear(firn_trainer *t);

/* ---- events.c ---- */
firn_status firn__events_check(const firn_trainer *t, const firn_freeze_event *events, size_t n);
/* Those due before the next step of the position. */
firn_status firn__events_apply(firn_trainer *t, const firn_freeze_event *events, size_t n);

#endif
