/* Pooling and unpacking: whole pixels at a time, words of spikes or vectors of values. */

#ifndef SPIKELET_POOL_H
#define SPIKELET_POOL_H

#include "maps.h"

/* O7 on spikes: OR over the window. */
static void max_pool_spikes(const spk_op *op, const spk_frame *f) {
    const size_t words = spk_words(op->in_c), width = (size_t)op->in_w;
    uint64_t *to = spk_spikes_at(f, op->spikes);
    for (size_t t = 0; t < (size_t)op->in_t; t++) {
        const uint64_t *map = spk_spikes_at(f, op->src) + t * spk_in_pixels(op) * words;
        for (size_t y = 0; y < (size_t)op->out_h; y++) {
            for (size_t x = 0; x < (size_t)op->out_w; x++, to += words) {
                const window w = window_at(op, y, x);
                for (size_t i = 0; i < words && !spk_stopped(f); i++) {
                    uint64_t any = 0;
                    for (int32_t u = w.u0; u < w.u1; u++)
                        for (int32_t v = w.v0; v < w.v1; v++)
                            any |= map[((size_t)(w.top + u) * width + (size_t)(w.left + v)) * words + i];
                    to[i] = any;
                }
            }
        }
    }
}

/* O7, O8 on values, for eight channels of a window. */
SPK_INLINE vec pool_window(const spk_op *op, const int32_t *map, window w, int sum) {
    const size_t lanes = spk_lanes(op->in_c), width = (size_t)op->in_w;
    vec total = sum ? v_zero() : v_set32(INT32_MIN);
    for (int32_t u = w.u0; u < w.u1; u++) {
        for (int32_t v = w.v0; v < w.v1; v++) {
            const vec x = v_load(map + ((size_t)(w.top + u) * width + (size_t)(w.left + v)) * lanes);
            total = sum ? v_add32(total, x) : v_max32(total, x);
        }
    }
    return total;
}

SPK_INLINE void pool_values(const spk_op *op, const spk_frame *f, int sum) {
    const size_t lanes = spk_lanes(op->in_c);
    int32_t *to = spk_values_at(f, op->values);
    for (size_t t = 0; t < (size_t)op->in_t; t++) {
        const int32_t *map = spk_values_at(f, op->src) + t * spk_in_pixels(op) * lanes;
        for (size_t y = 0; y < (size_t)op->out_h; y++)
            for (size_t x = 0; x < (size_t)op->out_w; x++, to += lanes)
                for (size_t c = 0; c < lanes && !spk_stopped(f); c += 8)
                    v_store(to + c, pool_window(op, map + c, window_at(op, y, x), sum));
    }
}

static void max_pool_values(const spk_op *op, const spk_frame *f) { pool_values(op, f, 0); }
static void sum_pool_values(const spk_op *op, const spk_frame *f) { pool_values(op, f, 1); }

/* Eight spikes of a pixel, from channel c on. */
SPK_INLINE vec unpack_eight(const uint64_t *pixel, size_t c) {
    return v_sub32(v_zero(), v_mask32((uint32_t)(pixel[c / 64] >> (c % 64)) & 0xff));
}

/* Spikes as values, or their count over time (O10). */
static void unpack_spikes(const spk_op *op, const spk_frame *f) {
    const size_t words = spk_words(op->in_c), lanes = spk_lanes(op->in_c), pixels = spk_in_pixels(op);
    const uint64_t *from = spk_spikes_at(f, op->src);
    int32_t *to = spk_values_at(f, op->values);
    if (!op->sum_time) {
        for (size_t i = 0; i < (size_t)op->in_t * pixels && !spk_stopped(f); i++)
            for (size_t c = 0; c < lanes; c += 8) v_store(to + i * lanes + c, unpack_eight(from + i * words, c));
        return;
    }
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < lanes && !spk_stopped(f); c += 8) {
            vec count = v_zero();
            for (size_t t = 0; t < (size_t)op->in_t; t++)
                count = v_add32(count, unpack_eight(from + (t * pixels + i) * words, c));
            v_store(to + i * lanes + c, count);
        }
    }
}

#endif
