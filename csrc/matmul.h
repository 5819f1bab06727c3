/* O12, O13 on values. A product of matrices packs one head's A as [inner][rows] and B as [columns][inner], so that
   eight rows of the result are one vector and the zeros of B, many where it holds spikes, are passed over.

   Where both are within -32767..32767, two steps of the inner loop are one product (v_dot16):
   A is int16 [inner / 2][rows][2], B int16 [columns][inner]. */

#ifndef SPIKELET_MATMUL_H
#define SPIKELET_MATMUL_H

#include <string.h>

#include "matrices.h"

/* O13 */
static void multiply(const spk_op *op, const spk_frame *f) {
    const size_t size = spk_out_pixels(op) * spk_lanes(op->out_c);
    int32_t *to = spk_values_at(f, op->values);
    for (size_t t = 0; t < (size_t)spk_steps(op) && !spk_stopped(f); t++, to += size) {
        const int32_t *a = spk_values_at(f, op->src) + spk_step(op->in_t, t) * size;
        const int32_t *b = spk_values_at(f, op->addend) + spk_step(op->addend_t, t) * size;
        for (size_t i = 0; i < size; i += 8) v_store(to + i, v_mul32(v_load(a + i), v_load(b + i)));
    }
}

/* One head's matrices, packed, and one column of the result. */
typedef struct packed {
    void *a, *b;
    int32_t *column;
    size_t rows, inner; /* rows: a multiple of 8; inner: a multiple of 2 where narrow */
} packed;

SPK_INLINE packed packed_carve(const spk_op *op, spk_area *area) {
    const matrices m = matrix_sizes(op);
    packed p = {.rows = spk_round_up(m.rows, 8), .inner = op->narrow ? spk_round_up(m.inner, 2) : m.inner};
    const size_t width = op->narrow ? sizeof(int16_t) : sizeof(int32_t);
    p.a = spk_carve(area, p.rows * p.inner * width);
    p.b = spk_carve(area, m.columns * p.inner * width);
    p.column = spk_carve(area, p.rows * sizeof(int32_t));
    return p;
}

static int64_t matrices_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)packed_carve(op, &area);
    return (int64_t)area.used;
}

/* Two steps of the inner loop, in the order of memory or the other, but the same in A and B. */
SPK_INLINE uint32_t two_steps(int32_t first, int32_t second) {
    return (uint32_t)first << 16 >> 16 | (uint32_t)second << 16;
}

/* `lines` of `inner` values, two by two: number k / 2 of line l goes to to[l * apart + k / 2 * between]. One of both
   steps is 1 (steps_of), and what lies next to each other is gone through by the inner loop. */
SPK_INLINE void pack_steps(const int32_t *from, size_t lines, size_t inner, size_t line_step, size_t inner_step,
                           uint32_t *to, size_t apart, size_t between) {
    const size_t whole = inner / 2;
    if (line_step == 1) {
        for (size_t k = 0; k < whole; k++) {
            const int32_t *first = from + 2 * k * inner_step, *second = first + inner_step;
            for (size_t l = 0; l < lines; l++) to[l * apart + k * between] = two_steps(first[l], second[l]);
        }
    } else {
        for (size_t l = 0; l < lines; l++) {
            const int32_t *line = from + l * line_step;
            for (size_t k = 0; k < whole; k++) to[l * apart + k * between] = two_steps(line[2 * k], line[2 * k + 1]);
        }
    }
    if (inner % 2)
        for (size_t l = 0; l < lines; l++)
            to[l * apart + whole * between] = two_steps(from[l * line_step + (inner - 1) * inner_step], 0);
}

static void pack_narrow(const matrices *m, const packed *p, const int32_t *a, matrix_steps in_a, const int32_t *b,
                        matrix_steps in_b) {
    uint32_t *pa = p->a, *pb = p->b;
    const size_t pairs = p->inner / 2;
    if (m->rows < p->rows) memset(pa, 0, p->rows * pairs * sizeof *pa);
    pack_steps(a, m->rows, m->inner, in_a.row, in_a.column, pa, 1, p->rows);
    pack_steps(b, m->columns, m->inner, in_b.column, in_b.row, pb, pairs, 1);
}

