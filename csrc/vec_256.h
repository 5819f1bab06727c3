/* The 256-bit vector of AVX2, which AVX-512 shares. Functions and their meanings are those of vec_portable.h. */

#ifndef SPIKELET_VEC_256_H
#define SPIKELET_VEC_256_H

#include <immintrin.h>

#include "spikelet.h"

#define SPK_INLINE static inline __attribute__((always_inline))
#define SPK_ALWAYS SPK_INLINE /* what the portable set inlines by force too */

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
SPK_INLINE vec v_sub16(vec x, vec y) { return _mm256_sub_epi16(x, y); }
SPK_INLINE vec v_max16(vec x, vec y) { return _mm256_max_epi16(x, y); }
SPK_INLINE vec v_add32(vec x, vec y) { return _mm256_add_epi32(x, y); }
SPK_INLINE vec v_sub32(vec x, vec y) { return _mm256_sub_epi32(x, y); }
SPK_INLINE vec v_mul32(vec x, vec y) { return _mm256_mullo_epi32(x, y); }
SPK_INLINE vec v_min32(vec x, vec y) { return _mm256_min_epi32(x, y); }
SPK_INLINE vec v_max32(vec x, vec y) { return _mm256_max_epi32(x, y); }
SPK_INLINE vec v_gt32(vec x, vec y) { return _mm256_cmpgt_epi32(x, y); }
SPK_INLINE vec v_srav32(vec x, vec y) { return _mm256_srav_epi32(x, y); }
SPK_INLINE vec v_set16(int16_t x) { return _mm256_set1_epi16(x); }
SPK_INLINE vec v_set32(int32_t x) { return _mm256_set1_epi32(x); }
SPK_INLINE vec v_sra32(vec x, int32_t count) { return _mm256_sra_epi32(x, _mm_cvtsi32_si128(count)); }
SPK_INLINE vec v_sll32(vec x, int32_t count) { return _mm256_sll_epi32(x, _mm_cvtsi32_si128(count)); }
SPK_INLINE vec v_dot16(vec x, vec y) { return _mm256_madd_epi16(x, y); }
SPK_INLINE vec v_dot8(vec x, vec y) { return _mm256_maddubs_epi16(x, y); }

SPK_INLINE __m128i v_half(vec x, int half) { return half ? _mm256_extracti128_si256(x, 1) : _mm256_castsi256_si128(x); }
SPK_INLINE vec v_widen8(vec x, int half) { return _mm256_cvtepi8_epi16(v_half(x, half)); }
SPK_INLINE vec v_widen16(vec x, int half) { return _mm256_cvtepi16_epi32(v_half(x, half)); }
SPK_INLINE vec v_load8uto32(const void *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
SPK_INLINE vec v_load16to32(const void *p) { return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p)); }
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

/* Eight vectors of eight 32-bit lanes turned, rows to columns. */
SPK_INLINE void v_turn32(vec *rows) {
    vec two[8], four[8];
    for (int i = 0; i < 8; i += 2) {
        two[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
        two[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        four[i] = _mm256_unpacklo_epi64(two[i], two[i + 2]);
        four[i + 1] = _mm256_unpackhi_epi64(two[i], two[i + 2]);
        four[i + 2] = _mm256_unpacklo_epi64(two[i + 1], two[i + 3]);
        four[i + 3] = _mm256_unpackhi_epi64(two[i + 1], two[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        rows[i] = _mm256_permute2x128_si256(four[i], four[i + 4], 0x20);
        rows[i + 4] = _mm256_permute2x128_si256(four[i], four[i + 4], 0x31);
    }
}

SPK_INLINE uint32_t v_signs32(vec x) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(x)); }
SPK_INLINE vec v_mask32(uint32_t bits) {
    const vec one_each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const vec kept = _mm256_and_si256(_mm256_set1_epi32((int32_t)bits), one_each);
    return _mm256_cmpeq_epi32(kept, one_each);
}

SPK_INLINE void v_will_write(void *p) { __builtin_prefetch(p, 1); }
SPK_INLINE size_t first_one(uint64_t word) { return (size_t)_tzcnt_u64(word); }
SPK_INLINE size_t count_ones(uint64_t word) { return (size_t)_mm_popcnt_u64(word); }

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

#include "put_spikes.h"

#endif
