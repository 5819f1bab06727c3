/* Sums of rows that the bits of a word select: bit i selects row i.

   Rows are vectors of lanes of 8, 16 or 32 bits, in which sums wrap. A block is 64 rows and one of zeros, `stride`
   bytes apart, so that a word without ones left selects the zeros.

     events   one after the other, four at a time: what few ones cost depends on their number
     table    the sums of all 16 subsets of four neighbouring rows, looked up: what many cost does not

   A table is [rows / 4][vectors][16] vectors, for an even number of fours. */

#ifndef SPIKELET_PICKS_H
#define SPIKELET_PICKS_H

#include "maps.h"

enum { BLOCK_ROWS = 65, MAX_VECTORS = 3 };

SPK_ALWAYS vec add_lanes(vec x, vec y, int32_t lane_bits) {
    return lane_bits == 8 ? v_add8(x, y) : lane_bits == 16 ? v_add16(x, y) : v_add32(x, y);
}

/* Eight lanes in memory as int32; bytes have no sign. */
SPK_ALWAYS vec load_lanes(const uint8_t *from, int32_t lane_bits) {
    if (lane_bits == 8) return v_load8uto32(from);
    return lane_bits == 16 ? v_load16to32(from) : v_load(from);
}

SPK_ALWAYS vec negated_lanes(vec x, int32_t lane_bits) {
    const vec one = v_set32(lane_bits == 8 ? 0x01010101 : lane_bits == 16 ? 0x00010001 : 1);
    return add_lanes(v_xor(x, v_set32(-1)), one, lane_bits);
}

/* Adds the rows of a block that `word` selects to `sums`. */
SPK_ALWAYS void pick_events(vec *sums, uint64_t word, const uint8_t *block, size_t stride, int32_t lane_bits,
                            int vectors) {
    while (word)
        for (int i = 0; i < 4; i++, word &= word - 1) {
            const uint8_t *row = block + first_one(word) * stride;
            for (int v = 0; v < vectors; v++) sums[v] = add_lanes(sums[v], v_load(row + 32 * v), lane_bits);
        }
}

/* The same from the table of a block of which `rows` are left, 64 at most. Returns that of the next block. */
SPK_ALWAYS const uint8_t *pick_from_table(vec *sums, uint64_t word, const uint8_t *table, size_t rows,
                                          int32_t lane_bits, int vectors) {
    const size_t count = rows < 64 ? rows : 64, four = 512 * (size_t)vectors;
    for (size_t i = 0; i < count; i += 8, word >>= 8, table += 2 * four) {
        const uint8_t *first = table + (word & 15) * 32, *second = table + four + (word & 240) * 2;
        for (int v = 0; v < vectors; v++) {
            const vec both = add_lanes(v_load(first + 512 * v), v_load(second + 512 * v), lane_bits);
            sums[v] = add_lanes(sums[v], both, lane_bits);
        }
    }
    return table;
}

/* The sums of the subsets of four vectors, `stride` apart, of which `n` are there. */
SPK_ALWAYS void table_of_four(uint8_t *to, const uint8_t *from, size_t stride, size_t n, int32_t lane_bits) {
    vec sums[16];
    sums[0] = v_zero();
    for (size_t i = 0; i < 4; i++) {
        const vec row = i < n ? v_load(from + i * stride) : v_zero();
        for (size_t e = 0; e < (size_t)1 << i; e++) sums[((size_t)1 << i) + e] = add_lanes(sums[e], row, lane_bits);
    }
    for (int e = 0; e < 16; e++) v_store(to + 32 * e, sums[e]);
}

/* The table of `rows` rows in blocks. */
SPK_INLINE void make_table(uint8_t *to, const uint8_t *blocks, size_t stride, size_t rows, int32_t lane_bits,
                           int vectors) {
    for (size_t i = 0; i < spk_round_up(rows, 8); i += 4)
        for (int v = 0; v < vectors; v++, to += 512)
            table_of_four(to, blocks + (i / 64 + i) * stride + 32 * v, stride, i < rows ? rows - i : 0, lane_bits);
}

#endif
