/* The commonest ends of a layer in one pass over the sums: affine, addend, values and LIF of eight
   channels stay in registers through all steps. finish.h says what each part means, one by one. */

#ifndef SPIKELET_FUSED_H
#define SPIKELET_FUSED_H

#include "lif.h"
#include "tile.h"

/* What varies between the instances below; every use is a constant. */
typedef struct variant {
    int narrow; /* sums are int16 */
    int low;    /* the affine step has a low product */
    int source; /* of the addend: SPK_VALUES, SPK_SPIKES, or SPK_BYTES for none */
    int store;  /* values are wanted too */
    int soft, rounded;
} variant;

/* Whether `fused` does what `finish` would. */
SPK_INLINE int fuses(const spk_op *op, const tile *m) {
    const int plain = op->neuron == NULL && charge_of(op) == CHARGE_SHIFT && !op->clipped && !op->sum_time;
    return op->spikes >= 0 && op->affine == SPK_AFFINE_SPLIT && plain && m->rows == m->steps;
}

/* Whether it takes short sums as they are; finish.h widens them else. */
SPK_INLINE int reads_short(const spk_op *op) { return op->short_sums && op->split == 0; }

/* Pointers to the first of a tile's pixels at its first step, for channel 0. */
typedef struct places {
    uint64_t *spikes;
    int32_t *values;
    const int32_t *addend_values;
    const uint64_t *addend_spikes;
    size_t spikes_step, values_step, addend_step; /* from one time step to the next */
} places;

SPK_INLINE places places_of(const spk_op *op, const spk_frame *f, const tile *m) {
    const size_t channels = spk_lanes(op->out_c), words = spk_words(op->out_c), pixels = spk_out_pixels(op);
    places q = {NULL, NULL, NULL, NULL, pixels * words, pixels * channels, 0};
    q.spikes = spk_spikes_at(f, op->spikes) + (m->t0 * pixels + m->pixel) * words;
    const size_t values_t0 = spk_steps(op) == 1 ? 0 : m->t0; /* a still map's only step, although it fires at each */
    if (op->values >= 0) q.values = spk_values_at(f, op->values) + (values_t0 * pixels + m->pixel) * channels;
    if (op->addend < 0) return q;
    const size_t pixel = spk_step(op->addend_t, m->t0) * pixels + m->pixel;
    if (op->addend_source == SPK_SPIKES)
        q.addend_spikes = spk_spikes_at(f, op->addend) + pixel * words;
    else
        q.addend_values = spk_values_at(f, op->addend) + pixel * channels;
    if (op->addend_t > 1) q.addend_step = op->addend_source == SPK_SPIKES ? q.spikes_step : q.values_step;
    return q;
}

SPK_INLINE void fused_tile(const spk_op *op, const spk_frame *f, const tile *m, variant k) {
    const lif_constants lif = lif_of(op, CHARGE_SHIFT);
    const places q = places_of(op, f, m);
    const size_t channels = spk_lanes(op->out_c), words = spk_words(op->out_c), steps = m->steps, lanes = m->lanes;
    const int32_t split = op->split;
    const int32_t *highs = op->high, *lows = op->low, *halves = op->half, *rests = op->rest, *offsets = op->offset;
    const int32_t *zeros = op->addend_zero, *ones = op->addend_one;
    for (size_t c = m->first; c < m->end; c += 8) {
        const vec high = v_load(highs + c), half = v_load(halves + c), rest = v_load(rests + c);
        const vec low = k.low ? v_load(lows + c) : v_zero(), offset = v_load(offsets + c);
        const vec zero = k.source == SPK_SPIKES ? v_load(zeros + c) : v_zero();
        const vec one = k.source == SPK_SPIKES ? v_load(ones + c) : v_zero();
        const int16_t *short_sums = (const int16_t *)(const void *)m->sums + c - m->first;
        const int32_t *sums = m->sums + c - m->first;
        for (size_t p = 0; p < m->pixels; p++) {
            int32_t *membrane = m->membrane + p * channels + c;
            uint64_t *spikes = q.spikes + p * words;
            int32_t *values = k.store ? q.values + p * channels + c : NULL;
            const int32_t *addend_values = k.source == SPK_VALUES ? q.addend_values + p * channels + c : NULL;
            const uint64_t *addend_spikes = k.source == SPK_SPIKES ? q.addend_spikes + p * words + c / 64 : NULL;
            vec v = m->begins ? v_zero() : v_load(membrane);
            for (size_t t = 0; t < steps; t++, sums += lanes, short_sums += lanes, spikes += q.spikes_step) {
                const vec n = k.narrow ? v_load16to32(short_sums) : v_load(sums);
                vec product = v_add32(v_mul32(high, n), half);
                if (k.low) product = v_add32(product, v_sra32(v_mul32(low, n), split));
                vec x = v_add32(v_srav32(product, rest), offset);
                if (k.source == SPK_VALUES) {
                    x = v_add32(x, v_load(addend_values));
                    addend_values += q.addend_step;
                } else if (k.source == SPK_SPIKES) {
                    const vec fired = v_mask32((uint32_t)(*addend_spikes >> (c % 64)) & 0xff);
                    x = v_add32(x, v_or(v_and(fired, one), v_andnot(fired, zero)));
                    addend_spikes += q.addend_step;
                }
                if (k.store) {
                    v_store(values, x);
                    values += q.values_step;
                }
                const vec h = lif_charge(&lif, x, v, CHARGE_SHIFT), fires = lif_fires(&lif, h, spikes, c);
                if (t + 1 < steps || !m->ends) v = lif_membrane(&lif, h, fires, k.soft, k.rounded);
            }
            if (!m->ends) v_store(membrane, v);
        }
    }
}

/* One level for each thing that varies, so that every instance of fused_tile has constants only. */
SPK_INLINE void fused_rounded(const spk_op *op, const spk_frame *f, const tile *m, variant k) {
    k.rounded = 0;
    if (op->membrane_shift == 0) {
        fused_tile(op, f, m, k);
    } else {
        k.rounded = 1;
        fused_tile(op, f, m, k);
    }
}

SPK_INLINE void fused_reset(const spk_op *op, const spk_frame *f, const tile *m, variant k) {
    k.soft = 0;
    if (!op->soft_reset) {
        fused_rounded(op, f, m, k);
    } else {
        k.soft = 1;
        fused_rounded(op, f, m, k);
    }
}

SPK_INLINE void fused_store(const spk_op *op, const spk_frame *f, const tile *m, variant k) {
    k.store = 0;
    if (op->values < 0) {
        fused_reset(op, f, m, k);
    } else {
        k.store = 1;
        fused_reset(op, f, m, k);
    }
}

SPK_INLINE void fused_addend(const spk_op *op, const spk_frame *f, const tile *m, variant k) {
    k.source = SPK_BYTES;
    if (op->addend < 0) {
        fused_store(op, f, m, k);
    } else if (op->addend_source == SPK_SPIKES) {
        k.source = SPK_SPIKES;
        fused_store(op, f, m, k);
    } else {
        k.source = SPK_VALUES;
        fused_store(op, f, m, k);
    }
}

static void fused(const spk_op *op, const spk_frame *f, const tile *m) {
    variant k = {0, 0, SPK_BYTES, 0, 0, 0};
    if (reads_short(op)) {
        k.narrow = 1;
        fused_addend(op, f, m, k);
    } else if (op->split == 0) {
        fused_addend(op, f, m, k);
    } else {
        k.low = 1;
        fused_addend(op, f, m, k);
    }
}

#endif
