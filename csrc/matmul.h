/* O12, O13 on values. A product of matrices packs one head's A as [inner][rows] and B as [columns][inner], so that
   eight rows of the result are one vector, and the zeros of B are passed over.

   Where both are within -32767..32767, two steps of the inner loop are one product (v_dot16), zero or not:
   A is int16 [inner / 2][rows][2], B int16 [columns][inner]. A branch at every zero would cost more than it saves:
   which of attention's counts are 0 no processor foresees. */

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

enum { BESIDE = 4 }; /* columns of the result that are summed up at once */

/* One head's matrices, packed, and a few columns of the result. */
typedef struct packed {
    void *a, *b;
    int32_t *columns;
    size_t rows, inner; /* rows: a multiple of 8; inner: a multiple of 2 where narrow */
} packed;

SPK_INLINE packed packed_carve(const spk_op *op, spk_area *area) {
    const matrices m = matrix_sizes(op);
    packed p = {.rows = spk_round_up(m.rows, 8), .inner = op->narrow ? spk_round_up(m.inner, 2) : m.inner};
    const size_t width = op->narrow ? sizeof(int16_t) : sizeof(int32_t);
    p.a = spk_carve(area, p.rows * p.inner * width);
    p.b = spk_carve(area, m.columns * p.inner * width);
    p.columns = spk_carve(area, BESIDE * p.rows * sizeof(int32_t));
    return p;
}

static int64_t matrices_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)packed_carve(op, &area);
    return (int64_t)area.used;
}

/* Two steps of the inner loop, side by side in each lane. */
SPK_ALWAYS uint32_t two_steps(int32_t first, int32_t second) {
    return (uint32_t)first << 16 >> 16 | (uint32_t)second << 16;
}
SPK_ALWAYS vec v_two_steps(vec first, vec second) { return v_or(v_and(first, v_set32(0xffff)), v_sll32(second, 16)); }

enum { TURNED = 8 }; /* lines and pairs of steps that are turned together */

/* Number k, 0 to 7, of the pairs that v_turn32 turns, of the TURNED lines from `from` on, which lie in a row. */
SPK_ALWAYS vec pairs_across(const int32_t *from, size_t inner_step, size_t k) {
    return v_two_steps(v_load(from + 2 * k * inner_step), v_load(from + (2 * k + 1) * inner_step));
}

/* `count` pairs of a line, 1 to TURNED. */
SPK_INLINE void put_pairs(const uint32_t *from, size_t count, uint32_t *to) {
    if (count == TURNED) {
        memcpy(to, from, TURNED * sizeof *to);
    } else {
        for (size_t k = 0; k < count; k++) to[k] = from[k];
    }
}

/* TURNED lines that lie in a row, whose pairs are wanted in a row: line l from to + l * apart on, `count` pairs of it,
   1 to TURNED. */
SPK_INLINE void turn_lines(const int32_t *from, size_t inner_step, size_t count, uint32_t *to, size_t apart) {
    vec pairs[TURNED];
    for (size_t k = 0; k < TURNED; k++) pairs[k] = k < count ? pairs_across(from, inner_step, k) : v_zero();
    v_turn32(pairs);
    for (size_t l = 0; l < TURNED; l++, to += apart) {
        uint32_t line[TURNED];
        v_store(line, pairs[l]);
        put_pairs(line, count, to);
    }
}

/* The same of twice as many lines, and half as many pairs. */
SPK_INLINE void turn_short_lines(const int32_t *from, size_t inner_step, uint32_t *to, size_t apart) {
    enum { HALF = TURNED / 2 };
    vec pairs[TURNED];
    for (size_t k = 0; k < HALF; k++) {
        pairs[k] = pairs_across(from, inner_step, k);
        pairs[k + HALF] = pairs_across(from + TURNED, inner_step, k);
    }
    v_turn32(pairs);
    for (size_t l = 0; l < TURNED; l++, to += apart) {
        uint32_t line[TURNED];
        v_store(line, pairs[l]);
        memcpy(to, line, HALF * sizeof *to);
        memcpy(to + TURNED * apart, line + HALF, HALF * sizeof *to);
    }
}

