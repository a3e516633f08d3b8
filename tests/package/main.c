/* A program of somebody else's, in C and in C++: what .ci/run links with the installed package. */
#include <firn/firn.h>

int main(void)
{
    firn_ctx *ctx = NULL;
    if (firn_ctx_create(&ctx, NULL) != FIRN_OK) return 1;
    firn_model *m = firn_model_create(ctx);
    firn_tensor *x = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 2));
    if (x == NULL) return 1;
    printf("%d.%d.%d\n", FIRN_VERSION_MAJOR, FIRN_VERSION_MINOR, FIRN_VERSION_PATCH);
    firn_ctx_destroy(ctx);
    return 0;
}
