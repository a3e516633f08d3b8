/* report.c: the cost of a step as a table that one can read, with the reason for each gradient. */
#include <inttypes.h>
#include <string.h>

#include "run.h"

typedef struct layer_row { /* the items of one scope */
    const char *name;
    uint64_t params, trainable, flops, flops_weight, flops_input;
    size_t saved;
    bool partly;               /* some of its tensors are frozen, some are not */
    const firn_tensor *trains; /* one parameter whose gradient is computed here */
    const firn_tensor *below;  /* one for whose sake the gradient passes through */
} layer_row;

/* ---- collecting ---- */

/* A parameter that this slot depends on and that trains. */
static const firn_tensor *trained_below(const firn__layout *l, int slot)
{
    while (slot >= 0 && l->slots[slot].need) {
        const firn__slot *s = &l->slots[slot];
        if (firn__is_named(s->tensor)) return s->tensor;
        const firn__item *item = &l->items[s->producer];
        slot = FIRN__NONE;
        for (int k = item->op->n_in - 1; k >= 0; k--)
            if (item->in[k] >= 0 && l->slots[item->in[k]].need) slot = item->in[k];
    }
    return NULL;
}

static size_t saved_of(const firn__layout *l, int buffer)
{
    return buffer >= 0 && l->buffers[buffer].saved ? l->buffers[buffer].bytes : 0;
}

static void count_tensor(const firn__layout *l, const firn__slot *s, layer_row *row, bool *frozen, bool *free_)
{
    *(firn__slot_frozen(l, s) ? frozen : free_) = true;
    if (s->tensor->kind != FIRN__PARAM) return;
    const uint64_t n = s->tensor->block.bytes / sizeof(float);
    row->params += n;
    if (s->rooted && !firn__slot_frozen(l, s)) row->trainable += n;
}

/* The row of the items first..last, which are those of one scope. seen: tensors counted before (shared weights). */
static layer_row make_row(const firn__layout *l, int first, int last, bool *seen)
{
    layer_row row = {.name = l->items[first].node->scope};
    bool frozen = false, unfrozen = false;
    if (*row.name == '\0') row.name = l->items[first].node->op->name;
    for (int i = first; i <= last; i++) {
        const firn__item *item = &l->items[i];
        const firn__slot *out = &l->slots[item->out];
        row.flops += item->flops;
        row.flops_weight += item->flops_weight;
        row.flops_input += item->flops_input;
        row.saved += saved_of(l, item->saved) + (out->base == item->out ? saved_of(l, out->value) : 0);
        for (int k = 0; k < item->op->n_in; k++) {
            const int s = item->in[k];
            if (s < 0) continue;
            const bool named = firn__is_named(l->slots[s].tensor), want = item->want >> k & 1;
            if (named && want && row.trains == NULL) row.trains = l->slots[s].tensor;
            if (!named && want && row.below == NULL) row.below = trained_below(l, s);
            if (named && !seen[s]) count_tensor(l, &l->slots[s], &row, &frozen, &unfrozen);
            if (l->slots[s].producer < 0 && !seen[s]) row.saved += saved_of(l, l->slots[s].value); /* an input */
            seen[s] = true;
        }
    }
    row.partly = frozen && unfrozen;
    return row;
}

static int end_of_scope(const firn__layout *l, int first)
{
    const char *scope = l->items[first].node->scope;
    int last = first;
    while (*scope != '\0' && last + 1 < l->n_items && strcmp(l->items[last + 1].node->scope, scope) == 0) last++;
    return last;
}

/* All rows, in the layout's memory; NULL if that is out. */
static const layer_row *make_rows(firn__layout *l, int *n)
{
    bool *seen = firn__layout_alloc(l, (size_t)l->n_slots, sizeof *seen);
    layer_row *rows = firn__layout_alloc(l, (size_t)l->n_items, sizeof *rows);
    *n = 0;
    if (seen == NULL || rows == NULL) return NULL;
    for (int i = 0, last; i < l->n_items; i = last + 1) {
        last = end_of_scope(l, i);
        rows[(*n)++] = make_row(l, i, last, seen);
    }
    return rows;
}

/* ---- printing ---- */

static void print_reason(const layer_row *row, FILE *out)
{
    if (row->trains == NULL && row->below == NULL) fprintf(out, "  -\n");
    else if (row->below == NULL) fprintf(out, "  trains %s\n", row->trains->name);
    else if (row->trains == NULL) fprintf(out, "  passes on for %s\n", row->below->name);
    else fprintf(out, "  trains %s; passes on for %s\n", row->trains->name, row->below->name);
}

static double mega(uint64_t n) { return (double)n * 1e-6; }
static double kib(size_t n) { return (double)n / 1024; }

