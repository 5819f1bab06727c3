/* Quads of bytes through int8 with the dot products of ARMv8.2. */

#ifndef SPIKELET_QUADS_H
#define SPIKELET_QUADS_H

#include "bytes_less_128.h"

/* What quads_portable.h does. */
SPK_INLINE void quads_add(const uint8_t *const *runs, size_t first, const uint8_t *weight, size_t units,
                          size_t row_bytes, int32_t *const *sums, int places, int vectors) {
    int32x4_t acc[2][8], rest[8];
    for (int v = 0; v < 2 * vectors; v++) rest[v] = acc[0][v] = acc[1][v] = vdupq_n_s32(0);
    for (size_t q = first; q < first + units; q++, weight += row_bytes) {
        int8x16_t x[2];
        for (int i = 0; i < places; i++) x[i] = four_less_128(runs[i] + 4 * q);
        for (int v = 0; v < 2 * vectors; v++) {
            const int8x16_t w = vld1q_s8((const int8_t *)weight + 16 * v);
            rest[v] = vdotq_s32(rest[v], w, vdupq_n_s8(1));
            for (int i = 0; i < places; i++) acc[i][v] = vdotq_s32(acc[i][v], w, x[i]);
        }
    }
    for (int i = 0; i < places; i++)
        for (int v = 0; v < 2 * vectors; v++) {
            int32_t *to = sums[i] + 4 * v;
            vst1q_s32(to, vaddq_s32(vld1q_s32(to), vaddq_s32(acc[i][v], rest_of(rest[v]))));
        }
}

#endif
