/* The loop that all operations with a neuron or a sum per pixel share: tile after tile, chunk after chunk,
   the kernel fills in sums of its source, and finish.h does the rest. */

#ifndef SPIKELET_SWEEP_H
#define SPIKELET_SWEEP_H

#include "finish.h"

/* Scratch memory of a sweep. */
typedef struct sweep_scratch {
    int32_t *sums, *membrane;
    int32_t *others; /* sums of the positions of a window after its first */
    size_t lanes, pixels;
} sweep_scratch;

/* Positions whose largest sums an output pixel has. */
SPK_INLINE size_t window_positions(const spk_op *op) { return (size_t)op->max_h * (size_t)op->max_w; }

/* Steps that an operation goes through: T where something after the source has a time axis. */
SPK_INLINE size_t total_steps(const spk_op *op) {
    const int timed = op->spikes >= 0 || op->counts >= 0 || op->sum_time || spk_steps(op) > 1;
    return timed ? (size_t)op->T : 1;
}

SPK_INLINE size_t chunk_steps(const spk_op *op, size_t t0) {
    const size_t left = total_steps(op) - t0;
    return left < CHUNK ? left : CHUNK;
}

/* Room for sums of `lanes` values, with `slack` more after the last. */
SPK_INLINE sweep_scratch sweep_carve(const spk_op *op, size_t lanes, size_t slack, spk_area *area) {
    sweep_scratch s = {.lanes = lanes};
    const size_t pixel = chunk_steps(op, 0) * lanes;
    s.pixels = TILE_BYTES / (pixel * sizeof(int32_t));
    if (s.pixels > TILE_PIXELS) s.pixels = TILE_PIXELS;
    if (s.pixels < 1) s.pixels = 1;
    s.sums = spk_carve(area, (s.pixels * pixel + slack) * sizeof(int32_t));
    s.membrane = spk_carve(area, s.pixels * lanes * sizeof(int32_t));
    s.others = spk_carve(area, window_positions(op) > 1 ? (pixel + slack) * sizeof(int32_t) : 0);
    return s;
}

/* A kernel's two parts. `begin_row` prepares output row y. `accumulate` writes sums [rows][lanes] of the
   position (y, x) at steps t .. t + rows - 1 of the source. Positions are output pixels, or max_h * max_w of them each
   where O7 follows. Sums are int16 where the operation says that they are short, else int32. */
typedef void (*begin_row)(void *kernel, const spk_op *op, const spk_frame *f, size_t y);
typedef void (*accumulate)(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                           size_t rows, void *sums);

/* Both at once where a kernel can: all sums of a tile that begins at output pixel (y, x) and step t of the source; of
   operations without O7, unless the kernel has nothing else. */
typedef void (*accumulate_tile)(void *kernel, const spk_op *op, const spk_frame *f, const tile *m, size_t y, size_t x,
                                size_t t);

/* The larger of two sums, value by value, where they are. */
SPK_INLINE void keep_largest(const spk_op *op, void *sums, const void *others, size_t values) {
    uint8_t *to = sums;
    const uint8_t *from = others;
    if (op->short_sums)
        for (size_t i = 0; i < 2 * values; i += 32) v_store(to + i, v_max16(v_load(to + i), v_load(from + i)));
    else
        for (size_t i = 0; i < 4 * values; i += 32) v_store(to + i, v_max32(v_load(to + i), v_load(from + i)));
}

/* The sums of output pixel (y, x): of its only position, or the largest of its window's. */
SPK_INLINE void add_window(const spk_op *op, const spk_frame *f, const sweep_scratch *s, void *kernel,
                           accumulate add_up, size_t y, size_t x, size_t t, size_t rows, void *sums) {
    const size_t high = (size_t)op->max_h, wide = (size_t)op->max_w;
    add_up(kernel, op, f, y * high, x * wide, t, rows, sums);
    for (size_t i = 1; i < high * wide && !spk_stopped(f); i++) {
        add_up(kernel, op, f, y * high + i / wide, x * wide + i % wide, t, rows, s->others);
        keep_largest(op, sums, s->others, rows * s->lanes);
    }
}

/* So many pixels from number `pixel` on, and the steps of a chunk from t0 on. */
SPK_INLINE tile tile_at(const spk_op *op, const spk_frame *f, const sweep_scratch *s, size_t pixel, size_t pixels,
                        size_t t0) {
    tile m = {.sums = s->sums, .lanes = s->lanes, .rows = 1, .pixel = pixel, .pixels = pixels};
    m.t0 = t0, m.steps = chunk_steps(op, t0);
    m.first = 0, m.end = spk_lanes(op->out_c);
    m.membrane = op->state < 0 ? s->membrane : spk_state_at(op, f) + m.pixel * spk_lanes(op->out_c);
    m.begins = op->state < 0 && t0 == 0, m.ends = op->state < 0 && t0 + m.steps == (size_t)op->T;
    if (op->in_t > 1) m.rows = m.steps;
    return m;
}

SPK_INLINE void sweep_tiles(const spk_op *op, const spk_frame *f, const sweep_scratch *s, void *kernel, begin_row begin,
                            accumulate add_up, accumulate_tile add_tile) {
    const size_t width = (size_t)op->out_w, total = total_steps(op);
    for (size_t y = 0; y < (size_t)op->out_h; y++) {
        begin(kernel, op, f, y);
        if (spk_stopped(f)) return;
        for (size_t x = 0; x < width; x += s->pixels) {
            for (size_t t0 = 0; t0 < total; t0 += CHUNK) {
                const size_t pixels = width - x < s->pixels ? width - x : s->pixels;
                tile m = tile_at(op, f, s, y * width + x, pixels, t0);
                const size_t t = spk_step(op->in_t, t0);
                if (add_up == NULL || (add_tile && window_positions(op) == 1)) {
                    add_tile(kernel, op, f, &m, y, x, t);
                } else {
                    for (size_t p = 0; p < m.pixels; p++) {
                        uint8_t *sums = (uint8_t *)m.sums + p * m.steps * m.lanes * (op->short_sums ? 2 : 4);
                        add_window(op, f, s, kernel, add_up, y, x + p, t, m.rows, sums);
                    }
                }
                if (spk_stopped(f)) return;
                finish(op, f, &m);
            }
        }
    }
}

SPK_INLINE void sweep(const spk_op *op, const spk_frame *f, const sweep_scratch *s, void *kernel, begin_row begin,
                      accumulate add_up) {
    sweep_tiles(op, f, s, kernel, begin, add_up, NULL);
}

#endif
