/* O6 on a tile: the neuron's constants in registers, one step of eight channels, and the loop over a tile. */

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

/* Whether the charge halves, or more, the sum of membrane and current. */
SPK_INLINE int charge_is_mean(const spk_op *op) { return op->leak == 1 && op->gain == 1 && !op->wide_charge; }

SPK_INLINE charge charge_of(const spk_op *op) {
    const int whole = op->gain == 1 << op->leak_bits && whole_log2(op->leak) >= 0 && op->rounding == 0;
    return whole || charge_is_mean(op) ? CHARGE_SHIFT : op->wide_charge ? CHARGE_WIDE : CHARGE_MULTIPLY;
}

/* What LIF steps need, in registers. */
typedef struct lif_constants {
    vec below, drop, leak, gain, rounding, half, top, bottom; /* below = threshold - 1 */
    vec low_bits;                                             /* of a number: those that the shift takes */
    int32_t leak_shift, mean_shift;                           /* of CHARGE_SHIFT */
    int32_t leak_bits, membrane_shift;
} lif_constants;

SPK_INLINE lif_constants lif_of(const spk_op *op, charge how) {
    lif_constants k;
    k.below = v_set32(op->threshold - 1);
    k.drop = v_set32(op->drop);
    k.leak = v_set32(op->leak);
    k.gain = v_set32(op->gain);
    k.rounding = v_set32(op->rounding);
    k.half = v_set32((int32_t)((1u << op->membrane_shift) >> 1));
    k.top = v_set32(op->membrane_top);
    k.bottom = v_set32(-op->membrane_top);
    k.mean_shift = charge_is_mean(op) ? op->leak_bits : 0;
    k.leak_shift = how == CHARGE_SHIFT && !k.mean_shift ? op->leak_bits - whole_log2(op->leak) : 0;
    k.leak_bits = op->leak_bits;
    k.low_bits = v_set32((int32_t)((1u << op->leak_bits) - 1));
    k.membrane_shift = op->membrane_shift;
    return k;
}

/* A k-bit membrane. */
SPK_ALWAYS vec stored_membrane(const lif_constants *k, vec v) {
    const vec stored = v_sra32(v_add32(v, k->half), k->membrane_shift);
    return v_sll32(v_max32(k->bottom, v_min32(k->top, stored)), k->membrane_shift);
}

/* The charge by products of 32 bits. A wide one is that of the numbers' high and low parts, v = v' 2^leak_bits + v'':

     (leak v + gain x + rounding) >> leak_bits = leak v' + gain x' + ((leak v'' + gain x'' + rounding) >> leak_bits),

   where the low part stays below 2^31, as leak, gain <= 2^leak_bits <= 2^15, and the rest may wrap, as h fits. */
SPK_ALWAYS vec charged(const lif_constants *k, vec leak, vec gain, vec v, vec x, charge how) {
    if (how == CHARGE_MULTIPLY)
        return v_sra32(v_add32(v_add32(v_mul32(leak, v), v_mul32(gain, x)), k->rounding), k->leak_bits);
    const vec low_v = v_mul32(leak, v_and(v, k->low_bits)), low_x = v_mul32(gain, v_and(x, k->low_bits));
    const vec low = v_sra32(v_add32(v_add32(low_v, low_x), k->rounding), k->leak_bits);
    const vec high_v = v_mul32(leak, v_sra32(v, k->leak_bits)), high_x = v_mul32(gain, v_sra32(x, k->leak_bits));
    return v_add32(v_add32(high_v, high_x), low);
}

/* The charge of a step from x. Without a product (CHARGE_SHIFT) it is one of two, and the other's shift is 0: with a
   gain of one and a leak of 2^-k, (leak v + gain x) >> leak_bits = x + (v >> k) exactly; with a gain and a leak of
   2^-k, and so a mean of both for k = 1, (x + v + rounding) >> k. */
SPK_ALWAYS vec lif_charge(const lif_constants *k, vec x, vec v, charge how) {
    if (how != CHARGE_SHIFT) return charged(k, k->leak, k->gain, v, x, how);
    return v_sra32(v_add32(v_add32(x, k->rounding), v_sra32(v, k->leak_shift)), k->mean_shift);
}

/* Where a charge fires; the spikes go to `to`. */
SPK_ALWAYS vec lif_fires(const lif_constants *k, vec h, uint64_t *to, size_t c) {
    const vec fires = v_gt32(h, k->below);
    put_spikes(to, c, v_signs32(fires));
    return fires;
}

/* The membrane that is left of it. */
SPK_ALWAYS vec lif_membrane(const lif_constants *k, vec h, vec fires, int soft, int rounded) {
    const vec v = soft ? v_sub32(h, v_and(fires, k->drop)) : v_andnot(fires, h);
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
        for (size_t c = 0; c < channels; c += 8) {
            vec v = m->begins ? v_zero() : v_load(membrane + c);
            const int32_t *from = sums + c;
            uint64_t *to = spikes;
            for (size_t t = 0; t < steps; t++, from += stride, to += step) {
                const vec h = lif_charge(&k, v_load(from), v, how), fires = lif_fires(&k, h, to, c);
                if (t + 1 < steps || !m->ends) v = lif_membrane(&k, h, fires, soft, rounded);
            }
            if (!m->ends) v_store(membrane + c, v);
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
