/* Sums of weight rows in memory, short or not. */

#ifndef SPIKELET_ROW_SUMS_H
#define SPIKELET_ROW_SUMS_H

#include "events.h"

/* Sums from column `at` on, int16 where they are short, else int32. */
typedef struct row_sums {
    int16_t *narrow;
    int32_t *wide;
} row_sums;

SPK_ALWAYS row_sums sums_from(const spk_op *op, void *sums, size_t at) {
    return op->short_sums ? (row_sums){(int16_t *)sums + at, NULL} : (row_sums){NULL, (int32_t *)sums + at};
}

/* acc[at + i] += sum, or = sum when first: 16 lanes of int16. */
SPK_ALWAYS void rows_flush(row_sums acc, int first, size_t at, vec sum) {
    if (acc.narrow) {
        v_store(acc.narrow + at, first ? sum : v_add16(v_load(acc.narrow + at), sum));
        return;
    }
    const vec low = v_widen16(sum, 0), high = v_widen16(sum, 1);
    v_store(acc.wide + at, first ? low : v_add32(v_load(acc.wide + at), low));
    v_store(acc.wide + at + 8, first ? high : v_add32(v_load(acc.wide + at + 8), high));
}

/* A pad's bits are those of codes of -1: rows of `bytes` bytes get zeros there. */
SPK_INLINE void clear_row_pads(const spk_op *op, uint8_t *sums, size_t rows, size_t bytes) {
    const size_t value = op->short_sums ? 2 : 4, pads = spk_lanes(op->out_c) - (size_t)op->out_c;
    for (size_t r = 0; pads > 0 && r < rows; r++) memset(sums + r * bytes + (size_t)op->out_c * value, 0, pads * value);
}

#endif
