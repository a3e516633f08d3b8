#include <stdarg.h>
#include <string.h>

#include "ctx.h"

static const struct status_row {
    firn_status value;
    const char *name, *text;
} status_rows[] = {
#define FIRN_X(name, value, text) {FIRN_##name, #name, text},
    FIRN_STATUS_MAP(FIRN_X)
#undef FIRN_X
};

static const struct status_row *find_status(firn_status st)
{
    for (size_t i = 0; i < sizeof status_rows / sizeof *status_rows; i++)
        if (status_rows[i].value == st) return &status_rows[i];
    return NULL;
}

const char *firn_status_name(firn_status st)
{
    const struct status_row *row = find_status(st);
    return row ? row->name : "?";
}

const char *firn_status_text(firn_status st)
{
    const struct status_row *row = find_status(st);
    return row ? row->text : "unknown status";
}

const char *firn_message(const firn_ctx *ctx) { return ctx ? ctx->message : ""; }
firn_status firn_last_error(const firn_ctx *ctx) { return ctx ? ctx->error : FIRN_OK; }

void firn_clear_error(firn_ctx *ctx)
{
    if (ctx == NULL) return;
    ctx->error = FIRN_OK;
    ctx->unbuilt = false;
    ctx->message[0] = '\0';
}

firn_status firn_fail(firn_ctx *ctx, firn_status st, const char *format, ...)
{
    if (ctx == NULL || ctx->error != FIRN_OK) return st;
    ctx->error = st;
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(ctx->message, sizeof ctx->message, format, args);
    va_end(args);
    if (length < 0) ctx->message[0] = '\0';
    if (length >= (int)sizeof ctx->message) memcpy(ctx->message + sizeof ctx->message - 4, "...", 4);
    return st;
}

firn_status firn__no_memory(firn_ctx *ctx)
{
    return firn_fail(ctx, FIRN_ERR_MEMORY, "%s", firn_status_text(FIRN_ERR_MEMORY));
}
