/* O6 in full: constants by channel, several levels, a membrane that starts anywhere. Part of a tile's end, as lif.h. */

#ifndef SPIKELET_NEURON_H
#define SPIKELET_NEURON_H

#include "lif.h"
#include "still.h"

/* Eight neurons' rows of constants, and where a tile's results go. */
typedef struct neurons {
    vec leak, gain, drop, start;
    vec floor, ceiling, shift, factor, step; /* of a quotient, see spk_quotient_row */
    const int32_t *cuts;                     /* [levels][channels] */
    size_t channels;
} neurons;

SPK_INLINE neurons neurons_at(const spk_op *op, size_t c) {
    const size_t channels = spk_lanes(op->out_c);
    const int32_t *k = op->neuron + c;
    neurons n = {.cuts = k + SPK_NEURON_ROWS * channels, .channels = channels};
    n.leak = v_load(k + SPK_LEAK * channels);
    n.gain = v_load(k + SPK_GAIN * channels);
    n.drop = v_load(k + SPK_DROP * channels);
    n.start = v_load(k + SPK_START * channels);
    if (op->quotient_bits == 0) return n;
    n.floor = v_load(k + SPK_FLOOR * channels);
    n.ceiling = v_load(k + SPK_CEILING * channels);
    n.shift = v_load(k + SPK_QUOTIENT_SHIFT * channels);
    n.factor = v_load(k + SPK_QUOTIENT_FACTOR * channels);
    n.step = v_load(k + SPK_STEP * channels);
    return n;
}

/* How many steps from the threshold on h has come, 0 to levels. */
SPK_ALWAYS vec quotient_of(const neurons *n, vec h, int32_t bits) {
    const vec u = v_sub32(v_min32(v_max32(h, n->floor), n->ceiling), n->floor);
    const vec product = v_mul32(v_srav32(u, n->shift), n->factor);
    const vec q = v_sra32(v_add32(product, v_set32(1 << (bits - 1))), bits);
    return v_add32(q, v_gt32(v_mul32(q, n->step), u));
}

/* How many cuts lie below h; they ascend. */
SPK_ALWAYS vec cuts_below(const neurons *n, vec h, int32_t levels) {
    vec count = v_zero();
    for (int32_t j = 0; j < levels; j++) {
        const vec above = v_gt32(h, v_load(n->cuts + (size_t)j * n->channels));
        if (v_signs32(above) == 0) break;
        count = v_sub32(count, above);
    }
    return count;
}

/* Spikes of several levels are values. */
SPK_INLINE void put_counts(const spk_op *op, const spk_frame *f, const tile *m, size_t p, size_t t, size_t c,
                           vec count) {
    const size_t pixel = (m->t0 + t) * spk_out_pixels(op) + m->pixel + p;
    if (op->counts >= 0)
        v_store(spk_values_at(f, op->counts) + pixel * spk_lanes(op->out_c) + c, count);
    else
        put_spikes(spk_spikes_at(f, op->spikes) + pixel * spk_words(op->out_c), c, v_signs32(v_sub32(v_zero(), count)));
}

SPK_INLINE void neuron_charged(const spk_op *op, const spk_frame *f, const tile *m, charge how, int divides) {
    const lif_constants k = lif_of(op, how);
    const size_t channels = spk_lanes(op->out_c);
    for (size_t c = 0; c < channels && !spk_stopped(f); c += 8) {
        const neurons n = neurons_at(op, c);
        for (size_t p = 0; p < m->pixels; p++) {
            int32_t *membrane = m->membrane + p * channels + c;
            vec v = m->begins ? n.start : v_load(membrane);
            for (size_t t = 0; t < m->steps; t++) {
                const vec x = v_load(tile_row(m, p, m->rows == 1 ? 0 : t) + c);
                const vec h = charged(&k, n.leak, n.gain, v, x, how);
                const vec count = divides ? quotient_of(&n, h, op->quotient_bits) : cuts_below(&n, h, op->levels);
                put_counts(op, f, m, p, t, c, count);
                if (m->ends && t + 1 == m->steps) break;
                v = op->soft_reset ? v_sub32(h, v_mul32(count, n.drop)) : v_andnot(v_gt32(count, v_zero()), h);
                if (op->membrane_shift) v = stored_membrane(&k, v);
            }
            if (!m->ends) v_store(membrane, v);
        }
    }
}

/* Whether eight channels have a gain of one. */
SPK_INLINE int takes_currents_whole(const spk_op *op, const neurons *n) {
    const vec one = v_set32((int32_t)(1u << op->leak_bits));
    return v_signs32(v_or(v_gt32(n->gain, one), v_gt32(one, n->gain))) == 0;
}

/* Counts of neurons that begin and end within one step, eight channels of all pixels. With a gain of one the charge is
   (leak start + 2^leak_bits x + rounding) >> leak_bits = x + ((leak start + rounding) >> leak_bits). */
SPK_INLINE void counts_at_once(const spk_op *op, const tile *m, const neurons *n, const lif_constants *k, charge how,
                               int divides, int whole, size_t c, int32_t *to) {
    const size_t pixels = m->pixels, channels = n->channels, apart = m->steps * m->lanes;
    const int32_t bits = op->quotient_bits, levels = op->levels, *from = m->sums + c;
    const vec start = charged(k, n->leak, n->gain, n->start, v_zero(), how);
    for (size_t p = 0; p < pixels; p++, from += apart, to += channels) {
        const vec x = v_load(from);
        const vec h = whole ? v_add32(x, start) : charged(k, n->leak, n->gain, n->start, x, how);
        v_store(to, divides ? quotient_of(n, h, bits) : cuts_below(n, h, levels));
    }
}

SPK_INLINE void neuron_at_once(const spk_op *op, const spk_frame *f, const tile *m, charge how, int divides) {
    const lif_constants k = lif_of(op, how);
    const size_t channels = spk_lanes(op->out_c);
    int32_t *to = spk_values_at(f, op->counts) + (m->t0 * spk_out_pixels(op) + m->pixel) * channels;
    for (size_t c = 0; c < channels && !spk_stopped(f); c += 8) {
        const neurons n = neurons_at(op, c);
        if (takes_currents_whole(op, &n))
            counts_at_once(op, m, &n, &k, how, divides, 1, c, to + c);
        else
            counts_at_once(op, m, &n, &k, how, divides, 0, c, to + c);
    }
}

SPK_INLINE void neuron_in_time(const spk_op *op, const spk_frame *f, const tile *m, charge how, int divides) {
    if (op->counts >= 0 && m->steps == 1 && m->begins && m->ends)
        neuron_at_once(op, f, m, how, divides);
    else
        neuron_charged(op, f, m, how, divides);
}

static void neuron(const spk_op *op, const spk_frame *f, const tile *m) {
    switch ((op->wide_charge ? 2 : 0) + (op->quotient_bits ? 1 : 0)) {
    case 0:
        neuron_in_time(op, f, m, CHARGE_MULTIPLY, 0);
        break;
    case 1:
        neuron_in_time(op, f, m, CHARGE_MULTIPLY, 1);
        break;
    case 2:
        neuron_in_time(op, f, m, CHARGE_WIDE, 0);
        break;
    default:
        neuron_in_time(op, f, m, CHARGE_WIDE, 1);
        break;
    }
}

static void finish_lif(const spk_op *op, const spk_frame *f, const tile *m) {
    if (op->neuron)
        neuron(op, f, m);
    else if (is_still(op, m))
        lif_still(op, f, m);
    else
        lif(op, f, m);
}

#endif
