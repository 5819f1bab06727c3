/* O12: the matrices of two maps at one time step. */

#ifndef SPIKELET_MATRICES_H
#define SPIKELET_MATRICES_H

#include <string.h>

#include "maps.h"

/* y_g = A_g B_g for every head g, `count` times: once, or for every row of the maps. A is [rows, inner], B is
   [inner, columns]; a head has a_channels of a and b_channels of b, each with so many positions. */
typedef struct matrices {
    const int32_t *a, *b;
    int32_t *y;
    size_t count, rows, inner, columns, a_channels, a_positions, b_channels, b_positions;
} matrices;

/* Their sizes, the same at every step. */
static inline matrices matrix_sizes(const spk_op *op) {
    matrices m = {.count = op->by_row ? (size_t)op->in_h : 1};
    m.a_channels = (size_t)(op->in_c / op->heads), m.b_channels = (size_t)(op->addend_c / op->heads);
    m.a_positions = spk_in_pixels(op) / m.count;
    m.b_positions = (size_t)op->addend_h * (size_t)op->addend_w / m.count;
    m.rows = op->transpose_a ? m.a_positions : m.a_channels;
    m.inner = op->transpose_a ? m.a_channels : m.a_positions;
    m.columns = op->transpose_b ? m.b_channels : m.b_positions;
    return m;
}

/* The product's map at step t. */
static inline int32_t *matrices_result(const spk_op *op, const spk_frame *f, size_t t) {
    return spk_values_at(f, op->values) + t * spk_out_pixels(op) * spk_lanes(op->out_c);
}

/* Zeroes the pads of a map of the product. */
static inline void clear_pads(const spk_op *op, const spk_frame *f, int32_t *y) {
    const size_t out = spk_lanes(op->out_c), pixels = spk_out_pixels(op), c = (size_t)op->out_c;
    if (c < out)
        for (size_t i = 0; i < pixels && !spk_stopped(f); i++) memset(y + i * out + c, 0, (out - c) * sizeof *y);
}

static inline matrices matrices_of(const spk_op *op, const spk_frame *f, size_t t) {
    matrices m = matrix_sizes(op);
    const size_t a = m.count * m.a_positions * spk_lanes(op->in_c);
    const size_t b = m.count * m.b_positions * spk_lanes(op->addend_c);
    m.a = spk_values_at(f, op->src) + spk_step(op->in_t, t) * a;
    m.b = spk_values_at(f, op->addend) + spk_step(op->addend_t, t) * b;
    m.y = matrices_result(op, f, t);
    return m;
}

/* Where an entry of a head's matrix lies in its map of `lanes`: entry (row, column) of [channels, positions], or of
   its transpose, is [row * row_step + column * column_step]. */
typedef struct matrix_steps {
    size_t row, column;
} matrix_steps;

static inline matrix_steps steps_of(int32_t transposed, size_t lanes) {
    return transposed ? (matrix_steps){lanes, 1} : (matrix_steps){1, lanes};
}

#endif
