/* show.h: what a net says about images, for a terminal. */
#ifndef SHOW_H
#define SHOW_H
#include <firn/firn.h>

typedef struct answers {
    const firn_idx *pixels;  /* [N, H, W] */
    const uint8_t *labels;   /* of all N: classes from 0 */
    const firn_dataset *set; /* which of them were asked about: set->rows */
    const int *predicted;    /* class by sample of the set */
    int first, classes;      /* class 0 is shown as first */
} answers;

/* A few images side by side, with what the net says. The last ones are mistakes. */
void show_images(const answers *a);
void show_confusion(const answers *a);

#endif
