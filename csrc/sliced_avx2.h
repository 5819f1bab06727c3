/* Vertical counters to numbers with AVX2; what it does is said in sliced_portable.h. */

#ifndef SPIKELET_COUNTS_H
#define SPIKELET_COUNTS_H

#include "wide_avx2.h"

/* Squares of `j` * `j` bits beside the diagonal change places, in the bytes of eight vectors; `low` masks columns whose
   bit j is 0. */
SPK_INLINE void swap_bits(vec a[8], int j, int8_t low) {
    const vec mask = _mm256_set1_epi8(low);
    for (int i = 0; i < 8; i++) {
        if (i & j) continue;
        const vec other = v_and(v_xor(_mm256_srli_epi16(a[i], j), a[i + j]), mask);
        a[i + j] = v_xor(a[i + j], other);
        a[i] = v_xor(a[i], _mm256_slli_epi16(other, j));
    }
}

/* Eight planes from the first on to bytes: byte i of to[k] counts bit 8 i + k. */
SPK_INLINE void planes_to_bytes(const vec *planes, size_t plane_count, vec to[8]) {
    for (size_t p = 0; p < 8; p++) to[p] = p < plane_count ? planes[p] : v_zero();
    swap_bits(to, 4, 0x0f);
    swap_bits(to, 2, 0x33);
    swap_bits(to, 1, 0x55);
}

/* 16 counts of uint16 to 2 * count - events: int16, or int32. */
SPK_INLINE void put_sums(uint8_t *to, vec count, int32_t events, int narrow) {
    if (narrow) {
        v_store(to, v_sub16(v_add16(count, count), v_set16((int16_t)events)));
        return;
    }
    for (int half = 0; half < 2; half++) {
        const vec wide = _mm256_cvtepu16_epi32(v_half(count, half));
        v_store(to + 32 * half, v_sub32(v_add32(wide, wide), v_set32(events)));
    }
}

SPK_INLINE void counts_to_sums(const wide *planes, size_t plane_count, uint8_t *const *to, const uint32_t *events,
                               int block, int blocks, int narrow) {
    const int value = narrow ? 2 : 4;
    vec low[8], high[8];
    planes_to_bytes(planes, plane_count, low);
    if (plane_count > 8) planes_to_bytes(planes + 8, plane_count - 8, high);
    for (int k = 0; k < 8; k++) {
        for (int half = 0; half < 2; half++) {
            const int b = block == 32 ? 0 : half, from = block == 32 ? 32 * k + 16 * half : 16 * k;
            vec count = _mm256_cvtepu8_epi16(v_half(low[k], half));
            if (plane_count > 8) count = v_or(count, _mm256_slli_epi16(_mm256_cvtepu8_epi16(v_half(high[k], half)), 8));
            if (block == 32 || half < blocks) put_sums(to[b] + from * value, count, (int32_t)events[b], narrow);
        }
    }
}

#endif
