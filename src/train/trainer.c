#include "trainer.h"

#include <math.h>

/* ---- life ---- */

static firn_status check_schedule(firn_ctx *ctx, const firn_schedule *s)
{
    if ((int)s->kind < FIRN_CONSTANT || (int)s->kind > FIRN_ONE_CYCLE)
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "schedule: there is no kind %d", (int)s->kind);
    if (s->kind == FIRN_STEP_DECAY && s->every == 0)
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "schedule: a step decay needs every, at least 1");
    if (!(s->gamma >= 0 && isfinite(s->gamma)))
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "schedule: gamma is %g; it must be at least 0 and finite",
                         (double)s->gamma);
    if (!(s->floor >= 0 && s->floor <= 1))
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "schedule: floor is %g; it must lie in 0..1", (double)s->floor);
    const bool ends = s->kind == FIRN_COSINE || s->kind == FIRN_ONE_CYCLE;
    if (ends && s->total > 0 && s->warmup >= s->total)
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "schedule: a warm-up of %llu steps leaves none of the %llu in all",
                         (unsigned long long)s->warmup, (unsigned long long)s->total);
    return FIRN_OK;
}

static firn_status check_trainer(firn_ctx *ctx, const firn_tensor *loss, const firn_tensor *output,
                                 const firn_trainer_options *opt)
{
    if (output == NULL && firn_last_error(ctx) != FIRN_OK) return FIRN_ERR_ARGUMENT; /* what building it has left */
    if (output != NULL && firn_tensor_model(output) != firn_tensor_model(loss))
        return firn_fail(ctx, FIRN_ERR_ARGUMENT, "firn_trainer_create: output is a tensor of another model than loss");
    if (opt->batch < 0 || opt->accumulate < 0)
        return firn_fail(ctx, FIRN_ERR_ARGUMENT,
                         "firn_trainer_create: batch is %d and accumulate %d; neither may be negative", opt->batch,
                         opt->accumulate);
    return check_schedule(ctx, &opt->schedule);
}

static firn_status fill_trainer(firn_trainer *t)
{
    const firn_plan_options how = {.mode = FIRN_TRAIN,
                                   .batch = t->opt.batch,
                                   .watch = t->output,
                                   .features = !t->opt.no_cache && !t->opt.augmented,
                                   .layer_by_layer = t->opt.layer_by_layer};
    const firn_status st = firn__runner_ensure(&t->train, t->ctx, t->loss, &how);
    return st == FIRN_OK ? firn_optimizer_create(&t->optimizer, t->m, &t->opt.optim) : st;
}

firn_status firn_trainer_create(firn_trainer **out, firn_tensor *loss, firn_tensor *output, const firn_trainer_options *opt)
{
    if (out != NULL) *out = NULL;
    if (loss == NULL) return FIRN_ERR_ARGUMENT; /* what building it has left in the context says why */
    firn_model *m = firn_tensor_model(loss);
    firn_ctx *ctx = firn_model_ctx(m);
    if (out == NULL) return firn_fail(ctx, FIRN_ERR_ARGUMENT, "firn_trainer_create: out must not be NULL");
    firn_trainer_options how = opt ? *opt : (firn_trainer_options){0};
    firn_status st = check_trainer(ctx, loss, output, &how);
    if (st != FIRN_OK) return st;
    if (how.batch == 0) how.batch = 32;
    if (how.accumulate == 0) how.accumulate = 1;
    firn_trainer *t = firn__train_alloc(ctx, 1, sizeof *t);
    if (t == NULL) return FIRN_ERR_MEMORY;
    *t = (firn_trainer){.ctx = ctx,
                        .m = m,
                        .loss = loss,
                        .output = output,
                        .opt = how,
                        .train_cache = {.ctx = ctx},
                        .eval_cache = {.ctx = ctx}};
    t->train_cache.beside = t->train_cache.above = &t->eval_cache;
    t->eval_cache.beside = &t->train_cache;
    st = fill_trainer(t);
    if (st != FIRN_OK) {
        firn_trainer_destroy(t);
        return st;
    }
    *out = t;
    return FIRN_OK;
}

void firn_trainer_destroy(firn_trainer *t)
{
    if (t == NULL) return;
    firn_trainer_forget_features(t);
    firn__best_clear(t);
    firn_optimizer_destroy(t->optimizer);
    firn__runner_destroy(&t->predict, t->ctx);
    firn__runner_destroy(&t->eval, t->ctx);
    firn__runner_destroy(&t->train, t->ctx);
    firn__train_free(t->ctx, t, 1, sizeof *t);
}

