/* Pointwise operations on values within one time step, in one pass from map to map: affine, clip and addend, then
   values or the counts of neurons that begin and end there. finish.h and neuron.h say what each part means. */

#ifndef SPIKELET_AT_ONCE_H
#define SPIKELET_AT_ONCE_H

#include "neuron.h"

/* What varies between the instances below; every use is a constant. */
typedef struct at_once {
    int affine; /* 0: none, 1: one product, 2: two of them */
    int addend, counts;
} at_once;

/* Whether all of `op` is one such pass; neurons with a gain of one that divide. */
SPK_INLINE int is_at_once(const spk_op *op, size_t steps) {
    const int still = steps == 1 && op->in_t == 1 && op->affine_t <= 1 && op->state < 0 && !op->sum_time;
    const int affine = op->affine == SPK_AFFINE_NONE || op->affine == SPK_AFFINE_SPLIT;
    const int addend = op->addend < 0 || (op->addend_source == SPK_VALUES && op->addend_t == 1);
    if (!still || !affine || !addend || op->source != SPK_VALUES || op->spikes >= 0) return 0;
    if (op->counts < 0) return op->values >= 0;
    if (op->values >= 0 || op->neuron == NULL || op->quotient_bits == 0) return 0;
    for (size_t c = 0; c < spk_lanes(op->out_c); c += 8) {
        const neurons n = neurons_at(op, c);
        if (!takes_currents_whole(op, &n)) return 0;
    }
    return 1;
}

/* `pixels` neighbouring pixels of maps of values; eight channels at a time. */
SPK_INLINE void pixels_at_once(const spk_op *op, const int32_t *from, const int32_t *addend, int32_t *to, size_t pixels,
                               at_once k) {
    const lif_constants lif = lif_of(op, CHARGE_MULTIPLY);
    const size_t channels = spk_lanes(op->out_c);
    const int32_t split = op->split, bits = op->quotient_bits;
    const charge how = op->wide_charge ? CHARGE_WIDE : CHARGE_MULTIPLY;
    for (size_t c = 0; c < channels; c += 8, from += 8, addend += k.addend ? 8 : 0, to += 8) {
        const vec high = k.affine ? v_load(op->high + c) : v_zero(), half = k.affine ? v_load(op->half + c) : v_zero();
        const vec low = k.affine == 2 ? v_load(op->low + c) : v_zero();
        const vec rest = k.affine ? v_load(op->rest + c) : v_zero();
        const vec offset = k.affine ? v_load(op->offset + c) : v_zero();
        const vec bottom = op->clipped ? v_load(op->clip_low + c) : v_set32(INT32_MIN);
        const vec top = op->clipped ? v_load(op->clip_high + c) : v_set32(INT32_MAX);
        neurons n;
        vec start = v_zero();
        if (k.counts) {
            n = neurons_at(op, c);
            start = charged(&lif, n.leak, n.gain, n.start, v_zero(), how);
        }
        for (size_t p = 0, at = 0; p < pixels; p++, at += channels) {
            vec x = v_load(from + at);
            if (k.affine) {
                vec product = v_add32(v_mul32(high, x), half);
                if (k.affine == 2) product = v_add32(product, v_sra32(v_mul32(low, x), split));
                x = v_add32(v_srav32(product, rest), offset);
            }
            x = v_max32(bottom, v_min32(top, x));
            if (k.addend) x = v_add32(x, v_load(addend + at));
            if (k.counts) x = quotient_of(&n, v_add32(x, start), bits);
            v_store(to + at, x);
        }
    }
}

SPK_INLINE void map_at_once(const spk_op *op, const spk_frame *f, at_once k) {
    const size_t all = spk_out_pixels(op), lanes = spk_lanes(op->out_c);
    const int32_t *from = spk_values_at(f, op->src), *addend = k.addend ? spk_values_at(f, op->addend) : NULL;
    int32_t *to = spk_values_at(f, k.counts ? op->counts : op->values);
    for (size_t p = 0; p < all && !spk_stopped(f); p += TILE_PIXELS) {
        const size_t pixels = all - p < TILE_PIXELS ? all - p : TILE_PIXELS, at = p * lanes;
        pixels_at_once(op, from + at, k.addend ? addend + at : NULL, to + at, pixels, k);
    }
}

/* One level for each thing that varies, so that every instance of pixels_at_once has constants only. */
SPK_INLINE void at_once_end(const spk_op *op, const spk_frame *f, at_once k) {
    k.counts = 0;
    if (op->counts < 0) {
        map_at_once(op, f, k);
    } else {
        k.counts = 1;
        map_at_once(op, f, k);
    }
}

SPK_INLINE void at_once_addend(const spk_op *op, const spk_frame *f, at_once k) {
    k.addend = 0;
    if (op->addend < 0) {
        at_once_end(op, f, k);
    } else {
        k.addend = 1;
        at_once_end(op, f, k);
    }
}

static void all_at_once(const spk_op *op, const spk_frame *f) {
    at_once k = {0, 0, 0};
    if (op->affine == SPK_AFFINE_NONE) {
        at_once_addend(op, f, k);
    } else if (op->split == 0) {
        k.affine = 1;
        at_once_addend(op, f, k);
    } else {
        k.affine = 2;
        at_once_addend(op, f, k);
    }
}

#endif
