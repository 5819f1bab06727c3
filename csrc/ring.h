/* The input rows under an output row, or under a few of them, for all steps: copied as bytes, or in 16 bits, channels
   last, with the horizontal padding filled in, into a ring of so many rows. A window is then kernel_h runs of
   kernel_w * in_c neighbours. */

#ifndef SPIKELET_RING_H
#define SPIKELET_RING_H

#include <string.h>

#include "planes.h"

enum { RUN_SLACK = 16, BLOCK_SLACK = 32 }; /* values behind a row that may be read, or written, as well */

typedef struct row_ring {
    uint8_t *rows; /* [high][in_t][length] values */
    size_t high, length;
    int64_t next_row;
} row_ring;

SPK_INLINE size_t ring_value_bytes(const spk_op *op) { return op->kind == SPK_CONV_PAIRS ? 2 : 1; }

SPK_INLINE size_t ring_slack(const spk_op *op) { return op->kind == SPK_CONV_BLOCKS ? BLOCK_SLACK : RUN_SLACK; }

SPK_INLINE size_t ring_bytes(const spk_op *op, const row_ring *s) {
    return s->high * (size_t)op->in_t * s->length * ring_value_bytes(op);
}

SPK_INLINE row_ring ring_carve(const spk_op *op, size_t high, spk_area *area) {
    row_ring s = {.high = high, .next_row = 0};
    s.length = ((size_t)op->in_w + 2 * (size_t)op->pad_w) * (size_t)op->in_c + ring_slack(op);
    s.rows = spk_carve(area, ring_bytes(op, &s));
    return s;
}

/* Value `at` of input row y at step t. */
SPK_INLINE uint8_t *ring_at(const spk_op *op, const row_ring *s, size_t y, size_t t, size_t at) {
    return s->rows + ((y % s->high * (size_t)op->in_t + t) * s->length + at) * ring_value_bytes(op);
}

/* `n` bytes, `apart` values from each other in the ring. */
SPK_INLINE void ring_from_bytes(const spk_op *op, const uint8_t *from, size_t n, size_t apart, uint8_t *to) {
    if (ring_value_bytes(op) == 1)
        for (size_t i = 0; i < n; i++) to[i * apart] = from[i];
    else
        for (size_t i = 0; i < n; i++) ((int16_t *)(void *)to)[i * apart] = from[i];
}

/* `n` values next to each other. */
SPK_INLINE void ring_from_values(const spk_op *op, const int32_t *from, size_t n, uint8_t *to) {
    if (ring_value_bytes(op) == 1)
        for (size_t i = 0; i < n; i++) to[i] = (uint8_t)from[i];
    else
        for (size_t i = 0; i < n; i++) ((int16_t *)(void *)to)[i] = (int16_t)from[i];
}

/* A pixel of spikes or planes as bytes; up to 31 more are written. */
SPK_INLINE void ring_from_planes(const spk_op *op, const uint64_t *pixel, size_t apart, uint8_t *to) {
    const size_t planes = op->source == SPK_PLANES ? (size_t)op->source_planes : 1;
    for (size_t c = 0; c < (size_t)op->in_c; c += 32) {
        vec values = v_zero();
        for (size_t p = planes; p-- > 0;)
            values = v_add8(v_add8(values, values), v_bits8((uint32_t)(pixel[p * apart + c / 64] >> (c % 64))));
        v_store(to + c, values);
    }
}

/* Neighbouring pixels of the source at step t, channels last; of spikes, up to 31 bytes more are written. */
SPK_INLINE void ring_pixels(const spk_op *op, const spk_frame *f, size_t t, size_t pixel, size_t pixels, uint8_t *to) {
    const size_t channels = (size_t)op->in_c, lanes = spk_lanes(op->in_c), all = spk_in_pixels(op);
    const size_t bytes = ring_value_bytes(op);
    if (op->source == SPK_BYTES) {
        const uint8_t *from = spk_bytes_at(f, t) + pixel;
        for (size_t c = 0; c < channels; c++, from += all) ring_from_bytes(op, from, pixels, channels, to + c * bytes);
    } else if (op->source == SPK_VALUES) {
        const int32_t *from = spk_values_at(f, op->src) + (t * all + pixel) * lanes;
        if (lanes == channels)
            ring_from_values(op, from, pixels * channels, to);
        else
            for (size_t i = 0; i < pixels; i++, from += lanes)
                ring_from_values(op, from, channels, to + i * channels * bytes);
    } else {
        const size_t words = spk_words(op->in_c), apart = plane_words(op);
        const uint64_t *from = spk_spikes_at(f, op->src) + (t * all + pixel) * words;
        for (size_t i = 0; i < pixels; i++, from += words) ring_from_planes(op, from, apart, to + i * channels);
    }
}

/* Input row y at step t, and zeros behind it. */
SPK_INLINE void ring_copy(const spk_op *op, const row_ring *s, const spk_frame *f, size_t y, size_t t) {
    const size_t channels = (size_t)op->in_c, width = (size_t)op->in_w, pad = (size_t)op->pad_w;
    ring_pixels(op, f, t, y * width, width, ring_at(op, s, y, t, pad * channels));
    if (op->source == SPK_SPIKES || op->source == SPK_PLANES)
        memset(ring_at(op, s, y, t, (pad + width) * channels), 0, pad * channels);
}

/* The rows before `end` that the ring lacks; those before `first` are not needed any more. */
SPK_INLINE void ring_fill(const spk_op *op, row_ring *s, const spk_frame *f, int64_t first, int64_t end) {
    if (s->next_row < first) s->next_row = first;
    for (; s->next_row < end && s->next_row < op->in_h; s->next_row++)
        for (size_t t = 0; t < (size_t)op->in_t && !spk_stopped(f); t++) ring_copy(op, s, f, (size_t)s->next_row, t);
}

#endif
