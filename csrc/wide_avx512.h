/* The vector of bit rows with AVX-512. Functions and their meanings are those of wide_portable.h. */

#ifndef SPIKELET_WIDE_H
#define SPIKELET_WIDE_H

#include <string.h>

#include "vec_avx512.h"

enum { WIDE = 64 };

typedef __m512i wide;

SPK_INLINE wide w_load(const void *p) { return _mm512_loadu_si512(p); }
SPK_INLINE wide w_load_half(const void *p) { return _mm512_zextsi256_si512(v_load(p)); }
SPK_INLINE __m128i w_quarter(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
SPK_INLINE wide w_load_parts(const uint8_t *weight, const uint32_t *const *events, size_t i, int parts) {
    if (parts == 2) {
        const wide low = _mm512_zextsi256_si512(v_load(weight + events[0][i]));
        return _mm512_inserti64x4(low, v_load(weight + events[1][i]), 1);
    }
    wide all = _mm512_zextsi128_si512(w_quarter(weight + events[0][i]));
    all = _mm512_mask_broadcast_i64x2(all, 0x0c, w_quarter(weight + events[1][i]));
    all = _mm512_mask_broadcast_i64x2(all, 0x30, w_quarter(weight + events[2][i]));
    return _mm512_mask_broadcast_i64x2(all, 0xc0, w_quarter(weight + events[3][i]));
}
SPK_INLINE wide w_zero(void) { return _mm512_setzero_si512(); }
SPK_INLINE wide w_and(wide x, wide y) { return _mm512_and_si512(x, y); }
SPK_INLINE wide w_xor(wide x, wide y) { return _mm512_xor_si512(x, y); }
SPK_INLINE wide w_xor3(wide x, wide y, wide z) { return _mm512_ternarylogic_epi64(x, y, z, 0x96); }
SPK_INLINE wide w_majority(wide x, wide y, wide z) { return _mm512_ternarylogic_epi64(x, y, z, 0xe8); }
SPK_INLINE wide w_or(wide x, wide y) { return _mm512_or_si512(x, y); }
SPK_INLINE wide w_andnot(wide x, wide y) { return _mm512_andnot_si512(x, y); }
SPK_INLINE wide w_select(wide mask, wide x, wide y) { return _mm512_ternarylogic_epi64(mask, x, y, 0xca); }
SPK_INLINE wide w_reach(wide x, wide y, wide below) { return _mm512_ternarylogic_epi64(x, y, below, 0xb2); }
SPK_INLINE wide w_ones(void) { return _mm512_set1_epi64(-1); }
SPK_INLINE wide w_set64(uint64_t number) { return _mm512_set1_epi64((int64_t)number); }
SPK_INLINE wide w_down64(wide x, int by) { return _mm512_srlv_epi64(x, _mm512_set1_epi64(by)); }
SPK_INLINE wide w_up64(wide x, int by) { return _mm512_sllv_epi64(x, _mm512_set1_epi64(by)); }
SPK_INLINE void w_put_parts(uint8_t *to, size_t apart, wide x) {
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_castsi512_si128(x));
    _mm_storeu_si128((__m128i *)(void *)(to + apart), _mm512_extracti64x2_epi64(x, 1));
    _mm_storeu_si128((__m128i *)(void *)(to + 2 * apart), _mm512_extracti64x2_epi64(x, 2));
    _mm_storeu_si128((__m128i *)(void *)(to + 3 * apart), _mm512_extracti64x2_epi64(x, 3));
}
SPK_INLINE wide w_zip8(wide x, wide y, int upper) {
    return upper ? _mm512_unpackhi_epi8(x, y) : _mm512_unpacklo_epi8(x, y);
}
SPK_INLINE void w_store(void *p, wide x) { _mm512_storeu_si512(p, x); }
SPK_INLINE void w_put_words(uint64_t *to, wide x, size_t words) {
    _mm512_mask_storeu_epi64(to, (__mmask8)((1u << words) - 1), x);
}
SPK_INLINE wide w_repeat(const void *p, int parts) {
    if (parts == 2) return _mm512_broadcast_i64x4(v_load(p));
    if (parts == 4) return _mm512_broadcast_i64x2(w_quarter(p));
    int64_t word;
    memcpy(&word, p, sizeof word);
    return _mm512_set1_epi64(word);
}
SPK_INLINE wide w_bit(wide x, size_t p) {
    return _mm512_movm_epi64(_mm512_test_epi64_mask(x, _mm512_set1_epi64((int64_t)((uint64_t)1 << p))));
}

/* Whether this machine has all of it that the kernels use. */
SPK_INLINE int cpu_has_avx512(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vnni") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
}

#endif
