/* Values through weights, a run of neighbouring synapses at a time, eight output channels a vector. For a still image
   this runs once, not T times.

     CONV_PAIRS   integers of 16 bits through int16, two synapses a product
     CONV_QUADS   integers from 0 to `most`, 255 at most, through int8, four synapses a product: sums of two products
                  stay in 16 bits for as many quads as `code_top` allows, and then go to 32

   A run reads up to three values more, times weights of 0. */

#ifndef SPIKELET_RUNS_H
#define SPIKELET_RUNS_H

#include "ring.h"
#include "run_spread.h"
#include "sweep.h"

typedef struct runs_scratch {
    row_ring ring;
    sweep_scratch sweep;
} runs_scratch;

SPK_INLINE runs_scratch runs_carve(const spk_op *op, spk_area *area) {
    runs_scratch s;
    s.ring = ring_carve(op, spk_row_count(op), area);
    s.sweep = sweep_carve(op, spk_lanes(op->out_c), 0, area);
    return s;
}

static int64_t runs_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)runs_carve(op, &area);
    return (int64_t)area.used;
}

static void runs_begin(void *kernel, const spk_op *op, const spk_frame *f, size_t y) {
    runs_scratch *s = kernel;
    const int64_t first = spk_first_row(op, y);
    ring_fill(op, &s->ring, f, first, first + (int64_t)spk_row_count(op));
}

/* Where sums of one output pixel and step go, and the runs under its window start. */
typedef struct run_place {
    size_t start, t;
    int32_t *sums;
} run_place;

/* Adds `vectors` * 8 output channels of `places` places: `units` pairs of weights, each 32 bits of the runs. */
SPK_ALWAYS void pairs_add(const uint8_t *const *runs, const uint8_t *weight, size_t units, size_t row_bytes,
                          int32_t *const *sums, int places, int vectors) {
    vec acc[2][4];
    for (int i = 0; i < places; i++)
        for (int v = 0; v < vectors; v++) acc[i][v] = v_load(sums[i] + 8 * v);
    for (size_t p = 0; p < units; p++, weight += row_bytes) {
        for (int i = 0; i < places; i++) {
            const vec x = run_spread(runs[i] + 4 * p);
            for (int v = 0; v < vectors; v++) acc[i][v] = v_add32(acc[i][v], v_dot16(x, v_load(weight + 32 * v)));
        }
    }
    for (int i = 0; i < places; i++)
        for (int v = 0; v < vectors; v++) v_store(sums[i] + 8 * v, acc[i][v]);
}

/* Quads whose sums of two products int16 holds. */
SPK_INLINE size_t quads_bundle(const spk_op *op) { return 32767 / (2 * (size_t)op->most * (size_t)op->code_top); }

/* `vectors` * 8 output channels from c on, of one or two places whose windows have the rows of `w`. */
SPK_INLINE void runs_part(const spk_op *op, const runs_scratch *s, window w, const run_place *at, int places, size_t c,
                          int vectors) {
    const size_t row_bytes = (size_t)op->row_bytes, unit = 4 / ring_value_bytes(op);
    const size_t units = ((size_t)op->kernel_w * (size_t)op->in_c + unit - 1) / unit;
    const size_t bundle = op->kind == SPK_CONV_QUADS ? quads_bundle(op) : 0;
    int32_t *sums[2] = {at[0].sums + c, at[places - 1].sums + c};
    for (int i = 0; i < places; i++)
        for (int v = 0; v < vectors; v++) v_store(sums[i] + 8 * v, v_zero());
    for (int32_t u = w.u0; u < w.u1; u++) {
        const size_t y = (size_t)(w.top + u);
        const uint8_t *const runs[2] = {ring_at(op, &s->ring, y, at[0].t, at[0].start),
                                        ring_at(op, &s->ring, y, at[places - 1].t, at[places - 1].start)};
        const uint8_t *weight = (const uint8_t *)op->weight + (size_t)u * units * row_bytes + 4 * c;
        if (bundle == 0) pairs_add(runs, weight, units, row_bytes, sums, places, vectors);
        for (size_t q = 0; bundle > 0 && q < units; q += bundle) {
            const size_t now = units - q < bundle ? units - q : bundle;
            quads_add(runs, q, weight + q * row_bytes, now, row_bytes, sums, places, vectors);
        }
    }
}

/* All output channels of one or two places. */
SPK_INLINE void runs_sums(const spk_op *op, const runs_scratch *s, window w, const run_place *at, int places) {
    const size_t lanes = s->sweep.lanes;
    size_t c = 0;
    for (; c + 32 <= lanes; c += 32) runs_part(op, s, w, at, places, c, 4);
    if (lanes - c == 24)
        runs_part(op, s, w, at, places, c, 3);
    else if (lanes - c == 16)
        runs_part(op, s, w, at, places, c, 2);
    else if (lanes - c == 8)
        runs_part(op, s, w, at, places, c, 1);
}

SPK_INLINE run_place run_place_at(const spk_op *op, size_t y, size_t x, size_t t, int32_t *sums) {
    return (run_place){(size_t)(window_at(op, y, x).left + op->pad_w) * (size_t)op->in_c, t, sums};
}

static void runs_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                            size_t rows, void *sums) {
    int32_t *to = sums;
    const runs_scratch *s = kernel;
    for (size_t r = 0; r < rows && !spk_stopped(f); r++, to += s->sweep.lanes) {
        const run_place at = run_place_at(op, y, x, t + r, to);
        runs_sums(op, s, window_at(op, y, x), &at, 1);
    }
}

/* A tile's sums, two pixels or steps at once, so that weights are read half as often. */
static void runs_tile(void *kernel, const spk_op *op, const spk_frame *f, const tile *m, size_t y, size_t x, size_t t) {
    const runs_scratch *s = kernel;
    const window w = window_at(op, y, x);
    const size_t all = m->pixels * m->rows;
    for (size_t i = 0; i < all && !spk_stopped(f); i += 2) {
        run_place at[2];
        const int places = i + 1 < all ? 2 : 1;
        for (size_t j = i; j < i + (size_t)places; j++)
            at[j - i] = run_place_at(op, y, x + j / m->rows, t + j % m->rows, tile_row(m, j / m->rows, j % m->rows));
        if (places == 2)
            runs_sums(op, s, w, at, 2);
        else
            runs_sums(op, s, w, at, 1);
    }
}

static void conv_runs(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    runs_scratch s = runs_carve(op, &area);
    spk_clear(f, s.ring.rows, ring_bytes(op, &s.ring));
    sweep_tiles(op, f, &s.sweep, &s, runs_begin, runs_accumulate, runs_tile);
}

#endif
