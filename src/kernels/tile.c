#include "tile.h"

const firn__tile_set *firn__tile_set_for(const firn__tiles *tiles, int64_t columns)
{
    const firn__tile_set *set = tiles->sets;
    while (set->width < columns && set->width < tiles->panel) set++;
    return set;
}

const firn__tile_set *firn__tile_set_best(const firn__tiles *tiles, int64_t rows, int64_t columns)
{
    const firn__tile_set *best = firn__tile_set_for(tiles, columns);
    int64_t most = 0;
    for (const firn__tile_set *s = best; s < tiles->sets + tiles->set_count && (s == best || s->width <= columns); s++) {
        const int64_t in_registers = rows / firn__ceil_div(rows, s->max_rows) * s->width;
        if (in_registers > most) most = in_registers, best = s;
    }
    return best;
}

int64_t firn__tile_packed_columns(const firn__tiles *tiles, int64_t columns)
{
    const int64_t whole = columns / tiles->panel * tiles->panel;
    return whole == columns ? columns : whole + firn__tile_set_for(tiles, columns - whole)->width;
}

void firn__tile_run(const firn__tile_set *set, firn__tile *t, int64_t rows)
{
    const float *a = t->a;
    float *c = t->c;
    const int64_t column = t->column, count = firn__ceil_div(rows, set->max_rows);
    for (int64_t i = 0; i < count; i++) {
        const int64_t height = rows / count + (i < rows % count);
        set->of_rows[height - 1](t);
        t->a += height * t->a_row;
        t->c += t->turned ? height : height * t->ldc;
        if (t->turned) t->column += height;
    }
    t->a = a;
    t->c = c;
    t->column = column;
}

void firn__tile_run_columns(const firn__tiles *tiles, const firn__tile_set *best, firn__tile *t, int64_t rows,
                            int64_t columns, int64_t depth, int64_t skip)
{
    const float *b = t->b;
    float *c = t->c;
    const int64_t column = t->column;
    t->b_panel = depth > 0 ? tiles->panel * depth : tiles->panel;
    t->padded = depth > 0;
    for (int64_t j = 0, width; j < columns; j += width) {
        const firn__tile_set *set = columns - j >= best->width ? best : firn__tile_set_for(tiles, columns - j);
        width = set->width;
        if (depth > 0) t->ldb = firn__min(width, tiles->panel);
        t->b = depth > 0 ? b + j * depth + skip * t->ldb : b + j;
        t->c = c + (t->turned ? j * t->ldc : j);
        if (!t->turned) t->column = column + j;
        t->columns = firn__min(width, columns - j);
        firn__tile_run(set, t, rows);
    }
}
