/* Products of blocks with NEON: 16 outputs in eight vectors, two places at a time. Functions and their meanings are
   those of blocks_portable.h. */

#ifndef SPIKELET_BLOCKS_SET_H
#define SPIKELET_BLOCKS_SET_H

#include "block_rest.h"

enum { PLACES = 2 };

/* Two places and 16 outputs. A vector has sums of two outputs, each in two lanes: pairs of products of bytes go to 32
   bits one by one, as two of -128 * -128 leave 16. */
SPK_INLINE void block_places(const block_product *p, const int8_t *b, const uint8_t *a, const int32x4_t rest[4],
                             int32_t *c) {
    int32x4_t sums[PLACES][8];
    for (size_t i = 0; i < PLACES; i++)
        for (size_t v = 0; v < 8; v++) sums[i][v] = vdupq_n_s32(0);
    for (size_t k = 0; k < 16 * p->depth; k++, a += 4, b += 64) {
        for (size_t i = 0; i < PLACES; i++) {
            const int8x16_t x = four_less_128(a + i * p->a_apart);
            for (size_t v = 0; v < 4; v++) {
                const int8x16_t w = vld1q_s8(b + 16 * v);
                const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
                sums[i][2 * v] = vpadalq_s16(sums[i][2 * v], low);
                sums[i][2 * v + 1] = vpadalq_s16(sums[i][2 * v + 1], vmull_high_s8(w, x));
            }
        }
    }
    for (size_t i = 0; i < PLACES; i++)
        for (size_t v = 0; v < 4; v++)
            vst1q_s32(c + i * p->c_apart + 4 * v, vaddq_s32(vpaddq_s32(sums[i][2 * v], sums[i][2 * v + 1]), rest[v]));
}

#include "blocks_loop.h"

#endif
