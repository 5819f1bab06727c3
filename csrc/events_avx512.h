/* Spikes to lists with AVX-512; what it does is said in events_portable.h. */

#ifndef SPIKELET_LIST_WORD_H
#define SPIKELET_LIST_WORD_H

#include "vec_avx512.h"

static const uint8_t places_of_bits[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                           16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
                                           32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
                                           48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

/* The places of the ones, a byte each, move together; 16 at a time become offsets. */
SPK_INLINE size_t list_word(uint64_t word, size_t bytes, uint32_t base, uint32_t row, uint32_t *list) {
    (void)bytes;
    if (word == 0) return 0;
    const size_t n = count_ones(word);
    const __m512i rows = _mm512_set1_epi32((int32_t)row), first = _mm512_set1_epi32((int32_t)base);
    __m512i places = _mm512_maskz_compress_epi8(word, _mm512_loadu_si512(places_of_bits));
    for (size_t i = 0; i < n; i += 16) {
        const __m512i place = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(places));
        _mm512_storeu_si512(list + i, _mm512_add_epi32(_mm512_mullo_epi32(place, rows), first));
        places = _mm512_alignr_epi64(places, places, 2);
    }
    return n;
}

/* As list_counts.h, 16 channels at a time. */
SPK_INLINE size_t list_counts(const int32_t *pixel, size_t first, size_t end, int32_t most, uint32_t base, uint32_t row,
                              uint32_t *list) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i step = _mm512_set1_epi32((int32_t)(16 * row));
    const __m512i begin = _mm512_set1_epi32((int32_t)(base + (uint32_t)first * row));
    __m512i offsets = _mm512_add_epi32(_mm512_mullo_epi32(lanes, _mm512_set1_epi32((int32_t)row)), begin);
    size_t n = 0;
    for (size_t c = first; c < end; c += 16, offsets = _mm512_add_epi32(offsets, step)) {
        const __mmask16 mine = (__mmask16)(end - c < 16 ? (1u << (end - c)) - 1 : 0xffff);
        const __m512i counts = _mm512_maskz_loadu_epi32(mine, pixel + c);
        __mmask16 above = _mm512_cmpgt_epi32_mask(counts, _mm512_setzero_si512());
        for (int32_t below = 1; above != 0; below++) {
            _mm512_storeu_si512(list + n, _mm512_maskz_compress_epi32(above, offsets));
            n += count_ones(above);
            above = below < most ? _mm512_cmpgt_epi32_mask(counts, _mm512_set1_epi32(below)) : 0;
        }
    }
    return n;
}

#endif
