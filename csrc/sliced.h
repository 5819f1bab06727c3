/* Spikes through 1-bit rows to sums: row_counts.h counts rows, step by step, or set_counts.h for steps together, and
   counts become numbers. */

#ifndef SPIKELET_SLICED_H
#define SPIKELET_SLICED_H

#include "row_sums.h"
#include "set_counts.h"
#include "sweep.h"

typedef struct sliced_scratch {
    event_lists lists;
    uint32_t *events[STREAMS];
    int32_t *unused; /* sums of a stream past the last one */
    uint8_t *others; /* of positions of a window after its first */
    sweep_scratch sweep;
} sliced_scratch;

SPK_INLINE sliced_scratch sliced_carve(const spk_op *op, spk_area *area) {
    sliced_scratch s;
    const size_t lanes = pixel_row(op) * 8;
    s.lists = events_carve(op, area);
    for (size_t i = 0; i < STREAMS; i++)
        s.events[i] = spk_carve(area, i < most_streams(op) ? events_capacity(op) * sizeof(uint32_t) : 0);
    s.unused = spk_carve(area, lanes * sizeof(int32_t));
    s.sweep = sweep_carve(op, lanes, 0, area);
    const size_t others = window_positions(op) > 1 ? most_places(op) * chunk_steps(op, 0) * lanes : 0;
    s.others = spk_carve(area, others * sizeof(int32_t));
    return s;
}

static int64_t sliced_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)sliced_carve(op, &area);
    return (int64_t)area.used;
}

static void sliced_begin(void *kernel, const spk_op *op, const spk_frame *f, size_t y) {
    sliced_scratch *s = kernel;
    events_begin_row(op, f, &s->lists, y);
}

/* Counts in planes to sums: of `blocks` of outputs, or places side by side. */
SPK_INLINE void place_sums(const spk_op *op, const wide *planes, size_t used, uint8_t *const *to,
                           const uint32_t *events, int block, int blocks) {
    if (op->short_sums)
        counts_to_sums(planes, used, to, events, block, blocks, 1);
    else
        counts_to_sums(planes, used, to, events, block, blocks, 0);
}

/* A column's counts to the sums of `n` places, at most as many as lie side by side. */
SPK_INLINE void put_column(const sliced_scratch *s, const spk_op *op, const wide *planes, size_t used,
                           uint8_t *const *sums, const uint32_t events[PIXELS], size_t n, size_t column, int parts) {
    if (parts > WHOLE) {
        uint8_t *to[PIXELS];
        for (size_t i = 0; i < (size_t)parts; i++) to[i] = i < n ? sums[i] : (uint8_t *)s->unused;
        place_sums(op, planes, used, to, events, WIDE / parts, parts);
    } else {
        const size_t block = 8 * 32 * (size_t)(op->short_sums ? 2 : 4);
        uint8_t *const first = sums[0] + column / 32 * block;
        uint8_t *const to[2] = {first, first + block};
        const uint32_t both[2] = {events[0], events[0]};
        if (parts == WHOLE)
            place_sums(op, planes, used, to, both, 32, WIDE / 32);
        else
            place_sums(op, planes, used, to, both, 32, 1);
    }
}

/* The same, whatever fills the column. */
static void put_counted(const sliced_scratch *s, const spk_op *op, const wide *planes, size_t used,
                        uint8_t *const *sums, const uint32_t events[PIXELS], size_t n, size_t column) {
    const int parts = parts_at(op, column);
    if (parts == WHOLE)
        put_column(s, op, planes, used, sums, events, n, column, WHOLE);
    else if (parts == HALF)
        put_column(s, op, planes, used, sums, events, n, column, HALF);
    else if (parts == 2)
        put_column(s, op, planes, used, sums, events, n, column, 2);
    else
        put_column(s, op, planes, used, sums, events, n, column, 4);
}

/* A column of `n` places that are listed. */
SPK_INLINE void sliced_column(const sliced_scratch *s, const spk_op *op, streams *e, uint8_t *const *sums,
                              const uint32_t events[PIXELS], size_t n, size_t column, int read) {
    wide planes[PLANES];
    e->weight = (const uint8_t *)op->weight + column;
    const size_t used = sliced_count(planes, e, read);
    if (row_pixels(op) == 1)
        put_column(s, op, planes, used, sums, events, n, column, read);
    else
        put_counted(s, op, planes, used, sums, events, n, column);
}

SPK_INLINE void sliced_columns(const sliced_scratch *s, const spk_op *op, const stream_place *at, uint8_t *const *sums,
                               size_t n, int read) {
    const size_t row = (size_t)op->row_bytes;
    uint32_t events[PIXELS];
    streams e;
    list_streams(op, &s->lists, at, n, side_by_side(read), s->events, events, &e);
    for (size_t column = 0; column < row; column += WIDE) {
        if (read == WHOLE && column + WIDE > row)
            sliced_column(s, op, &e, sums, events, n, column, HALF);
        else
            sliced_column(s, op, &e, sums, events, n, column, read);
    }
}

/* Sums of `n` places, at most as many as lie side by side. */
SPK_INLINE void sliced_places(const sliced_scratch *s, const spk_op *op, const stream_place *at, uint8_t *const *sums,
                              size_t n) {
    const int read = read_at(op, 0);
    if (read <= WHOLE)
        sliced_columns(s, op, at, sums, n, WHOLE);
    else if (read == 2)
        sliced_columns(s, op, at, sums, n, 2);
    else
        sliced_columns(s, op, at, sums, n, 4);
}

/* Places that lie side by side in a vector, and those whose lists do. */
SPK_INLINE size_t sliced_places_beside(const spk_op *op) { return side_by_side(parts_at(op, 0)); }
SPK_INLINE size_t sliced_lists_beside(const spk_op *op) { return side_by_side(read_at(op, 0)); }

