/* What follows the synapses of a pixel, for a chunk of time steps, while its sums are still in the
   nearest cache:  sums -> affine -> + addend -> values | sum over time -> LIF -> packed spikes.

   The sums are int32 [rows][lanes], rows = 1 for a source that is the same at every step. */

#ifndef SPIKELET_FINISH_H
#define SPIKELET_FINISH_H

#include <string.h>

#include "maps.h"

enum { CHUNK = 16 }; /* time steps that a pixel's sums are kept for */

/* A chunk of a pixel's steps: t0 .. t0 + steps - 1. */
typedef struct moment {
    size_t pixel, t0, steps;
} moment;

/* Rows of sums that a chunk needs from its source. */
SPK_INLINE size_t source_rows(const spk_op *op, size_t steps) { return op->in_t == 1 ? 1 : steps; }

/* O4, by 32-bit products (spikelet.h: SPK_AFFINE_SPLIT). */
SPK_INLINE void affine_split(const spk_op *op, int32_t *sums, size_t rows, size_t lanes, int has_low) {
    const int32_t *highs = op->high, *lows = op->low, *halves = op->half, *rests = op->rest, *offsets = op->offset;
    const int32_t split = op->split;
    const size_t channels = spk_lanes(op->out_c);
    for (size_t c = 0; c < channels; c += 8) {
        const vec high = v_load(highs + c), low = v_load(lows + c), half = v_load(halves + c);
        const vec rest = v_load(rests + c), offset = v_load(offsets + c);
        int32_t *at = sums + c;
        for (size_t r = 0; r < rows; r++, at += lanes) {
            const vec x = v_load(at);
            vec product = v_add32(v_mul32(high, x), half);
            if (has_low) product = v_add32(product, v_sra32(v_mul32(low, x), split));
            v_store(at, v_add32(v_srav32(product, rest), offset));
        }
    }
}

