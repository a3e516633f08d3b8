/* chart.h: panels of lines over the depth of a net, as SVG. */
#ifndef CHART_H
#define CHART_H
#include <stdbool.h>
#include <stdio.h>

enum { CHART_X = 6, CHART_LINES = 3, CHART_DOTS = 64, CHART_PANELS = 6 };

typedef struct chart_line {
    double middle[CHART_X];           /* NAN: no point there */
    double dots[CHART_X][CHART_DOTS]; /* what it is the middle of */
    int n_dots[CHART_X];
} chart_line;

typedef struct chart_panel {
    const char *title, *y_label, *unit;
    bool from_zero; /* else the axis begins where the values do */
    int n_lines;
    chart_line lines[CHART_LINES];
} chart_panel;

typedef struct chart {
    const char *title, *notes[3], *x_label;
    const char *x[CHART_X];               /* under the axis */
    const char *names[CHART_LINES];       /* of the lines, in every panel */
    const char *short_names[CHART_LINES]; /* at the end of each line, above its last value */
    int n_panels;                         /* two in a row */
    chart_panel panels[CHART_PANELS];
} chart;

void chart_write(const chart *c, FILE *out);

#endif
