/* Vertical counters to numbers. */

#ifndef SPIKELET_COUNTS_H
#define SPIKELET_COUNTS_H

#include "wide_portable.h"

/* Vertical counters to numbers. A vector has blocks of `block` = 16 or 32 bytes side by side, the first `blocks` of
   which are wanted; bit 8 i + k of one belongs to its output block * k + i, so that no output has to change places.
   Output o of block b has

     to[b][o] = 2 * count - events[b],

   int16 where `narrow`, else int32. */
SPK_INLINE void counts_to_sums(const wide *planes, size_t plane_count, uint8_t *const *to, const uint32_t *events,
                               int block, int blocks, int narrow) {
    for (int i = 0; i < blocks * block; i++) {
        for (int k = 0; k < 8; k++) {
            const int b = i / block, output = block * k + i % block;
            int32_t count = 0;
            for (size_t p = 0; p < plane_count; p++) count += (int32_t)(planes[p].w[i / 8] >> (i % 8 * 8 + k) & 1) << p;
            const int32_t sum = 2 * count - (int32_t)events[b];
            if (narrow)
                ((int16_t *)(void *)to[b])[output] = (int16_t)sum;
            else
                ((int32_t *)(void *)to[b])[output] = sum;
        }
    }
}

#endif