/* O4 */
SPK_INLINE void finish_affine(const spk_op *op, int32_t *sums, size_t rows, size_t lanes) {
    if (op->affine == SPK_AFFINE_SPLIT && op->split == 0) {
        affine_split(op, sums, rows, lanes, 0);
    } else if (op->affine == SPK_AFFINE_SPLIT) {
        affine_split(op, sums, rows, lanes, 1);
    } else if (op->affine == SPK_AFFINE_WIDE) {
        const int32_t *multipliers = op->multiplier, *shifts = op->shift, *offsets = op->offset;
        for (size_t c = 0; c < spk_lanes(op->out_c); c += 8) {
            const vec m = v_load(multipliers + c), s = v_load(shifts + c), d = v_load(offsets + c);
            for (size_t r = 0; r < rows; r++) {
                int32_t *at = sums + r * lanes + c;
                v_store(at, v_affine_wide(v_load(at), m, s, d));
            }
        }
    }
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

/* O5; returns the rows of the total. A still source and a timed addend spread from the last step to the first. */
SPK_INLINE size_t finish_add(const spk_op *op, const spk_frame *f, int32_t *sums, size_t rows, size_t lanes, moment m) {
    const size_t pixels = spk_out_pixels(op), total = spk_steps(op) == 1 ? 1 : m.steps;
    for (size_t t = total; t-- > 0;) {
        const size_t pixel = spk_step(op->addend_t, m.t0 + t) * pixels + m.pixel;
        const int32_t *from = sums + (rows == 1 ? 0 : t) * lanes;
        if (op->addend_source == SPK_SPIKES)
            add_spikes(op, spk_spikes_at(f, op->addend) + pixel * spk_words(op->out_c), from, sums + t * lanes);
        else
            add_values(op, spk_values_at(f, op->addend) + pixel * spk_lanes(op->out_c), from, sums + t * lanes);
    }
    return total;
}

SPK_INLINE void finish_values(const spk_op *op, const spk_frame *f, const int32_t *sums, size_t rows, size_t lanes,
                              moment m) {
    const size_t channels = spk_lanes(op->out_c), pixels = spk_out_pixels(op);
    for (size_t r = 0; r < rows; r++) {
        const size_t t = rows == 1 && spk_steps(op) == 1 ? 0 : m.t0 + r;
        int32_t *to = spk_values_at(f, op->values) + (t * pixels + m.pixel) * channels;
        for (size_t c = 0; c < channels; c += 8) v_store(to + c, v_load(sums + r * lanes + c));
    }
}

/* O10 */
SPK_INLINE void finish_sum(const spk_op *op, const spk_frame *f, const int32_t *sums, size_t rows, size_t lanes,
                           moment m) {
    const size_t channels = spk_lanes(op->out_c);
    const vec times = v_set32(rows == m.steps ? 1 : (int32_t)m.steps);
    int32_t *to = spk_values_at(f, op->values) + m.pixel * channels;
    for (size_t c = 0; c < channels; c += 8) {
        vec total = m.t0 ? v_load(to + c) : v_zero();
        for (size_t r = 0; r < rows; r++) total = v_add32(total, v_mul32(v_load(sums + r * lanes + c), times));
        v_store(to + c, total);
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

/* O6, for one way to charge, reset and store. membrane is int32 [channels] between chunks. With a gain of
   one and a leak of 2^-k (CHARGE_SHIFT), (leak v + gain x) >> leak_bits = x + (v >> k) exactly. */
SPK_INLINE void lif_steps(const spk_op *op, const spk_frame *f, const int32_t *sums, size_t stride, int32_t *membrane,
                          moment m, charge how, int soft, int rounded) {
    const size_t channels = spk_lanes(op->out_c), pixels = spk_out_pixels(op), words = spk_words(op->out_c);
    uint64_t *spikes = spk_spikes_at(f, op->spikes) + (m.t0 * pixels + m.pixel) * words;
    const vec below = v_set32(op->threshold - 1), threshold = v_set32(op->threshold);
    const vec leak = v_set32(op->leak), gain = v_set32(op->gain);
    const int32_t leak_shift = how == CHARGE_SHIFT ? op->leak_bits - whole_log2(op->leak) : 0;
    const vec half = v_set32((int32_t)((1u << op->membrane_shift) >> 1));
    const vec top = v_set32(op->membrane_top), bottom = v_set32(-op->membrane_top);
    const int last = m.t0 + m.steps == (size_t)op->T;
    for (size_t c = 0; c < channels; c += 8) {
        vec v = m.t0 ? v_load(membrane + c) : v_zero();
        uint64_t *to = spikes;
        for (size_t t = 0; t < m.steps; t++, to += pixels * words) {
            const vec x = v_load(sums + t * stride + c);
            const vec h = how == CHARGE_SHIFT ? v_add32(x, v_sra32(v, leak_shift))
                                              : v_sra32(v_add32(v_mul32(leak, v), v_mul32(gain, x)), op->leak_bits);
            const vec fires = v_gt32(h, below);
            put_spikes(to, c, v_signs32(fires));
            v = soft ? v_sub32(h, v_and(fires, threshold)) : v_andnot(fires, h);
            if (rounded) {
                const vec stored = v_sra32(v_add32(v, half), op->membrane_shift);
                v = v_sll32(v_max32(bottom, v_min32(top, stored)), op->membrane_shift);
            }
        }
        if (!last) v_store(membrane + c, v);
    }
}

SPK_INLINE void finish_lif(const spk_op *op, const spk_frame *f, const int32_t *sums, size_t stride, int32_t *membrane,
                           moment m) {
    const charge how = op->gain == 1 << op->leak_bits && whole_log2(op->leak) >= 0 ? CHARGE_SHIFT : CHARGE_MULTIPLY;
    const int way = (how == CHARGE_SHIFT ? 0 : 4) + (op->soft_reset ? 2 : 0) + (op->membrane_shift ? 1 : 0);
    switch (way) {
    case 0: lif_steps(op, f, sums, stride, membrane, m, CHARGE_SHIFT, 0, 0); break;
    case 1: lif_steps(op, f, sums, stride, membrane, m, CHARGE_SHIFT, 0, 1); break;
    case 2: lif_steps(op, f, sums, stride, membrane, m, CHARGE_SHIFT, 1, 0); break;
    case 3: lif_steps(op, f, sums, stride, membrane, m, CHARGE_SHIFT, 1, 1); break;
    case 4: lif_steps(op, f, sums, stride, membrane, m, CHARGE_MULTIPLY, 0, 0); break;
    case 5: lif_steps(op, f, sums, stride, membrane, m, CHARGE_MULTIPLY, 0, 1); break;
    case 6: lif_steps(op, f, sums, stride, membrane, m, CHARGE_MULTIPLY, 1, 0); break;
    default: lif_steps(op, f, sums, stride, membrane, m, CHARGE_MULTIPLY, 1, 1); break;
    }
}

/* Everything after the synapses. `sums` has room for m.steps rows and is used up. */
static void finish(const spk_op *op, const spk_frame *f, int32_t *sums, size_t lanes, int32_t *membrane, moment m) {
    size_t rows = source_rows(op, m.steps);
    finish_affine(op, sums, rows, lanes);
    if (op->addend >= 0) rows = finish_add(op, f, sums, rows, lanes, m);
    if (op->values >= 0 && op->sum_time) finish_sum(op, f, sums, rows, lanes, m);
    if (op->values >= 0 && !op->sum_time) finish_values(op, f, sums, rows, lanes, m);
    if (op->spikes >= 0) finish_lif(op, f, sums, rows == 1 ? 0 : lanes, membrane, m);
}

/* Steps that an operation goes through: T where something after the source has a time axis. */
SPK_INLINE size_t total_steps(const spk_op *op) {
    const int timed = op->spikes >= 0 || op->sum_time || spk_steps(op) > 1;
    return timed ? (size_t)op->T : 1;
}

#endif