/* TURNED lines whose steps lie in a row, and four pairs of them, wanted pair by pair: pair k of all from
   to + k * between on. */
SPK_INLINE void turn_pairs(const int32_t *from, size_t line_step, uint32_t *to, size_t between) {
    vec steps[TURNED];
    for (size_t l = 0; l < TURNED; l++) steps[l] = v_load(from + l * line_step);
    v_turn32(steps);
    for (size_t k = 0; k < TURNED / 2; k++) v_store(to + k * between, v_two_steps(steps[2 * k], steps[2 * k + 1]));
}

/* `lines` of `inner` values that lie side by side, two by two: pair k of line l to to[l * apart + k * between]. */
SPK_INLINE void pack_across(const int32_t *from, size_t lines, size_t whole, size_t inner_step, uint32_t *to,
                            size_t apart, size_t between) {
    size_t l = 0;
    for (; between == 1 && whole == TURNED / 2 && l + 2 * TURNED <= lines; l += 2 * TURNED)
        turn_short_lines(from + l, inner_step, to + l * apart, apart);
    for (; between == 1 && l + TURNED <= lines; l += TURNED)
        for (size_t k = 0; k < whole; k += TURNED) {
            const size_t count = whole - k < TURNED ? whole - k : TURNED;
            turn_lines(from + l + 2 * k * inner_step, inner_step, count, to + l * apart + k, apart);
        }
    for (size_t k = 0; k < whole; k++) {
        const int32_t *first = from + 2 * k * inner_step, *second = first + inner_step;
        for (size_t i = l; i < lines; i++) to[i * apart + k * between] = two_steps(first[i], second[i]);
    }
}

/* The same for lines whose steps lie in a row. */
SPK_INLINE void pack_along(const int32_t *from, size_t lines, size_t whole, size_t line_step, uint32_t *to,
                           size_t apart, size_t between) {
    const size_t fours = whole / 4 * 4;
    size_t l = 0;
    for (; apart == 1 && l + TURNED <= lines; l += TURNED) {
        const int32_t *first = from + l * line_step;
        for (size_t k = 0; k < fours; k += 4) turn_pairs(first + 2 * k, line_step, to + l + k * between, between);
        for (size_t i = l; i < l + TURNED; i++)
            for (size_t k = fours; k < whole; k++)
                to[i + k * between] = two_steps(from[i * line_step + 2 * k], from[i * line_step + 2 * k + 1]);
    }
    for (; l < lines; l++) {
        const int32_t *line = from + l * line_step;
        for (size_t k = 0; k < whole; k++) to[l * apart + k * between] = two_steps(line[2 * k], line[2 * k + 1]);
    }
}

/* `lines` of `inner` values, two by two: pair k of line l goes to to[l * apart + k * between]. One of the source's
   two steps is 1 (steps_of), and one of the result's. */
