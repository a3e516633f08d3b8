#include "show.h"

#include <stdio.h>

static int true_class(const answers *a, size_t sample) { return a->labels[a->set->rows[sample]]; }

void show_confusion(const answers *a)
{
    const int n = a->classes;
    printf("confusion (rows: true class, columns: predicted)\n      ");
    for (int c = 0; c < n; c++) printf("%6d", a->first + c);
    for (int r = 0; r < n; r++) {
        printf("\n%6d", a->first + r);
        for (int c = 0; c < n; c++) {
            int count = 0;
            for (size_t i = 0; i < a->set->count; i++) count += true_class(a, i) == r && a->predicted[i] == c;
            printf("%6d", count);
        }
    }
    printf("\n\n");
}

enum { SHOWN = 3 };

static void choose_shown(const answers *a, size_t shown[SHOWN])
{
    int correct = 0, wrong = SHOWN;
    for (size_t i = 0; i < a->set->count; i++) {
        const bool right = true_class(a, i) == a->predicted[i];
        if (right && correct < SHOWN - 1 && correct < wrong) shown[correct++] = i;
        if (!right && wrong > SHOWN - 1) shown[--wrong] = i;
    }
}

/* Two rows of pixels a line. */
void show_images(const answers *a)
{
    static const char shades[] = " .:-=+*#%@";
    const int64_t height = a->pixels->shape.dim[1], width = a->pixels->shape.dim[2];
    size_t shown[SHOWN] = {0};
    choose_shown(a, shown);
    for (int64_t y = 0; y + 1 < height; y += 2) {
        for (int s = 0; s < SHOWN; s++) {
            const uint8_t *p = a->pixels->data + (a->set->rows[shown[s]] * height + y) * width;
            for (int64_t x = 0; x < width; x++) putchar(shades[(p[x] + p[x + width]) * 9 / 510]);
            putchar(' ');
        }
        putchar('\n');
    }
    for (int s = 0; s < SHOWN; s++)
        printf("%d taken for %-*d ", a->first + true_class(a, shown[s]), (int)width - 12,
               a->first + a->predicted[shown[s]]);
    printf("\n\n");
}
