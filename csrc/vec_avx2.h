/* The 256-bit vector of AVX2. Functions and their meanings are those of vec_portable.h. */

#ifndef SPIKELET_VEC_H
#define SPIKELET_VEC_H

#include <immintrin.h>

#include "spikelet.h"

#define SPK_INLINE static inline __attribute__((always_inline))

typedef __m256i vec;

SPK_INLINE vec v_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
SPK_INLINE void v_store(void *p, vec v) { _mm256_storeu_si256((__m256i *)p, v); }
SPK_INLINE vec v_zero(void) { return _mm256_setzero_si256(); }
SPK_INLINE vec v_and(vec x, vec y) { return _mm256_and_si256(x, y); }
SPK_INLINE vec v_or(vec x, vec y) { return _mm256_or_si256(x, y); }
SPK_INLINE vec v_xor(vec x, vec y) { return _mm256_xor_si256(x, y); }
SPK_INLINE vec v_andnot(vec x, vec y) { return _mm256_andnot_si256(x, y); }
SPK_INLINE vec v_add8(vec x, vec y) { return _mm256_add_epi8(x, y); }
SPK_INLINE vec v_add16(vec x, vec y) { return _mm256_add_epi16(x, y); }
SPK_INLINE vec v_add32(vec x, vec y) { return _mm256_add_epi32(x, y); }
SPK_INLINE vec v_sub32(vec x, vec y) { return _mm256_sub_epi32(x, y); }
SPK_INLINE vec v_mul32(vec x, vec y) { return _mm256_mullo_epi32(x, y); }
SPK_INLINE vec v_min32(vec x, vec y) { return _mm256_min_epi32(x, y); }
SPK_INLINE vec v_max32(vec x, vec y) { return _mm256_max_epi32(x, y); }
SPK_INLINE vec v_gt32(vec x, vec y) { return _mm256_cmpgt_epi32(x, y); }
SPK_INLINE vec v_srav32(vec x, vec y) { return _mm256_srav_epi32(x, y); }
SPK_INLINE vec v_set32(int32_t x) { return _mm256_set1_epi32(x); }
SPK_INLINE vec v_sra32(vec x, int32_t count) { return _mm256_sra_epi32(x, _mm_cvtsi32_si128(count)); }
SPK_INLINE vec v_sll32(vec x, int32_t count) { return _mm256_sll_epi32(x, _mm_cvtsi32_si128(count)); }
SPK_INLINE vec v_dot16(vec x, vec y) { return _mm256_madd_epi16(x, y); }

SPK_INLINE __m128i v_half(vec x, int half) { return half ? _mm256_extracti128_si256(x, 1) : _mm256_castsi256_si128(x); }
SPK_INLINE vec v_widen8(vec x, int half) { return _mm256_cvtepi8_epi16(v_half(x, half)); }
SPK_INLINE vec v_widen16(vec x, int half) { return _mm256_cvtepi16_epi32(v_half(x, half)); }
SPK_INLINE vec v_load8to16(const int8_t *p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}
SPK_INLINE vec v_load8to32(const int8_t *p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

SPK_INLINE vec v_load2(const void *p, const void *q) {
    const __m128i low = _mm_loadu_si128((const __m128i *)p);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), _mm_loadu_si128((const __m128i *)q), 1);
}
SPK_INLINE vec v_load4(const void *p, const void *q, const void *r, const void *s) {
    const __m128d low = _mm_loadh_pd(_mm_load_sd((const double *)p), (const double *)q);
    const __m128d high = _mm_loadh_pd(_mm_load_sd((const double *)r), (const double *)s);
    return _mm256_castpd_si256(_mm256_insertf128_pd(_mm256_castpd128_pd256(low), high, 1));
}

SPK_INLINE uint32_t v_signs32(vec x) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(x)); }
SPK_INLINE vec v_mask32(uint32_t bits) {
    const vec one_each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const vec kept = _mm256_and_si256(_mm256_set1_epi32((int32_t)bits), one_each);
    return _mm256_cmpeq_epi32(kept, one_each);
}

/* Even and odd lanes apart. A bias of 2^63 makes the logical shift floor; 2^(63 - s) takes it off again. */
SPK_INLINE vec v_affine_wide_64(vec product, vec s) {
    const vec one = _mm256_set1_epi64x(1), bias = _mm256_slli_epi64(one, 63);
    const vec half = _mm256_srli_epi64(_mm256_sllv_epi64(one, s), 1);
    const vec shifted = _mm256_srlv_epi64(_mm256_add_epi64(_mm256_add_epi64(product, half), bias), s);
    return _mm256_sub_epi64(shifted, _mm256_srlv_epi64(bias, s));
}
SPK_INLINE vec v_affine_wide(vec x, vec m, vec s, vec d) {
    const vec low32 = _mm256_set1_epi64x(0xffffffff);
    const vec even = v_affine_wide_64(_mm256_mul_epi32(x, m), _mm256_and_si256(s, low32));
    const vec odd = v_affine_wide_64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(m, 32)),
                                     _mm256_srli_epi64(s, 32));
    return _mm256_add_epi32(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa), d);
}

SPK_INLINE void put_spikes(uint64_t *pixel, size_t c, uint32_t bits) {
    if (c % 64 == 0)
        pixel[c / 64] = bits;
    else
        ((uint8_t *)pixel)[c / 8] = (uint8_t)bits;
}

