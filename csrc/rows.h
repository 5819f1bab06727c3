/* Spikes through int8 rows (2 to 8 bits): the weight rows of all events are added up, 32 output channels a vector; and
   through rows of 4 bits an output (nibbles.h).

   Sums of int8 stay inside int8 for 127 / code_top events, inside int16 for 258 such bundles, and end
   in int32. Above 31, where not even four of them fit int8, they start in int16. Events come in eights or fours, the
   last filled up with the row of zeros that ends the weights.

   Odd codes are stored as w of 2 w + 1:   n = sum of 2 w + 1 over the events = 2 (sum of w) + events. */

#ifndef SPIKELET_ROWS_H
#define SPIKELET_ROWS_H

#include "nibbles.h"
#include "sweep.h"

/* Events that are added up in vectors of int8 or, above 31, int16; a multiple of UNIT, or 4. */
SPK_INLINE size_t rows_bundle(const spk_op *op) {
    const size_t most = (op->code_top <= 31 ? 127 : 32767) / (size_t)op->code_top;
    return most >= UNIT ? most / UNIT * UNIT : most / 4 * 4;
}

/* Sums of `vectors` * 32 columns of int8 rows in bundles that int8 can hold: `unit` events at a time, 4 or UNIT. */
SPK_ALWAYS void rows_narrow(row_sums acc, const uint8_t *weight, const uint32_t *events, size_t n, size_t bundle,
                            int vectors, size_t unit) {
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
            for (; at < stop; at += unit)
                for (size_t i = at; i < at + unit; i++)
                    for (int v = 0; v < vectors; v++)
                        narrow[v] = v_add8(narrow[v], v_load(weight + events[i] + 32 * v));
            for (int v = 0; v < vectors; v++) {
                wide[2 * v] = v_add16(wide[2 * v], v_widen8(narrow[v], 0));
                wide[2 * v + 1] = v_add16(wide[2 * v + 1], v_widen8(narrow[v], 1));
            }
        }
        for (int v = 0; v < 2 * vectors; v++) rows_flush(acc, first, 16 * (size_t)v, wide[v]);
        first = 0;
    } while (at < n);
}

/* The same, straight into int16: up to `bundle` events. */
SPK_ALWAYS void rows_wide(row_sums acc, const uint8_t *weight, const uint32_t *events, size_t n, size_t bundle,
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
        for (int v = 0; v < 2 * vectors; v++) rows_flush(acc, first, 16 * (size_t)v, wide[v]);
        first = 0;
    } while (at < n);
}

SPK_ALWAYS void rows_part(const spk_op *op, void *sums, size_t column, const uint32_t *events, size_t n, size_t bundle,
                          int vectors) {
    const row_sums acc = sums_from(op, sums, column);
    const uint8_t *weight = (const uint8_t *)op->weight + column;
    if (op->code_top > 31)
        rows_wide(acc, weight, events, n, bundle, vectors);
    else if (bundle % UNIT == 0)
        rows_narrow(acc, weight, events, n, bundle, vectors, UNIT);
    else
        rows_narrow(acc, weight, events, n, bundle, vectors, 4);
}

/* Sums of all columns of the rows of n events. */
static void rows_sum(void *acc, const spk_op *op, size_t bundle, const uint32_t *events, size_t n) {
    if (op->kind == SPK_CONV_NIBBLES) {
        nibbles_sum(acc, op, events, n);
        return;
    }
    const size_t columns = (size_t)op->row_bytes;
    size_t c = 0;
    for (; c + 128 <= columns; c += 128) rows_part(op, acc, c, events, n, bundle, 4);
    if (c + 64 <= columns) {
        rows_part(op, acc, c, events, n, bundle, 2);
        c += 64;
    }
    if (c < columns) rows_part(op, acc, c, events, n, bundle, 1);
}

/* From sums of w those of codes 2 w + 1, of so many events; columns from `outputs` on become 0. */
SPK_INLINE void rows_odd(void *sums, const spk_op *op, size_t events, size_t outputs) {
    const row_sums to = sums_from(op, sums, 0);
    for (size_t c = 0; c < outputs; c++) {
        if (to.narrow)
            to.narrow[c] = (int16_t)(2 * (uint32_t)to.narrow[c] + (uint32_t)events);
        else
            to.wide[c] = (int32_t)(2 * (uint32_t)to.wide[c] + (uint32_t)events);
    }
    for (size_t c = outputs; c < (size_t)op->row_bytes; c++) {
        if (to.narrow)
            to.narrow[c] = 0;
        else
            to.wide[c] = 0;
    }
}

typedef struct rows_scratch {
    event_lists lists;
    size_t bundle;
    uint32_t *events;
    int32_t *group; /* [row_outputs]: sums of a group */
    sweep_scratch sweep;
} rows_scratch;

/* Outputs of a row, pads included. */
SPK_INLINE size_t row_outputs(const spk_op *op) {
    return (size_t)op->row_bytes * (op->kind == SPK_CONV_NIBBLES ? 2 : 1);
}

SPK_INLINE rows_scratch rows_carve(const spk_op *op, spk_area *area) {
    rows_scratch s;
    s.lists = events_carve(op, area);
    s.bundle = rows_bundle(op);
    s.events = spk_carve(area, events_capacity(op) * sizeof(uint32_t));
    s.group = spk_carve(area, row_outputs(op) * sizeof(int32_t));
    s.sweep = sweep_carve(op, op->groups == 1 ? row_outputs(op) : spk_round_up((size_t)op->out_c, 32), 0, area);
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

/* Sums of group g, in `bytes` bytes each. */
SPK_INLINE void rows_group(const rows_scratch *s, const spk_op *op, const event_window *w, size_t t, size_t g,
                           uint8_t *sums, size_t bytes) {
    const size_t groups = (size_t)op->groups, outputs = (size_t)op->out_c / groups;
    const size_t n = join_window(op, &s->lists, w, t * groups + g, s->events);
    uint8_t *to = groups == 1 ? sums : (uint8_t *)s->group;
    rows_sum(to, op, s->bundle, s->events, n);
    if (op->odd) rows_odd(to, op, n, outputs);
    if (groups > 1) memcpy(sums + g * outputs * bytes, to, outputs * bytes);
}

static void rows_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                            size_t rows, void *sums) {
    const rows_scratch *s = kernel;
    const event_window w = window_of(op, &s->lists, y, x);
    const size_t bytes = op->short_sums ? 2 : 4, groups = (size_t)op->groups, outputs = (size_t)op->out_c;
    uint8_t *to = sums;
    for (size_t r = 0; r < rows && !spk_stopped(f); r++, to += s->sweep.lanes * bytes) {
        for (size_t g = 0; g < groups; g++) rows_group(s, op, &w, t + r, g, to, bytes);
        if (groups > 1) memset(to + outputs * bytes, 0, (s->sweep.lanes - outputs) * bytes);
    }
    if (op->kind == SPK_CONV_NIBBLES) clear_row_pads(op, sums, rows, s->sweep.lanes * bytes);
}

static void conv_rows(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    rows_scratch s = rows_carve(op, &area);
    sweep(op, f, &s.sweep, &s, rows_begin, rows_accumulate);
}

#endif
