/* Spikes to lists on AArch64; what it does is said in events_portable.h. */

#ifndef SPIKELET_LIST_WORD_H
#define SPIKELET_LIST_WORD_H

#include "vec_neon.h"

/* Four ones at a time: no branch but on whether there are more. */
SPK_INLINE size_t list_word(uint64_t word, size_t bytes, uint32_t base, uint32_t row, uint32_t *list) {
    (void)bytes;
    if (word == 0) return 0;
    const size_t n = count_ones(word);
    for (size_t i = 0; i < n; i += 4)
        for (size_t j = 0; j < 4; j++, word &= word - 1) list[i + j] = base + (uint32_t)first_one(word) * row;
    return n;
}

#include "list_counts.h"

#endif
