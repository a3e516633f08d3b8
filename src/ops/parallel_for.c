#include <firn/op.h>

#include "pool.h"

typedef struct loop {
    int64_t count, parts;
    void (*body)(void *arg, int64_t begin, int64_t end, int worker);
    void *arg;
} loop;

static void run_loop_part(void *arg, int64_t part, int worker)
{
    const loop *l = arg;
    const int64_t each = l->count / l->parts, rest = l->count % l->parts;
    const int64_t begin = part * each + (part < rest ? part : rest);
    l->body(l->arg, begin, begin + each + (part < rest), worker);
}

void firn_parallel_for(const firn_op_run *r, int64_t count, int64_t grain,
                       void (*body)(void *arg, int64_t begin, int64_t end, int worker), void *arg)
{
    if (count <= 0) return;
    const firn__crew crew = {r->ctx, r->worker};
    const int64_t most = count <= grain ? 1 : grain > 1 ? count / grain : count, threads = firn__crew_size(crew);
    loop l = {.count = count, .parts = most < threads ? most : threads, .body = body, .arg = arg};
    firn__parallel(crew, l.parts, run_loop_part, &l);
}
