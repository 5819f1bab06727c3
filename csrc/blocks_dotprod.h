/* Products of blocks with the dot products of ARMv8.2: 16 outputs in four vectors, four places at a time. Functions and
   their meanings are those of blocks_portable.h. */

#ifndef SPIKELET_BLOCKS_SET_H
#define SPIKELET_BLOCKS_SET_H

#include "block_rest.h"

enum { PLACES = 4 };

/* Four places and 16 outputs. */
SPK_INLINE void block_places(const block_product *p, const int8_t *b, const uint8_t *a, const int32x4_t rest[4],
                             int32_t *c) {
    int32x4_t sums[PLACES][4];
    for (size_t i = 0; i < PLACES; i++)
        for (size_t v = 0; v < 4; v++) sums[i][v] = rest[v];
    for (size_t k = 0; k < 16 * p->depth; k++, a += 4, b += 64) {
        const int8x16_t w[4] = {vld1q_s8(b), vld1q_s8(b + 16), vld1q_s8(b + 32), vld1q_s8(b + 48)};
        for (size_t i = 0; i < PLACES; i++) {
            const int8x16_t x = four_less_128(a + i * p->a_apart);
            for (size_t v = 0; v < 4; v++) sums[i][v] = vdotq_s32(sums[i][v], w[v], x);
        }
    }
    for (size_t i = 0; i < PLACES; i++)
        for (size_t v = 0; v < 4; v++) vst1q_s32(c + i * p->c_apart + 4 * v, sums[i][v]);
}

#include "blocks_loop.h"

#endif
