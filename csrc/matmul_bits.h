/* O12 where the entries of B have few bits: the bits of B select columns of A, and what they select is added up.

   With p planes, the bits of B in two's complement, lowest first, the top one counting -2^(p-1) where B has a sign,

     column s of the product  =  sum over planes j of +-2^j * (sum of A's columns k whose bit j of B[k, s] is 1).

   Planes are added from the top down, what there is doubled in between. A is packed in lanes of 8, 16 or 32 bits. Sums
   in them wrap, and are right since the product itself fits: 0..255 in 8 bits, int16 in 16. Where most bits are 0 they
   are added event by event, else from a table (picks.h).

   Both maps are read as lines: the channels of a position, or where transposed the positions of a channel. So line k
   of A is its column k and line s of B its column s. The lines of a matrix follow one another, those of all heads lie
   side by side in them; where transposed those of all rows do, and the lines of a head follow one another. */

#ifndef SPIKELET_MATMUL_BITS_H
#define SPIKELET_MATMUL_BITS_H

#include "bits.h"
#include "matrices.h"
#include "picks.h"

enum {
    MAX_PLANES = 4,
    TABLE_INNER = 256, /* rows that a table is made of, at most */
    AHEAD = 6          /* columns of the product between what is asked for and what is written */
};

/* One of the two maps: `groups` of `lines`, with `entries` each. */
typedef struct factor {
    int64_t place;
    int32_t source, steps, channels;
    int by_channel; /* a line is a channel's positions */
    size_t pixels, groups, lines, entries;
} factor;

SPK_INLINE factor factor_of(const spk_op *op, const matrices *m, int which) {
    factor x = {op->src, op->source, op->in_t, op->in_c, op->transpose_a, 0, 0, 0, 0};
    if (which) x = (factor){op->addend, op->addend_source, op->addend_t, op->addend_c, op->transpose_b, 0, 0, 0, 0};
    const size_t positions = which ? m->b_positions : m->a_positions;
    x.pixels = m->count * positions;
    x.groups = x.by_channel ? (size_t)op->heads : m->count;
    x.lines = x.by_channel ? (size_t)x.channels / (size_t)op->heads : positions;
    x.entries = x.by_channel ? x.pixels : (size_t)x.channels;
    return x;
}

SPK_INLINE factor factor_a(const spk_op *op, const matrices *m) { return factor_of(op, m, 0); }
SPK_INLINE factor factor_b(const spk_op *op, const matrices *m) { return factor_of(op, m, 1); }

/* Where a head's matrix is: its group, and its first entry in every line. */
typedef struct place {
    size_t group, entry;
} place;

SPK_INLINE place place_of(const spk_op *op, const factor *x, size_t matrix, size_t head) {
    if (x->by_channel) return (place){head, matrix * (x->pixels / (size_t)(op->by_row ? op->in_h : 1))};
    return (place){matrix, head * ((size_t)x->channels / (size_t)op->heads)};
}

SPK_INLINE const int32_t *factor_values(const factor *x, const spk_frame *f, size_t t) {
    return spk_values_at(f, x->place) + spk_step(x->steps, t) * x->pixels * spk_lanes(x->channels);
}

/* Room for lines of bits: [planes] maps, by position and by channel. */
typedef struct line_scratch {
    uint64_t *spikes, *channels;
    size_t spikes_size, channels_size;
} line_scratch;

SPK_INLINE line_scratch lines_carve(const factor *x, size_t planes, spk_area *area) {
    const size_t words = spk_words(x->channels);
    line_scratch s = {NULL, NULL, 0, 0};
    if (x->source != SPK_SPIKES) s.spikes_size = x->pixels * words;
    if (x->by_channel) s.channels_size = 64 * words * (spk_round_up(x->pixels, 64) / 64);
    s.spikes = spk_carve(area, planes * s.spikes_size * sizeof(uint64_t));
    s.channels = spk_carve(area, planes * s.channels_size * sizeof(uint64_t));
    return s;
}

