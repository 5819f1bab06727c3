/* Spikes as lists: where the ones of the input are, and which weight rows an output pixel adds.

   An event is the byte offset of a weight row. Input row y at step t becomes one list per group of
   channels, pixel after pixel; the event of channel c at x is (x * in_c + c) * row_bytes, so that the
   window of an output pixel is kernel_h runs of lists, each shifted by one constant. The lists of
   kernel_h input rows are kept in a ring, for all steps.

   Where the source is pooled (O8 with a kernel of `pool`), an input pixel is the pool * pool spikes
   below it: a channel that fired n times there has n events. */

#ifndef SPIKELET_EVENTS_H
#define SPIKELET_EVENTS_H

#include <string.h>

#include "maps.h"

enum { LIST_SLACK = 32 }; /* places after a list that may be overwritten */

typedef struct event_ring {
    uint32_t *lists;  /* [kernel_h][T][groups][capacity] */
    uint32_t *starts; /* [kernel_h][T][groups][in_w + 1]: where each pixel's part begins */
    size_t capacity;
    int64_t next_row; /* input rows before this one are listed, or passed over */
} event_ring;

/* Spikes that stand for one input value. */
SPK_INLINE size_t pool_area(const spk_op *op) { return (size_t)op->pool * (size_t)op->pool; }

/* Input channels of a group. */
SPK_INLINE size_t group_inputs(const spk_op *op) { return (size_t)(op->in_c / op->groups); }

SPK_INLINE event_ring carve_ring(const spk_op *op, spk_area *area) {
    const size_t entries = (size_t)op->kernel_h * (size_t)op->in_t * (size_t)op->groups;
    event_ring ring = {NULL, NULL, (size_t)op->in_w * group_inputs(op) * pool_area(op) + LIST_SLACK, 0};
    ring.lists = spk_carve(area, entries * ring.capacity * sizeof(uint32_t));
    ring.starts = spk_carve(area, entries * ((size_t)op->in_w + 1) * sizeof(uint32_t));
    return ring;
}

/* Events that the window of one output pixel can have in a group, and slack. */
SPK_INLINE size_t events_capacity(const spk_op *op) {
    const size_t taps = (size_t)op->kernel_h * (size_t)op->kernel_w;
    return taps * group_inputs(op) * pool_area(op) + LIST_SLACK;
}

SPK_INLINE size_t ring_entry(const spk_op *op, size_t y, size_t t, size_t g) {
    return (y % (size_t)op->kernel_h * (size_t)op->in_t + t) * (size_t)op->groups + g;
}

/* Bits of word w that belong to channels [first, end). */
SPK_INLINE uint64_t channel_mask(size_t w, size_t first, size_t end) {
    uint64_t mask = ~(uint64_t)0;
    if (first > 64 * w) mask <<= first - 64 * w;
    if (end < 64 * (w + 1)) mask &= ((uint64_t)1 << (end - 64 * w)) - 1;
    return mask;
}

/* Lists row y of one step and group: `map` is the step's spikes. */
SPK_INLINE void list_group_row(const spk_op *op, const uint64_t *map, size_t y, size_t g, uint32_t *list,
                               uint32_t *starts) {
    const size_t words = spk_words(op->in_c), width = (size_t)op->in_w, pool = (size_t)op->pool;
    const size_t first = g * group_inputs(op), end = first + group_inputs(op), map_w = (size_t)op->map_w;
    const uint32_t row = (uint32_t)op->row_bytes, pixel_bytes = (uint32_t)op->in_c * row;
    size_t n = 0;
    uint32_t base = 0;
    for (size_t x = 0; x < width; x++, base += pixel_bytes) {
        starts[x] = (uint32_t)n;
        for (size_t below = 0; below < pool * pool; below++) {
            const uint64_t *pixel = map + ((y * pool + below / pool) * map_w + x * pool + below % pool) * words;
            for (size_t w = first / 64; 64 * w < end; w++)
                n += list_word(pixel[w] & channel_mask(w, first, end), base + (uint32_t)(64 * w) * row, row, list + n);
        }
    }
    starts[width] = (uint32_t)n;
}

/* Makes the ring hold every input row that output row y reads. */
static void list_rows_for(const spk_op *op, const spk_frame *f, event_ring *ring, size_t y) {
    const int64_t first = (int64_t)y * op->stride_h - op->pad_h, end = first + op->kernel_h;
    const size_t map = (size_t)op->map_h * (size_t)op->map_w * spk_words(op->in_c);
    if (ring->next_row < first) ring->next_row = first;
    for (; ring->next_row < end && ring->next_row < op->in_h; ring->next_row++) {
        for (size_t t = 0; t < (size_t)op->in_t; t++) {
            for (size_t g = 0; g < (size_t)op->groups; g++) {
                const size_t entry = ring_entry(op, (size_t)ring->next_row, t, g);
                list_group_row(op, spk_spikes_at(f, op->src) + t * map, (size_t)ring->next_row, g,
                               ring->lists + entry * ring->capacity, ring->starts + entry * ((size_t)op->in_w + 1));
            }
        }
    }
}

/* Copies n events, adding `offset`; writes whole vectors. */
SPK_INLINE void join(uint32_t *to, const uint32_t *from, size_t n, uint32_t offset) {
    const vec add = v_set32((int32_t)offset);
    for (size_t i = 0; i < n; i += 16) {
        v_store(to + i, v_add32(v_load(from + i), add));
        v_store(to + i + 8, v_add32(v_load(from + i + 8), add));
    }
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
    const uint32_t pixel_bytes = (uint32_t)op->in_c * (uint32_t)op->row_bytes;
    const uint32_t run_bytes = (uint32_t)op->kernel_w * pixel_bytes; /* of one tap row */
    const size_t row_stride = (size_t)op->in_t * (size_t)op->groups, width = (size_t)op->in_w + 1;
    const size_t from = (size_t)(w.left + w.v0), to = (size_t)(w.left + w.v1);
    uint32_t offset = (uint32_t)w.u0 * run_bytes - (uint32_t)w.left * pixel_bytes;
    size_t slot = (size_t)(w.top + w.u0) % (size_t)op->kernel_h, n = 0;
    for (int32_t u = w.u0; u < w.u1; u++, offset += run_bytes) {
        const size_t entry = slot * row_stride + t * (size_t)op->groups + g;
        const uint32_t *starts = ring->starts + entry * width;
        const size_t count = starts[to] - starts[from];
        join(events + n, ring->lists + entry * ring->capacity + starts[from], count, offset);
        n += count;
        slot = slot + 1 == (size_t)op->kernel_h ? 0 : slot + 1;
    }
    return n;
}

#endif
