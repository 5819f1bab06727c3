/* The first words of a vector, for sets that store whole ones. */

#ifndef SPIKELET_PUT_WORDS_H
#define SPIKELET_PUT_WORDS_H

SPK_INLINE void w_put_words(uint64_t *to, wide x, size_t words) {
    uint64_t all[WIDE / 8];
    if (words == WIDE / 8) {
        w_store(to, x);
        return;
    }
    w_store(all, x);
    for (size_t w = 0; w < words; w++) to[w] = all[w];
}

#endif
