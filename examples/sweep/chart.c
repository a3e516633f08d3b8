#include "chart.h"

#include <math.h>

/* Colours of Okabe and Ito 2008, which people with any kind of colour vision tell apart; and dashes and markers of their
 * own, so that a line is also known without colour. */
static const struct look {
    const char *colour, *dash;
} looks[CHART_LINES] = {{"#d55e00", "none"}, {"#0072b2", "none"}, {"#009e73", "7 5"}};

enum {
    WIDTH = 1150,
    HEADER = 185,
    PANEL_WIDTH = 565,
    PANEL_HEIGHT = 345,
    PLOT_LEFT = 78,
    PLOT_TOP = 44,
    PLOT_WIDTH = 345,
    PLOT_HEIGHT = 225,
    TICK = 15,
    TEXT = 16,
    HEADING = 18,
    TITLE = 27
};

/* ---- pieces ---- */

static void text(FILE *out, double x, double y, int size, const char *anchor, const char *more, const char *words)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" text-anchor=\"%s\" %s>", x, y, size, anchor, more);
    for (; *words != '\0'; words++) {
        if (*words == '&')
            fputs("&amp;", out);
        else if (*words == '<')
            fputs("&lt;", out);
        else
            fputc(*words, out);
    }
    fputs("</text>\n", out);
}

static void rule(FILE *out, double x1, double y1, double x2, double y2, const char *colour)
{
    fprintf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1, x2, y2, colour);
}

static void marker(FILE *out, int line, double x, double y)
{
    const char *colour = looks[line].colour;
    if (line == 0)
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/>\n", x, y, colour);
    else if (line == 1)
        fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\" fill=\"%s\"/>\n", x - 4.5, y - 4.5, colour);
    else
        fprintf(out, "<path d=\"M%.1f %.1f l6 10 h-12 z\" fill=\"%s\"/>\n", x, y - 6, colour);
}

static void segment(FILE *out, int line, double x1, double y1, double x2, double y2)
{
    fprintf(out,
            "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2.5\" "
            "stroke-dasharray=\"%s\"/>\n",
            x1, y1, x2, y2, looks[line].colour, looks[line].dash);
}

/* ---- a panel ---- */

typedef struct axis {
    double low, high, step;
    int digits; /* after the point */
} axis;

static void widen(double value, double *low, double *high)
{
    if (isnan(value)) return;
    if (value < *low) *low = value;
    if (value > *high) *high = value;
}

/* From 3 to 6 steps of 1, 2 or 5 times a power of ten. */
static axis choose_axis(const chart_panel *p)
{
    double low = (double)INFINITY, high = -low;
    for (int l = 0; l < p->n_lines; l++)
        for (int x = 0; x < CHART_X; x++) {
            widen(p->lines[l].middle[x], &low, &high);
            for (int d = 0; d < p->lines[l].n_dots[x]; d++) widen(p->lines[l].dots[x][d], &low, &high);
        }
    if (!(low <= high)) low = 0, high = 1;
    if (p->from_zero) low = 0;
    if (high - low < 1e-6) high = low + 1;
    double step = pow(10, floor(log10((high - low) / 3)));
    if (step * 5 <= (high - low) / 3)
        step *= 5;
    else if (step * 2 <= (high - low) / 3)
        step *= 2;
    axis a = {floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step, step, 0};
    for (double s = step; s < 0.999 && a.digits < 6; s *= 10) a.digits++;
    return a;
}

static double at_x(int x) { return PLOT_LEFT + 18 + (PLOT_WIDTH - 36) * (double)x / (CHART_X - 1); }
static double at_y(const axis *a, double y) { return PLOT_TOP + PLOT_HEIGHT * (a->high - y) / (a->high - a->low); }

static void draw_axes(const chart *c, const chart_panel *p, const axis *a, FILE *out)
{
    char words[64];
    text(out, 8, 20, HEADING, "start", "font-weight=\"bold\"", p->title);
    for (int i = 0; a->low + i * a->step <= a->high + a->step / 2; i++) {
        const double value = a->low + i * a->step, y = at_y(a, value);
        rule(out, PLOT_LEFT, y, PLOT_LEFT + PLOT_WIDTH, y, "#dddddd");
        snprintf(words, sizeof words, "%.*f", a->digits, value);
        text(out, PLOT_LEFT - 8, y + 5, TICK, "end", "", words);
    }
    rule(out, PLOT_LEFT, PLOT_TOP + PLOT_HEIGHT, PLOT_LEFT + PLOT_WIDTH, PLOT_TOP + PLOT_HEIGHT, "#333333");
    for (int x = 0; x < CHART_X; x++) {
        rule(out, at_x(x), PLOT_TOP + PLOT_HEIGHT, at_x(x), PLOT_TOP + PLOT_HEIGHT + 5, "#333333");
        snprintf(words, sizeof words, "%d", x);
        text(out, at_x(x), PLOT_TOP + PLOT_HEIGHT + 22, TICK, "middle", "", words);
        text(out, at_x(x), PLOT_TOP + PLOT_HEIGHT + 39, TICK - 1, "middle", "fill=\"#555555\"", c->x[x]);
    }
    text(out, PLOT_LEFT + PLOT_WIDTH / 2.0, PLOT_TOP + PLOT_HEIGHT + 60, TEXT, "middle", "", c->x_label);
    snprintf(words, sizeof words, "transform=\"rotate(-90 18 %d)\"", PLOT_TOP + PLOT_HEIGHT / 2);
    text(out, 18, PLOT_TOP + PLOT_HEIGHT / 2.0, TEXT, "middle", words, p->y_label);
}

