/* Vertical counters to numbers. */

#ifndef SPIKELET_COUNTS_H
#define SPIKELET_COUNTS_H

#include "vec_portable.h"

/* Vertical counters to numbers: lane i of quarter q counts sum_p 2^p * bit (64 q + i) of planes[p];
   to[q][i] = 2 * count - events[q]. */
SPK_INLINE void counts_to_sums(const vec *planes, size_t plane_count, int32_t *const to[4], const int32_t events[4]) {
    for (int q = 0; q < 4; q++) {
        for (int i = 0; i < 64; i++) {
            int32_t count = 0;
            for (size_t p = 0; p < plane_count; p++) count += (int32_t)(planes[p].w[q] >> i & 1) << p;
            to[q][i] = 2 * count - events[q];
        }
    }
}

#endif
