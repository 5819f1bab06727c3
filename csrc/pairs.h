/* Integers of 16 bits (pixels, small counts) through weights of int16: two neighbouring synapses a
   product, eight output channels a vector. For a still image this runs once, not T times.

   The input rows under an output row are copied, as int16 with the horizontal padding filled in, into a ring of
   so many rows for all steps; a window is then kernel_h runs of kernel_w * in_c neighbours. */

#ifndef SPIKELET_PAIRS_H
#define SPIKELET_PAIRS_H

#include "sweep.h"

enum { RUN_SLACK = 16 }; /* a run of odd length reads one value more, times a weight of 0 */

typedef struct pairs_scratch {
    int16_t *rows; /* ring: [spk_row_count][in_t][length] */
    size_t length;
    int64_t next_row;
    sweep_scratch sweep;
} pairs_scratch;

SPK_INLINE size_t pairs_ring_bytes(const spk_op *op, const pairs_scratch *s) {
    return spk_row_count(op) * (size_t)op->in_t * s->length * sizeof(int16_t);
}

SPK_INLINE pairs_scratch pairs_carve(const spk_op *op, spk_area *area) {
    pairs_scratch s = {.next_row = 0};
    s.length = ((size_t)op->in_w + 2 * (size_t)op->pad_w) * (size_t)op->in_c + RUN_SLACK;
    s.rows = spk_carve(area, pairs_ring_bytes(op, &s));
    s.sweep = sweep_carve(op, spk_lanes(op->out_c), 0, area);
    return s;
}

static int64_t pairs_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)pairs_carve(op, &area);
    return (int64_t)area.used;
}

SPK_INLINE int16_t *pairs_row(const spk_op *op, const pairs_scratch *s, size_t y, size_t t) {
    return s->rows + (y % spk_row_count(op) * (size_t)op->in_t + t) * s->length;
}

/* Input row y at step t, channels last. */
SPK_INLINE void pairs_copy(const spk_op *op, const spk_frame *f, size_t y, size_t t, int16_t *to) {
    const size_t channels = (size_t)op->in_c, width = (size_t)op->in_w;
    if (op->source == SPK_BYTES) {
        const uint8_t *from = spk_bytes_at(f, t) + y * width;
        for (size_t c = 0; c < channels; c++, from += spk_in_pixels(op))
            for (size_t x = 0; x < width; x++) to[x * channels + c] = from[x];
        return;
    }
    const size_t lanes = spk_lanes(op->in_c);
    const int32_t *from = spk_values_at(f, op->src) + (t * spk_in_pixels(op) + y * width) * lanes;
    for (size_t x = 0; x < width; x++, from += lanes)
        for (size_t c = 0; c < channels; c++) to[x * channels + c] = (int16_t)from[c];
}

static void pairs_begin(void *kernel, const spk_op *op, const spk_frame *f, size_t y) {
    pairs_scratch *s = kernel;
    const int64_t first = spk_first_row(op, y), end = first + (int64_t)spk_row_count(op);
    if (s->next_row < first) s->next_row = first;
    for (; s->next_row < end && s->next_row < op->in_h; s->next_row++)
        for (size_t t = 0; t < (size_t)op->in_t && !spk_stopped(f); t++)
            pairs_copy(op, f, (size_t)s->next_row, t,
                       pairs_row(op, s, (size_t)s->next_row, t) + (size_t)op->pad_w * (size_t)op->in_c);
}

SPK_INLINE vec pairs_spread(const int16_t *pair) {
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return v_set32(both);
}

/* `vectors` * 8 output channels of one window; weight points at the first pair's columns. */
SPK_INLINE void pairs_part(const spk_op *op, const pairs_scratch *s, window w, size_t t, const uint8_t *weight,
                           int32_t *sums, int vectors) {
    const size_t pairs = ((size_t)op->kernel_w * (size_t)op->in_c + 1) / 2, row_bytes = (size_t)op->row_bytes;
    const size_t start = (size_t)(w.left + op->pad_w) * (size_t)op->in_c;
    vec acc[8];
    for (int v = 0; v < vectors; v++) acc[v] = v_zero();
    for (int32_t u = w.u0; u < w.u1; u++) {
        const int16_t *run = pairs_row(op, s, (size_t)(w.top + u), t) + start;
        const uint8_t *row = weight + (size_t)u * pairs * row_bytes;
        for (size_t p = 0; p < pairs; p++, row += row_bytes) {
            const vec x = pairs_spread(run + 2 * p);
            for (int v = 0; v < vectors; v++) acc[v] = v_add32(acc[v], v_dot16(x, v_load(row + 32 * v)));
        }
    }
    for (int v = 0; v < vectors; v++) v_store(sums + 8 * v, acc[v]);
}

SPK_INLINE void pairs_window(const spk_op *op, const pairs_scratch *s, window w, size_t t, int32_t *sums) {
    const uint8_t *weight = op->weight;
    const size_t lanes = s->sweep.lanes;
    size_t c = 0;
    for (; c + 64 <= lanes; c += 64) pairs_part(op, s, w, t, weight + 4 * c, sums + c, 8);
    if (c + 32 <= lanes) {
        pairs_part(op, s, w, t, weight + 4 * c, sums + c, 4);
        c += 32;
    }
    for (; c < lanes; c += 8) pairs_part(op, s, w, t, weight + 4 * c, sums + c, 1);
}

static void pairs_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                             size_t rows, void *sums) {
    int32_t *to = sums;
    const pairs_scratch *s = kernel;
    const window w = window_at(op, y, x);
    for (size_t r = 0; r < rows && !spk_stopped(f); r++) pairs_window(op, s, w, t + r, to + r * s->sweep.lanes);
}

static void conv_pairs(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    pairs_scratch s = pairs_carve(op, &area);
    spk_clear(f, s.rows, pairs_ring_bytes(op, &s));
    sweep(op, f, &s.sweep, &s, pairs_begin, pairs_accumulate);
}

#endif
