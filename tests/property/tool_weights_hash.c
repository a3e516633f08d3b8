/* Prints a hash of the weights after training, for each net and mask: the same on every machine, instruction set,
 * compiler and number of threads. Fails if they differ within this process. */
#include <inttypes.h>
#include <string.h>

#include "nets.h"

static const char *const masks[][2] = {
    {"mlp", NULL}, {"mlp", "fc1"}, {"tied", NULL}, {"tied", "first,tied.bias"}, {"residual", NULL}, {"residual", "stem,*1"},
};

static firn_status train_once(const net_row *row, const char *frozen, int threads, const char *isa, uint64_t *hash)
{
    firn_ctx *ctx = NULL;
    firn_status st = firn_ctx_create(&ctx, &(firn_ctx_options){.threads = threads, .isa = isa});
    if (st != FIRN_OK) return st;
    const net n = net_build(ctx, row);
    const firn_optim how = firn_adam(0.01f);
    st = net_train(&n, &how, frozen, 20);
    if (st != FIRN_OK) fprintf(stderr, "%s: %s\n", row->name, firn_message(ctx));
    *hash = net_hash(n.model);
    firn_ctx_destroy(ctx);
    return st;
}

/* On every instruction set of this CPU, 1 to 3 threads. */
static int print_hash(const net_row *row, const char *frozen)
{
    static const char *const isas[] = {"ref", "avx2", "avx512", "neon"};
    uint64_t first = 0, hash = 0;
    int runs = 0;
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        for (int threads = 1; threads <= 3; threads++) {
            const firn_status st = train_once(row, frozen, threads, isas[i], &hash);
            if (st == FIRN_ERR_ISA) break; /* not this CPU's */
            if (st != FIRN_OK) return 1;
            if (runs++ == 0) first = hash;
            if (hash == first) continue;
            fprintf(stderr, "%s: %s with %d threads gives other bits\n", row->name, isas[i], threads);
            return 1;
        }
    }
    printf("%-9s frozen: %-16s %016" PRIx64 "\n", row->name, frozen ? frozen : "nothing", first);
    return 0;
}

int main(void)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++)
        for (const net_row *row = net_rows; row->name != NULL; row++)
            if (strcmp(row->name, masks[i][0]) == 0) failed |= print_hash(row, masks[i][1]);
    return failed;
}
