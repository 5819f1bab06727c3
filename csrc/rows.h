/* Spikes through int8 rows (2 to 8 bits, and 1 bit where a layer is narrow): the weight rows of all
   events are added up, 32 output channels a vector.

   Sums of int8 stay inside int8 for 127 / code_top events, inside int16 for 258 such bundles, and end
   in int32. Above 31, where not even four of them fit int8, they start in int16. Events come in fours, the
   last filled up with the row of zeros that ends the weights.

   Odd codes are stored as w of 2 w + 1:   n = sum of 2 w + 1 over the events = 2 (sum of w) + events. */

#ifndef SPIKELET_ROWS_H
#define SPIKELET_ROWS_H

#include "events.h"
#include "sweep.h"

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
            for (; at < stop; at += 4)
                for (size_t i = at; i < at + 4; i++)
                    for (int v = 0; v < vectors; v++)
                        narrow[v] = v_add8(narrow[v], v_load(weight + events[i] + 32 * v));
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
        for (; at < end; at += 4) {
            for (size_t i = at; i < at + 4; i++) {
                const int8_t *row = (const int8_t *)(weight + events[i]);
                for (int v = 0; v < 2 * vectors; v++) wide[v] = v_add16(wide[v], v_load8to16(row + 16 * v));
            }
        }
        for (int v = 0; v < 2 * vectors; v++) rows_flush(acc + 16 * v, wide[v], first);
        first = 0;
    } while (at < n);
}

SPK_INLINE void rows_part(int32_t *acc, const uint8_t *weight, const uint32_t *events, size_t n, size_t code_top,
                          int vectors) {
    if (code_top <= 31)
        rows_narrow(acc, weight, events, n, 127 / code_top / 4 * 4, vectors);
    else
        rows_wide(acc, weight, events, n, 32767 / code_top / 4 * 4, vectors);
}

/* Sums of all columns of the rows of n events; there is room for three more. */
static void rows_sum(int32_t *acc, const spk_op *op, uint32_t zero_row, uint32_t *events, size_t n) {
    for (size_t i = n; i % 4 != 0; i++) events[i] = zero_row;
    n = spk_round_up(n, 4);
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

/* The same for codes 2 w + 1; columns from `outputs` on become 0. */
static void rows_sum_odd(int32_t *acc, const spk_op *op, uint32_t zero_row, uint32_t *events, size_t n,
                         size_t outputs) {
    const vec count = v_set32((int32_t)n);
    const size_t columns = (size_t)op->row_bytes;
    rows_sum(acc, op, zero_row, events, n);
    for (size_t c = 0; c < columns; c += 8) {
        const vec sum = v_load(acc + c);
        v_store(acc + c, v_add32(v_add32(sum, sum), count));
    }
    for (size_t c = outputs; c < columns; c++) acc[c] = 0;
}

typedef struct rows_scratch {
    event_lists lists;
    uint32_t *events;
    int32_t *group; /* sums of a group: [row_bytes] */
    sweep_scratch sweep;
} rows_scratch;

SPK_INLINE rows_scratch rows_carve(const spk_op *op, spk_area *area) {
    rows_scratch s;
    s.lists = events_carve(op, area);
    s.events = spk_carve(area, events_capacity(op) * sizeof(uint32_t));
    s.group = spk_carve(area, (size_t)op->row_bytes * sizeof(int32_t));
    s.sweep = sweep_carve(op, spk_round_up((size_t)op->out_c, 32), 0, area);
    return s;
}

static int64_t rows_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)rows_carve(op, &area);
    return (int64_t)area.used;
}

static void rows_begin(void *kernel, const spk_op *op, const spk_frame *f, size_t y) {
    rows_scratch *s = kernel;
    events_begin_row(op, f, &s->lists, y);
}

static void rows_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                            size_t rows, int32_t *sums) {
    const rows_scratch *s = kernel;
    const event_window w = window_of(op, &s->lists, y, x);
    const uint32_t zero_row = (uint32_t)(op->kernel_h * op->kernel_w) * s->lists.pixel_bytes;
    const size_t groups = (size_t)op->groups, outputs = (size_t)op->out_c / groups;
    for (size_t r = 0; r < rows && !spk_stopped(f); r++, sums += s->sweep.lanes) {
        for (size_t g = 0; g < groups; g++) {
            const size_t n = join_window(&s->lists, &w, (t + r) * groups + g, s->events);
            int32_t *to = groups == 1 ? sums : s->group;
            if (op->odd)
                rows_sum_odd(to, op, zero_row, s->events, n, outputs);
            else
                rows_sum(to, op, zero_row, s->events, n);
            if (groups > 1) memcpy(sums + g * outputs, s->group, outputs * sizeof(int32_t));
        }
        for (size_t c = (size_t)op->out_c; groups > 1 && c < s->sweep.lanes; c++) sums[c] = 0;
    }
}

static void conv_rows(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    rows_scratch s = rows_carve(op, &area);
    sweep(op, f, &s.sweep, &s, rows_begin, rows_accumulate);
}

#endif