SPK_INLINE size_t sliced_sum_bytes(const spk_op *op, const sliced_scratch *s) {
    return s->sweep.lanes * (op->short_sums ? 2 : 4);
}

/* A column of `n` pixels at the steps of a block, of which there are `steps`: the sums of pixel i begin at to[i]. */
static void sliced_block_column(const sliced_scratch *s, const spk_op *op, set_lists *l, uint8_t *const *to, size_t n,
                                size_t steps, size_t column) {
    const size_t bytes = sliced_sum_bytes(op, s);
    wide planes[TOGETHER][PLANES];
    const size_t used = row_counter_of(read_at(op, column))(planes, l, (const uint8_t *)op->weight + column);
    for (size_t k = 0; k < steps; k++) {
        uint8_t *sums[PIXELS];
        for (size_t i = 0; i < n; i++) sums[i] = to[i] + k * bytes;
        put_counted(s, op, planes[k], used, sums, l->events[k], n, column);
    }
}

/* Sums of `n` positions side by side, block after block, for `rows` steps from t on; position i's begin at to[i]. */
SPK_INLINE void sliced_blocks(const sliced_scratch *s, const spk_op *op, const spk_frame *f, const event_window *at,
                              uint8_t *const *to, size_t n, size_t t, size_t rows) {
    const size_t together = s->lists.by.steps, bytes = sliced_sum_bytes(op, s);
    set_lists l;
    for (size_t k = 0; k < rows && !spk_stopped(f); k += together) {
        const size_t steps = rows - k < together ? rows - k : together;
        uint8_t *sums[PIXELS];
        for (size_t i = 0; i < n; i++) sums[i] = to[i] + k * bytes;
        join_sets(op, &s->lists, at, n, sliced_lists_beside(op), (t + k) / together, s->events, &l);
        for (size_t column = 0; column < (size_t)op->row_bytes; column += WIDE)
            sliced_block_column(s, op, &l, sums, n, steps, column);
    }
}

/* The same, step by step: positions side by side, and their steps, unless they share rows. */
SPK_INLINE void sliced_steps(const sliced_scratch *s, const spk_op *op, const spk_frame *f, const event_window *windows,
                             uint8_t *const *to, size_t n, size_t t, size_t rows) {
    const size_t bytes = sliced_sum_bytes(op, s), all = n * rows, shared = row_pixels(op) > 1;
    const size_t together = shared ? n : sliced_places_beside(op);
    size_t p = 0, step = 0;
    for (size_t r = 0; r < all && !spk_stopped(f); r += together) {
        stream_place at[PIXELS];
        uint8_t *place[PIXELS];
        const size_t here = all - r < together ? all - r : together;
        for (size_t i = 0; i < here; i++) {
            at[i] = (stream_place){windows + p, t + step};
            place[i] = to[p] + step * bytes;
            if (shared && ++p == n) p = 0, step++;
            if (!shared && ++step == rows) step = 0, p++;
        }
        sliced_places(s, op, at, place, here);
    }
}

/* Positions side by side in a row of a tile's windows: their pixels' sums, and where theirs go: to the same place of
   the first of a window, of which another may be larger. */
typedef struct sliced_span {
    event_window window[PIXELS];
    uint8_t *largest[PIXELS], *to[PIXELS];
    size_t there;
} sliced_span;

/* Sums of positions, the largest of each window. */
SPK_INLINE void sliced_positions(const sliced_scratch *s, const spk_op *op, const spk_frame *f, const sliced_span *at,
                                 size_t t, size_t rows) {
    if (s->lists.by.lists > 1)
        sliced_blocks(s, op, f, at->window, at->to, at->there, t, rows);
    else
        sliced_steps(s, op, f, at->window, at->to, at->there, t, rows);
    for (size_t i = 0; i < at->there; i++)
        if (at->to[i] != at->largest[i]) keep_largest(op, at->largest[i], at->to[i], rows * s->sweep.lanes);
}

/* A tile's sums, several positions side by side. */
static void sliced_tile(void *kernel, const spk_op *op, const spk_frame *f, const tile *m, size_t y, size_t x,
                        size_t t) {
    const sliced_scratch *s = kernel;
    const size_t bytes = sliced_sum_bytes(op, s), steps = m->steps * bytes;
    const size_t wide = (size_t)op->max_w, high = (size_t)op->max_h;
    const size_t together = sliced_places_beside(op), width = m->pixels * wide;
    uint8_t *pixel = (uint8_t *)m->sums;
    sliced_span at;
    for (size_t p = 0, column = 0; p < width; p += at.there) {
        size_t first[PIXELS];
        at.there = width - p < together ? width - p : together;
        for (size_t i = 0; i < at.there; i++) {
            first[i] = column == 0;
            at.largest[i] = pixel;
            if (++column == wide) column = 0, pixel += steps;
        }
        for (size_t row = 0; row < high && !spk_stopped(f); row++) {
            for (size_t i = 0; i < at.there; i++) {
                at.window[i] = window_of(op, &s->lists, y * high + row, x * wide + p + i);
                at.to[i] = row == 0 && first[i] ? at.largest[i] : s->others + i * steps;
            }
            sliced_positions(s, op, f, &at, t, m->rows);
        }
    }
    for (size_t p = 0; p < m->pixels; p++) clear_row_pads(op, (uint8_t *)m->sums + p * steps, m->rows, bytes);
}

static void conv_sliced(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    sliced_scratch s = sliced_carve(op, &area);
    count_together(op, f, &s.lists, sliced_lists_beside(op));
    sweep_tiles(op, f, &s.sweep, &s, sliced_begin, NULL, sliced_tile);
}

#endif
