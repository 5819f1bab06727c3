/* Spikes through 1-bit rows: a weight row of 256 outputs is one vector, and counting its ones over all
   events needs neither widening nor multiplication. Counters stand upright: plane p holds bit p of
   every output's count, and a carry-save adder takes two more rows in five instructions.

   With codes +1 and -1:   n = (ones) - (events - ones) = 2 ones - events.

   Rows of one or two words leave room in a vector: four or two time steps stand side by side, each
   with its own list, the shorter ones filled up with the row of zeros. */

#ifndef SPIKELET_SLICED_H
#define SPIKELET_SLICED_H

#include "events.h"
#include "sweep.h"

enum { PLANES = 16, STREAMS = 4 }; /* counts up to 2^16 - 1 */

/* *sum + a + b -> *sum + 2 carry */
SPK_INLINE vec add_rows(vec *sum, vec a, vec b) {
    const vec u = v_xor(*sum, a), carry = v_or(v_and(*sum, a), v_and(u, b));
    *sum = v_xor(u, b);
    return carry;
}

/* Row i of every stream, side by side. */
SPK_INLINE vec sliced_row(const uint8_t *weight, const uint32_t *const events[STREAMS], size_t i, int streams) {
    if (streams == 1) return v_load(weight + events[0][i]);
    if (streams == 2) return v_load2(weight + events[0][i], weight + events[1][i]);
    return v_load4(weight + events[0][i], weight + events[1][i], weight + events[2][i], weight + events[3][i]);
}

/* Eight rows into planes 0, 1, 2; returns the carry into plane 3. */
SPK_INLINE vec sliced_eight(vec planes[PLANES], const uint8_t *weight, const uint32_t *const events[STREAMS], size_t i,
                            int streams) {
#define ROW(k) sliced_row(weight, events, i + (k), streams)
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

/* Counts n rows (a multiple of 8) of a vector of outputs; returns the planes used. */
SPK_INLINE size_t sliced_count(vec planes[PLANES], const uint8_t *weight, const uint32_t *const events[STREAMS],
                               size_t n, int streams) {
    size_t end = 4;
    while ((n >> end) != 0) end++;
    vec low[PLANES]; /* planes 0 .. 3 stay in registers */
    for (size_t p = 0; p < 4; p++) low[p] = v_zero();
    for (size_t p = 4; p < end; p++) planes[p] = v_zero();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const vec a = sliced_eight(low, weight, events, i, streams);
        const vec b = sliced_eight(low, weight, events, i + 8, streams);
        sliced_ripple(planes, add_rows(&low[3], a, b), 4, end);
    }
    if (i < n) {
        const vec a = sliced_eight(low, weight, events, i, streams), before = low[3];
        low[3] = v_xor(before, a);
        sliced_ripple(planes, v_and(before, a), 4, end);
    }
    for (size_t p = 0; p < 4; p++) planes[p] = low[p];
    return end;
}

typedef struct sliced_scratch {
    event_lists lists;
    uint32_t *events[STREAMS];
    int32_t *unused; /* sums of streams past the last step */
    sweep_scratch sweep;
} sliced_scratch;

/* Time steps side by side in a vector. */
SPK_INLINE int sliced_streams(const spk_op *op) { return op->row_bytes >= 32 ? 1 : (int)(32 / op->row_bytes); }

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

/* Sums of up to `streams` steps, of which `rows` exist. */
SPK_INLINE void sliced_window(const sliced_scratch *s, const spk_op *op, const event_window *w, size_t t, size_t rows,
                              int32_t *sums, int streams) {
    const uint32_t zero_row = (uint32_t)(op->kernel_h * op->kernel_w) * s->lists.pixel_bytes;
    const size_t lanes = s->sweep.lanes;
    size_t count[STREAMS] = {0, 0, 0, 0}, longest = 0;
    for (int i = 0; i < streams && (size_t)i < rows; i++) {
        count[i] = join_window(&s->lists, w, t + (size_t)i, s->events[i]);
        longest = count[i] > longest ? count[i] : longest;
    }
    longest = spk_round_up(longest, 8);
    for (int i = 0; i < streams; i++)
        for (size_t e = count[i]; e < longest; e++) s->events[i][e] = zero_row;
    const uint32_t *const events[STREAMS] = {s->events[0], s->events[1], s->events[2], s->events[3]};
    for (size_t column = 0; column < (size_t)op->row_bytes; column += 32) {
        vec planes[PLANES];
        int32_t *to[4];
        int32_t n[4];
        const size_t used = sliced_count(planes, (const uint8_t *)op->weight + column, events, longest, streams);
        for (int q = 0; q < 4; q++) {
            const int stream = q * streams / 4, part = q % (4 / streams);
            int32_t *row = (size_t)stream < rows ? sums + (size_t)stream * lanes : s->unused;
            to[q] = row + column * 8 + (size_t)part * 64;
            n[q] = (int32_t)count[stream];
        }
        counts_to_sums(planes, used, to, n);
    }
}

SPK_INLINE void sliced_pixel(const sliced_scratch *s, const spk_op *op, const spk_frame *f, size_t y, size_t x,
                             size_t t, size_t rows, int32_t *sums, int streams) {
    const event_window w = window_of(op, &s->lists, y, x);
    const size_t lanes = s->sweep.lanes;
    for (size_t r = 0; r < rows && !spk_stopped(f); r += (size_t)streams)
        sliced_window(s, op, &w, t + r, rows - r, sums + r * lanes, streams);
    for (size_t c = (size_t)op->out_c; c < spk_lanes(op->out_c); c++) /* a pad's bits read as codes of -1 */
        for (size_t r = 0; r < rows; r++) sums[r * lanes + c] = 0;
}

static void sliced_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                              size_t rows, int32_t *sums) {
    const sliced_scratch *s = kernel;
    switch (sliced_streams(op)) {
    case 1:
        sliced_pixel(s, op, f, y, x, t, rows, sums, 1);
        break;
    case 2:
        sliced_pixel(s, op, f, y, x, t, rows, sums, 2);
        break;
    default:
        sliced_pixel(s, op, f, y, x, t, rows, sums, 4);
        break;
    }
}

static void conv_sliced(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    sliced_scratch s = sliced_carve(op, &area);
    sweep(op, f, &s.sweep, &s, sliced_begin, sliced_accumulate);
}

#endif
