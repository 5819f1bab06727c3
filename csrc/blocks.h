/* CONV_BLOCKS: bytes through int8 weights, a block of 16 places, 16 outputs and 64 synapses at a time. A place is an
   output position and a step; neighbouring ones, of several rows of the map too, lie below each other in a panel, each
   with all bytes under its window, so that a few places don't leave most of a block empty.

   A block's product is exact in 32 bits: blocks_*.h says how each kernel set multiplies. */

#ifndef SPIKELET_BLOCKS_H
#define SPIKELET_BLOCKS_H

#include "ring.h"
#include "sweep.h"

enum {
    PANEL_PLACES = 64,    /* of a tile, where the map has so many */
    PANEL_BYTES = 1 << 18 /* of sums, where one pixel has no more */
};

typedef struct blocks_scratch {
    row_ring ring;        /* none where every place reads one pixel */
    uint8_t *panel;       /* [places][apart] */
    const uint8_t **rows; /* [kernel_h]: of the ring, under the windows of a row of positions; NULL in the padding */
    size_t depth, apart, quads;
    int32_t *others; /* sums of another position of a window, in the order of the sums */
    sweep_scratch sweep;
} blocks_scratch;

/* An odd number of cache lines, so that the same column of 16 rows does not fall into one set of a cache. */
SPK_INLINE size_t odd_lines(size_t lines) { return lines | 1; }

/* Whether every place reads one pixel, which needs no ring; padding is less than the kernel. */
SPK_INLINE int blocks_direct(const spk_op *op) { return op->kernel_h * op->kernel_w == 1; }

/* Steps of a tile whose sums the source tells apart. */
SPK_INLINE size_t blocks_rows(const spk_op *op) { return op->in_t > 1 ? chunk_steps(op, 0) : 1; }

/* Output pixels of a tile: their number is halved until the sums fit, so that blocks stay full. */
SPK_INLINE size_t blocks_pixels(const spk_op *op, size_t lanes) {
    const size_t pixel = chunk_steps(op, 0) * lanes * sizeof(int32_t), rows = blocks_rows(op);
    size_t pixels = (PANEL_PLACES + rows - 1) / rows;
    while (pixels > 1 && pixels * pixel > PANEL_BYTES) pixels = (pixels + 1) / 2;
    return pixels < spk_out_pixels(op) ? pixels : spk_out_pixels(op);
}

/* Input rows under so many neighbouring output pixels. */
SPK_INLINE size_t blocks_high(const spk_op *op, size_t pixels) {
    const size_t width = (size_t)op->out_w, spanned = (pixels + width - 2) / width + 1;
    const size_t rows = spanned < (size_t)op->out_h ? spanned : (size_t)op->out_h;
    return (rows - 1) * (size_t)op->max_h * (size_t)op->stride_h + spk_row_count(op);
}

SPK_INLINE blocks_scratch blocks_carve(const spk_op *op, spk_area *area) {
    const size_t synapses = (size_t)op->kernel_h * (size_t)op->kernel_w * (size_t)op->in_c;
    blocks_scratch s = {.depth = (synapses + 63) / 64, .quads = (synapses + 3) / 4};
    s.apart = 64 * odd_lines(s.depth);
    s.sweep.lanes = 16 * odd_lines(((size_t)op->out_c + 15) / 16);
    s.sweep.pixels = blocks_pixels(op, s.sweep.lanes);
    const size_t rows = blocks_rows(op), places = spk_round_up(s.sweep.pixels * rows, 16);
    const size_t sums = places * (chunk_steps(op, 0) / rows) * s.sweep.lanes * sizeof(int32_t);
    if (!blocks_direct(op)) s.ring = ring_carve(op, blocks_high(op, s.sweep.pixels), area);
    s.rows = spk_carve(area, (size_t)op->kernel_h * sizeof(uint8_t *));
    s.panel = spk_carve(area, places * s.apart + 64);
    s.sweep.sums = spk_carve(area, sums);
    s.sweep.membrane = spk_carve(area, s.sweep.pixels * s.sweep.lanes * sizeof(int32_t));
    s.others = spk_carve(area, window_positions(op) > 1 ? sums : 0);
    return s;
}

static int64_t blocks_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)blocks_carve(op, &area);
    return (int64_t)area.used;
}

/* Finds the ring's rows under position row y, at step t. */
SPK_INLINE void panel_rows(const spk_op *op, const blocks_scratch *s, size_t y, size_t t) {
    const int64_t top = (int64_t)y * op->stride_h - op->pad_h;
    for (int64_t u = 0; u < op->kernel_h; u++) {
        const int inside = top + u >= 0 && top + u < op->in_h;
        s->rows[u] = inside ? ring_at(op, &s->ring, (size_t)(top + u), t, 0) : NULL;
    }
}

/* The bytes under a window that begins at byte `left` of those rows; up to 31 more are written. */
SPK_INLINE void panel_window(const spk_op *op, const blocks_scratch *s, size_t left, uint8_t *to) {
    const size_t run = (size_t)op->kernel_w * (size_t)op->in_c;
    for (int32_t u = 0; u < op->kernel_h; u++, to += run) {
        const uint8_t *const from = s->rows[u];
        if (from == NULL) {
            memset(to, 0, run);
            continue;
        }
        for (size_t i = 0; i < run; i += 32) v_store(to + i, v_load(from + left + i));
    }
}

