/* Operations without weights, or with integers of any size: neurons and sums of existing maps, and
   convolutions of 32-bit values (rare, and so only as fast as it takes). */

#ifndef SPIKELET_POINTWISE_H
#define SPIKELET_POINTWISE_H

#include "at_once.h"
#include "sweep.h"

/* Columns of weights past a group's outputs may be added to sums behind a row. */
SPK_INLINE sweep_scratch plain_carve(const spk_op *op, spk_area *area) {
    return sweep_carve(op, spk_lanes(op->out_c), (size_t)op->row_bytes, area);
}

static int64_t plain_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)plain_carve(op, &area);
    return (int64_t)area.used;
}

static void plain_begin(void *kernel, const spk_op *op, const spk_frame *f, size_t y) {
    (void)kernel, (void)op, (void)f, (void)y;
}

/* The source's value of channel c at a pixel; not for spikes. */
SPK_INLINE int32_t source_at(const spk_op *op, const spk_frame *f, size_t t, size_t pixel, size_t c) {
    if (op->source == SPK_BYTES) return spk_bytes_at(f, t)[c * spk_in_pixels(op) + pixel];
    return spk_values_at(f, op->src)[(t * spk_in_pixels(op) + pixel) * spk_lanes(op->in_c) + c];
}

/* Odd codes 2 w + 1: from the sum of w x, n = 2 (sum of w x) + (sum of x), each group with its own inputs. */
SPK_INLINE void values_odd(const spk_op *op, const spk_frame *f, window w, size_t t, int32_t *sums) {
    const size_t groups = (size_t)op->groups, inputs = (size_t)op->in_c / groups, outputs = (size_t)op->out_c / groups;
    for (size_t g = 0; g < groups; g++, sums += outputs) {
        uint32_t total = 0;
        for (int32_t u = w.u0; u < w.u1; u++)
            for (int32_t v = w.v0; v < w.v1; v++)
                for (size_t c = g * inputs; c < (g + 1) * inputs; c++)
                    total +=
                        (uint32_t)source_at(op, f, t, window_y(op, w, u) * (size_t)op->in_w + window_x(op, w, v), c);
        for (size_t o = 0; o < outputs; o++) sums[o] = (int32_t)(2 * (uint32_t)sums[o] + total);
    }
}

/* O2, O3 on any integers; sums wrap as uint32_t does, and end where int32_t reaches. */
SPK_INLINE void values_window(const spk_op *op, const spk_frame *f, window w, size_t t, int32_t *sums) {
    const size_t inputs = (size_t)(op->in_c / op->groups), outputs = (size_t)(op->out_c / op->groups);
    const int8_t *weight = op->weight;
    for (size_t c = 0; c < spk_lanes(op->out_c); c += 8) v_store(sums + c, v_zero());
    for (int32_t u = w.u0; u < w.u1; u++) {
        for (int32_t v = w.v0; v < w.v1; v++) {
            const size_t pixel = window_y(op, w, u) * (size_t)op->in_w + window_x(op, w, v);
            const int8_t *row = weight + (size_t)(u * op->kernel_w + v) * (size_t)op->in_c * (size_t)op->row_bytes;
            for (size_t c = 0; c < (size_t)op->in_c && !spk_stopped(f); c++, row += op->row_bytes) {
                const int32_t x = source_at(op, f, t, pixel, c);
                int32_t *to = sums + c / inputs * outputs;
                if (x == 0) continue;
                for (size_t o = 0; o < outputs; o += 8) /* columns past the group's are 0 */
                    v_store(to + o, v_add32(v_load(to + o), v_mul32(v_set32(x), v_load8to32(row + o))));
            }
        }
    }
    if (op->odd) values_odd(op, f, w, t, sums);
}

SPK_INLINE void pointwise_pixel(const spk_op *op, const spk_frame *f, size_t t, size_t pixel, int32_t *sums) {
    const size_t lanes = spk_lanes(op->in_c);
    if (op->source == SPK_BYTES) {
        const uint8_t *from = spk_bytes_at(f, t) + pixel;
        for (size_t c = 0; c < (size_t)op->in_c; c++) sums[c] = from[c * spk_in_pixels(op)];
        for (size_t c = (size_t)op->in_c; c < lanes; c++) sums[c] = 0;
        return;
    }
    const int32_t *from = spk_values_at(f, op->src) + (t * spk_in_pixels(op) + pixel) * lanes;
    for (size_t c = 0; c < lanes; c += 8) v_store(sums + c, v_load(from + c));
}

static void values_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                              size_t rows, void *sums) {
    int32_t *to = sums;
    const window w = window_at(op, y, x);
    (void)kernel;
    for (size_t r = 0; r < rows && !spk_stopped(f); r++) values_window(op, f, w, t + r, to + r * spk_lanes(op->out_c));
}

static void pointwise_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                                 size_t rows, void *sums) {
    int32_t *to = sums;
    const size_t pixel = y * (size_t)op->out_w + x;
    (void)kernel;
    for (size_t r = 0; r < rows; r++) pointwise_pixel(op, f, t + r, pixel, to + r * spk_lanes(op->out_c));
}

static void conv_values(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    const sweep_scratch s = plain_carve(op, &area);
    sweep(op, f, &s, NULL, plain_begin, values_accumulate);
}

static void pointwise(const spk_op *op, const spk_frame *f) {
    if (is_at_once(op, total_steps(op))) {
        all_at_once(op, f);
        return;
    }
    spk_area area = spk_scratch(op, f);
    const sweep_scratch s = plain_carve(op, &area);
    sweep(op, f, &s, NULL, plain_begin, pointwise_accumulate);
}

#endif
