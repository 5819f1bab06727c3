/* Spikes through 1-bit rows: a weight row of 256 outputs is one vector, and counting its ones over all
   events needs neither widening nor multiplication. Counters stand upright: plane p holds bit p of
   every output's count, and a carry-save adder takes two more rows in five instructions.

   With codes +1 and -1:   n = (ones) - (events - ones) = 2 ones - events.

   Rows of two words leave room in a vector for a second time step, with its own list, the shorter one filled up with
   the row of zeros. */

#ifndef SPIKELET_SLICED_H
#define SPIKELET_SLICED_H

#include "row_sums.h"
#include "sweep.h"

enum { PLANES = 16, STREAMS = 2 }; /* counts up to 2^16 - 1 */

/* *sum + a + b -> *sum + 2 carry */
SPK_INLINE vec add_rows(vec *sum, vec a, vec b) {
    const vec u = v_xor(*sum, a), carry = v_or(v_and(*sum, a), v_and(u, b));
    *sum = v_xor(u, b);
    return carry;
}

/* The events of streams side by side, as many of each, and the weights from some output on. */
typedef struct streams {
    const uint8_t *weight;
    const uint32_t *events[STREAMS];
    size_t n; /* a multiple of UNIT */
} streams;

/* Row i of every stream, side by side. */
SPK_INLINE vec sliced_row(const streams *e, size_t i, int count) {
    if (count == 1) return v_load(e->weight + e->events[0][i]);
    return v_load2(e->weight + e->events[0][i], e->weight + e->events[1][i]);
}

/* Rows i to i + 7 into planes 0, 1, 2; returns the carry into plane 3. */
SPK_INLINE vec sliced_eight(vec planes[PLANES], const streams *e, size_t i, int count) {
#define ROW(k) sliced_row(e, i + (k), count)
    const vec twos_a = add_rows(&planes[0], ROW(0), ROW(1)), twos_b = add_rows(&planes[0], ROW(2), ROW(3));
    const vec fours_a = add_rows(&planes[1], twos_a, twos_b);
    const vec twos_c = add_rows(&planes[0], ROW(4), ROW(5)), twos_d = add_rows(&planes[0], ROW(6), ROW(7));
    const vec fours_b = add_rows(&planes[1], twos_c, twos_d);
#undef ROW
    return add_rows(&planes[2], fours_a, fours_b);
}

/* Adds `carry` to the counter of planes `from` .. `end` - 1. */
SPK_INLINE void sliced_ripple(vec planes[PLANES], vec carry, size_t from, size_t end) {
    for (size_t p = from; p < end; p++) {
        const vec before = planes[p];
        planes[p] = v_xor(before, carry);
        carry = v_and(before, carry);
    }
}

/* Counts the rows of a vector of outputs; returns the planes used. */
SPK_INLINE size_t sliced_count(vec planes[PLANES], const streams *e, int count) {
    size_t end = 4, i = 0;
    while ((e->n >> end) != 0) end++;
    vec low[PLANES]; /* planes 0 .. 3 stay in registers */
    for (size_t p = 0; p < 4; p++) low[p] = v_zero();
    for (size_t p = 4; p < end; p++) planes[p] = v_zero();
    for (; i + 16 <= e->n; i += 16) {
        const vec a = sliced_eight(low, e, i, count), b = sliced_eight(low, e, i + 8, count);
        sliced_ripple(planes, add_rows(&low[3], a, b), 4, end);
    }
    if (i < e->n) {
        const vec a = sliced_eight(low, e, i, count), before = low[3];
        low[3] = v_xor(before, a);
        sliced_ripple(planes, v_and(before, a), 4, end);
    }
    for (size_t p = 0; p < 4; p++) planes[p] = low[p];
    return end;
}

typedef struct sliced_scratch {
    event_lists lists;
    uint32_t *events[STREAMS];
    int32_t *unused; /* sums of a stream past the last step */
    sweep_scratch sweep;
} sliced_scratch;

/* Time steps side by side in a vector. */
SPK_INLINE int sliced_streams(const spk_op *op) { return op->row_bytes >= 32 ? 1 : 2; }

SPK_INLINE sliced_scratch sliced_carve(const spk_op *op, spk_area *area) {
    sliced_scratch s;
    const size_t lanes = (size_t)op->row_bytes * 8;
    s.lists = events_carve(op, area);
    for (int i = 0; i < STREAMS; i++)
        s.events[i] = spk_carve(area, i < sliced_streams(op) ? events_capacity(op) * sizeof(uint32_t) : 0);
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

/* Sums of up to `count` steps side by side, of which `rows` exist, each in `step` bytes. */
SPK_INLINE void sliced_window(const sliced_scratch *s, const spk_op *op, const event_window *w, size_t t, size_t rows,
                              uint8_t *sums, size_t step, int count) {
    streams e = {.n = 0};
    int32_t events[STREAMS] = {0, 0};
    for (int i = 0; i < count && (size_t)i < rows; i++) {
        events[i] = (int32_t)join_window(op, &s->lists, w, t + (size_t)i, s->events[i]);
        if ((size_t)events[i] > e.n) e.n = (size_t)events[i];
    }
    e.n = spk_round_up(e.n, UNIT);
    for (int i = 0; i < count; i++) {
        for (size_t k = (size_t)events[i]; count > 1 && k < e.n; k++) s->events[i][k] = zero_row(op, &s->lists);
        e.events[i] = s->events[i];
    }
    for (size_t column = 0; column < (size_t)op->row_bytes; column += 32) {
        const size_t from = column * 8 * step / s->sweep.lanes;
        uint8_t *const to[STREAMS] = {sums + from, rows > 1 ? sums + step + from : (uint8_t *)s->unused};
        vec planes[PLANES];
        e.weight = (const uint8_t *)op->weight + column;
        const size_t used = sliced_count(planes, &e, count);
        if (op->short_sums)
            counts_to_sums(planes, used, to, events, count, 1);
        else
            counts_to_sums(planes, used, to, events, count, 0);
    }
}

static void sliced_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                              size_t rows, void *sums) {
    const sliced_scratch *s = kernel;
    const event_window w = window_of(op, &s->lists, y, x);
    const size_t step = s->sweep.lanes * (op->short_sums ? 2 : 4);
    uint8_t *to = sums;
    if (sliced_streams(op) == 1)
        for (size_t r = 0; r < rows && !spk_stopped(f); r++) sliced_window(s, op, &w, t + r, 1, to + r * step, step, 1);
    else
        for (size_t r = 0; r < rows && !spk_stopped(f); r += 2)
            sliced_window(s, op, &w, t + r, rows - r, to + r * step, step, 2);
    clear_row_pads(op, to, rows, step);
}

static void conv_sliced(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    sliced_scratch s = sliced_carve(op, &area);
    sweep(op, f, &s.sweep, &s, sliced_begin, sliced_accumulate);
}

#endif
