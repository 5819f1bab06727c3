/* Spikes to lists, word by word. */

#ifndef SPIKELET_LIST_WORD_H
#define SPIKELET_LIST_WORD_H

#include "vec_portable.h"

/* Offsets (c * row) of the spikes in the first `bytes` of a word whose first channel has offset `base`, where the
   others have none; returns their number. Up to 8 places after the last may be written. */
SPK_ALWAYS size_t list_word(uint64_t word, size_t bytes, uint32_t base, uint32_t row, uint32_t *list) {
    size_t n = 0;
    (void)bytes;
    for (; word; word >>= 8, base += 8 * row) {
        for (uint32_t i = 0; i < 8; i++) {
            list[n] = base + i * row;
            n += word >> i & 1;
        }
    }
    return n;
}

#include "list_counts.h"

#endif
