#include <math.h>
#include <time.h>

#include "trainer.h"

/* One call of firn_fit(). Where it stands is in t->position, so that it can be left and taken up again. */
typedef struct fit_run {
    firn_trainer *t;
    const firn_dataset *data;
    firn_fit_options opt;
    uint64_t batches, steps;               /* of an epoch */
    uint32_t *order;                       /* of the epoch under way; NULL: not shuffled */
    firn__cache *train_cache, *eval_cache; /* NULL: none */
    double began;                          /* seconds: when this call entered the epoch */
    uint64_t samples_before;               /* of the epoch, by an earlier call */
} fit_run;

static double seconds_now(void)
{
    struct timespec now;
    return timespec_get(&now, TIME_UTC) == TIME_UTC ? (double)now.tv_sec + (double)now.tv_nsec * 1e-9 : 0;
}

/* ---- before the first step ---- */

static firn_status check_fit_options(const firn_trainer *t, const firn_fit_options *opt)
{
    if (opt->epochs < 0 || opt->patience < 0)
        return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_fit: epochs is %d and patience %d; neither may be negative",
                         opt->epochs, opt->patience);
    if (opt->patience > 0 && opt->validation == NULL)
        return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_fit: patience needs validation data");
    return firn__events_check(t, opt->events, opt->n_events);
}

static void begin_fit(firn_trainer *t, uint64_t samples)
{
    firn__best_clear(t);
    const firn_trainer_position was = t->position;
    t->position = (firn_trainer_position){.steps = was.steps, .epochs = was.epochs, .running = true, .samples = samples};
}

/* Goes on with a stopped fit of the same data, or begins one. */
static firn_status take_position(fit_run *run)
{
    firn_trainer *t = run->t;
    const uint64_t id = firn__data_id(run->data);
    const bool unknown = t->position.running && t->data_id == 0;
    if (unknown && t->position.samples != run->data->count)
        return firn_fail(t->ctx, FIRN_ERR_STATE,
                         "firn_fit: the position set is that of %llu samples, but the data have %zu",
                         (unsigned long long)t->position.samples, run->data->count);
    if (unknown && t->position.step >= run->steps)
        return firn_fail(
            t->ctx, FIRN_ERR_STATE,
            "firn_fit: the position set is behind step %llu of an epoch, but an epoch of these data has %llu steps",
            (unsigned long long)t->position.step, (unsigned long long)run->steps);
    if (!unknown && (!t->position.running || t->data_id != id)) begin_fit(t, run->data->count);
    t->data_id = id;
    return FIRN_OK;
}

static firn_status check_schedule_fits(const fit_run *run)
{
    const firn_schedule *s = &run->t->opt.schedule;
    const uint64_t steps = run->steps * (uint64_t)run->opt.epochs;
    if (s->total > 0 || s->kind == FIRN_CONSTANT || s->kind == FIRN_STEP_DECAY || s->warmup < steps) return FIRN_OK;
    return firn_fail(run->t->ctx, FIRN_ERR_ARGUMENT, "firn_fit: a warm-up of %llu steps leaves none of this fit's %llu",
                     (unsigned long long)s->warmup, (unsigned long long)steps);
}

static void start_caches(fit_run *run)
{
    firn_trainer *t = run->t;
    if (t->opt.no_cache || t->opt.augmented) return;
    const size_t budget = t->opt.cache_bytes ? t->opt.cache_bytes : (size_t)1 << 30;
    const bool again = t->position.epoch + 1 < (uint64_t)run->opt.epochs;
    const firn_dataset *validation = run->opt.validation;
    run->train_cache = &t->train_cache;
    run->eval_cache = &t->eval_cache;
    firn__cache_start(run->train_cache, t->data_id, run->data->count, budget, again);
    firn__cache_start(run->eval_cache, validation ? firn__data_id(validation) : 0, validation ? validation->count : 0,
                      budget, again);
}

/* ---- a step ---- */

/* The factor of step `steps` of the trainer; a schedule without a total lasts as long as the fit. */
static float rate_now(const fit_run *run)
{
    firn_schedule s = run->t->opt.schedule;
    const firn_trainer_position *p = &run->t->position;
    const bool of_fit = s.total == 0 && (s.kind == FIRN_COSINE || s.kind == FIRN_ONE_CYCLE);
    if (of_fit) s.total = run->steps * (uint64_t)run->opt.epochs;
    return firn_schedule_at(&s, of_fit ? p->fit_steps : p->steps);
}