static void pack_wide(const matrices *m, const packed *p, const int32_t *a, matrix_steps in_a, const int32_t *b,
                      matrix_steps in_b) {
    int32_t *pa = p->a, *pb = p->b;
    memset(pa, 0, p->rows * p->inner * sizeof *pa);
    for (size_t k = 0; k < m->inner; k++)
        for (size_t r = 0; r < m->rows; r++) pa[k * p->rows + r] = a[r * in_a.row + k * in_a.column];
    for (size_t s = 0; s < m->columns; s++)
        for (size_t k = 0; k < m->inner; k++) pb[s * p->inner + k] = b[k * in_b.row + s * in_b.column];
}

/* `vectors` * 8 rows of one column: sums of products, `a` at the first row. */
SPK_INLINE void narrow_part(const packed *p, const int16_t *a, const int16_t *b, int32_t *to, int vectors) {
    vec acc[4];
    for (int v = 0; v < vectors; v++) acc[v] = v_zero();
    for (size_t k = 0; k < p->inner; k += 2, a += 2 * p->rows) {
        int32_t both;
        memcpy(&both, b + k, sizeof both);
        if (both == 0) continue;
        const vec x = v_set32(both);
        for (int v = 0; v < vectors; v++) acc[v] = v_add32(acc[v], v_dot16(x, v_load(a + 16 * v)));
    }
    for (int v = 0; v < vectors; v++) v_store(to + 8 * v, acc[v]);
}

SPK_INLINE void wide_part(const packed *p, const int32_t *a, const int32_t *b, int32_t *to, int vectors) {
    vec acc[4];
    for (int v = 0; v < vectors; v++) acc[v] = v_zero();
    for (size_t k = 0; k < p->inner; k++, a += p->rows) {
        if (b[k] == 0) continue;
        const vec x = v_set32(b[k]);
        for (int v = 0; v < vectors; v++) acc[v] = v_add32(acc[v], v_mul32(x, v_load(a + 8 * v)));
    }
    for (int v = 0; v < vectors; v++) v_store(to + 8 * v, acc[v]);
}

static void narrow_column(const packed *p, size_t s) {
    const int16_t *a = p->a, *b = (const int16_t *)p->b + s * p->inner;
    size_t r = 0;
    for (; r + 32 <= p->rows; r += 32) narrow_part(p, a + 2 * r, b, p->column + r, 4);
    for (; r < p->rows; r += 8) narrow_part(p, a + 2 * r, b, p->column + r, 1);
}

static void wide_column(const packed *p, size_t s) {
    const int32_t *a = p->a, *b = (const int32_t *)p->b + s * p->inner;
    size_t r = 0;
    for (; r + 32 <= p->rows; r += 32) wide_part(p, a + r, b, p->column + r, 4);
    for (; r < p->rows; r += 8) wide_part(p, a + r, b, p->column + r, 1);
}

/* One head: its rows are neighbouring channels of every pixel of `y`. */
static void multiply_head(const spk_op *op, const spk_frame *f, const matrices *m, const packed *p, const int32_t *a,
                          const int32_t *b, int32_t *y) {
    const matrix_steps in_a = steps_of(op->transpose_a, spk_lanes(op->in_c));
    const matrix_steps in_b = steps_of(op->transpose_b, spk_lanes(op->addend_c));
    if (op->narrow)
        pack_narrow(m, p, a, in_a, b, in_b);
    else
        pack_wide(m, p, a, in_a, b, in_b);
    for (size_t s = 0; s < m->columns && !spk_stopped(f); s++, y += spk_lanes(op->out_c)) {
        if (op->narrow)
            narrow_column(p, s);
        else
            wide_column(p, s);
        memcpy(y, p->column, m->rows * sizeof *y);
    }
}

/* O12 */
static void multiply_matrices(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    const packed p = packed_carve(op, &area);
    const size_t out = spk_lanes(op->out_c), heads = (size_t)op->heads;
    for (size_t t = 0; t < (size_t)spk_steps(op); t++) {
        const matrices m = matrices_of(op, f, t);
        clear_pads(op, f, m.y);
        for (size_t i = 0; i < m.count; i++)
            for (size_t g = 0; g < heads && !spk_stopped(f); g++)
                multiply_head(op, f, &m, &p, m.a + i * m.a_positions * spk_lanes(op->in_c) + g * m.a_channels,
                              m.b + i * m.b_positions * spk_lanes(op->addend_c) + g * m.b_channels,
                              m.y + i * m.columns * out + g * m.rows);
    }
}

#endif
