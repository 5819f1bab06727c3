/* O6 in full: constants by channel, several levels, a membrane that starts anywhere. Part of a tile's end, as lif.h. */

#ifndef SPIKELET_NEURON_H
#define SPIKELET_NEURON_H

#include "lif.h"

/* SPAN neurons' rows of constants, and where a tile's results go. */
typedef struct neurons {
    span leak, gain, drop, start;
    span floor, ceiling, shift, factor, step; /* of a quotient, see spk_quotient_row */
    span_live live;
    const int32_t *cuts; /* [levels][channels] */
    size_t channels;
} neurons;

SPK_INLINE neurons neurons_at(const spk_op *op, size_t c) {
    const size_t channels = spk_lanes(op->out_c);
    const span_live live = s_live(c, channels);
    const int32_t *k = op->neuron + c;
    neurons n = {.live = live, .cuts = k + SPK_NEURON_ROWS * channels, .channels = channels};
    n.leak = s_load(live, k + SPK_LEAK * channels);
    n.gain = s_load(live, k + SPK_GAIN * channels);
    n.drop = s_load(live, k + SPK_DROP * channels);
    n.start = s_load(live, k + SPK_START * channels);
    if (op->quotient_bits == 0) return n;
    n.floor = s_load(live, k + SPK_FLOOR * channels);
    n.ceiling = s_load(live, k + SPK_CEILING * channels);
    n.shift = s_load(live, k + SPK_QUOTIENT_SHIFT * channels);
    n.factor = s_load(live, k + SPK_QUOTIENT_FACTOR * channels);
    n.step = s_load(live, k + SPK_STEP * channels);
    return n;
}

/* How many steps from the threshold on h has come, 0 to levels. */
SPK_INLINE span quotient_of(const neurons *n, span h, int32_t bits) {
    const span u = s_sub(s_min(s_max(h, n->floor), n->ceiling), n->floor);
    const span product = s_mul(s_srav(u, n->shift), n->factor);
    const span q = s_sra(s_add(product, s_set(1 << (bits - 1))), bits);
    return s_one_less(s_above(s_mul(q, n->step), u), q);
}

/* How many cuts lie below h; they ascend. */
SPK_INLINE span cuts_below(const neurons *n, span h, int32_t levels) {
    span count = s_zero();
    for (int32_t j = 0; j < levels; j++) {
        const span_mask above = s_above(h, s_load(n->live, n->cuts + (size_t)j * n->channels));
        if (s_bits(above) == 0) break;
        count = s_one_more(above, count);
    }
    return count;
}

/* Spikes of several levels are values. */
SPK_INLINE void put_counts(const spk_op *op, const spk_frame *f, const tile *m, size_t p, size_t t, size_t c,
                           span_live live, span count) {
    const size_t pixel = (m->t0 + t) * spk_out_pixels(op) + m->pixel + p;
    if (op->counts >= 0)
        s_store(live, spk_values_at(f, op->counts) + pixel * spk_lanes(op->out_c) + c, count);
    else
        s_put_spikes(spk_spikes_at(f, op->spikes) + pixel * spk_words(op->out_c), c, s_above(count, s_zero()));
}

SPK_INLINE void neuron_charged(const spk_op *op, const spk_frame *f, const tile *m, charge how, int divides) {
    const lif_constants k = lif_of(op, how);
    const size_t channels = spk_lanes(op->out_c);
    for (size_t c = 0; c < channels && !spk_stopped(f); c += SPAN) {
        const neurons n = neurons_at(op, c);
        for (size_t p = 0; p < m->pixels; p++) {
            int32_t *membrane = m->membrane + p * channels + c;
            span v = m->begins ? n.start : s_load(n.live, membrane);
            for (size_t t = 0; t < m->steps; t++) {
                const span x = s_load(n.live, tile_row(m, p, m->rows == 1 ? 0 : t) + c);
                const span h = charged(&k, n.leak, n.gain, v, x, how);
                const span count = divides ? quotient_of(&n, h, op->quotient_bits) : cuts_below(&n, h, op->levels);
                put_counts(op, f, m, p, t, c, n.live, count);
                if (m->ends && t + 1 == m->steps) break;
                v = op->soft_reset ? s_sub(h, s_mul(count, n.drop)) : s_unless(s_above(count, s_zero()), h);
                if (op->membrane_shift) v = stored_membrane(&k, v);
            }
            if (!m->ends) s_store(n.live, membrane, v);
        }
    }
}

/* Whether SPAN channels have a gain of one. */
SPK_INLINE int takes_currents_whole(const spk_op *op, const neurons *n) {
    const span one = s_set((int32_t)(1u << op->leak_bits));
    return (s_bits(s_above(n->gain, one)) | s_bits(s_above(one, n->gain))) == 0;
}

/* Counts of neurons that begin and end within one step, SPAN channels of all pixels. With a gain of one the charge is
   (leak start + 2^leak_bits x + rounding) >> leak_bits = x + ((leak start + rounding) >> leak_bits). */
SPK_INLINE void counts_at_once(const spk_op *op, const tile *m, const neurons *n, const lif_constants *k, charge how,
                               int divides, int whole, size_t c, int32_t *to) {
    const size_t pixels = m->pixels, channels = n->channels, apart = m->steps * m->lanes;
    const int32_t bits = op->quotient_bits, levels = op->levels, *from = m->sums + c;
    const span start = charged(k, n->leak, n->gain, n->start, s_zero(), how);
    for (size_t p = 0; p < pixels; p++, from += apart, to += channels) {
        const span x = s_load(n->live, from);
        const span h = whole ? s_add(x, start) : charged(k, n->leak, n->gain, n->start, x, how);
        s_store(n->live, to, divides ? quotient_of(n, h, bits) : cuts_below(n, h, levels));
    }
}

SPK_INLINE void neuron_at_once(const spk_op *op, const spk_frame *f, const tile *m, charge how, int divides) {
    const lif_constants k = lif_of(op, how);
    const size_t channels = spk_lanes(op->out_c);
    int32_t *to = spk_values_at(f, op->counts) + (m->t0 * spk_out_pixels(op) + m->pixel) * channels;
    for (size_t c = 0; c < channels && !spk_stopped(f); c += SPAN) {
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
    else
        lif(op, f, m);
}

#endif
