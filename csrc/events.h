/* Spikes as lists: where the ones of every input pixel are, and which weight rows an output pixel adds.

   An event is the byte offset of its weight row. The lists of kernel_h input rows are kept in a ring,
   for all time steps: entry (slot, t, x) holds the offsets c * row_bytes of the pixel's spikes in order
   of c, and where each group's part of the list begins. An output pixel joins the lists of its window,
   adding the offset of every tap. */

#ifndef SPIKELET_EVENTS_H
#define SPIKELET_EVENTS_H

#include <string.h>

#include "maps.h"

enum { LIST_SLACK = 32 }; /* places after a list that may be overwritten */

typedef struct event_ring {
    uint32_t *lists;  /* [kernel_h][T][in_w][capacity] */
    uint32_t *starts; /* [kernel_h][T][in_w][groups + 1] */
    size_t capacity;
    int64_t next_row; /* input rows before this one are listed, or passed over */
} event_ring;


SPK_INLINE size_t list_capacity(const spk_op *op) { return spk_round_up((size_t)op->in_c, 8) + LIST_SLACK; }

SPK_INLINE event_ring carve_ring(const spk_op *op, spk_area *area) {
    const size_t entries = (size_t)op->kernel_h * (size_t)op->in_t * (size_t)op->in_w;
    event_ring ring = {NULL, NULL, list_capacity(op), 0};
    ring.lists = spk_carve(area, entries * ring.capacity * sizeof(uint32_t));
    ring.starts = spk_carve(area, entries * ((size_t)op->groups + 1) * sizeof(uint32_t));
    return ring;
}

/* Events that the window of one output pixel can have in a group, and slack. */
SPK_INLINE size_t events_capacity(const spk_op *op) {
    const size_t taps = (size_t)op->kernel_h * (size_t)op->kernel_w;
    return taps * (size_t)(op->in_c / op->groups) + LIST_SLACK;
}

SPK_INLINE size_t ring_entry(const spk_op *op, size_t y, size_t t, size_t x) {
    return (y % (size_t)op->kernel_h * (size_t)op->in_t + t) * (size_t)op->in_w + x;
}

/* Where the groups' parts of a list begin. */
SPK_INLINE void list_starts(const spk_op *op, const uint64_t *pixel, uint32_t *starts) {
    const size_t inputs = (size_t)(op->in_c / op->groups);
    size_t before = 0, word = 0;
    for (size_t g = 0; g < (size_t)op->groups; g++) {
        const size_t first = g * inputs;
        for (; word < first / 64; word++) before += count_ones(pixel[word]);
        const uint64_t earlier = ((uint64_t)1 << (first % 64)) - 1;
        starts[g] = (uint32_t)(before + count_ones(pixel[first / 64] & earlier));
    }
}

/* Lists the spikes of input row y at all steps. */
static void list_row(const spk_op *op, const spk_frame *f, const event_ring *ring, size_t y) {
    const size_t words = spk_words(op->in_c), width = (size_t)op->in_w, groups = (size_t)op->groups;
    const uint32_t row = (uint32_t)op->row_bytes;
    for (size_t t = 0; t < (size_t)op->in_t; t++) {
        const uint64_t *pixel = spk_spikes_at(f, op->src) + (t * spk_in_pixels(op) + y * width) * words;
        for (size_t x = 0; x < width; x++, pixel += words) {
            const size_t entry = ring_entry(op, y, t, x);
            uint32_t *list = ring->lists + entry * ring->capacity, *starts = ring->starts + entry * (groups + 1);
            size_t n = 0;
            for (size_t w = 0; w < words; w++) n += list_word(pixel[w], (uint32_t)(64 * w) * row, row, list + n);
            starts[0] = 0;
            if (groups > 1) list_starts(op, pixel, starts);
            starts[groups] = (uint32_t)n;
        }
    }
}

/* Makes the ring hold every input row that output row y reads. */
SPK_INLINE void list_rows_for(const spk_op *op, const spk_frame *f, event_ring *ring, size_t y) {
    const int64_t first = (int64_t)y * op->stride_h - op->pad_h, end = first + op->kernel_h;
    if (ring->next_row < first) ring->next_row = first;
    for (; ring->next_row < end && ring->next_row < op->in_h; ring->next_row++)
        list_row(op, f, ring, (size_t)ring->next_row);
}

/* Copies n events, adding `offset`; writes whole vectors. */
SPK_INLINE void join(uint32_t *to, const uint32_t *from, size_t n, uint32_t offset) {
    const vec add = v_set32((int32_t)offset);
    v_store(to, v_add32(v_load(from), add));
    v_store(to + 8, v_add32(v_load(from + 8), add));
    for (size_t i = 16; i < n; i += 8) v_store(to + i, v_add32(v_load(from + i), add));
}

/* The window of an output pixel inside the map: taps [u0, u1) x [v0, v1). */
typedef struct window {
    int64_t top, left;
    int32_t u0, u1, v0, v1;
} window;

SPK_INLINE int32_t clip_tap(int64_t tap, int32_t kernel) {
    return tap < 0 ? 0 : tap > kernel ? kernel : (int32_t)tap;
}

SPK_INLINE window window_at(const spk_op *op, size_t y, size_t x) {
    window w = {.top = (int64_t)y * op->stride_h - op->pad_h, .left = (int64_t)x * op->stride_w - op->pad_w};
    w.u0 = clip_tap(-w.top, op->kernel_h);
    w.u1 = clip_tap(op->in_h - w.top, op->kernel_h);
    w.v0 = clip_tap(-w.left, op->kernel_w);
    w.v1 = clip_tap(op->in_w - w.left, op->kernel_w);
    return w;
}

/* The events of group g in a window at step t; returns their number. */
SPK_INLINE size_t join_window(const spk_op *op, const event_ring *ring, window w, size_t t, size_t g, uint32_t *events) {
    const uint32_t tap_bytes = (uint32_t)op->in_c * (uint32_t)op->row_bytes;
    const size_t groups = (size_t)op->groups;
    size_t n = 0;
    for (int32_t u = w.u0; u < w.u1; u++) {
        size_t entry = ring_entry(op, (size_t)(w.top + u), t, (size_t)(w.left + w.v0));
        uint32_t offset = (uint32_t)(u * op->kernel_w + w.v0) * tap_bytes;
        for (int32_t v = w.v0; v < w.v1; v++, entry++, offset += tap_bytes) {
            const uint32_t *starts = ring->starts + entry * (groups + 1) + g;
            const size_t count = starts[1] - starts[0];
            join(events + n, ring->lists + entry * ring->capacity + starts[0], count, offset);
            n += count;
        }
    }
    return n;
}

#endif
