/* O11: channels by number, in runs of neighbours (spikelet.h: channels), so that a shortcut padded with zeros is
   copied 64 spikes at a time, and one with a few channels pruned hardly slower. */

#ifndef SPIKELET_CHANNEL_MAP_H
#define SPIKELET_CHANNEL_MAP_H

#include <string.h>

#include "maps.h"

/* `n` bits (1 .. 64) of a pixel's words from bit `at` on. */
SPK_INLINE uint64_t bits_at(const uint64_t *words, size_t at, size_t n) {
    const size_t shift = at % 64;
    uint64_t bits = words[at / 64] >> shift;
    if (shift + n > 64) bits |= words[at / 64 + 1] << (64 - shift);
    return n == 64 ? bits : bits & (((uint64_t)1 << n) - 1);
}

SPK_INLINE void map_spikes(const spk_op *op, const uint64_t *from, uint64_t *to) {
    if (!op->add_to) memset(to, 0, spk_words(op->out_c) * sizeof *to);
    for (const int32_t *run = op->channels; run[2] > 0; run += 3) {
        size_t target = (size_t)run[0], source = (size_t)run[1], left = (size_t)run[2];
        while (left > 0) { /* up to the end of a target word */
            const size_t room = 64 - target % 64, n = left < room ? left : room;
            to[target / 64] |= bits_at(from, source, n) << (target % 64);
            target += n, source += n, left -= n;
        }
    }
}

/* Whether every channel of the result is picked, and none is a pad: nothing has to be zeroed. */
SPK_INLINE int picks_all(const spk_op *op) {
    size_t picked = 0;
    for (const int32_t *run = op->channels; run[2] > 0; run += 3) picked += (size_t)run[2];
    return picked == spk_lanes(op->out_c);
}

/* A row of `count` pixels, `step` values apart in the source; runs are short, and copied by vectors. */
SPK_INLINE void map_row(const spk_op *op, const int32_t *from, size_t step, size_t count, int32_t *to, int clear) {
    const size_t lanes = spk_lanes(op->out_c);
    if (clear) memset(to, 0, count * lanes * sizeof *to);
    for (const int32_t *run = op->channels; run[2] > 0; run += 3) {
        const size_t length = (size_t)run[2];
        const int32_t *source = from + run[1];
        int32_t *target = to + run[0];
        for (size_t x = 0; x < count; x++, source += step, target += lanes) {
            size_t i = 0;
            for (; i + 8 <= length; i += 8) v_store(target + i, v_load(source + i));
            for (; i < length; i++) target[i] = source[i];
        }
    }
}

static void map_values(const spk_op *op, const spk_frame *f) {
    const size_t in = spk_in_pixels(op), out = spk_out_pixels(op), width = (size_t)op->out_w;
    const size_t from_lanes = spk_lanes(op->in_c), to_lanes = spk_lanes(op->out_c);
    const int clear = !op->add_to && !picks_all(op);
    for (size_t t = 0; t < (size_t)op->in_t; t++)
        for (size_t y = 0; y < (size_t)op->out_h && !spk_stopped(f); y++) {
            const size_t source = t * in + y * (size_t)op->stride_h * (size_t)op->in_w, target = t * out + y * width;
            map_row(op, spk_values_at(f, op->src) + source * from_lanes, (size_t)op->stride_w * from_lanes, width,
                    spk_values_at(f, op->values) + target * to_lanes, clear);
        }
}

static void map_spike_map(const spk_op *op, const spk_frame *f) {
    const size_t in = spk_in_pixels(op), out = spk_out_pixels(op);
    for (size_t t = 0; t < (size_t)op->in_t; t++)
        for (size_t y = 0; y < (size_t)op->out_h; y++)
            for (size_t x = 0; x < (size_t)op->out_w && !spk_stopped(f); x++) {
                const size_t row = y * (size_t)op->stride_h, column = x * (size_t)op->stride_w;
                const size_t source = t * in + row * (size_t)op->in_w + column;
                const size_t target = t * out + y * (size_t)op->out_w + x;
                map_spikes(op, spk_spikes_at(f, op->src) + source * spk_words(op->in_c),
                           spk_spikes_at(f, op->spikes) + target * spk_words(op->out_c));
            }
}

static void channel_map(const spk_op *op, const spk_frame *f) {
    if (op->spikes >= 0)
        map_spike_map(op, f);
    else
        map_values(op, f);
}

#endif