/* The lines of one plane at step t. */
static bit_rows lines_of(const factor *x, const spk_frame *f, const line_scratch *s, size_t t, int32_t plane) {
    const size_t words = spk_words(x->channels), p = (size_t)plane;
    bit_rows m = {spk_spikes_at(f, x->place) + spk_step(x->steps, t) * x->pixels * words, words};
    if (x->source != SPK_SPIKES)
        m = plane_of_values(f, factor_values(x, f, t), x->pixels, x->channels, plane, s->spikes + p * s->spikes_size);
    return x->by_channel ? transposed_bits(f, m, x->pixels, s->channels + p * s->channels_size) : m;
}

typedef struct bits_scratch {
    uint8_t *rows;  /* [groups][lines, 65 for every 64][stride]: A's lines, and zeros */
    uint8_t *table; /* of MAX_VECTORS vectors of them */
    size_t stride, group;
    line_scratch a, b;
    bit_rows lines[MAX_PLANES]; /* B's */
    int by_table;
} bits_scratch;

SPK_INLINE bits_scratch bits_carve(const spk_op *op, const matrices *m, spk_area *area) {
    const factor a = factor_a(op, m), b = factor_b(op, m);
    bits_scratch s = {.by_table = 0};
    const size_t slack = 32 * MAX_VECTORS; /* vectors may end behind a line */
    s.stride = spk_round_up(spk_round_up(a.entries, 8) * (size_t)op->lane_bits / 8, 32);
    s.group = spk_round_up(a.lines, 64) / 64 * BLOCK_ROWS * s.stride;
    s.rows = spk_carve(area, a.groups * s.group + slack);
    s.table = spk_carve(area, m->inner > TABLE_INNER ? 0 : spk_round_up(m->inner, 8) / 4 * MAX_VECTORS * 512);
    if (a.source == SPK_SPIKES) s.a = lines_carve(&a, 1, area);
    s.b = lines_carve(&b, (size_t)op->planes, area);
    return s;
}

static int64_t matmul_bits_bytes(const spk_op *op) {
    const matrices m = matrix_sizes(op);
    spk_area area = {NULL, 0};
    (void)bits_carve(op, &m, &area);
    return (int64_t)area.used;
}

SPK_INLINE vec lanes_of_bits(uint32_t bits, int32_t lane_bits) {
    if (lane_bits == 8) return v_bits8(bits);
    return lane_bits == 16 ? v_bits16(bits) : v_and(v_mask32(bits), v_set32(1));
}

/* A line of `bytes` bytes from bits: lanes of 0 and 1. */
SPK_INLINE void line_of_bits(const uint64_t *word, uint8_t *to, size_t bytes, int32_t lane_bits) {
    const int lanes = 256 / lane_bits;
    for (size_t used = 0; used < bytes; word++)
        for (int i = 0; i < 64 && used < bytes; i += lanes, used += 32)
            v_store(to + used, lanes_of_bits((uint32_t)(*word >> i), lane_bits));
}

/* A line from `n` values, `step` apart: lanes that hold their lowest bits. */
SPK_INLINE void line_of_values(const int32_t *from, size_t step, size_t n, void *to, int32_t lane_bits) {
    uint8_t *to8 = to;
    uint16_t *to16 = to;
    uint32_t *to32 = to;
    for (size_t i = 0; lane_bits == 8 && i < n; i++) to8[i] = (uint8_t)from[i * step];
    for (size_t i = 0; lane_bits == 16 && i < n; i++) to16[i] = (uint16_t)from[i * step];
    for (size_t i = 0; lane_bits == 32 && i < n; i++) to32[i] = (uint32_t)from[i * step];
}

