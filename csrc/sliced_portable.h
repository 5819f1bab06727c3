/* Vertical counters to numbers. */

#ifndef SPIKELET_COUNTS_H
#define SPIKELET_COUNTS_H

#include "vec_portable.h"

/* Vertical counters to numbers. A vector has n = 1 or 2 blocks side by side, one for each stream; bit 8 i + k of a
   block of 8 B bits belongs to output B k + i, so that no output has to change places. Output o of stream s has

     to[s][o] = 2 * count - events[s],

   int16 where `narrow`, else int32. */
SPK_INLINE void counts_to_sums(const vec *planes, size_t plane_count, uint8_t *const to[2], const int32_t events[2],
                               int n, int narrow) {
    const int block = 32 / n;
    for (int i = 0; i < 32; i++) {
        for (int k = 0; k < 8; k++) {
            const int stream = i / block, output = block * k + i % block;
            int32_t count = 0;
            for (size_t p = 0; p < plane_count; p++) count += (int32_t)(planes[p].w[i / 8] >> (i % 8 * 8 + k) & 1) << p;
            const int32_t sum = 2 * count - events[stream];
            if (narrow)
                ((int16_t *)(void *)to[stream])[output] = (int16_t)sum;
            else
                ((int32_t *)(void *)to[stream])[output] = sum;
        }
    }
}

#endif
