#include <math.h>
#include <string.h>

#include "trainer.h"

static firn_status nothing_to_freeze(const firn_trainer *t, size_t event, const char *what)
{
    return firn_fail(t->ctx, FIRN_ERR_NAME, "firn_fit: event %zu freezes \"%.200s\", which has no parameter or state",
                     event, what);
}

/* firn_select() takes a term that matches dropout alone; firn_freeze() would refuse it in the middle of the fit. */
static firn_status check_frozen_terms(const firn_trainer *t, size_t event, const char *selector)
{
    const size_t room = strlen(selector) + 1;
    char *term = firn__train_alloc(t->ctx, room, 1);
    if (term == NULL) return FIRN_ERR_MEMORY;
    firn_status st = FIRN_OK;
    for (size_t length; st == FIRN_OK && *selector != '\0'; selector += length + (selector[length] == ',')) {
        length = strcspn(selector, ",");
        memcpy(term, selector, length);
        term[length] = '\0';
        if (term[strspn(term, " \t\r\n")] == '!') continue;
        size_t count;
        st = firn_select(t->m, term, NULL, &count);
        if (st == FIRN_OK && count == 0) st = nothing_to_freeze(t, event, term);
    }
    firn__train_free(t->ctx, term, room, 1);
    return st;
}

firn_status firn__events_check(const firn_trainer *t, const firn_freeze_event *events, size_t n)
{
    if (events == NULL && n > 0) return firn_fail(t->ctx, FIRN_ERR_ARGUMENT, "firn_fit: events must not be NULL");
    for (size_t i = 0; i < n; i++) {
        const firn_freeze_event *e = &events[i];
        if (e->epoch < 0 || (e->epoch > 0) == (e->step > 0))
            return firn_fail(t->ctx, FIRN_ERR_ARGUMENT,
                             "firn_fit: event %zu has epoch %d and step %llu; one of them must be 0, the other from 1", i,
                             e->epoch, (unsigned long long)e->step);
        if (!(e->rate >= 0 && isfinite(e->rate)))
            return firn_fail(t->ctx, FIRN_ERR_ARGUMENT,
                             "firn_fit: event %zu has the rate %g; it must be at least 0 and finite", i, (double)e->rate);
        size_t count;
        firn_status st = firn_select(t->m, e->selector, NULL, &count);
        if (st == FIRN_OK && !e->unfreeze)
            st = count > 0 ? check_frozen_terms(t, i, e->selector) : nothing_to_freeze(t, i, e->selector);
        if (st != FIRN_OK) return st;
    }
    return FIRN_OK;
}

static firn_status apply_event(firn_trainer *t, const firn_freeze_event *e)
{
    const firn_status st = e->unfreeze ? firn_unfreeze(t->m, e->selector, NULL) : firn_freeze(t->m, e->selector, NULL);
    if (st != FIRN_OK || e->rate <= 0) return st;
    return firn_optimizer_set_rate(t->optimizer, e->selector, e->rate);
}

firn_status firn__events_apply(firn_trainer *t, const firn_freeze_event *events, size_t n)
{
    const firn_trainer_position *p = &t->position;
    for (size_t i = 0; i < n; i++) {
        const firn_freeze_event *e = &events[i];
        const bool by_epoch = e->epoch > 0 && p->step == 0 && p->epoch + 1 == (uint64_t)e->epoch;
        if (!by_epoch && e->step != p->fit_steps + 1) continue;
        const firn_status st = apply_event(t, e);
        if (st != FIRN_OK) return st;
    }
    return FIRN_OK;
}
