/* Maps as rows of bits, any run of which can be read as one word. */

#ifndef SPIKELET_BITS_H
#define SPIKELET_BITS_H

#include "maps.h"

/* Bit b % 64 of word b / 64 of a row is its bit b; a row has `length` words. */
typedef struct bit_rows {
    const uint64_t *words;
    size_t length;
} bit_rows;

/* `count` bits, 1 to 64, of a row from bit `first` on. */
SPK_INLINE uint64_t bits_from(bit_rows m, size_t row, size_t first, size_t count) {
    const uint64_t *word = m.words + row * m.length + first / 64;
    const size_t shift = first % 64;
    uint64_t bits = word[0] >> shift;
    if (shift + count > 64) bits |= word[1] << (64 - shift);
    return count < 64 ? bits & (((uint64_t)1 << count) - 1) : bits;
}

/* Squares of `j` * `j` bits beside the diagonal change places, in 64 rows; `low` masks columns whose bit j is 0. */
SPK_INLINE void swap_squares(uint64_t rows[64], size_t j, uint64_t low) {
    for (size_t i = 0; i < 64; i += 2 * j)
        for (size_t k = i; k < i + j; k++) {
            const uint64_t other = ((rows[k] >> j) ^ rows[k + j]) & low;
            rows[k] ^= other << j;
            rows[k + j] ^= other;
        }
}

/* 64 * 64 bits, transposed. */
static void transpose_square(uint64_t rows[64]) {
    swap_squares(rows, 32, 0x00000000ffffffff);
    swap_squares(rows, 16, 0x0000ffff0000ffff);
    swap_squares(rows, 8, 0x00ff00ff00ff00ff);
    swap_squares(rows, 4, 0x0f0f0f0f0f0f0f0f);
    swap_squares(rows, 2, 0x3333333333333333);
    swap_squares(rows, 1, 0x5555555555555555);
}

/* `to`: 64 rows for each word of m's, bit r of row b is bit b of m's row r < `rows`. */
static bit_rows transposed_bits(const spk_frame *f, bit_rows m, size_t rows, uint64_t *to) {
    const bit_rows made = {to, spk_round_up(rows, 64) / 64};
    for (size_t r = 0; r < rows; r += 64) {
        const size_t n = rows - r < 64 ? rows - r : 64;
        for (size_t w = 0; w < m.length && !spk_stopped(f); w++) {
            uint64_t square[64] = {0};
            for (size_t i = 0; i < n; i++) square[i] = m.words[(r + i) * m.length + w];
            transpose_square(square);
            for (size_t i = 0; i < 64; i++) to[(64 * w + i) * made.length + r / 64] = square[i];
        }
    }
    return made;
}

/* Bit `plane` of every value of a map [pixels][channels], as a map of spikes. */
static bit_rows plane_of_values(const spk_frame *f, const int32_t *values, size_t pixels, int32_t channels,
                                int32_t plane, uint64_t *to) {
    const size_t lanes = spk_lanes(channels), words = spk_words(channels);
    for (size_t i = 0; i < pixels && !spk_stopped(f); i++)
        for (size_t c = 0; c < lanes; c += 8)
            put_spikes(to + i * words, c, v_signs32(v_sll32(v_load(values + i * lanes + c), 31 - plane)));
    return (bit_rows){to, words};
}

#endif
