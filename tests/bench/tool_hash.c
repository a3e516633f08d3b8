/* tool_hash: one hash of the weights of each net of the benchmarks after a few steps.
 *   tool_hash [--isa NAME] [--threads N] [--net NAME] [--steps N] [--batch N]
 * 50 steps of 4 samples if nothing else is said, so that an emulator gets through; --batch 0: the batch of the benchmarks.
 * The lines must be the same for every instruction set, number of threads, compiler and machine. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "nets.h"

int main(int argc, char **argv)
{
    firn_ctx_options how = {.threads = 1};
    const char *only = NULL;
    int steps = 50, batch = 4;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--isa") == 0)
            how.isa = value;
        else if (strcmp(argv[i], "--threads") == 0)
            how.threads = atoi(value);
        else if (strcmp(argv[i], "--net") == 0)
            only = value;
        else if (strcmp(argv[i], "--steps") == 0)
            steps = atoi(value);
        else if (strcmp(argv[i], "--batch") == 0)
            batch = atoi(value);
        else
            return fprintf(stderr, "usage: tool_hash [--isa NAME] [--threads N] [--net NAME] [--steps N] [--batch N]\n"), 2;
    }
    for (size_t i = 0; i < n_nets; i++) {
        uint64_t hash;
        if (only != NULL && strcmp(only, nets[i].name) != 0) continue;
        const firn_status st = net_hash(&nets[i], &how, batch > 0 ? batch : nets[i].batch, steps, &hash);
        if (st != FIRN_OK) return fprintf(stderr, "tool_hash: %s\n", firn_status_text(st)), 1;
        printf("%-10s %016" PRIx64 "\n", nets[i].name, hash);
        fflush(stdout);
    }
    return 0;
}
