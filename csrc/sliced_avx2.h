/* Vertical counters to numbers with AVX2; what it does is said in sliced_portable.h. */

#ifndef SPIKELET_COUNTS_H
#define SPIKELET_COUNTS_H

#include "vec_avx2.h"

/* 8x8 bits of every 64-bit lane, transposed. */
SPK_INLINE vec transpose_bits(vec x) {
    vec t = _mm256_and_si256(_mm256_xor_si256(x, _mm256_srli_epi64(x, 7)), _mm256_set1_epi64x(0x00aa00aa00aa00aa));
    x = _mm256_xor_si256(x, _mm256_xor_si256(t, _mm256_slli_epi64(t, 7)));
    t = _mm256_and_si256(_mm256_xor_si256(x, _mm256_srli_epi64(x, 14)), _mm256_set1_epi64x(0x0000cccc0000cccc));
    x = _mm256_xor_si256(x, _mm256_xor_si256(t, _mm256_slli_epi64(t, 14)));
    t = _mm256_and_si256(_mm256_xor_si256(x, _mm256_srli_epi64(x, 28)), _mm256_set1_epi64x(0x00000000f0f0f0f0));
    return _mm256_xor_si256(x, _mm256_xor_si256(t, _mm256_slli_epi64(t, 28)));
}

/* Eight planes to bytes: byte j of each half of to[r] counts lane 16 r + j of that half. */
SPK_INLINE void planes_to_bytes(const vec planes[8], vec to[8]) {
    vec a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[i] = _mm256_unpacklo_epi8(planes[2 * i], planes[2 * i + 1]);
        a[4 + i] = _mm256_unpackhi_epi8(planes[2 * i], planes[2 * i + 1]);
    }
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 2; i++) {
            b[4 * h + i] = _mm256_unpacklo_epi16(a[4 * h + 2 * i], a[4 * h + 2 * i + 1]);
            b[4 * h + 2 + i] = _mm256_unpackhi_epi16(a[4 * h + 2 * i], a[4 * h + 2 * i + 1]);
        }
    for (int i = 0; i < 4; i++) {
        to[2 * i] = transpose_bits(_mm256_unpacklo_epi32(b[2 * i], b[2 * i + 1]));
        to[2 * i + 1] = transpose_bits(_mm256_unpackhi_epi32(b[2 * i], b[2 * i + 1]));
    }
}

/* 8 counts in int32 lanes to 2 * count - events. */
SPK_INLINE void put_sums(int32_t *to, vec count, int32_t events) {
    v_store(to, _mm256_sub_epi32(_mm256_add_epi32(count, count), _mm256_set1_epi32(events)));
}

SPK_INLINE void counts_to_sums(const vec *planes, size_t plane_count, int32_t *const to[4], const int32_t events[4]) {
    vec low[8], high[8], first[8], second[8];
    for (size_t p = 0; p < 8; p++) first[p] = p < plane_count ? planes[p] : v_zero();
    planes_to_bytes(first, low);
    if (plane_count <= 8) {
        for (int r = 0; r < 8; r++) {
            for (int half = 0; half < 2; half++) {
                const int q = 2 * half + r / 4;
                const __m128i counts = v_half(low[r], half);
                int32_t *at = to[q] + 16 * (r % 4);
                put_sums(at, _mm256_cvtepu8_epi32(counts), events[q]);
                put_sums(at + 8, _mm256_cvtepu8_epi32(_mm_srli_si128(counts, 8)), events[q]);
            }
        }
        return;
    }
    for (size_t p = 0; p < 8; p++) second[p] = p + 8 < plane_count ? planes[p + 8] : v_zero();
    planes_to_bytes(second, high);
    for (int r = 0; r < 8; r++) {
        for (int half = 0; half < 2; half++) {
            const int q = 2 * half + r / 4;
            const __m128i small = v_half(low[r], half), large = v_half(high[r], half);
            int32_t *at = to[q] + 16 * (r % 4);
            put_sums(at, _mm256_cvtepu16_epi32(_mm_unpacklo_epi8(small, large)), events[q]);
            put_sums(at + 8, _mm256_cvtepu16_epi32(_mm_unpackhi_epi8(small, large)), events[q]);
        }
    }
}

#endif
