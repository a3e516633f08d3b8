#include <firn/train.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Linux tells in files on which mount the standard streams are, and which mounts hold terminals. */
static bool is_elsewhere(const FILE *f)
{
    const char *path = f == stdout ? "/proc/self/fdinfo/1" : f == stderr ? "/proc/self/fdinfo/2" : NULL;
    FILE *info = path ? fopen(path, "r") : NULL, *mounts = info ? fopen("/proc/self/mountinfo", "r") : NULL;
    char line[1024];
    int own = -1, id = -1;
    bool terminals = false;
    while (info != NULL && own < 0 && fgets(line, sizeof line, info) != NULL)
        if (sscanf(line, "mnt_id: %d", &own) != 1) own = -1;
    while (mounts != NULL && !terminals && fgets(line, sizeof line, mounts) != NULL)
        terminals = sscanf(line, "%d", &id) == 1 && id == own && strstr(line, " - devpts ") != NULL;
    const bool told = mounts != NULL && own >= 0;
    if (info != NULL) fclose(info);
    if (mounts != NULL) fclose(mounts);
    return told && !terminals;
}

/* train.h says what counts as a terminal. */
static bool draws_bars(FILE *f)
{
    const char *term = getenv("TERM");
    if (term == NULL || *term == '\0' || strcmp(term, "dumb") == 0 || getenv("CI") != NULL) return false;
    return ftell(f) == -1L && !is_elsewhere(f);
}

static void print_metric(FILE *f, const char *name, float value)
{
    if (!isnan(value)) fprintf(f, "  %s %.4f", name, (double)value);
}

/* "12 s", "3:05 min", "1:02:03 h" */
static void print_time(FILE *f, double seconds)
{
    const long s = seconds < 1e9 ? (long)(seconds + 0.5) : 1000000000L;
    if (s < 60)
        fprintf(f, "%ld s", s);
    else if (s < 3600)
        fprintf(f, "%ld:%02ld min", s / 60, s % 60);
    else
        fprintf(f, "%ld:%02ld:%02ld h", s / 3600, s / 60 % 60, s % 60);
}

static void print_epoch(const firn_progress *p, FILE *f)
{
    fprintf(f, "epoch %d/%d", p->epoch, p->epochs);
    print_metric(f, "loss", p->loss);
    print_metric(f, "accuracy", p->accuracy);
    print_metric(f, "val_loss", p->val_loss);
    print_metric(f, "val_accuracy", p->val_accuracy);
    fprintf(f, "  %.2f s, %.0f samples/s%s\n", p->seconds, p->samples_per_second, p->cached ? " with cached features" : "");
}

static void print_bar(const firn_progress *p, FILE *f)
{
    enum { WIDTH = 30 };
    const int full = (int)(p->step * WIDTH / p->steps);
    const double left = (double)(p->steps - p->step) + (double)p->steps * (p->epochs - p->epoch);
    fprintf(f, "\repoch %d/%d [%.*s%.*s]", p->epoch, p->epochs, full, "##############################", WIDTH - full,
            "..............................");
    print_metric(f, "loss", p->loss);
    print_metric(f, "accuracy", p->accuracy);
    fprintf(f, "  %.0f/s  ETA ", p->samples_per_second);
    print_time(f, p->seconds / (double)p->step * left);
    fputs("   ", f);
}

int firn_progress_bar(const firn_progress *p, void *file)
{
    FILE *f = file;
    if (p == NULL || f == NULL) return 0;
    if (p->epoch_end) {
        if (draws_bars(f)) fprintf(f, "\r%*s\r", 100, ""); /* wipes the bar */
        print_epoch(p, f);
    } else if (p->steps > 0 && p->step * 100 / p->steps != (p->step - 1) * 100 / p->steps && draws_bars(f)) {
        print_bar(p, f);
    }
    fflush(f);
    return 0;
}