/* Forward and backward of one batch; measured into sum. */
static firn_status run_batch(fit_run *run, uint64_t index, firn__metrics *sum, bool *cached)
{
    firn_trainer *t = run->t;
    const size_t size = (size_t)t->opt.batch, begin = (size_t)index * size, left = run->data->count - begin;
    const firn__batch b = {run->data, run->order, begin, (int)(left < size ? left : size)};
    const firn_status st = firn__runner_forward(&t->train, t->ctx, run->train_cache, &b, cached);
    if (st != FIRN_OK) return st;
    const float loss = firn__runner_measure(&t->train, &b, t->loss, t->output, sum);
    if (!isfinite(loss))
        return firn_fail(t->ctx, FIRN_ERR_NUMERIC, "firn_fit: the loss is %g in epoch %llu, step %llu", (double)loss,
                         (unsigned long long)t->position.epoch + 1, (unsigned long long)t->position.step + 1);
    return firn_plan_backward(t->train.plan);
}

static firn_status run_step(fit_run *run, bool *cached)
{
    firn_trainer *t = run->t;
    firn_trainer_position *p = &t->position;
    firn__metrics sum = {p->loss_sum, p->rows, p->labelled, p->correct};
    const uint64_t per = (uint64_t)t->opt.accumulate, first = p->step * per;
    const uint64_t end = first + per < run->batches ? first + per : run->batches;
    firn_status st = FIRN_OK;
    for (uint64_t i = first; st == FIRN_OK && i < end; i++) {
        st = run_batch(run, i, &sum, cached);
        if (st == FIRN_OK && per > 1) st = firn_optimizer_accumulate(t->optimizer, t->train.plan);
    }
    if (st == FIRN_OK) st = firn_optimizer_step(t->optimizer, t->train.plan, rate_now(run));
    if (st != FIRN_OK) return st;
    p->loss_sum = sum.loss_sum;
    p->rows = sum.rows;
    p->labelled = sum.labelled;
    p->correct = sum.correct;
    p->step++;
    p->fit_steps++;
    p->steps++;
    return FIRN_OK;
}

/* ---- an epoch's end ---- */

static firn_status watch_best(fit_run *run, double val_loss)
{
    firn_trainer_position *p = &run->t->position;
    if (run->opt.patience == 0) return FIRN_OK;
    p->stale++;
    const bool better = p->best_epoch == 0 || val_loss < p->best_loss || (isnan(p->best_loss) && !isnan(val_loss));
    if (!better) return FIRN_OK;
    const firn_status st = firn__best_take(run->t);
    if (st != FIRN_OK) return st;
    p->best_loss = val_loss;
    p->best_epoch = p->epoch;
    p->stale = 0;
    return FIRN_OK;
}

/* Validates, and moves the position to the next epoch. */
static firn_status end_epoch(fit_run *run, firn_progress *progress)
{
    firn_trainer *t = run->t;
    firn_trainer_position *p = &t->position;
    progress->epoch_end = true;
    p->epoch++;
    p->epochs++;
    p->step = 0;
    p->loss_sum = 0;
    p->rows = p->labelled = p->correct = 0;
    if (run->opt.validation == NULL) return FIRN_OK;
    firn__metrics sum;
    const firn_status st = firn__evaluate(t, run->opt.validation, run->eval_cache, &sum);
    if (st != FIRN_OK) return st;
    progress->val_loss = (float)firn__metrics_loss(&sum);
    progress->val_accuracy = (float)firn__metrics_accuracy(&sum);
    return watch_best(run, firn__metrics_loss(&sum));
}

/* ---- the loop ---- */

/* In this epoch so far. */
static uint64_t samples_done(const fit_run *run)
{
    const firn_trainer *t = run->t;
    const uint64_t done = t->position.step * (uint64_t)t->opt.accumulate * (uint64_t)t->opt.batch;
    return done < run->data->count ? done : run->data->count;
}

