/* What follows the synapses, for a tile of pixels and a chunk of time steps whose sums are still in the
   nearest cache:  sums -> affine -> + addend -> values | sum over time -> LIF -> packed spikes. */

#ifndef SPIKELET_FINISH_H
#define SPIKELET_FINISH_H

#include <string.h>

#include "maps.h"

enum {
    CHUNK = 16,         /* time steps that sums are kept for */
    TILE_BYTES = 12288, /* sums that are kept at once, where one pixel has no more */
    TILE_PIXELS = 16
};

/* Neighbouring output pixels and steps: sums are int32 [pixels][steps][lanes]. Of a source that is the
   same at every step, only row 0 of a pixel is there: rows = 1. */
typedef struct tile {
    int32_t *sums;
    int32_t *membrane; /* [pixels][channels], between chunks */
    size_t lanes, rows;
    size_t pixel, pixels, t0, steps;
} tile;

SPK_INLINE int32_t *tile_row(const tile *m, size_t p, size_t r) { return m->sums + (p * m->steps + r) * m->lanes; }

/* O4, by 32-bit products (spikelet.h: SPK_AFFINE_SPLIT). */
SPK_INLINE void affine_split(const spk_op *op, const tile *m, int has_low) {
    const int32_t *highs = op->high, *lows = op->low, *halves = op->half, *rests = op->rest, *offsets = op->offset;
    const int32_t split = op->split;
    const size_t channels = spk_lanes(op->out_c), pixels = m->pixels, rows = m->rows, lanes = m->lanes;
    const size_t skipped = (m->steps - rows) * lanes;
    for (size_t c = 0; c < channels; c += 8) {
        const vec high = v_load(highs + c), low = v_load(lows + c), half = v_load(halves + c);
        const vec rest = v_load(rests + c), offset = v_load(offsets + c);
        int32_t *at = m->sums + c;
        for (size_t p = 0; p < pixels; p++, at += skipped) {
            for (size_t r = 0; r < rows; r++, at += lanes) {
                const vec x = v_load(at);
                vec product = v_add32(v_mul32(high, x), half);
                if (has_low) product = v_add32(product, v_sra32(v_mul32(low, x), split));
                v_store(at, v_add32(v_srav32(product, rest), offset));
            }
        }
    }
}

/* O4, by 64-bit products. */
SPK_INLINE void affine_wide(const spk_op *op, const tile *m) {
    const int32_t *multipliers = op->multiplier, *shifts = op->shift, *offsets = op->offset;
    for (size_t c = 0; c < spk_lanes(op->out_c); c += 8) {
        const vec multiplier = v_load(multipliers + c), shift = v_load(shifts + c), offset = v_load(offsets + c);
        for (size_t p = 0; p < m->pixels; p++) {
            for (size_t r = 0; r < m->rows; r++) {
                int32_t *at = tile_row(m, p, r) + c;
                v_store(at, v_affine_wide(v_load(at), multiplier, shift, offset));
            }
        }
    }
}

SPK_INLINE void finish_affine(const spk_op *op, const tile *m) {
    if (op->affine == SPK_AFFINE_SPLIT && op->split == 0)
        affine_split(op, m, 0);
    else if (op->affine == SPK_AFFINE_SPLIT)
        affine_split(op, m, 1);
    else if (op->affine == SPK_AFFINE_WIDE)
        affine_wide(op, m);
}

/* O5: a row of sums and a pixel of the addend. */
SPK_INLINE void add_values(const spk_op *op, const int32_t *addend, const int32_t *from, int32_t *to) {
    const size_t channels = spk_lanes(op->out_c);
    for (size_t c = 0; c < channels; c += 8) v_store(to + c, v_add32(v_load(from + c), v_load(addend + c)));
}

SPK_INLINE void add_spikes(const spk_op *op, const uint64_t *addend, const int32_t *from, int32_t *to) {
    const size_t channels = spk_lanes(op->out_c);
    const int32_t *zeros = op->addend_zero, *ones = op->addend_one;
    for (size_t c = 0; c < channels; c += 8) {
        const vec fired = v_mask32((uint32_t)(addend[c / 64] >> (c % 64)) & 0xff);
        const vec value = v_or(v_and(fired, v_load(ones + c)), v_andnot(fired, v_load(zeros + c)));
        v_store(to + c, v_add32(v_load(from + c), value));
    }
}