firn_plan *firn_trainer_plan(firn_trainer *t) { return t ? t->train.plan : NULL; }
firn_optimizer *firn_trainer_optimizer(firn_trainer *t) { return t ? t->optimizer : NULL; }

/* ---- position ---- */

firn_trainer_position firn_trainer_position_get(const firn_trainer *t)
{
    if (t == NULL) return (firn_trainer_position){0};
    firn_trainer_position p = t->position;
    p.draws = firn_plan_step(t->train.plan);
    return p;
}

firn_status firn_trainer_position_set(firn_trainer *t, const firn_trainer_position *position)
{
    if (t == NULL) return FIRN_ERR_ARGUMENT;
    if (position == NULL)
        return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_trainer_position_set: position must not be NULL");
    if (t->fitting) return firn_fail(t->ctx, FIRN_ERR_STATE, "firn_trainer_position_set: a fit of this trainer is running");
    firn__best_clear(t);
    t->position = *position;
    t->data_id = 0;
    firn_plan_set_step(t->train.plan, position->draws);
    return FIRN_OK;
}

/* ---- figures ---- */

void firn_trainer_forget_features(firn_trainer *t)
{
    if (t == NULL) return;
    firn__cache_clear(&t->train_cache);
    firn__cache_clear(&t->eval_cache);
}

static const char *why_unused(const firn_trainer *t)
{
    const char *why = NULL;
    if (t->opt.no_cache) return "turned off by no_cache";
    if (t->opt.augmented) return "the inputs are said to differ between epochs";
    if (firn_plan_features_bound(t->train.plan, &why) == 0) return why;
    if (t->train_cache.off && t->train_cache.version == firn_plan_features_version(t->train.plan))
        return t->train_cache.why;
    if (t->train_cache.count > 0 && !t->train_cache.fill) return "a single epoch would not read it again";
    return NULL;
}

firn_cache_stats firn_trainer_cache(const firn_trainer *t)
{
    if (t == NULL) return (firn_cache_stats){0};
    const firn__cache *a = &t->train_cache, *b = &t->eval_cache;
    return (firn_cache_stats){.bytes = a->bytes + b->bytes,
                              .samples = a->filled + b->filled,
                              .wanted = a->count + b->count,
                              .served = a->served + b->served,
                              .flops_saved = a->flops_saved + b->flops_saved,
                              .why_unused = why_unused(t)};
}

firn_status firn_trainer_cost(const firn_trainer *t, firn_cost *now, firn_cost *unfrozen)
{
    if (t == NULL) return FIRN_ERR_ARGUMENT;
    const firn_status st = firn_plan_cost(t->train.plan, now, unfrozen);
    if (st != FIRN_OK) return st;
    if (now != NULL) now->bytes_optim = firn_optimizer_bytes(t->optimizer, now->params_trainable);
    if (unfrozen != NULL) unfrozen->bytes_optim = firn_optimizer_bytes(t->optimizer, unfrozen->params_trainable);
    return FIRN_OK;
}

static void report_cache(const firn_trainer *t, FILE *out)
{
    const firn_cache_stats s = firn_trainer_cache(t);
    const size_t bound = firn_plan_features_bound(t->train.plan, NULL);
    const double budget = t->opt.cache_bytes ? (double)t->opt.cache_bytes : 0x1p30;
    if (s.why_unused != NULL)
        fprintf(out, "feature cache: not used: %s\n", s.why_unused);
    else
        fprintf(out, "feature cache: at most %zu bytes a sample; budget %.4g MB\n", bound, budget / 1e6);
    if (s.served > 0 || s.samples > 0)
        fprintf(out, "feature cache: holds %zu of %zu samples in %.4g MB; served %llu samples, %.2f GFLOP not run\n",
                s.samples, s.wanted, (double)s.bytes / 1e6, (unsigned long long)s.served, (double)s.flops_saved / 1e9);
}

firn_status firn_trainer_report(const firn_trainer *t, FILE *out)
{
    if (t == NULL) return FIRN_ERR_ARGUMENT;
    firn_status st = firn_plan_report(t->train.plan, out);
    firn_cost now, unfrozen;
    if (st == FIRN_OK) st = firn_trainer_cost(t, &now, &unfrozen);
    if (st != FIRN_OK) return st;
    fprintf(out, "optimizer state: %zu bytes; with nothing frozen %zu\n", now.bytes_optim, unfrozen.bytes_optim);
    report_cache(t, out);
    return ferror(out) ? firn_fail(t->ctx, FIRN_ERR_IO, "firn_trainer_report: the report could not be written") : FIRN_OK;
}
