/* Vertical counters to numbers with NEON; what it does is said in sliced_portable.h. */

#ifndef SPIKELET_COUNTS_H
#define SPIKELET_COUNTS_H

#include "wide_neon.h"

/* Squares of j * j bits beside the diagonal change places, in the bytes of eight vectors; `low` masks columns whose
   bit j is 0. */
#define SWAP_BITS(a, j, low)                                                                                           \
    for (int i = 0; i < 8; i++) {                                                                                      \
        if (i & (j)) continue;                                                                                         \
        const uint8x16_t keeps = vdupq_n_u8(low), x = a[i], y = a[i + (j)];                                            \
        a[i] = vbslq_u8(keeps, x, vshlq_n_u8(y, j));                                                                   \
        a[i + (j)] = vbslq_u8(keeps, vshrq_n_u8(x, j), y);                                                             \
    }

/* Half `half` of eight planes from the first on to bytes: byte i of to[k] counts bit 8 i + k. */
SPK_INLINE void planes_to_bytes(const wide *planes, size_t plane_count, int half, uint8x16_t to[8]) {
    for (size_t p = 0; p < 8; p++)
        to[p] = p < plane_count ? vreinterpretq_u8_s8(half ? planes[p].b : planes[p].a) : vdupq_n_u8(0);
    SWAP_BITS(to, 4, 0x0f)
    SWAP_BITS(to, 2, 0x33)
    SWAP_BITS(to, 1, 0x55)
}

#undef SWAP_BITS

/* 8 counts to 2 * count - events: int16, or int32. */
SPK_INLINE void put_sums(uint8_t *to, uint16x8_t count, int32_t events, int narrow) {
    if (narrow) {
        const int16x8_t twice = vreinterpretq_s16_u16(vshlq_n_u16(count, 1));
        vst1q_s8((int8_t *)to, vreinterpretq_s8_s16(vsubq_s16(twice, vdupq_n_s16((int16_t)events))));
        return;
    }
    const int32x4_t low = vreinterpretq_s32_u32(vshll_n_u16(vget_low_u16(count), 1));
    const int32x4_t high = vreinterpretq_s32_u32(vshll_high_n_u16(count, 1));
    v_store(to, v_sub32(v_pair32(low, high), v_set32(events)));
}

SPK_INLINE void counts_to_sums(const wide *planes, size_t plane_count, uint8_t *const *to, const uint32_t *events,
                               int block, int blocks, int narrow) {
    const int value = narrow ? 2 : 4;
    for (int half = 0; half < 2; half++) {
        const int b = block == 32 ? 0 : half, apart = block == 32 ? 32 : 16, first = block == 32 ? 16 * half : 0;
        uint8x16_t low[8], high[8];
        if (block != 32 && half >= blocks) return;
        planes_to_bytes(planes, plane_count, half, low);
        for (int k = 0; k < 8; k++) high[k] = vdupq_n_u8(0);
        if (plane_count > 8) planes_to_bytes(planes + 8, plane_count - 8, half, high);
        for (int k = 0; k < 8; k++) {
            uint8_t *const at = to[b] + (apart * k + first) * value;
            put_sums(at, vreinterpretq_u16_u8(vzip1q_u8(low[k], high[k])), (int32_t)events[b], narrow);
            put_sums(at + 8 * value, vreinterpretq_u16_u8(vzip2q_u8(low[k], high[k])), (int32_t)events[b], narrow);
        }
    }
}

#endif
