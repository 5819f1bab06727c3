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
    sweep_scratch sweep;
} sliced_scratch;

SPK_INLINE sliced_scratch sliced_carve(const spk_op *op, spk_area *area) {
    sliced_scratch s;
    const size_t lanes = (size_t)op->row_bytes * 8;
    s.lists = events_carve(op, area);
    for (size_t i = 0; i < STREAMS; i++)
        s.events[i] = spk_carve(area, i < most_streams(op) ? events_capacity(op) * sizeof(uint32_t) : 0);
    s.unused = spk_carve(area, lanes * sizeof(int32_t));
    s.sweep = sweep_carve(op, lanes, 0, area);
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
                           uint8_t *const *sums, const uint32_t events[STREAMS], size_t n, size_t column, int parts) {
    if (parts > WHOLE) {
        uint8_t *to[STREAMS];
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

/* A column of `n` places that are listed. */
SPK_INLINE void sliced_column(const sliced_scratch *s, const spk_op *op, streams *e, uint8_t *const *sums,
                              const uint32_t events[STREAMS], size_t n, size_t column, int parts) {
    wide planes[PLANES];
    e->weight = (const uint8_t *)op->weight + column;
    const size_t used = sliced_count(planes, e, parts);
    put_column(s, op, planes, used, sums, events, n, column, parts);
}

SPK_INLINE void sliced_columns(const sliced_scratch *s, const spk_op *op, const stream_place *at, uint8_t *const *sums,
                               size_t n, int parts) {
    const size_t row = (size_t)op->row_bytes;
    uint32_t events[STREAMS];
    streams e;
    list_streams(op, &s->lists, at, n, side_by_side(parts), s->events, events, &e);
    for (size_t column = 0; column < row; column += WIDE) {
        if (parts == WHOLE && column + WIDE > row)
            sliced_column(s, op, &e, sums, events, n, column, HALF);
        else
            sliced_column(s, op, &e, sums, events, n, column, parts);
    }
}

/* Sums of `n` places, at most as many as lie side by side. */
SPK_INLINE void sliced_places(const sliced_scratch *s, const spk_op *op, const stream_place *at, uint8_t *const *sums,
                              size_t n) {
    const int parts = parts_at(op, 0);
    if (parts == 2)
        sliced_columns(s, op, at, sums, n, 2);
    else if (parts == 4)
        sliced_columns(s, op, at, sums, n, 4);
    else
        sliced_columns(s, op, at, sums, 1, WHOLE);
}

SPK_INLINE size_t sliced_side_by_side(const spk_op *op) { return side_by_side(parts_at(op, 0)); }

SPK_INLINE size_t sliced_sum_bytes(const spk_op *op, const sliced_scratch *s) {
    return s->sweep.lanes * (op->short_sums ? 2 : 4);
}

/* A column of `n` pixels at the steps of a block, of which there are `steps`: the sums of pixel i begin at to[i]. */
static void sliced_block_column(const sliced_scratch *s, const spk_op *op, set_lists *l, uint8_t *const *to, size_t n,
                                size_t steps, size_t column) {
    const size_t bytes = sliced_sum_bytes(op, s);
    const int parts = parts_at(op, column);
    wide planes[TOGETHER][PLANES];
    const size_t used = row_counter_of(parts)(planes, l, (const uint8_t *)op->weight + column);
    for (size_t k = 0; k < steps; k++) {
        uint8_t *sums[STREAMS];
        for (size_t i = 0; i < n; i++) sums[i] = to[i] + k * bytes;
        if (parts == WHOLE)
            put_column(s, op, planes[k], used, sums, l->events[k], n, column, WHOLE);
        else if (parts == HALF)
            put_column(s, op, planes[k], used, sums, l->events[k], n, column, HALF);
        else if (parts == 2)
            put_column(s, op, planes[k], used, sums, l->events[k], n, column, 2);
        else
            put_column(s, op, planes[k], used, sums, l->events[k], n, column, 4);
    }
}

/* Sums of `n` pixels side by side, block after block, for `rows` steps from t on. */
SPK_INLINE void sliced_blocks(const sliced_scratch *s, const spk_op *op, const spk_frame *f, const event_window *at,
                              uint8_t **to, size_t n, size_t t, size_t rows) {
    const size_t together = s->lists.by.steps, bytes = sliced_sum_bytes(op, s);
    set_lists l;
    for (size_t k = 0; k < rows && !spk_stopped(f); k += together) {
        const size_t steps = rows - k < together ? rows - k : together;
        join_sets(op, &s->lists, at, n, sliced_side_by_side(op), (t + k) / together, s->events, &l);
        for (size_t column = 0; column < (size_t)op->row_bytes; column += WIDE)
            sliced_block_column(s, op, &l, to, n, steps, column);
        for (size_t i = 0; i < n; i++) to[i] += steps * bytes;
    }
}

static void sliced_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                              size_t rows, void *sums) {
    const sliced_scratch *s = kernel;
    const event_window w = window_of(op, &s->lists, y, x);
    const size_t bytes = sliced_sum_bytes(op, s), together = sliced_side_by_side(op);
    uint8_t *const to = sums, *next = sums;
    if (s->lists.by.lists > 1) {
        sliced_blocks(s, op, f, &w, &next, 1, t, rows);
    } else {
        for (size_t r = 0; r < rows && !spk_stopped(f); r += together) {
            stream_place at[STREAMS];
            uint8_t *place[STREAMS];
            const size_t n = rows - r < together ? rows - r : together;
            for (size_t i = 0; i < n; i++) {
                at[i] = (stream_place){w, t + r + i};
                place[i] = to + (r + i) * bytes;
            }
            sliced_places(s, op, at, place, n);
        }
    }
    clear_row_pads(op, to, rows, bytes);
}

/* A tile's sums, step by step: several pixels or steps side by side. */
SPK_INLINE void sliced_tile_steps(const sliced_scratch *s, const spk_op *op, const spk_frame *f, const tile *m,
                                  size_t y, size_t x, size_t t) {
    const size_t bytes = sliced_sum_bytes(op, s), together = sliced_side_by_side(op), all = m->pixels * m->rows;
    for (size_t r = 0; r < all && !spk_stopped(f); r += together) {
        stream_place at[STREAMS];
        uint8_t *place[STREAMS];
        const size_t n = all - r < together ? all - r : together;
        for (size_t i = 0; i < n; i++) {
            const size_t p = (r + i) / m->rows, step = (r + i) % m->rows;
            at[i] = (stream_place){window_of(op, &s->lists, y, x + p), t + step};
            place[i] = (uint8_t *)m->sums + (p * m->steps + step) * bytes;
        }
        sliced_places(s, op, at, place, n);
    }
}

/* A tile's sums, of steps together: several pixels side by side. */
SPK_INLINE void sliced_tile_blocks(const sliced_scratch *s, const spk_op *op, const spk_frame *f, const tile *m,
                                   size_t y, size_t x, size_t t) {
    const size_t bytes = sliced_sum_bytes(op, s), together = sliced_side_by_side(op);
    for (size_t p = 0; p < m->pixels; p += together) {
        event_window at[STREAMS];
        uint8_t *to[STREAMS];
        const size_t n = m->pixels - p < together ? m->pixels - p : together;
        for (size_t i = 0; i < n; i++) {
            at[i] = window_of(op, &s->lists, y, x + p + i);
            to[i] = (uint8_t *)m->sums + (p + i) * m->steps * bytes;
        }
        sliced_blocks(s, op, f, at, to, n, t, m->rows);
    }
}

static void sliced_tile(void *kernel, const spk_op *op, const spk_frame *f, const tile *m, size_t y, size_t x,
                        size_t t) {
    const sliced_scratch *s = kernel;
    const size_t bytes = sliced_sum_bytes(op, s);
    if (s->lists.by.lists > 1)
        sliced_tile_blocks(s, op, f, m, y, x, t);
    else
        sliced_tile_steps(s, op, f, m, y, x, t);
    for (size_t p = 0; p < m->pixels; p++)
        clear_row_pads(op, (uint8_t *)m->sums + p * m->steps * bytes, m->rows, bytes);
}

static void conv_sliced(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    sliced_scratch s = sliced_carve(op, &area);
    const size_t beside = sliced_side_by_side(op);
    if (beside == 1 || window_positions(op) == 1) /* else one pixel at a time, whose steps lie side by side */
        count_together(op, f, &s.lists, beside);
    sweep_tiles(op, f, &s.sweep, &s, sliced_begin, sliced_accumulate, sliced_tile);
}

#endif
