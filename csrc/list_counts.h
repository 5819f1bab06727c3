/* Counts to lists, eight channels at a time: for sets that list words and have no faster way for counts. */

#ifndef SPIKELET_LIST_COUNTS_H
#define SPIKELET_LIST_COUNTS_H

/* Lists the channels [first, end) of a pixel of values: those above 0, then those above 1, and so on up to `most`. The
   offset of channel 0 is `base`. Returns how many there are. */
SPK_INLINE size_t list_counts(const int32_t *pixel, size_t first, size_t end, int32_t most, uint32_t base, uint32_t row,
                              uint32_t *list) {
    size_t n = 0;
    for (size_t c = first / 8 * 8; c < end; c += 8) {
        const vec counts = v_load(pixel + c);
        const uint32_t mine = (0xffu << (first > c ? first - c : 0)) & (0xffu >> (c + 8 > end ? c + 8 - end : 0));
        for (int32_t below = 0; below < most; below++) {
            const uint32_t above = v_signs32(v_gt32(counts, v_set32(below))) & mine;
            if (above == 0) break;
            n += list_word(above, 1, base + (uint32_t)c * row, row, list + n);
        }
    }
    return n;
}

#endif