/* Byte i of entry b: the place of the i-th 1 in b. */
static const uint64_t places_of_ones[256] = {
    0x0,
    0x0,
    0x1,
    0x100,
    0x2,
    0x200,
    0x201,
    0x20100,
    0x3,
    0x300,
    0x301,
    0x30100,
    0x302,
    0x30200,
    0x30201,
    0x3020100,
    0x4,
    0x400,
    0x401,
    0x40100,
    0x402,
    0x40200,
    0x40201,
    0x4020100,
    0x403,
    0x40300,
    0x40301,
    0x4030100,
    0x40302,
    0x4030200,
    0x4030201,
    0x403020100,
    0x5,
    0x500,
    0x501,
    0x50100,
    0x502,
    0x50200,
    0x50201,
    0x5020100,
    0x503,
    0x50300,
    0x50301,
    0x5030100,
    0x50302,
    0x5030200,
    0x5030201,
    0x503020100,
    0x504,
    0x50400,
    0x50401,
    0x5040100,
    0x50402,
    0x5040200,
    0x5040201,
    0x504020100,
    0x50403,
    0x5040300,
    0x5040301,
    0x504030100,
    0x5040302,
    0x504030200,
    0x504030201,
    0x50403020100,
    0x6,
    0x600,
    0x601,
    0x60100,
    0x602,
    0x60200,
    0x60201,
    0x6020100,
    0x603,
    0x60300,
    0x60301,
    0x6030100,
    0x60302,
    0x6030200,
    0x6030201,
    0x603020100,
    0x604,
    0x60400,
    0x60401,
    0x6040100,
    0x60402,
    0x6040200,
    0x6040201,
    0x604020100,
    0x60403,
    0x6040300,
    0x6040301,
    0x604030100,
    0x6040302,
    0x604030200,
    0x604030201,
    0x60403020100,
    0x605,
    0x60500,
    0x60501,
    0x6050100,
    0x60502,
    0x6050200,
    0x6050201,
    0x605020100,
    0x60503,
    0x6050300,
    0x6050301,
    0x605030100,
    0x6050302,
    0x605030200,
    0x605030201,
    0x60503020100,
    0x60504,
    0x6050400,
    0x6050401,
    0x605040100,
    0x6050402,
    0x605040200,
    0x605040201,
    0x60504020100,
    0x6050403,
    0x605040300,
    0x605040301,
    0x60504030100,
    0x605040302,
    0x60504030200,
    0x60504030201,
    0x6050403020100,
    0x7,
    0x700,
    0x701,
    0x70100,
    0x702,
    0x70200,
    0x70201,
    0x7020100,
    0x703,
    0x70300,
    0x70301,
    0x7030100,
    0x70302,
    0x7030200,
    0x7030201,
    0x703020100,
    0x704,
    0x70400,
    0x70401,
    0x7040100,
    0x70402,
    0x7040200,
    0x7040201,
    0x704020100,
    0x70403,
    0x7040300,
    0x7040301,
    0x704030100,
    0x7040302,
    0x704030200,
    0x704030201,
    0x70403020100,
    0x705,
    0x70500,
    0x70501,
    0x7050100,
    0x70502,
    0x7050200,
    0x7050201,
    0x705020100,
    0x70503,
    0x7050300,
    0x7050301,
    0x705030100,
    0x7050302,
    0x705030200,
    0x705030201,
    0x70503020100,
    0x70504,
    0x7050400,
    0x7050401,
    0x705040100,
    0x7050402,
    0x705040200,
    0x705040201,
    0x70504020100,
    0x7050403,
    0x705040300,
    0x705040301,
    0x70504030100,
    0x705040302,
    0x70504030200,
    0x70504030201,
    0x7050403020100,
    0x706,
    0x70600,
    0x70601,
    0x7060100,
    0x70602,
    0x7060200,
    0x7060201,
    0x706020100,
    0x70603,
    0x7060300,
    0x7060301,
    0x706030100,
    0x7060302,
    0x706030200,
    0x706030201,
    0x70603020100,
    0x70604,
    0x7060400,
    0x7060401,
    0x706040100,
    0x7060402,
    0x706040200,
    0x706040201,
    0x70604020100,
    0x7060403,
    0x706040300,
    0x706040301,
    0x70604030100,
    0x706040302,
    0x70604030200,
    0x70604030201,
    0x7060403020100,
    0x70605,
    0x7060500,
    0x7060501,
    0x706050100,
    0x7060502,
    0x706050200,
    0x706050201,
    0x70605020100,
    0x7060503,
    0x706050300,
    0x706050301,
    0x70605030100,
    0x706050302,
    0x70605030200,
    0x70605030201,
    0x7060503020100,
    0x7060504,
    0x706050400,
    0x706050401,
    0x70605040100,
    0x706050402,
    0x70605040200,
    0x70605040201,
    0x7060504020100,
    0x706050403,
    0x70605040300,
    0x70605040301,
    0x7060504030100,
    0x70605040302,
    0x7060504030200,
    0x7060504030201,
    0x706050403020100,
};

/* Few ones are taken one by one, four without a branch; many byte by byte, from the table. */
SPK_INLINE size_t list_word(uint64_t word, uint32_t base, uint32_t row, uint32_t *list) {
    const size_t ones = (size_t)_mm_popcnt_u64(word);
    if (ones == 0) return 0;
    if (ones <= 4) {
        for (int i = 0; i < 4; i++) {
            list[i] = base + (uint32_t)_tzcnt_u64(word) * row;
            word = _blsr_u64(word);
        }
        return ones;
    }
    const vec rows = _mm256_set1_epi32((int32_t)row), step = _mm256_set1_epi32((int32_t)(8 * row));
    vec first = _mm256_set1_epi32((int32_t)base);
    for (; word; word >>= 8, first = _mm256_add_epi32(first, step)) {
        const uint8_t byte = (uint8_t)word;
        const vec place = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)places_of_ones[byte]));
        v_store(list, _mm256_add_epi32(_mm256_mullo_epi32(place, rows), first));
        list += (size_t)_mm_popcnt_u32(byte);
    }
    return ones;
}

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
