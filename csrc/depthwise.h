/* Convolutions with a group for each channel: the values of eight channels meet their eight weights of a tap.
   Weights are int16 codes [kernel_h * kernel_w][channels], the pads 0. */

#ifndef SPIKELET_DEPTHWISE_H
#define SPIKELET_DEPTHWISE_H

#include "sweep.h"

SPK_INLINE sweep_scratch depthwise_carve(const spk_op *op, spk_area *area) {
    return sweep_carve(op, spk_lanes(op->out_c), 0, area);
}

static int64_t depthwise_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)depthwise_carve(op, &area);
    return (int64_t)area.used;
}

static void depthwise_begin(void *kernel, const spk_op *op, const spk_frame *f, size_t y) {
    (void)kernel, (void)op, (void)f, (void)y;
}

/* `vectors` * 8 channels of one window, from channel c on. Sums wrap, and end where int32_t reaches. */
SPK_ALWAYS void depthwise_part(const spk_op *op, const int32_t *from, window w, size_t c, int32_t *sums, int vectors) {
    const size_t lanes = spk_lanes(op->in_c), apart = (size_t)op->dilation_w * lanes;
    const int16_t *weight = (const int16_t *)op->weight + c;
    vec acc[4];
    for (int i = 0; i < vectors; i++) acc[i] = v_zero();
    for (int32_t u = w.u0; u < w.u1; u++) {
        const int32_t *x = from + (window_y(op, w, u) * (size_t)op->in_w + window_x(op, w, w.v0)) * lanes + c;
        const int16_t *tap = weight + (size_t)(u * op->kernel_w + w.v0) * lanes;
        for (int32_t v = w.v0; v < w.v1; v++, x += apart, tap += lanes)
            for (int i = 0; i < vectors; i++)
                acc[i] = v_add32(acc[i], v_mul32(v_load(x + 8 * i), v_load16to32(tap + 8 * i)));
    }
    for (int i = 0; i < vectors; i++) v_store(sums + c + 8 * (size_t)i, acc[i]);
}

static void depthwise_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                                 size_t rows, void *sums) {
    int32_t *to = sums;
    const size_t lanes = spk_lanes(op->out_c);
    const window w = window_at(op, y, x);
    (void)kernel;
    for (size_t r = 0; r < rows && !spk_stopped(f); r++, to += lanes) {
        const int32_t *from = spk_values_at(f, op->src) + (t + r) * spk_in_pixels(op) * lanes;
        size_t c = 0;
        for (; c + 32 <= lanes; c += 32) depthwise_part(op, from, w, c, to, 4);
        for (; c < lanes; c += 8) depthwise_part(op, from, w, c, to, 1);
    }
}

static void conv_depthwise(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    const sweep_scratch s = depthwise_carve(op, &area);
    sweep(op, f, &s, NULL, depthwise_begin, depthwise_accumulate);
}

#endif
