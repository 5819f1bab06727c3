/* O6 on a tile: the neuron's constants in registers, one step of SPAN channels, and the loop over a tile. */

#ifndef SPIKELET_LIF_H
#define SPIKELET_LIF_H

#include "tile.h"

/* How the charge h = (leak v + gain x + rounding) >> leak_bits is evaluated. h fits 32 bits always; what is shifted
   does unless the charge is wide. */
typedef enum charge { CHARGE_SHIFT, CHARGE_MULTIPLY, CHARGE_WIDE } charge;

/* log2 of a power of two, or -1. */
SPK_INLINE int32_t whole_log2(int32_t n) {
    int32_t k = 0;
    while (n > 1 && n % 2 == 0) n /= 2, k++;
    return n == 1 ? k : -1;
}

SPK_INLINE charge charge_of(const spk_op *op) {
    const int shifts = op->gain == 1 << op->leak_bits && whole_log2(op->leak) >= 0 && op->rounding == 0;
    return shifts ? CHARGE_SHIFT : op->wide_charge ? CHARGE_WIDE : CHARGE_MULTIPLY;
}

/* What LIF steps need, in registers. */
typedef struct lif_constants {
    span below, drop, leak, gain, rounding, half, top, bottom; /* below = threshold - 1 */
    span low_bits;                                             /* of a number: those that the shift takes */
    int32_t leak_shift, leak_bits, membrane_shift;
} lif_constants;

SPK_INLINE lif_constants lif_of(const spk_op *op, charge how) {
    lif_constants k;
    k.below = s_set(op->threshold - 1);
    k.drop = s_set(op->drop);
    k.leak = s_set(op->leak);
    k.gain = s_set(op->gain);
    k.rounding = s_set(op->rounding);
    k.half = s_set((int32_t)((1u << op->membrane_shift) >> 1));
    k.top = s_set(op->membrane_top);
    k.bottom = s_set(-op->membrane_top);
    k.leak_shift = how == CHARGE_SHIFT ? op->leak_bits - whole_log2(op->leak) : 0;
    k.leak_bits = op->leak_bits;
    k.low_bits = s_set((int32_t)((1u << op->leak_bits) - 1));
    k.membrane_shift = op->membrane_shift;
    return k;
}

/* A k-bit membrane. */
SPK_INLINE span stored_membrane(const lif_constants *k, span v) {
    const span stored = s_sra(s_add(v, k->half), k->membrane_shift);
    return s_sll(s_max(k->bottom, s_min(k->top, stored)), k->membrane_shift);
}

/* The charge by products of 32 bits. A wide one is that of the numbers' high and low parts, v = v' 2^leak_bits + v'':

     (leak v + gain x + rounding) >> leak_bits = leak v' + gain x' + ((leak v'' + gain x'' + rounding) >> leak_bits),

   where the low part stays below 2^31, as leak, gain <= 2^leak_bits <= 2^15, and the rest may wrap, as h fits. */
SPK_INLINE span charged(const lif_constants *k, span leak, span gain, span v, span x, charge how) {
    if (how == CHARGE_MULTIPLY) return s_sra(s_add(s_add(s_mul(leak, v), s_mul(gain, x)), k->rounding), k->leak_bits);
    const span low_v = s_mul(leak, s_and(v, k->low_bits)), low_x = s_mul(gain, s_and(x, k->low_bits));
    const span low = s_sra(s_add(s_add(low_v, low_x), k->rounding), k->leak_bits);
    const span high_v = s_mul(leak, s_sra(v, k->leak_bits)), high_x = s_mul(gain, s_sra(x, k->leak_bits));
    return s_add(s_add(high_v, high_x), low);
}

/* One step from x: the spikes go to `to`, the new membrane is returned. With a gain of one and a leak of
   2^-k (CHARGE_SHIFT), (leak v + gain x) >> leak_bits = x + (v >> k) exactly. */
SPK_INLINE span lif_step(const lif_constants *k, span x, span v, uint64_t *to, size_t c, charge how, int soft,
                         int rounded) {
    const span h = how == CHARGE_SHIFT ? s_add(x, s_sra(v, k->leak_shift)) : charged(k, k->leak, k->gain, v, x, how);
    const span_mask fires = s_above(h, k->below);
    s_put_spikes(to, c, fires);
    v = soft ? s_sub(h, s_where(fires, k->drop)) : s_unless(fires, h);
    return rounded ? stored_membrane(k, v) : v;
}

/* O6 with one level and one set of constants, for one way to charge, reset and store. */
SPK_INLINE void lif_tile(const spk_op *op, const spk_frame *f, const tile *m, charge how, int soft, int rounded) {
    const lif_constants k = lif_of(op, how);
    const size_t channels = spk_lanes(op->out_c), words = spk_words(op->out_c), step = spk_out_pixels(op) * words;
    const size_t steps = m->steps, stride = m->rows == 1 ? 0 : m->lanes;
    for (size_t p = 0; p < m->pixels; p++) {
        uint64_t *spikes = spk_spikes_at(f, op->spikes) + m->t0 * step + (m->pixel + p) * words;
        const int32_t *sums = tile_row(m, p, 0);
        int32_t *membrane = m->membrane + p * channels;
        for (size_t c = 0; c < channels; c += SPAN) {
            const span_live live = s_live(c, channels);
            span v = m->begins ? s_zero() : s_load(live, membrane + c);
            const int32_t *from = sums + c;
            uint64_t *to = spikes;
            for (size_t t = 0; t < steps; t++, from += stride, to += step)
                v = lif_step(&k, s_load(live, from), v, to, c, how, soft, rounded);
            if (!m->ends) s_store(live, membrane + c, v);
        }
    }
}

SPK_INLINE void lif_charged(const spk_op *op, const spk_frame *f, const tile *m, charge how) {
    switch ((op->soft_reset ? 2 : 0) + (op->membrane_shift ? 1 : 0)) {
    case 0:
        lif_tile(op, f, m, how, 0, 0);
        break;
    case 1:
        lif_tile(op, f, m, how, 0, 1);
        break;
    case 2:
        lif_tile(op, f, m, how, 1, 0);
        break;
    default:
        lif_tile(op, f, m, how, 1, 1);
        break;
    }
}

static void lif(const spk_op *op, const spk_frame *f, const tile *m) {
    switch (charge_of(op)) {
    case CHARGE_SHIFT:
        lif_charged(op, f, m, CHARGE_SHIFT);
        break;
    case CHARGE_MULTIPLY:
        lif_charged(op, f, m, CHARGE_MULTIPLY);
        break;
    default:
        lif_charged(op, f, m, CHARGE_WIDE);
        break;
    }
}

#endif