SPK_INLINE void pack_steps(const int32_t *from, size_t lines, size_t inner, size_t line_step, size_t inner_step,
                           uint32_t *to, size_t apart, size_t between) {
    const size_t whole = inner / 2;
    if (line_step == 1)
        pack_across(from, lines, whole, inner_step, to, apart, between);
    else
        pack_along(from, lines, whole, line_step, to, apart, between);
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

/* A block of the result: `vectors` * 8 rows of `columns` neighbouring columns, `a` at the first row and `b` at the
   first column; column s of it goes to to[s * apart]. */
SPK_ALWAYS void narrow_block(const packed *p, const int16_t *a, const int16_t *b, int32_t *to, size_t apart,
                             int vectors, int columns) {
    vec acc[4][4];
    for (int s = 0; s < columns; s++)
        for (int v = 0; v < vectors; v++) acc[s][v] = v_zero();
    for (size_t k = 0; k < p->inner; k += 2, a += 2 * p->rows, b += 2) {
        vec rows[4];
        for (int v = 0; v < vectors; v++) rows[v] = v_load(a + 16 * v);
        for (int s = 0; s < columns; s++) {
            int32_t both;
            memcpy(&both, b + (size_t)s * p->inner, sizeof both);
            const vec x = v_set32(both);
            for (int v = 0; v < vectors; v++) acc[s][v] = v_add32(acc[s][v], v_dot16(x, rows[v]));
        }
    }
    for (int s = 0; s < columns; s++)
        for (int v = 0; v < vectors; v++) v_store(to + (size_t)s * apart + 8 * v, acc[s][v]);
}

/* All rows of `columns` columns from column s on. */
SPK_INLINE void narrow_columns(const packed *p, size_t s, int32_t *to, size_t apart, int columns) {
    const int16_t *a = p->a, *b = (const int16_t *)p->b + s * p->inner;
    size_t r = 0;
    for (; r + 16 <= p->rows; r += 16) narrow_block(p, a + 2 * r, b, to + r, apart, 2, columns);
    for (; r < p->rows; r += 8) narrow_block(p, a + 2 * r, b, to + r, apart, 1, columns);
}

SPK_ALWAYS void wide_part(const packed *p, const int32_t *a, const int32_t *b, int32_t *to, int vectors) {
    vec acc[4];
    for (int v = 0; v < vectors; v++) acc[v] = v_zero();
    for (size_t k = 0; k < p->inner; k++, a += p->rows) {
        if (b[k] == 0) continue;
        const vec x = v_set32(b[k]);
        for (int v = 0; v < vectors; v++) acc[v] = v_add32(acc[v], v_mul32(x, v_load(a + 8 * v)));
    }
    for (int v = 0; v < vectors; v++) v_store(to + 8 * v, acc[v]);
}

static void wide_column(const packed *p, size_t s) {
    const int32_t *a = p->a, *b = (const int32_t *)p->b + s * p->inner;
    size_t r = 0;
    for (; r + 32 <= p->rows; r += 32) wide_part(p, a + r, b, p->columns + r, 4);
    for (; r < p->rows; r += 8) wide_part(p, a + r, b, p->columns + r, 1);
}

/* The product of packed matrices, int16 by int16: BESIDE columns at once, and those that are left. Whole vectors of
   rows are stored where they belong, else by way of p->columns. */
static void narrow_product(const spk_frame *f, const matrices *m, const packed *p, int32_t *y, size_t lanes) {
    const int whole = m->rows == p->rows;
    int32_t *to = whole ? y : p->columns;
    const size_t apart = whole ? lanes : p->rows;
    for (size_t s = 0, count; s < m->columns && !spk_stopped(f); s += count, y += count * lanes) {
        count = m->columns - s < BESIDE ? 1 : BESIDE;
        if (whole) to = y;
        if (count == 1)
            narrow_columns(p, s, to, apart, 1);
        else
            narrow_columns(p, s, to, apart, BESIDE);
        for (size_t i = 0; !whole && i < count; i++) memcpy(y + i * lanes, to + i * apart, m->rows * sizeof *y);
    }
}

static void wide_product(const spk_frame *f, const matrices *m, const packed *p, int32_t *y, size_t lanes) {
    for (size_t s = 0; s < m->columns && !spk_stopped(f); s++, y += lanes) {
        wide_column(p, s);
        memcpy(y, p->columns, m->rows * sizeof *y);
    }
}

/* One head: its rows are neighbouring channels of every pixel of `y`. */
static void multiply_head(const spk_op *op, const spk_frame *f, const matrices *m, const packed *p, const int32_t *a,
                          const int32_t *b, int32_t *y) {
    const matrix_steps in_a = steps_of(op->transpose_a, spk_lanes(op->in_c));
    const matrix_steps in_b = steps_of(op->transpose_b, spk_lanes(op->addend_c));
    if (op->narrow) {
        pack_narrow(m, p, a, in_a, b, in_b);
        narrow_product(f, m, p, y, spk_lanes(op->out_c));
    } else {
        pack_wide(m, p, a, in_a, b, in_b);
        wide_product(f, m, p, y, spk_lanes(op->out_c));
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
