/* Spikes through 1-bit rows: a weight row of 256 outputs is one vector, and counting its ones over all
   events needs neither widening nor multiplication. Counters stand upright: plane p holds bit p of
   every output's count, and a carry-save adder takes two more rows in five instructions.

   With codes +1 and -1:   n = (ones) - (events - ones) = 2 ones - events.

   Rows of one or two words leave room in a vector: four or two time steps stand side by side, each
   with its own list, the shorter ones filled up with the row of zeros. */

#ifndef SPIKELET_SLICED_H
#define SPIKELET_SLICED_H

#include "events.h"
#include "finish.h"

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
    event_ring ring;
    uint32_t *events[STREAMS];
    int32_t *sums; /* [CHUNK + STREAMS - 1][lanes] */
    int32_t *membrane;
    size_t lanes;
    int streams;
} sliced_scratch;

SPK_INLINE sliced_scratch sliced_carve(const spk_op *op, spk_area *area) {
    sliced_scratch s;
    s.streams = op->row_bytes >= 32 ? 1 : (int)(32 / op->row_bytes);
    s.lanes = (size_t)op->row_bytes * 8;
    s.ring = carve_ring(op, area);
    for (int i = 0; i < STREAMS; i++)
        s.events[i] = spk_carve(area, i < s.streams ? events_capacity(op) * sizeof(uint32_t) : 0);
    s.sums = spk_carve(area, (CHUNK + STREAMS - 1) * s.lanes * sizeof(int32_t));
    s.membrane = spk_carve(area, s.lanes * sizeof(int32_t));
    return s;
}

static int64_t sliced_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)sliced_carve(op, &area);
    return (int64_t)area.used;
}

/* Sums of `streams` neighbouring steps from t on; those from `end` on are left over and count nothing. */
SPK_INLINE void sliced_window(const spk_op *op, const sliced_scratch *s, window w, size_t t, size_t end, int32_t *sums,
                              int streams) {
    const size_t taps = (size_t)op->kernel_h * (size_t)op->kernel_w;
    const uint32_t zero_row = (uint32_t)(taps * (size_t)op->in_c * (size_t)op->row_bytes);
    const uint32_t *events[STREAMS] = {NULL, NULL, NULL, NULL};
    size_t count[STREAMS], longest = 0;
    for (int i = 0; i < streams; i++) {
        count[i] = t + (size_t)i < end ? join_window(op, &s->ring, w, t + (size_t)i, 0, s->events[i]) : 0;
        longest = count[i] > longest ? count[i] : longest;
        events[i] = s->events[i];
    }
    longest = spk_round_up(longest, 8);
    for (int i = 0; i < streams; i++)
        for (size_t e = count[i]; e < longest; e++) s->events[i][e] = zero_row;
    for (size_t column = 0; column < (size_t)op->row_bytes; column += 32) {
        vec planes[PLANES];
        int32_t *to[4];
        int32_t n[4];
        const size_t used = sliced_count(planes, (const uint8_t *)op->weight + column, events, longest, streams);
        for (int q = 0; q < 4; q++) {
            const int stream = q * streams / 4, part = q % (4 / streams);
            to[q] = sums + (size_t)stream * s->lanes + column * 8 + (size_t)part * 64;
            n[q] = (int32_t)count[stream];
        }
        counts_to_sums(planes, used, to, n);
    }
}

/* A pad's row bits are 0, which would read as codes of -1. */
SPK_INLINE void sliced_clear_pads(const spk_op *op, const sliced_scratch *s, size_t rows) {
    for (size_t c = (size_t)op->out_c; c < spk_lanes(op->out_c); c++)
        for (size_t r = 0; r < rows; r++) s->sums[r * s->lanes + c] = 0;
}

SPK_INLINE void sliced_pixel(const spk_op *op, const spk_frame *f, const sliced_scratch *s, window w, size_t pixel,
                             int streams) {
    for (size_t t0 = 0; t0 < total_steps(op); t0 += CHUNK) {
        moment m = {pixel, t0, total_steps(op) - t0};
        if (m.steps > CHUNK) m.steps = CHUNK;
        const size_t rows = source_rows(op, m.steps);
        for (size_t r = 0; r < rows; r += (size_t)streams)
            sliced_window(op, s, w, op->in_t == 1 ? 0 : t0 + r, op->in_t == 1 ? 1 : t0 + rows, s->sums + r * s->lanes,
                          streams);
        sliced_clear_pads(op, s, rows);
        finish(op, f, s->sums, s->lanes, s->membrane, m);
    }
}

static void conv_sliced(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    sliced_scratch s = sliced_carve(op, &area);
    for (size_t y = 0; y < (size_t)op->out_h; y++) {
        list_rows_for(op, f, &s.ring, y);
        for (size_t x = 0; x < (size_t)op->out_w; x++) {
            const window w = window_at(op, y, x);
            const size_t pixel = y * (size_t)op->out_w + x;
            switch (s.streams) {
            case 1: sliced_pixel(op, f, &s, w, pixel, 1); break;
            case 2: sliced_pixel(op, f, &s, w, pixel, 2); break;
            default: sliced_pixel(op, f, &s, w, pixel, 4); break;
            }
        }
    }
}

#endif
