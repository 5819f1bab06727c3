/* What follows the synapses, for a tile of pixels and a chunk of time steps whose sums are still in the
   nearest cache:  sums -> affine -> + addend -> values | sum over time -> LIF -> packed spikes. */

#ifndef SPIKELET_FINISH_H
#define SPIKELET_FINISH_H

#include "fused.h"
#include "neuron.h"

/* Short sums of a tile to int32, in place and so from the last to the first. */
SPK_INLINE void widen(const tile *m) {
    const int16_t *from = (const int16_t *)m->sums;
    for (size_t p = m->pixels; p-- > 0;)
        for (size_t at = p * m->steps * m->lanes, c = m->rows * m->lanes; c > 0; c -= 8)
            v_store(m->sums + at + c - 8, v_load16to32(from + at + c - 8));
}

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

/* O4 with a 64-bit result; `at` is the first of eight constants, c the first channel. */
SPK_INLINE void affine_long(const spk_op *op, const int32_t *from, size_t at, size_t c, int32_t *to) {
    for (size_t i = 0; i < 8; i++) {
        const int64_t product = (int64_t)op->multiplier[at + i] * from[i];
        const int64_t half = ((int64_t)1 << op->shift[at + i]) >> 1, low = op->clip_low[c + i];
        const int64_t high = op->clip_high[c + i];
        const int64_t y = ((product + half) >> op->shift[at + i]) + op->offset[at + i];
        to[i] = (int32_t)(y < low ? low : y > high ? high : y);
    }
}

/* O4, row by row: with constants by step, or a 64-bit result. A still source whose constants go by step spreads from
   the last step to the first. */
SPK_INLINE void affine_rows(const spk_op *op, const spk_frame *f, tile *m) {
    const size_t channels = spk_lanes(op->out_c), rows = op->affine_t > 1 ? m->steps : m->rows;
    const size_t first = ((size_t)f->call->t0 + m->t0) * channels;
    for (size_t p = 0; p < m->pixels; p++) {
        for (size_t r = rows; r-- > 0 && !spk_stopped(f);) {
            const size_t row = op->affine_t > 1 ? first + r * channels : 0;
            const int32_t *from = tile_row(m, p, m->rows == 1 ? 0 : r);
            int32_t *to = tile_row(m, p, r);
            for (size_t c = 0; c < channels; c += 8) {
                const size_t at = row + c;
                if (op->affine == SPK_AFFINE_LONG)
                    affine_long(op, from + c, at, c, to + c);
                else
                    v_store(to + c, v_affine_wide(v_load(from + c), v_load(op->multiplier + at), v_load(op->shift + at),
                                                  v_load(op->offset + at)));
            }
        }
    }
    m->rows = rows;
}

SPK_INLINE void finish_clip(const spk_op *op, const tile *m) {
    for (size_t c = 0; c < spk_lanes(op->out_c); c += 8) {
        const vec low = v_load(op->clip_low + c), high = v_load(op->clip_high + c);
        for (size_t p = 0; p < m->pixels; p++) {
            for (size_t r = 0; r < m->rows; r++) {
                int32_t *at = tile_row(m, p, r) + c;
                v_store(at, v_max32(low, v_min32(high, v_load(at))));
            }
        }
    }
}

SPK_INLINE void finish_affine(const spk_op *op, const spk_frame *f, tile *m) {
    if (op->affine_t > 1 || op->affine == SPK_AFFINE_LONG)
        affine_rows(op, f, m);
    else if (op->affine == SPK_AFFINE_SPLIT && op->split == 0)
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

/* Everything after the synapses; the sums are used up. */
static void finish(const spk_op *op, const spk_frame *f, tile *m) {
    const int together = fuses(op, m);
    if (op->short_sums && !(together && reads_short(op))) widen(m);
    if (together) {
        fused(op, f, m);
        return;
    }
    finish_affine(op, f, m);
    if (op->clipped && op->affine != SPK_AFFINE_LONG) finish_clip(op, m);
    if (op->addend >= 0) finish_add(op, f, m);
    if (op->values >= 0 && op->sum_time) finish_sum(op, f, m);
    if (op->values >= 0 && !op->sum_time) finish_values(op, f, m);
    if (op->spikes >= 0 || op->counts >= 0) finish_lif(op, f, m);
}

#endif
