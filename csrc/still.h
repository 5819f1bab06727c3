/* O6 on a current that is the same at every step. A neuron with a hard reset whose first spike is at step f, counted
   from 1, fires at f, 2 f, 3 f and so on; and its first spike is at f or before where its current is above
   first_spikes[f - 1] (spikelet/graph/first_spikes.py derives them). */

#ifndef SPIKELET_STILL_H
#define SPIKELET_STILL_H

#include "tile.h"

/* Whether a tile's neurons are such, with all their steps at hand. */
SPK_INLINE int is_still(const spk_op *op, const tile *m) {
    return op->first_spikes != NULL && m->rows == 1 && m->begins && m->ends;
}

/* Which of `count` currents, a multiple of 8 and 64 at most, are above a number. */
SPK_ALWAYS uint64_t currents_above(const int32_t *currents, size_t count, vec bound) {
    uint64_t above = 0;
    for (size_t c = 0; c < count; c += 8) above |= (uint64_t)v_signs32(v_gt32(v_load(currents + c), bound)) << c;
    return above;
}

/* Spikes of 64 channels of a pixel at all steps. */
SPK_INLINE void still_word(const spk_op *op, const int32_t *currents, size_t count, size_t steps, uint64_t *to,
                           size_t step) {
    uint64_t fires[CHUNK] = {0}, before = 0;
    for (size_t f = 0; f < steps; f++) {
        const vec bound = v_set32(op->first_spikes[f]);
        const uint64_t by = count == 64 ? currents_above(currents, 64, bound) : currents_above(currents, count, bound);
        const uint64_t first = by & ~before;
        for (size_t t = f; t < steps; t += f + 1) fires[t] |= first;
        before = by;
    }
    for (size_t t = 0; t < steps; t++) to[t * step] = fires[t];
}

static void lif_still(const spk_op *op, const spk_frame *f, const tile *m) {
    const size_t channels = spk_lanes(op->out_c), words = spk_words(op->out_c), step = spk_out_pixels(op) * words;
    for (size_t p = 0; p < m->pixels; p++) {
        uint64_t *const spikes = spk_spikes_at(f, op->spikes) + (m->pixel + p) * words;
        for (size_t c = 0; c < channels; c += 64) {
            const size_t count = channels - c < 64 ? channels - c : 64;
            still_word(op, tile_row(m, p, 0) + c, count, m->steps, spikes + c / 64, step);
        }
    }
}

#endif
