/* Runs that write a checkpoint after every step are killed at 200 random moments, resumed each time, and end with the bits
 * of the run that was left alone. POSIX: fork, kill. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io_support.h"

enum { SAMPLES = 60, BATCH = 4, EPOCHS = 4, KILLS = 200 };

static const char *const path = "firn_kill", *const older = "firn_kill.1", *const result = "firn_kill_result";

static int save_every_step(const firn_progress *p, void *user)
{
    (void)p;
    return firn_checkpoint_save(user, path, NULL) != FIRN_OK;
}

/* The whole run, or what is left of it; in a process of its own, so without cmocka. */
static int run(bool checkpoints, const char *out)
{
    static float x[SAMPLES * 8];
    static uint8_t labels[SAMPLES];
    test_fill(x, SAMPLES * 8, 1, -1, 1);
    test_fill_bytes(labels, SAMPLES, 2, 3);
    const firn_feed feeds[] = {{"x", x}, {"label", labels}};
    const firn_dataset data = {SAMPLES, feeds, 2, NULL};
    const firn_freeze_event events[] = {{.step = 10, .selector = "fc1"}, {.step = 30, .unfreeze = true, .selector = "fc1"}};
    firn_ctx *ctx = NULL;
    firn_trainer *t = NULL;
    if (firn_ctx_create(&ctx, &(firn_ctx_options){.threads = 1}) != FIRN_OK) return 1;
    firn_model *m = firn_model_create(ctx);
    firn_tensor *h = firn_input(m, "x", FIRN_F32, FIRN_SHAPE(FIRN_BATCH, 8));
    h = firn_dropout(firn_relu(firn_nn_linear(h, "fc1", &(firn_nn_linear_cfg){.out = 16})), 0.2f);
    h = firn_nn_linear(h, "fc2", &(firn_nn_linear_cfg){.out = 3});
    firn_tensor *loss = firn_cross_entropy(h, firn_input(m, "label", FIRN_U8, FIRN_SHAPE(FIRN_BATCH)), NULL);
    firn_status st = firn_trainer_create(&t, loss, h, &(firn_trainer_options){.batch = BATCH, .optim = firn_adam(0.01f)});
    if (st == FIRN_OK && checkpoints && (file_exists(path) || file_exists(older))) st = firn_checkpoint_load(t, path, NULL);
    firn_fit_options how = {.epochs = EPOCHS, .events = events, .n_events = 2, .user = t};
    if (checkpoints) how.on_progress = save_every_step;
    if (st == FIRN_OK) st = firn_fit(t, &data, &how);
    if (st == FIRN_OK) st = firn_save(m, out);
    if (st != FIRN_OK) fprintf(stderr, "%s: %s\n", firn_status_name(st), firn_message(ctx));
    firn_trainer_destroy(t);
    firn_ctx_destroy(ctx);
    return st != FIRN_OK;
}

static void wait_microseconds(uint64_t n)
{
    const struct timespec t = {(time_t)(n / 1000000), (long)(n % 1000000) * 1000};
    nanosleep(&t, NULL);
}

static void remove_checkpoints(void)
{
    remove(path);
    remove(older);
    remove("firn_kill.tmp");
}

static bool is_whole(firn_ctx *ctx, const char *at)
{
    FILE *out = tmpfile();
    firn_clear_error(ctx);
    const bool whole = firn_file_inspect(ctx, at, out) == FIRN_OK;
    fclose(out);
    return whole;
}

static void a_killed_run_resumes_to_the_same_bits(void **state)
{
    (void)state;
    firn_ctx *ctx = test_ctx(NULL, 1, NULL);
    uint64_t random = 7;
    int kills = 0, finished = 0;
    remove_checkpoints();
    assert_int_equal(run(false, "firn_kill_expected"), 0);
    while (kills < KILLS) {
        const bool begun = file_exists(path) || file_exists(older);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) _exit(run(true, result));
        wait_microseconds(test_random(&random) % 12000);
        int status = 0;
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status)) {
            kills++;
            if (begun) assert_true(is_whole(ctx, path) || is_whole(ctx, older));
            continue;
        }
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_files_equal(result, "firn_kill_expected");
        finished++;
        remove_checkpoints();
    }
    print_message("%d kills, %d runs finished between them\n", kills, finished);
    remove_checkpoints();
    assert_int_equal(run(true, result), 0);
    assert_files_equal(result, "firn_kill_expected");
    remove_checkpoints();
    remove(result);
    remove("firn_kill_expected");
    firn_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_killed_run_resumes_to_the_same_bits)};
    return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