static void draw_line(const chart_panel *p, int line, const axis *a, FILE *out)
{
    const chart_line *l = &p->lines[line];
    for (int x = 0; x < CHART_X; x++)
        for (int d = 0; d < l->n_dots[x]; d++)
            fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\" fill=\"%s\" fill-opacity=\"0.45\"/>\n",
                    at_x(x) + 7 * (line == 0 ? -1 : line), at_y(a, l->dots[x][d]), looks[line].colour);
    int last = -1;
    for (int x = 0; x < CHART_X; x++) {
        if (isnan(l->middle[x])) continue;
        if (last >= 0) segment(out, line, at_x(last), at_y(a, l->middle[last]), at_x(x), at_y(a, l->middle[x]));
        last = x;
    }
    for (int x = 0; x < CHART_X; x++)
        if (!isnan(l->middle[x])) marker(out, line, at_x(x), at_y(a, l->middle[x]));
}

/* Names and last values at the right end, pushed apart where they would overlap. */
static void label_lines(const chart *c, const chart_panel *p, const axis *a, FILE *out)
{
    enum { APART = 38 };
    int order[CHART_LINES];
    double y[CHART_LINES];
    for (int i = 0; i < p->n_lines; i++) { /* from the top down */
        const double at = at_y(a, p->lines[i].middle[CHART_X - 1]);
        int k = i;
        for (; k > 0 && y[k - 1] > at; k--) y[k] = y[k - 1], order[k] = order[k - 1];
        y[k] = at;
        order[k] = i;
    }
    for (int i = 1; i < p->n_lines; i++)
        if (y[i] < y[i - 1] + APART) y[i] = y[i - 1] + APART;
    const double below = p->n_lines > 0 ? y[p->n_lines - 1] - (PLOT_TOP + PLOT_HEIGHT - 8) : 0;
    for (int i = p->n_lines - 1; i >= 0 && below > 0; i--) {
        const double most = i == p->n_lines - 1 ? y[i] - below : y[i + 1] - APART;
        if (y[i] > most) y[i] = most;
    }
    for (int i = 0; i < p->n_lines; i++) {
        char words[64], more[64];
        snprintf(more, sizeof more, "fill=\"%s\" font-weight=\"bold\"", looks[order[i]].colour);
        text(out, PLOT_LEFT + PLOT_WIDTH + 4, y[i], TICK, "start", more, c->short_names[order[i]]);
        snprintf(words, sizeof words, "%.*f %s", a->digits + 1, p->lines[order[i]].middle[CHART_X - 1], p->unit);
        text(out, PLOT_LEFT + PLOT_WIDTH + 4, y[i] + 17, TICK, "start", more, words);
    }
}

/* ---- all ---- */

static void draw_legend(const chart *c, double y, FILE *out)
{
    double x = 30;
    for (int i = 0; i < CHART_LINES; i++) {
        segment(out, i, x, y - 5, x + 46, y - 5);
        marker(out, i, x + 23, y - 5);
        text(out, x + 54, y, TEXT, "start", "", c->names[i]);
        x += 360;
    }
}

void chart_write(const chart *c, FILE *out)
{
    const int height = HEADER + (c->n_panels + 1) / 2 * PANEL_HEIGHT;
    fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" fill=\"#222222\">\n",
            WIDTH, height, WIDTH, height);
    fprintf(out, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", WIDTH, height);
    text(out, 30, 42, TITLE, "start", "font-weight=\"bold\"", c->title);
    for (int i = 0; i < 3; i++) text(out, 30, 72 + 22 * i, TEXT, "start", "fill=\"#444444\"", c->notes[i]);
    draw_legend(c, 154, out);
    for (int i = 0; i < c->n_panels; i++) {
        const chart_panel *p = &c->panels[i];
        const axis a = choose_axis(p);
        fprintf(out, "<g transform=\"translate(%d %d)\">\n", 22 + i % 2 * PANEL_WIDTH, HEADER + i / 2 * PANEL_HEIGHT);
        draw_axes(c, p, &a, out);
        for (int l = 0; l < p->n_lines; l++) draw_line(p, l, &a, out);
        label_lines(c, p, &a, out);
        fprintf(out, "</g>\n");
    }
    fprintf(out, "</svg>\n");
}