static void print_rows(const layer_row *rows, int n, FILE *out)
{
    fprintf(out, "%-20s %10s %10s %9s %9s %9s %10s  %s\n", "layer", "params", "trainable", "forward", "dweight", "dinput", "saved KiB",
            "gradient");
    for (const layer_row *row = rows; row < rows + n; row++) {
        if (row->params == 0 && row->flops == 0 && row->saved == 0) continue;
        fprintf(out, "%-20.40s %10" PRIu64 " %10" PRIu64 " %9.2f %9.2f %9.2f %10.1f", row->name, row->params, row->trainable, mega(row->flops),
                mega(row->flops_weight), mega(row->flops_input), kib(row->saved));
        print_reason(row, out);
    }
}

static void print_ratio(FILE *out, const char *what, double now, double all, const char *unit)
{
    fprintf(out, "%-34s %14.2f %14.2f %-6s", what, now, all, unit);
    if (now > 0) fprintf(out, " %8.2f x\n", all / now);
    else fprintf(out, " %10s\n", all > 0 ? "all saved" : "-");
}

static uint64_t all_flops(const firn_cost *c) { return c->flops_forward + c->flops_grad_weight + c->flops_grad_input; }

static void print_totals(const firn__layout *l, const firn_cost *now, const firn_cost *all, FILE *out)
{
    fprintf(out, "\n%-34s %14s %14s %-6s %10s\n", "per step", "as frozen", "none frozen", "", "saved");
    print_ratio(out, "trainable parameters", (double)now->params_trainable * 1e-3, (double)all->params_trainable * 1e-3, "k");
    print_ratio(out, "forward", mega(now->flops_forward), mega(all->flops_forward), "MFLOP");
    print_ratio(out, "weight gradients", mega(now->flops_grad_weight), mega(all->flops_grad_weight), "MFLOP");
    print_ratio(out, "input gradients", mega(now->flops_grad_input), mega(all->flops_grad_input), "MFLOP");
    print_ratio(out, "all FLOPs", mega(all_flops(now)), mega(all_flops(all)), "MFLOP");
    print_ratio(out, "kept from forward to backward", kib(now->bytes_saved), kib(all->bytes_saved), "KiB");
    print_ratio(out, "gradients of parameters", kib(now->bytes_grads), kib(all->bytes_grads), "KiB");
    print_ratio(out, "arena (activations, scratch)", kib(now->bytes_arena), kib(all->bytes_arena), "KiB");
    print_ratio(out, "packed weights", kib(now->bytes_packed), kib(all->bytes_packed), "KiB");
    if (now->cache_bytes_per_sample > 0) {
        print_ratio(out, "all FLOPs with cached features", mega(all_flops(now) - now->flops_cached), mega(all_flops(all)), "MFLOP");
        fprintf(out, "features take at most %zu bytes a sample\n", now->cache_bytes_per_sample);
    } else {
        fprintf(out, "no features to cache: %s\n", l->why_no_features);
    }
}

/* FREEZE F7: what a user may not have meant. */
static void print_notes(const firn__layout *l, const layer_row *rows, int n, FILE *out)
{
    for (int i = 0; i < n; i++)
        if (rows[i].partly) fprintf(out, "note: %s is partly frozen\n", rows[i].name);
    const firn_model *m = l->model;
    for (size_t i = 0; i < m->n_names; i++) {
        const firn_tensor *t = m->names[i].tensor;
        if (t->frozen && strcmp(m->names[i].text, t->name) != 0)
            fprintf(out, "note: %s and %s are one tensor, frozen\n", t->name, m->names[i].text);
    }
    if (l->options.mode == FIRN_TRAIN && !l->trainable) fprintf(out, "note: nothing to train: every parameter is frozen\n");
}

firn_status firn_plan_report(const firn_plan *plan, FILE *out)
{
    if (plan == NULL) return FIRN_ERR_ARGUMENT;
    if (out == NULL) return firn__fail(plan->ctx, FIRN_ERR_ARGUMENT, "firn_plan_report: out is NULL");
    firn_cost all;
    firn__layout l;
    firn_status st = firn_plan_cost(plan, NULL, &all);
    if (st == FIRN_OK) st = firn__layout_build(&l, plan->root, &plan->options, false);
    if (st != FIRN_OK) return st;
    const firn_cost now = firn__layout_cost(&l); /* but for the plan's own lists, which are not shown */
    int n;
    const layer_row *rows = make_rows(&l, &n);
    if (rows != NULL) {
        fprintf(out, "cost of a step of %d samples, MFLOP (a multiply-add is 2)\n", plan->options.batch);
        print_rows(rows, n, out);
        print_totals(&l, &now, &all, out);
        print_notes(&l, rows, n, out);
    } else {
        st = FIRN_ERR_MEMORY;
    }
    firn__layout_free(&l);
    if (st == FIRN_OK && ferror(out)) st = firn__fail(plan->ctx, FIRN_ERR_IO, "firn_plan_report: the report could not be written");
    return st;
}
