/* Values from 0 on as maps of their bits: plane p is a map of spikes, 1 where bit p of the value is. Sums of spikes
   stay as small as that, adding them is adding words, and lists of events read them plane by plane. */

#ifndef SPIKELET_PLANES_H
#define SPIKELET_PLANES_H

#include "maps.h"

/* Words from a plane of the source's map to the next: a multiple of 64 bytes. */
SPK_INLINE size_t plane_words(const spk_op *op) {
    return spk_round_up((size_t)op->in_t * (size_t)op->map_h * (size_t)op->map_w * spk_words(op->in_c), 8);
}

/* O5 of two such maps, one plane being spikes: `sum_planes` planes hold every sum. */
SPK_INLINE void add_planes(const spk_op *op, const spk_frame *f) {
    enum { WORDS = WIDE / 8 };
    const size_t words = plane_words(op), from_planes = (size_t)op->source_planes, planes = (size_t)op->planes;
    const uint64_t *a = spk_spikes_at(f, op->src), *b = spk_spikes_at(f, op->addend);
    uint64_t *to = spk_spikes_at(f, op->spikes);
    for (size_t i = 0; i < words && !spk_stopped(f); i += WORDS) {
        wide carry = w_zero();
        for (size_t p = 0; p < (size_t)op->sum_planes; p++) {
            const wide x = p < from_planes ? w_load(a + p * words + i) : w_zero();
            const wide y = p < planes ? w_load(b + p * words + i) : w_zero();
            w_store(to + p * words + i, w_xor3(x, y, carry));
            carry = w_majority(x, y, carry);
        }
    }
}

/* Eight values of a pixel, from channel c on. */
SPK_INLINE vec values_of_planes(const uint64_t *pixel, size_t c, size_t planes, size_t words) {
    vec values = v_zero();
    for (size_t p = planes; p-- > 0;) {
        const vec ones = v_mask32((uint32_t)(pixel[p * words + c / 64] >> (c % 64)) & 0xff);
        values = v_sub32(v_add32(values, values), ones);
    }
    return values;
}

/* Planes as values. */
SPK_INLINE void unpack_planes(const spk_op *op, const spk_frame *f) {
    const size_t words = spk_words(op->in_c), lanes = spk_lanes(op->in_c), apart = plane_words(op);
    const uint64_t *from = spk_spikes_at(f, op->src);
    int32_t *to = spk_values_at(f, op->values);
    for (size_t i = 0; i < (size_t)op->in_t * spk_in_pixels(op) && !spk_stopped(f); i++)
        for (size_t c = 0; c < lanes; c += 8)
            v_store(to + i * lanes + c, values_of_planes(from + i * words, c, (size_t)op->source_planes, apart));
}

#endif