/* Packs A at step t. */
SPK_INLINE void pack_lines(const factor *a, const spk_frame *f, const bits_scratch *s, size_t t, int32_t lane_bits) {
    const bit_rows bits = a->source == SPK_SPIKES ? lines_of(a, f, &s->a, t, 0) : (bit_rows){NULL, 0};
    const int32_t *values = factor_values(a, f, t);
    const size_t lanes = spk_lanes(a->channels), used = a->entries * (size_t)lane_bits / 8;
    for (size_t g = 0, number = 0; g < a->groups; g++) {
        uint8_t *to = s->rows + g * s->group;
        for (size_t i = 0; i < a->lines && !spk_stopped(f); i++, number++, to += s->stride) {
            if (i > 0 && i % 64 == 0) to += s->stride;
            if (i % 64 == 0) memset(s->rows + g * s->group + (i / 64 * BLOCK_ROWS + 64) * s->stride, 0, s->stride);
            if (a->source == SPK_SPIKES) {
                line_of_bits(bits.words + number * bits.length, to, s->stride, lane_bits);
            } else {
                if (used < s->stride) v_store(to + s->stride - 32, v_zero());
                if (a->by_channel)
                    line_of_values(values + number, lanes, a->entries, to, lane_bits);
                else
                    line_of_values(values + number * lanes, 1, a->entries, to, lane_bits);
            }
        }
    }
}

/* Whether looking sums up costs less than adding events: a look-up is as much as 2/5 of an event, and 16 per four
   rows are made first. */
static int wants_table(const spk_op *op, const spk_frame *f, const matrices *m, const factor *b,
                       const bits_scratch *s) {
    const size_t fours = spk_round_up(m->inner, 8) / 4, matrices_of_step = m->count * (size_t)op->heads;
    size_t events = 0;
    if (m->inner > TABLE_INNER) return 0;
    for (int32_t p = 0; p < op->planes; p++)
        for (size_t w = 0; w < b->groups * b->lines * s->lines[p].length && !spk_stopped(f); w++)
            events += count_ones(s->lines[p].words[w]);
    return 5 * events > 2 * fours * ((size_t)op->planes * m->columns + 16) * matrices_of_step;
}

/* `n` lanes in memory as int32. */
SPK_ALWAYS void put_lanes(int32_t *to, const uint8_t *from, size_t n, int32_t lane_bits) {
    const size_t bytes = (size_t)lane_bits;
    for (; n >= 8; n -= 8, to += 8, from += bytes) v_store(to, load_lanes(from, lane_bits));
    if (n == 0) return;
    int32_t last[8];
    v_store(last, load_lanes(from, lane_bits));
    for (size_t r = 0; r < n; r++) to[r] = last[r];
}

/* What is computed at once of a head's product: `n` lanes of `vectors` vectors of every column, from `rows` on. The
   bits of column s start in line first + s, at bit `entry`. */
typedef struct part {
    const bit_rows *lines;
    const uint8_t *rows;
    uint8_t *table; /* or NULL */
    size_t first, entry, stride, inner, n;
    int32_t planes, has_sign, lane_bits;
    int vectors;
} part;

SPK_ALWAYS void sum_column(const part *k, size_t column, int32_t *to, int by_table) {
    const int vectors = k->vectors;
    const int32_t lane_bits = k->lane_bits;
    vec sums[MAX_VECTORS];
    uint8_t lanes[32 * MAX_VECTORS] = {0};
    for (int v = 0; v < vectors; v++) sums[v] = v_zero();
    for (int32_t p = k->planes; p-- > 0;) {
        const uint8_t *block = k->rows, *table = k->table;
        for (int v = 0; v < vectors; v++) sums[v] = add_lanes(sums[v], sums[v], lane_bits);
        for (size_t i = 0; i < k->inner; i += 64, block += BLOCK_ROWS * k->stride) {
            const size_t count = k->inner - i < 64 ? k->inner - i : 64;
            const uint64_t word = bits_from(k->lines[p], k->first + column, k->entry + i, count);
            if (by_table)
                table = pick_from_table(sums, word, table, count, lane_bits, vectors);
            else
                pick_events(sums, word, block, k->stride, lane_bits, vectors);
        }
        if (k->has_sign && p == k->planes - 1)
            for (int v = 0; v < vectors; v++) sums[v] = negated_lanes(sums[v], lane_bits);
    }
    for (int v = 0; v < vectors; v++) v_store(lanes + 32 * v, sums[v]);
    put_lanes(to, lanes, k->n, lane_bits);
}