/* Position number i of the windows of a tile's pixels, for its rows from step t of the source on. */
SPK_INLINE void panel_fill(const spk_op *op, const blocks_scratch *s, const spk_frame *f, const tile *m, size_t t,
                           size_t i) {
    const size_t width = (size_t)op->out_w, high = (size_t)op->max_h, wide = (size_t)op->max_w;
    size_t line = m->pixel / width, column = m->pixel % width;
    uint8_t *to = s->panel;
    for (size_t p = 0; p < m->pixels && !spk_stopped(f); p++, column++) {
        if (column == width) column = 0, line++;
        const size_t y = line * high + i / wide, x = (column * wide + i % wide) * (size_t)op->stride_w;
        if (!blocks_direct(op) && (p == 0 || column == 0)) panel_rows(op, s, y, t);
        for (size_t r = 0; r < m->rows; r++, to += s->apart) {
            if (blocks_direct(op))
                ring_pixels(op, f, t + r, y * (size_t)op->stride_h * (size_t)op->in_w + x, 1, to);
            else
                panel_window(op, s, x * (size_t)op->in_c + r * s->ring.length, to);
        }
    }
}

/* Sums of the panel's places and of one or two blocks of outputs, from number `block` on: a row of `sums` for every
   place, so far apart. */
SPK_INLINE void panel_multiply(const spk_op *op, const blocks_scratch *s, size_t places, size_t block, int32_t *sums,
                               size_t apart) {
    const int8_t *weight = (const int8_t *)op->weight + block * s->depth * BLOCK_WEIGHTS;
    const int two = (size_t)op->out_c > 16 * (block + 1);
    for (size_t p = 0; p < places; p += 32) {
        const block_product product = {
            s->panel + p * s->apart, s->apart, weight, s->depth, s->quads, sums + p * apart, apart,
        };
        blocks_multiply(&product, places - p > 16 ? 2 : 1, two ? 2 : 1);
    }
}

/* Sums of all outputs. */
SPK_INLINE void blocks_sums(const spk_op *op, const blocks_scratch *s, const spk_frame *f, const tile *m,
                            int32_t *sums) {
    const size_t apart = m->steps / m->rows * m->lanes;
    for (size_t c = 0; c < (size_t)op->out_c && !spk_stopped(f); c += 32)
        panel_multiply(op, s, m->pixels * m->rows, c / 16, sums + c, apart);
}

/* A tile's sums, the largest of a window's where it has several positions, and all that follows. */
SPK_INLINE void blocks_whole(const spk_op *op, const blocks_scratch *s, const spk_frame *f, tile *m, size_t t) {
    blocks_sums(op, s, f, m, m->sums);
    for (size_t i = 1; i < window_positions(op) && !spk_stopped(f); i++) {
        panel_fill(op, s, f, m, t, i);
        blocks_sums(op, s, f, m, s->others);
        keep_largest(op, m->sums, s->others, m->pixels * m->steps * m->lanes);
    }
    if (!spk_stopped(f)) finish(op, f, m);
}

/* The same for 32 outputs at a time, whose sums don't leave the nearest cache. */
SPK_INLINE void blocks_by_parts(const spk_op *op, const blocks_scratch *s, const spk_frame *f, const tile *m) {
    tile part = *m;
    part.lanes = m->lanes < 32 ? m->lanes : 32;
    for (part.first = 0; part.first < m->end && !spk_stopped(f); part.first = part.end) {
        part.end = part.first + 32 < m->end ? part.first + 32 : m->end;
        panel_multiply(op, s, m->pixels * m->rows, part.first / 16, part.sums, part.lanes);
        fused(op, f, &part);
    }
}

SPK_INLINE void blocks_tile(const spk_op *op, const blocks_scratch *s, const spk_frame *f, tile *m, size_t t) {
    panel_fill(op, s, f, m, t, 0);
    if (window_positions(op) == 1 && fuses(op, m))
        blocks_by_parts(op, s, f, m);
    else
        blocks_whole(op, s, f, m, t);
}

/* The input rows under pixels [first, end). */
SPK_INLINE void blocks_fill(const spk_op *op, blocks_scratch *s, const spk_frame *f, size_t first, size_t end) {
    const size_t width = (size_t)op->out_w;
    const int64_t rows = (int64_t)spk_row_count(op);
    ring_fill(op, &s->ring, f, spk_first_row(op, first / width), spk_first_row(op, (end - 1) / width) + rows);
}

static void conv_blocks(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    blocks_scratch s = blocks_carve(op, &area);
    const size_t all = spk_out_pixels(op), total = total_steps(op);
    if (!blocks_direct(op)) spk_clear(f, s.ring.rows, ring_bytes(op, &s.ring));
    blocks_open();
    for (size_t pixel = 0; pixel < all && !spk_stopped(f); pixel += s.sweep.pixels) {
        const size_t pixels = all - pixel < s.sweep.pixels ? all - pixel : s.sweep.pixels;
        if (!blocks_direct(op)) blocks_fill(op, &s, f, pixel, pixel + pixels);
        for (size_t t0 = 0; t0 < total && !spk_stopped(f); t0 += CHUNK) {
            tile m = tile_at(op, f, &s.sweep, pixel, pixels, t0);
            blocks_tile(op, &s, f, &m, spk_step(op->in_t, t0));
        }
    }
    blocks_close();
}

#endif
