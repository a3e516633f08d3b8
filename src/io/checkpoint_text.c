#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

/* printf writes the decimal point of the locale, which is no option of the run. */
static void make_points_plain(char *text)
{
    const char *point = localeconv()->decimal_point;
    const size_t length = strlen(point);
    while ((text = strstr(text, point)) != NULL) {
        *text++ = '.';
        memmove(text, text + length - 1, strlen(text + length - 1) + 1);
    }
}

void firn__run_text(const firn_trainer *t, char text[FIRN__RUN_TEXT])
{
    const firn_trainer_options *o = &t->opt;
    const firn_optim *how = &o->optim;
    const firn_schedule *s = &o->schedule;
    snprintf(text, FIRN__RUN_TEXT,
             "seed=%" PRIu64 " batch=%d accumulate=%d optimizer=%d lr=%a momentum=%a beta1=%a beta2=%a rho=%a eps=%a "
             "weight_decay=%a clip_norm=%a nesterov=%d schedule=%d warmup=%" PRIu64 " total=%" PRIu64 " every=%" PRIu64
             " gamma=%a floor=%a",
             firn_ctx_seed(t->ctx), o->batch, o->accumulate, (int)how->kind, (double)how->lr, (double)how->momentum,
             (double)how->beta1, (double)how->beta2, (double)how->rho, (double)how->eps, (double)how->weight_decay,
             (double)how->clip_norm, how->nesterov, (int)s->kind, s->warmup, s->total, s->every, (double)s->gamma,
             (double)s->floor);
    make_points_plain(text);
}

/* ---- the position: every member as an unsigned number; of a double, its bits ---- */

typedef enum position_kind { POSITION_U64, POSITION_BOOL, POSITION_DOUBLE } position_kind;

static const struct position_member {
    const char *name;
    size_t offset;
    position_kind kind;
} position_members[] = {
#define FIRN_X(name, kind)                                                                                                 \
    {                                                                                                                      \
#name, offsetof(firn_trainer_position, name), POSITION_##kind                                                      \
    }
    FIRN_X(steps, U64),     FIRN_X(epochs, U64),  FIRN_X(draws, U64),        FIRN_X(running, BOOL),    FIRN_X(samples, U64),
    FIRN_X(fit_steps, U64), FIRN_X(epoch, U64),   FIRN_X(step, U64),         FIRN_X(loss_sum, DOUBLE), FIRN_X(rows, U64),
    FIRN_X(labelled, U64),  FIRN_X(correct, U64), FIRN_X(best_loss, DOUBLE), FIRN_X(best_epoch, U64),  FIRN_X(stale, U64),
#undef FIRN_X
};
enum { POSITION_MEMBERS = sizeof position_members / sizeof *position_members };
/* All are 8 bytes but `running`, which fills what the machine's alignment leaves before the next one. */
_Static_assert(sizeof(firn_trainer_position) == (POSITION_MEMBERS - 1) * sizeof(uint64_t) +
                                                    offsetof(firn_trainer_position, samples) -
                                                    offsetof(firn_trainer_position, running),
               "every member of the position has its row");

static uint64_t member_read(const firn_trainer_position *p, const struct position_member *member)
{
    const char *at = (const char *)p + member->offset;
    uint64_t value;
    if (member->kind == POSITION_BOOL) return *(const bool *)at;
    memcpy(&value, at, sizeof value);
    return value;
}

void firn__position_text(const firn_trainer_position *p, char text[FIRN__POSITION_TEXT])
{
    size_t used = 0;
    for (int i = 0; i < POSITION_MEMBERS; i++)
        used += (size_t)snprintf(text + used, FIRN__POSITION_TEXT - used, "%s%s=%" PRIu64, i > 0 ? " " : "",
                                 position_members[i].name, member_read(p, &position_members[i]));
}

bool firn__position_parse(const char *text, firn_trainer_position *p)
{
    *p = (firn_trainer_position){0};
    for (int i = 0; i < POSITION_MEMBERS; i++) {
        const struct position_member *member = &position_members[i];
        const size_t length = strlen(member->name);
        char *at = (char *)p + member->offset, *end;
        if (i > 0 && *text++ != ' ') return false;
        if (strncmp(text, member->name, length) != 0 || text[length] != '=') return false;
        text += length + 1;
        if (*text < '0' || *text > '9') return false;
        const uint64_t value = strtoull(text, &end, 10);
        text = end;
        if (member->kind == POSITION_BOOL)
            *(bool *)at = value != 0;
        else
            memcpy(at, &value, sizeof value);
    }
    return *text == '\0';
}

/* ---- masks ---- */

void firn__mask_text(const firn__mask *mask, char *text)
{
    for (size_t i = 0; i < mask->n_named + mask->n_nodes; i++) {
        if (i == mask->n_named) *text++ = ' ';
        *text++ = mask->bits[i] ? '1' : '0';
    }
    *text = '\0';
}

bool firn__mask_measure(const char *text, size_t *n_named, size_t *n_nodes)
{
    *n_named = strspn(text, "01");
    text += *n_named;
    *n_nodes = *text == ' ' ? strspn(text + 1, "01") : 0;
    if (*text == ' ') text += 1 + *n_nodes;
    return *text == '\0';
}

void firn__mask_fill(const char *text, firn__mask *mask)
{
    for (size_t i = 0; *text != '\0'; text++)
        if (*text != ' ') mask->bits[i++] = *text == '1';
}
