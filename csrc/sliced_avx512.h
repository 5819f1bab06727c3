/* Vertical counters to numbers with AVX-512; what it does is said in sliced_portable.h. */

#ifndef SPIKELET_COUNTS_H
#define SPIKELET_COUNTS_H

#include "wide_avx512.h"

/* Squares of j * j bits beside the diagonal change places, in the bytes of eight vectors; `low` masks columns whose
   bit j is 0. */
#define SWAP_BITS(a, j, low)                                                                                           \
    for (int i = 0; i < 8; i++) {                                                                                      \
        if (i & (j)) continue;                                                                                         \
        const wide other = w_and(w_xor(_mm512_srli_epi16(a[i], j), a[i + (j)]), _mm512_set1_epi8(low));                \
        a[i + (j)] = w_xor(a[i + (j)], other);                                                                         \
        a[i] = w_xor(a[i], _mm512_slli_epi16(other, j));                                                               \
    }

/* Eight planes from the first on to bytes: byte i of to[k] counts bit 8 i + k. */
SPK_INLINE void planes_to_bytes(const wide *planes, size_t plane_count, wide to[8]) {
    for (size_t p = 0; p < 8; p++) to[p] = p < plane_count ? planes[p] : w_zero();
    SWAP_BITS(to, 4, 0x0f)
    SWAP_BITS(to, 2, 0x33)
    SWAP_BITS(to, 1, 0x55)
}

#undef SWAP_BITS

/* 16 counts of uint16 to 2 * count - events: int16, or int32. */
SPK_INLINE void put_16(uint8_t *to, vec count, int32_t events, int narrow) {
    if (narrow) {
        v_store(to, v_sub16(v_add16(count, count), v_set16((int16_t)events)));
    } else {
        const __m512i counts = _mm512_cvtepu16_epi32(count);
        _mm512_storeu_si512(to, _mm512_sub_epi32(_mm512_add_epi32(counts, counts), _mm512_set1_epi32(events)));
    }
}

/* The same of 32. */
SPK_INLINE void put_32(uint8_t *to, wide count, int32_t events, int narrow) {
    if (narrow) {
        const wide twice = _mm512_add_epi16(count, count);
        _mm512_storeu_si512(to, _mm512_sub_epi16(twice, _mm512_set1_epi16((int16_t)events)));
    } else {
        put_16(to, _mm512_castsi512_si256(count), events, 0);
        put_16(to + 64, _mm512_extracti64x4_epi64(count, 1), events, 0);
    }
}

SPK_INLINE vec w_half(wide x, int half) { return half ? _mm512_extracti64x4_epi64(x, 1) : _mm512_castsi512_si256(x); }

/* Quarter `b` of bytes, or half `b`, as 16 bits each. */
SPK_INLINE vec widened_quarter(wide x, int b) { return _mm256_cvtepu8_epi16(v_half(w_half(x, b / 2), b % 2)); }
SPK_INLINE wide widened_half(wide x, int b) { return _mm512_cvtepu8_epi16(w_half(x, b)); }

SPK_INLINE void counts_to_sums(const wide *planes, size_t plane_count, uint8_t *const *to, const uint32_t *events,
                               int block, int blocks, int narrow) {
    const int value = narrow ? 2 : 4;
    wide low[8], high[8];
    planes_to_bytes(planes, plane_count, low);
    planes_to_bytes(planes + 8, plane_count > 8 ? plane_count - 8 : 0, high);
    for (int b = 0; b < blocks; b++) {
        for (int k = 0; k < 8; k++) {
            if (block == 16) {
                vec count = widened_quarter(low[k], b);
                if (plane_count > 8) count = v_or(count, _mm256_slli_epi16(widened_quarter(high[k], b), 8));
                put_16(to[b] + 16 * k * value, count, (int32_t)events[b], narrow);
            } else {
                wide count = widened_half(low[k], b);
                if (plane_count > 8) count = _mm512_or_si512(count, _mm512_slli_epi16(widened_half(high[k], b), 8));
                put_32(to[b] + 32 * k * value, count, (int32_t)events[b], narrow);
            }
        }
    }
}

#endif
