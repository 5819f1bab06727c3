/* Where things are: strides and addresses of maps in the arena and outside. */

#ifndef SPIKELET_MAPS_H
#define SPIKELET_MAPS_H

#include "stop.h"

static inline size_t spk_round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* int32 values of a pixel, pads included. */
static inline size_t spk_lanes(int32_t channels) { return spk_round_up((size_t)channels, 8); }

/* uint64 words of a pixel's spikes. */
static inline size_t spk_words(int32_t channels) { return spk_round_up((size_t)channels, 64) / 64; }

static inline size_t spk_in_pixels(const spk_op *op) { return (size_t)op->in_h * (size_t)op->in_w; }
static inline size_t spk_out_pixels(const spk_op *op) { return (size_t)op->out_h * (size_t)op->out_w; }

static inline int32_t *spk_values_at(const spk_frame *f, int64_t offset) {
    return (int32_t *)(void *)(f->arena + offset);
}

static inline uint64_t *spk_spikes_at(const spk_frame *f, int64_t offset) {
    return (uint64_t *)(void *)(f->arena + offset);
}

/* Bytes [C][H][W] of this sample at step t of the `steps` that the caller gave. */
static inline const uint8_t *spk_bytes_at(const spk_frame *f, size_t t) {
    const spk_call *call = f->call;
    return call->x + (t * (size_t)call->batch + (size_t)f->sample) * (size_t)call->x_size;
}

/* What the operation remembers of this sample from one call to the next: a map of values. */
static inline int32_t *spk_state_at(const spk_op *op, const spk_frame *f) {
    return (int32_t *)(void *)(f->call->state + f->sample * f->call->state_bytes + op->state);
}

/* Steps of z (see spk_op): T if the source, the affine step or the addend has them. */
static inline int32_t spk_steps(const spk_op *op) {
    const int32_t steps = op->affine_t > 1 ? op->T : op->in_t;
    return op->addend >= 0 && op->addend_t > steps ? op->addend_t : steps;
}

/* The step to read of an edge that has `steps` of them. */
static inline size_t spk_step(int32_t steps, size_t t) { return steps == 1 ? 0 : t; }

/* Input rows under the windows of the positions of an output row (max_h of them): the first, which may lie in the
   padding, and how many; without dilation. */
static inline int64_t spk_first_row(const spk_op *op, size_t y) {
    return (int64_t)y * op->max_h * op->stride_h - op->pad_h;
}
static inline size_t spk_row_count(const spk_op *op) {
    return ((size_t)op->max_h - 1) * (size_t)op->stride_h + (size_t)op->kernel_h;
}

/* The window of an output pixel inside the map: taps [u0, u1) x [v0, v1). */
typedef struct window {
    int64_t top, left;
    int32_t u0, u1, v0, v1;
} window;

/* Taps before `distance` positions of the map, `dilation` apart. */
static inline int32_t spk_taps_before(int64_t distance, int32_t dilation, int32_t kernel) {
    if (dilation > 1) distance = (distance + dilation - 1) / dilation;
    return distance < 0 ? 0 : distance > kernel ? kernel : (int32_t)distance;
}

static inline window window_at(const spk_op *op, size_t y, size_t x) {
    window w = {.top = (int64_t)y * op->stride_h - op->pad_h, .left = (int64_t)x * op->stride_w - op->pad_w};
    w.u0 = spk_taps_before(-w.top, op->dilation_h, op->kernel_h);
    w.u1 = spk_taps_before(op->in_h - w.top, op->dilation_h, op->kernel_h);
    w.v0 = spk_taps_before(-w.left, op->dilation_w, op->kernel_w);
    w.v1 = spk_taps_before(op->in_w - w.left, op->dilation_w, op->kernel_w);
    return w;
}

/* The row and column of the input under tap (u, v) of a window. */
static inline size_t window_y(const spk_op *op, window w, int32_t u) {
    return (size_t)(w.top + (int64_t)u * op->dilation_h);
}

static inline size_t window_x(const spk_op *op, window w, int32_t v) {
    return (size_t)(w.left + (int64_t)v * op->dilation_w);
}

/* A scratch area that is divided piece by piece; without a base it is only measured. */
typedef struct spk_area {
    uint8_t *base;
    size_t used;
} spk_area;

/* The next `bytes` of the area, at a multiple of 64; NULL where it is only measured. */
static inline void *spk_carve(spk_area *area, size_t bytes) {
    void *here = area->base ? area->base + area->used : NULL;
    area->used += spk_round_up(bytes, 64);
    return here;
}

/* The operation's scratch area in this thread's arena. */
static inline spk_area spk_scratch(const spk_op *op, const spk_frame *f) {
    return (spk_area){f->arena + op->scratch, 0};
}

#endif