/* O5. A still source and a timed addend spread from the last step to the first. */
SPK_INLINE void finish_add(const spk_op *op, const spk_frame *f, tile *m) {
    const size_t pixels = spk_out_pixels(op), total = spk_steps(op) == 1 ? 1 : m->steps;
    for (size_t p = 0; p < m->pixels; p++) {
        for (size_t t = total; t-- > 0;) {
            const size_t pixel = spk_step(op->addend_t, m->t0 + t) * pixels + m->pixel + p;
            const int32_t *from = tile_row(m, p, m->rows == 1 ? 0 : t);
            int32_t *to = tile_row(m, p, t);
            if (op->addend_source == SPK_SPIKES)
                add_spikes(op, spk_spikes_at(f, op->addend) + pixel * spk_words(op->out_c), from, to);
            else
                add_values(op, spk_values_at(f, op->addend) + pixel * spk_lanes(op->out_c), from, to);
        }
    }
    m->rows = total;
}

SPK_INLINE void finish_values(const spk_op *op, const spk_frame *f, const tile *m) {
    const size_t channels = spk_lanes(op->out_c), pixels = spk_out_pixels(op);
    for (size_t p = 0; p < m->pixels; p++) {
        for (size_t r = 0; r < m->rows; r++) {
            const size_t t = spk_steps(op) == 1 ? 0 : m->t0 + r;
            const int32_t *from = tile_row(m, p, r);
            int32_t *to = spk_values_at(f, op->values) + (t * pixels + m->pixel + p) * channels;
            for (size_t c = 0; c < channels; c += 8) v_store(to + c, v_load(from + c));
        }
    }
}

/* O10 */
SPK_INLINE void finish_sum(const spk_op *op, const spk_frame *f, const tile *m) {
    const size_t channels = spk_lanes(op->out_c);
    const vec times = v_set32(m->rows == m->steps ? 1 : (int32_t)m->steps);
    for (size_t p = 0; p < m->pixels; p++) {
        int32_t *to = spk_values_at(f, op->values) + (m->pixel + p) * channels;
        for (size_t c = 0; c < channels; c += 8) {
            vec total = m->t0 ? v_load(to + c) : v_zero();
            for (size_t r = 0; r < m->rows; r++) total = v_add32(total, v_mul32(v_load(tile_row(m, p, r) + c), times));
            v_store(to + c, total);
        }
    }
}

/* How the charge h = (leak v + gain x) >> leak_bits is evaluated. */
typedef enum charge { CHARGE_SHIFT, CHARGE_MULTIPLY } charge;

/* log2 of a power of two, or -1. */
SPK_INLINE int32_t whole_log2(int32_t n) {
    int32_t k = 0;
    while (n > 1 && n % 2 == 0) n /= 2, k++;
    return n == 1 ? k : -1;
}

/* What LIF steps need, in registers. */
typedef struct lif_constants {
    vec below, drop, leak, gain, half, top, bottom; /* below = threshold - 1 */
    int32_t leak_shift, leak_bits, membrane_shift;
} lif_constants;

SPK_INLINE lif_constants lif_of(const spk_op *op, charge how) {
    lif_constants k;
    k.below = v_set32(op->threshold - 1);
    k.drop = v_set32(op->drop);
    k.leak = v_set32(op->leak);
    k.gain = v_set32(op->gain);
    k.half = v_set32((int32_t)((1u << op->membrane_shift) >> 1));
    k.top = v_set32(op->membrane_top);
    k.bottom = v_set32(-op->membrane_top);
    k.leak_shift = how == CHARGE_SHIFT ? op->leak_bits - whole_log2(op->leak) : 0;
    k.leak_bits = op->leak_bits;
    k.membrane_shift = op->membrane_shift;
    return k;
}