SPK_ALWAYS void multiply_part(const spk_frame *f, const part *k, size_t columns, int32_t *to, size_t step) {
    if (k->table) {
        make_table(k->table, k->rows, k->stride, k->inner, k->lane_bits, k->vectors);
        for (size_t c = 0; c < columns && !spk_stopped(f); c++, to += step) sum_column(k, c, to, 1);
    } else {
        for (size_t c = 0; c < columns && !spk_stopped(f); c++, to += step) {
            for (size_t r = 0; c + AHEAD < columns && r < k->n; r += 16) v_will_write(to + AHEAD * step + r);
            sum_column(k, c, to, 0);
        }
    }
}

/* The product of one head's matrices. */
SPK_INLINE void multiply_lanes(const spk_op *op, const spk_frame *f, const matrices *m, const bits_scratch *s,
                               size_t matrix, size_t head, int32_t lane_bits) {
    const factor a = factor_a(op, m), b = factor_b(op, m);
    const place in_a = place_of(op, &a, matrix, head), in_b = place_of(op, &b, matrix, head);
    const size_t lanes = 256 / (size_t)lane_bits, step = spk_lanes(op->out_c);
    int32_t *to = m->y + matrix * m->columns * step + head * m->rows;
    part k = {.lines = s->lines, .table = s->by_table ? s->table : NULL, .stride = s->stride};
    k.rows = s->rows + in_a.group * s->group + in_a.entry * (size_t)lane_bits / 8;
    k.first = in_b.group * b.lines, k.entry = in_b.entry, k.inner = m->inner;
    k.planes = op->planes, k.has_sign = op->has_sign, k.lane_bits = lane_bits;
    for (size_t left = m->rows; left; left -= k.n, to += k.n, k.rows += k.n * (size_t)lane_bits / 8) {
        const size_t needed = spk_round_up(left, lanes) / lanes;
        if (needed == 1) {
            k.vectors = 1, k.n = left;
            multiply_part(f, &k, m->columns, to, step);
        } else if (needed == 2 || needed == 4) {
            k.vectors = 2, k.n = left < 2 * lanes ? left : 2 * lanes;
            multiply_part(f, &k, m->columns, to, step);
        } else {
            k.vectors = 3, k.n = left < 3 * lanes ? left : 3 * lanes;
            multiply_part(f, &k, m->columns, to, step);
        }
    }
}

/* The product at one step. */
SPK_INLINE void multiply_step(const spk_op *op, const spk_frame *f, const matrices *m, const bits_scratch *s, size_t t,
                              int32_t lane_bits) {
    const factor a = factor_a(op, m);
    pack_lines(&a, f, s, t, lane_bits);
    for (size_t i = 0; i < m->count; i++)
        for (size_t g = 0; g < (size_t)op->heads && !spk_stopped(f); g++) multiply_lanes(op, f, m, s, i, g, lane_bits);
}

/* O12 */
static void matmul_bits(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    matrices m = matrix_sizes(op);
    const factor b = factor_b(op, &m);
    bits_scratch s = bits_carve(op, &m, &area);
    for (size_t t = 0; t < (size_t)spk_steps(op); t++) {
        m.y = matrices_result(op, f, t);
        clear_pads(op, f, m.y);
        for (int32_t p = 0; p < op->planes; p++) s.lines[p] = lines_of(&b, f, &s.b, t, p);
        s.by_table = wants_table(op, f, &m, &b, &s);
        if (op->lane_bits == 8)
            multiply_step(op, f, &m, &s, t, 8);
        else if (op->lane_bits == 16)
            multiply_step(op, f, &m, &s, t, 16);
        else
            multiply_step(op, f, &m, &s, t, 32);
    }
}

#endif
