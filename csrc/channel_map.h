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

SPK_INLINE void map_values(const spk_op *op, const int32_t *from, int32_t *to) {
    if (!op->add_to) memset(to, 0, spk_lanes(op->out_c) * sizeof *to);
    for (const int32_t *run = op->channels; run[2] > 0; run += 3)
        memcpy(to + run[0], from + run[1], (size_t)run[2] * sizeof *to);
}

static void channel_map(const spk_op *op, const spk_frame *f) {
    const size_t in = spk_in_pixels(op), out = spk_out_pixels(op);
    for (size_t t = 0; t < (size_t)op->in_t; t++)
        for (size_t y = 0; y < (size_t)op->out_h; y++)
            for (size_t x = 0; x < (size_t)op->out_w && !spk_stopped(f); x++) {
                const size_t row = y * (size_t)op->stride_h, column = x * (size_t)op->stride_w;
                const size_t source = t * in + row * (size_t)op->in_w + column;
                const size_t target = t * out + y * (size_t)op->out_w + x;
                if (op->spikes >= 0)
                    map_spikes(op, spk_spikes_at(f, op->src) + source * spk_words(op->in_c),
                               spk_spikes_at(f, op->spikes) + target * spk_words(op->out_c));
                else
                    map_values(op, spk_values_at(f, op->src) + source * spk_lanes(op->in_c),
                               spk_values_at(f, op->values) + target * spk_lanes(op->out_c));
            }
}

#endif
