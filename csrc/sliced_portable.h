/* Vertical counters to numbers in plain C. */

#ifndef SPIKELET_COUNTS_H
#define SPIKELET_COUNTS_H

#include "wide_portable.h"

#include "transpose.h"

/* Eight planes from the first on to bytes: byte i of to[k] counts bit 8 i + k. */
SPK_ALWAYS void planes_to_bytes(const wide *planes, size_t plane_count, uint8_t to[8][WIDE]) {
    wide bytes[8];
    for (size_t p = 0; p < 8; p++) bytes[p] = p < plane_count ? planes[p] : w_zero();
    swap_beside(bytes);
    for (size_t k = 0; k < 8; k++) w_store(to[k], bytes[k]);
}

/* `n` counts, low and high bytes apart, to 2 * count - events: int16, or int32. */
SPK_ALWAYS void put_sums(uint8_t *to, const uint8_t *low, const uint8_t *high, int n, int32_t events, int narrow) {
    int16_t *const sums_16 = (int16_t *)(void *)to;
    int32_t *const sums_32 = (int32_t *)(void *)to;
    for (int i = 0; i < n; i++) {
        const int32_t sum = 2 * (low[i] | high[i] << 8) - events;
        if (narrow)
            sums_16[i] = (int16_t)sum;
        else
            sums_32[i] = sum;
    }
}

/* Vertical counters to numbers. A vector has blocks of `block` = 16 or 32 bytes side by side, the first `blocks` of
   which are wanted; bit 8 i + k of one belongs to its output block * k + i, so that no output has to change places.
   Output o of block b has

     to[b][o] = 2 * count - events[b],

   int16 where `narrow`, else int32. */
SPK_INLINE void counts_to_sums(const wide *planes, size_t plane_count, uint8_t *const *to, const uint32_t *events,
                               int block, int blocks, int narrow) {
    uint8_t low[8][WIDE], high[8][WIDE];
    planes_to_bytes(planes, plane_count, low);
    if (plane_count > 8)
        planes_to_bytes(planes + 8, plane_count - 8, high);
    else
        memset(high, 0, sizeof high);
    for (int b = 0; b < blocks; b++)
        for (int k = 0; k < 8; k++)
            put_sums(to[b] + block * k * (narrow ? 2 : 4), low[k] + b * block, high[k] + b * block, block,
                     (int32_t)events[b], narrow);
}

#endif