/* One step from x: the spikes go to `to`, the new membrane is returned. With a gain of one and a leak of
   2^-k (CHARGE_SHIFT), (leak v + gain x) >> leak_bits = x + (v >> k) exactly. */
SPK_INLINE vec lif_step(const lif_constants *k, vec x, vec v, uint64_t *to, size_t c, charge how, int soft,
                        int rounded) {
    const vec h = how == CHARGE_SHIFT ? v_add32(x, v_sra32(v, k->leak_shift))
                                      : v_sra32(v_add32(v_mul32(k->leak, v), v_mul32(k->gain, x)), k->leak_bits);
    const vec fires = v_gt32(h, k->below);
    put_spikes(to, c, v_signs32(fires));
    v = soft ? v_sub32(h, v_and(fires, k->drop)) : v_andnot(fires, h);
    if (!rounded) return v;
    const vec stored = v_sra32(v_add32(v, k->half), k->membrane_shift);
    return v_sll32(v_max32(k->bottom, v_min32(k->top, stored)), k->membrane_shift);
}

/* O6, for one way to charge, reset and store. */
SPK_INLINE void lif_tile(const spk_op *op, const spk_frame *f, const tile *m, charge how, int soft, int rounded) {
    const lif_constants k = lif_of(op, how);
    const size_t channels = spk_lanes(op->out_c), words = spk_words(op->out_c), step = spk_out_pixels(op) * words;
    const size_t steps = m->steps, stride = m->rows == 1 ? 0 : m->lanes;
    const int begins = m->t0 == 0, ends = m->t0 + steps == (size_t)op->T;
    for (size_t p = 0; p < m->pixels; p++) {
        uint64_t *spikes = spk_spikes_at(f, op->spikes) + m->t0 * step + (m->pixel + p) * words;
        const int32_t *sums = tile_row(m, p, 0);
        int32_t *membrane = m->membrane + p * channels;
        for (size_t c = 0; c < channels; c += 8) {
            vec v = begins ? v_zero() : v_load(membrane + c);
            const int32_t *from = sums + c;
            uint64_t *to = spikes;
            for (size_t t = 0; t < steps; t++, from += stride, to += step)
                v = lif_step(&k, v_load(from), v, to, c, how, soft, rounded);
            if (!ends) v_store(membrane + c, v);
        }
    }
}

static void finish_lif(const spk_op *op, const spk_frame *f, const tile *m) {
    const charge how = op->gain == 1 << op->leak_bits && whole_log2(op->leak) >= 0 ? CHARGE_SHIFT : CHARGE_MULTIPLY;
    const int way = (how == CHARGE_SHIFT ? 0 : 4) + (op->soft_reset ? 2 : 0) + (op->membrane_shift ? 1 : 0);
    switch (way) {
    case 0:
        lif_tile(op, f, m, CHARGE_SHIFT, 0, 0);
        break;
    case 1:
        lif_tile(op, f, m, CHARGE_SHIFT, 0, 1);
        break;
    case 2:
        lif_tile(op, f, m, CHARGE_SHIFT, 1, 0);
        break;
    case 3:
        lif_tile(op, f, m, CHARGE_SHIFT, 1, 1);
        break;
    case 4:
        lif_tile(op, f, m, CHARGE_MULTIPLY, 0, 0);
        break;
    case 5:
        lif_tile(op, f, m, CHARGE_MULTIPLY, 0, 1);
        break;
    case 6:
        lif_tile(op, f, m, CHARGE_MULTIPLY, 1, 0);
        break;
    default:
        lif_tile(op, f, m, CHARGE_MULTIPLY, 1, 1);
        break;
    }
}

#include "fused.h"

/* Everything after the synapses; the sums are used up. */
static void finish(const spk_op *op, const spk_frame *f, tile *m) {
    if (fuses(op, m)) {
        fused(op, f, m);
        return;
    }
    finish_affine(op, m);
    if (op->addend >= 0) finish_add(op, f, m);
    if (op->values >= 0 && op->sum_time) finish_sum(op, f, m);
    if (op->values >= 0 && !op->sum_time) finish_values(op, f, m);
    if (op->spikes >= 0) finish_lif(op, f, m);
}

#endif
