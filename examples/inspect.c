/* inspect.c: what does a file hold?
 * usage: inspect FILE    (safetensors, delta, checkpoint, IDX plain or gzip)
 * exit code: 0 a valid file, 1 with one line on standard error, 2 usage */
#include <firn/firn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    firn_ctx *ctx = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argc > 0 ? argv[0] : "inspect");
        return 2;
    }
    firn_status st = firn_ctx_create(&ctx, &(firn_ctx_options){.threads = 1});
    if (st == FIRN_OK) st = firn_file_inspect(ctx, argv[1], stdout);
    if (st == FIRN_OK && fflush(stdout) != 0) st = FIRN_ERR_IO;
    if (st != FIRN_OK) fprintf(stderr, "inspect: %s\n", *firn_message(ctx) ? firn_message(ctx) : firn_status_text(st));
    firn_ctx_destroy(ctx);
    return st != FIRN_OK;
}
