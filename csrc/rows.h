/* Spikes through int8 rows (2 to 8 bits, and 1 bit where a layer is narrow): the weight rows of all
   events are added up, 32 output channels a vector.

   Sums of int8 stay inside int8 for 127 / code_top events, inside int16 for 258 such bundles, and end
   in int32. Codes of more than 4 bits start in int16. */

#ifndef SPIKELET_ROWS_H
#define SPIKELET_ROWS_H

#include "events.h"
#include "finish.h"

/* acc[i] += wide, or = wide when first: 16 lanes of int16 into int32. */
SPK_INLINE void rows_flush(int32_t *acc, vec wide, int first) {
    const vec low = v_widen16(wide, 0), high = v_widen16(wide, 1);
    v_store(acc, first ? low : v_add32(v_load(acc), low));
    v_store(acc + 8, first ? high : v_add32(v_load(acc + 8), high));
}

/* Sums of `vectors` * 32 columns of int8 rows in bundles that int8 can hold. */
SPK_INLINE void rows_narrow(int32_t *acc, const uint8_t *weight, const uint32_t *events, size_t n, size_t bundle,
                            int vectors) {
    size_t at = 0;
    int first = 1;
    do {
        const size_t end = n - at > 258 * bundle ? at + 258 * bundle : n;
        vec wide[8];
        for (int v = 0; v < 2 * vectors; v++) wide[v] = v_zero();
        while (at < end) {
            const size_t stop = end - at > bundle ? at + bundle : end;
            vec narrow[4];
            for (int v = 0; v < vectors; v++) narrow[v] = v_zero();
            for (; at < stop; at++) {
                const uint8_t *row = weight + events[at];
                for (int v = 0; v < vectors; v++) narrow[v] = v_add8(narrow[v], v_load(row + 32 * v));
            }
            for (int v = 0; v < vectors; v++) {
                wide[2 * v] = v_add16(wide[2 * v], v_widen8(narrow[v], 0));
                wide[2 * v + 1] = v_add16(wide[2 * v + 1], v_widen8(narrow[v], 1));
            }
        }
        for (int v = 0; v < 2 * vectors; v++) rows_flush(acc + 16 * v, wide[v], first);
        first = 0;
    } while (at < n);
}

/* The same, straight into int16: up to `bundle` events. */
SPK_INLINE void rows_wide(int32_t *acc, const uint8_t *weight, const uint32_t *events, size_t n, size_t bundle,
                          int vectors) {
    size_t at = 0;
    int first = 1;
    do {
        const size_t end = n - at > bundle ? at + bundle : n;
        vec wide[8];
        for (int v = 0; v < 2 * vectors; v++) wide[v] = v_zero();
        for (; at < end; at++) {
            const int8_t *row = (const int8_t *)(weight + events[at]);
            for (int v = 0; v < 2 * vectors; v++) wide[v] = v_add16(wide[v], v_load8to16(row + 16 * v));
        }
        for (int v = 0; v < 2 * vectors; v++) rows_flush(acc + 16 * v, wide[v], first);
        first = 0;
    } while (at < n);
}

SPK_INLINE void rows_part(int32_t *acc, const uint8_t *weight, const uint32_t *events, size_t n, size_t code_top,
                          int vectors) {
    if (code_top <= 15)
        rows_narrow(acc, weight, events, n, 127 / code_top, vectors);
    else
        rows_wide(acc, weight, events, n, 32767 / code_top, vectors);
}

/* Sums of all columns of a row. */
static void rows_sum(int32_t *acc, const spk_op *op, const uint32_t *events, size_t n) {
    const size_t columns = (size_t)op->row_bytes, top = (size_t)op->code_top;
    const uint8_t *weight = op->weight;
    size_t c = 0;
    for (; c + 128 <= columns; c += 128) rows_part(acc + c, weight + c, events, n, top, 4);
    if (c + 64 <= columns) {
        rows_part(acc + c, weight + c, events, n, top, 2);
        c += 64;
    }
    if (c < columns) rows_part(acc + c, weight + c, events, n, top, 1);
}

typedef struct rows_scratch {
    event_ring ring;
    uint32_t *events;
    int32_t *sums;  /* [CHUNK][lanes] */
    int32_t *group; /* [row_bytes] */
    int32_t *membrane;
    size_t lanes;
} rows_scratch;

SPK_INLINE rows_scratch rows_carve(const spk_op *op, spk_area *area) {
    rows_scratch s;
    s.lanes = spk_round_up((size_t)op->out_c, 32);
    s.ring = carve_ring(op, area);
    s.events = spk_carve(area, events_capacity(op) * sizeof(uint32_t));
    s.sums = spk_carve(area, CHUNK * s.lanes * sizeof(int32_t));
    s.group = spk_carve(area, (size_t)op->row_bytes * sizeof(int32_t));
    s.membrane = spk_carve(area, s.lanes * sizeof(int32_t));
    return s;
}

static int64_t rows_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)rows_carve(op, &area);
    return (int64_t)area.used;
}

/* All groups' sums of one window at one step. */
SPK_INLINE void rows_window(const spk_op *op, const rows_scratch *s, window w, size_t t, int32_t *sums) {
    if (op->groups == 1) {
        rows_sum(sums, op, s->events, join_window(op, &s->ring, w, t, 0, s->events));
        return;
    }
    const size_t outputs = (size_t)(op->out_c / op->groups);
    for (size_t g = 0; g < (size_t)op->groups; g++) {
        rows_sum(s->group, op, s->events, join_window(op, &s->ring, w, t, g, s->events));
        memcpy(sums + g * outputs, s->group, outputs * sizeof(int32_t));
    }
}

static void conv_rows(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    rows_scratch s = rows_carve(op, &area);
    for (size_t i = 0; i < CHUNK * s.lanes; i++) s.sums[i] = 0; /* lanes past the channels stay 0 */
    for (size_t y = 0; y < (size_t)op->out_h; y++) {
        list_rows_for(op, f, &s.ring, y);
        for (size_t x = 0; x < (size_t)op->out_w; x++) {
            const window w = window_at(op, y, x);
            for (size_t t0 = 0; t0 < total_steps(op); t0 += CHUNK) {
                moment m = {y * (size_t)op->out_w + x, t0, total_steps(op) - t0};
                if (m.steps > CHUNK) m.steps = CHUNK;
                for (size_t r = 0; r < source_rows(op, m.steps); r++)
                    rows_window(op, &s, w, op->in_t == 1 ? 0 : t0 + r, s.sums + r * s.lanes);
                finish(op, f, s.sums, s.lanes, s.membrane, m);
            }
        }
    }
}

#endif
