/* The vector of bit rows with AVX2. Functions and their meanings are those of wide_portable.h. */

#ifndef SPIKELET_WIDE_H
#define SPIKELET_WIDE_H

#include <string.h>

#include "vec_avx2.h"

enum { WIDE = 32 };

typedef vec wide;

SPK_INLINE wide w_load(const void *p) { return v_load(p); }
SPK_INLINE wide w_load_half(const void *p) { return _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *)p)); }
SPK_INLINE wide w_load_parts(const uint8_t *weight, const uint32_t *const *events, size_t i, int parts) {
    (void)parts;
    return v_load2(weight + events[0][i], weight + events[1][i]);
}
SPK_INLINE wide w_zero(void) { return v_zero(); }
SPK_INLINE wide w_and(wide x, wide y) { return v_and(x, y); }
SPK_INLINE wide w_xor(wide x, wide y) { return v_xor(x, y); }
SPK_INLINE wide w_xor3(wide x, wide y, wide z) { return v_xor(v_xor(x, y), z); }
SPK_INLINE wide w_majority(wide x, wide y, wide z) { return v_or(v_and(x, y), v_and(v_xor(x, y), z)); }
SPK_INLINE wide w_or(wide x, wide y) { return v_or(x, y); }
SPK_INLINE wide w_andnot(wide x, wide y) { return v_andnot(x, y); }
SPK_INLINE wide w_select(wide mask, wide x, wide y) { return v_or(v_and(mask, x), v_andnot(mask, y)); }
SPK_INLINE wide w_reach(wide x, wide y, wide below) { return w_select(v_xor(x, y), x, below); }
SPK_INLINE wide w_ones(void) { return v_set32(-1); }
SPK_INLINE wide w_set64(uint64_t number) { return _mm256_set1_epi64x((int64_t)number); }
SPK_INLINE wide w_down64(wide x, int by) { return _mm256_srlv_epi64(x, _mm256_set1_epi64x(by)); }
SPK_INLINE wide w_up64(wide x, int by) { return _mm256_sllv_epi64(x, _mm256_set1_epi64x(by)); }
SPK_INLINE void w_put_parts(uint8_t *to, size_t apart, wide x) {
    _mm_storeu_si128((__m128i *)(void *)to, _mm256_castsi256_si128(x));
    _mm_storeu_si128((__m128i *)(void *)(to + apart), _mm256_extracti128_si256(x, 1));
}
SPK_INLINE wide w_zip8(wide x, wide y, int upper) {
    return upper ? _mm256_unpackhi_epi8(x, y) : _mm256_unpacklo_epi8(x, y);
}
SPK_INLINE void w_store(void *p, wide x) { v_store(p, x); }
SPK_INLINE wide w_repeat(const void *p, int parts) {
    if (parts == 2) return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
    int64_t word;
    memcpy(&word, p, sizeof word);
    return _mm256_set1_epi64x(word);
}
SPK_INLINE wide w_bit(wide x, size_t p) {
    return _mm256_cmpgt_epi64(v_zero(), _mm256_sll_epi64(x, _mm_cvtsi32_si128(63 - (int)p)));
}

#include "put_words.h"

#endif