static firn_progress progress_now(const fit_run *run, bool cached)
{
    const firn_trainer_position *p = &run->t->position;
    const firn__metrics sum = {p->loss_sum, p->rows, p->labelled, p->correct};
    const double seconds = seconds_now() - run->began;
    return (firn_progress){.epoch = (int)p->epoch + 1,
                           .epochs = run->opt.epochs,
                           .step = (size_t)p->step,
                           .steps = (size_t)run->steps,
                           .loss = (float)firn__metrics_loss(&sum),
                           .accuracy = (float)firn__metrics_accuracy(&sum),
                           .val_loss = NAN,
                           .val_accuracy = NAN,
                           .seconds = seconds,
                           .samples_per_second =
                               seconds > 0 ? (double)(samples_done(run) - run->samples_before) / seconds : 0,
                           .cached = cached};
}

/* To the end of the epoch, or until the callback stops. */
static firn_status run_epoch(fit_run *run)
{
    firn_trainer *t = run->t;
    firn_trainer_position *p = &t->position;
    if (run->order != NULL) firn__data_shuffle(run->order, run->data->count, firn_ctx_seed(t->ctx), p->epochs);
    run->began = seconds_now();
    run->samples_before = samples_done(run);
    for (bool ended = false; !ended;) {
        bool cached = false;
        firn_status st = firn__events_apply(t, run->opt.events, run->opt.n_events);
        if (st == FIRN_OK && t->best != NULL) st = firn__best_extend(t);
        if (st == FIRN_OK) st = run_step(run, &cached);
        if (st != FIRN_OK) return st;
        firn_progress progress = progress_now(run, cached);
        ended = p->step == run->steps;
        if (ended) st = end_epoch(run, &progress);
        if (st != FIRN_OK) return st;
        if (run->opt.on_progress != NULL && run->opt.on_progress(&progress, run->opt.user) != 0) return FIRN_STOPPED;
    }
    return FIRN_OK;
}

static bool fit_done(const fit_run *run)
{
    const firn_trainer_position *p = &run->t->position;
    return p->epoch >= (uint64_t)run->opt.epochs || (run->opt.patience > 0 && p->stale >= (uint64_t)run->opt.patience);
}

/* The position comes last: what is refused leaves a stopped fit as it was. */
static firn_status enter_fit(fit_run *run)
{
    const firn_status st = check_schedule_fits(run);
    if (st != FIRN_OK) return st;
    if (!run->opt.no_shuffle) {
        run->order = firn__train_alloc(run->t->ctx, run->data->count, sizeof *run->order);
        if (run->order == NULL) return FIRN_ERR_MEMORY;
    }
    return take_position(run);
}

static firn_status run_fit(fit_run *run)
{
    firn_trainer *t = run->t;
    firn_status st = FIRN_OK;
    firn_optimizer_forget(t->optimizer); /* what a caller's own loop has left */
    start_caches(run);
    while (st == FIRN_OK && !fit_done(run)) st = run_epoch(run);
    if (st == FIRN_STOPPED) return st;
    firn_plan_forget(t->train.plan);
    firn_optimizer_forget(t->optimizer);
    t->position.running = false;
    if (st == FIRN_OK && run->opt.patience > 0) {
        st = firn__best_restore(t);
        if (st != FIRN_OK) return st; /* firn_trainer_best_at() still has them */
    }
    firn__best_clear(t);
    return st;
}

firn_status firn_fit(firn_trainer *t, const firn_dataset *data, const firn_fit_options *opt)
{
    if (t == NULL) return FIRN_ERR_ARGUMENT;
    if (t->fitting)
        return firn_fail(t->ctx, FIRN_ERR_STATE, "firn_fit: a fit of this trainer is running (a callback called it?)");
    fit_run run = {.t = t, .data = data, .opt = opt ? *opt : (firn_fit_options){0}};
    if (run.opt.epochs == 0) run.opt.epochs = 1;
    firn_status st = firn__data_check(t, t->train.plan, data, "firn_fit");
    if (st == FIRN_OK) st = check_fit_options(t, &run.opt);
    if (st == FIRN_OK && run.opt.validation != NULL) st = firn__evaluate_prepare(t, run.opt.validation, "firn_fit");
    if (st != FIRN_OK) return st;
    run.batches = (data->count - 1) / (uint64_t)t->opt.batch + 1;
    run.steps = (run.batches - 1) / (uint64_t)t->opt.accumulate + 1;
    t->fitting = true;
    st = enter_fit(&run);
    if (st == FIRN_OK) st = run_fit(&run);
    firn__train_free(t->ctx, run.order, data->count, sizeof *run.order);
    t->fitting = false;
    return st;
}
