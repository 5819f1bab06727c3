/* SPAN neighbouring channels of 32 bits with AVX-512; what functions do is said in span_vec.h. */

#ifndef SPIKELET_SPAN_H
#define SPIKELET_SPAN_H

#include <string.h>

#include "vec_avx512.h"

enum { SPAN = 16 };

typedef __m512i span;
typedef __mmask16 span_mask;
typedef __mmask16 span_live;

SPK_INLINE span_live s_live(size_t c, size_t channels) { return channels - c < 16 ? 0x00ff : 0xffff; }
SPK_INLINE span s_load(span_live live, const void *p) { return _mm512_maskz_loadu_epi32(live, p); }
SPK_INLINE span s_load16(span_live live, const void *p) {
    return _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(live, p));
}
SPK_INLINE void s_store(span_live live, void *p, span x) { _mm512_mask_storeu_epi32(p, live, x); }
SPK_INLINE span s_zero(void) { return _mm512_setzero_si512(); }
SPK_INLINE span s_set(int32_t x) { return _mm512_set1_epi32(x); }
SPK_INLINE span s_and(span x, span y) { return _mm512_and_si512(x, y); }
SPK_INLINE span s_add(span x, span y) { return _mm512_add_epi32(x, y); }
SPK_INLINE span s_sub(span x, span y) { return _mm512_sub_epi32(x, y); }
SPK_INLINE span s_mul(span x, span y) { return _mm512_mullo_epi32(x, y); }
SPK_INLINE span s_min(span x, span y) { return _mm512_min_epi32(x, y); }
SPK_INLINE span s_max(span x, span y) { return _mm512_max_epi32(x, y); }
SPK_INLINE span s_srav(span x, span y) { return _mm512_srav_epi32(x, y); }
SPK_INLINE span s_sra(span x, int32_t count) { return _mm512_sra_epi32(x, _mm_cvtsi32_si128(count)); }
SPK_INLINE span s_sll(span x, int32_t count) { return _mm512_sll_epi32(x, _mm_cvtsi32_si128(count)); }

SPK_INLINE span_mask s_above(span x, span y) { return _mm512_cmpgt_epi32_mask(x, y); }
SPK_INLINE span s_where(span_mask m, span x) { return _mm512_maskz_mov_epi32(m, x); }
SPK_INLINE span s_unless(span_mask m, span x) { return _mm512_maskz_mov_epi32((span_mask)~m, x); }
SPK_INLINE span s_choose(span_mask m, span x, span y) { return _mm512_mask_blend_epi32(m, y, x); }
SPK_INLINE span s_one_more(span_mask m, span x) { return _mm512_mask_add_epi32(x, m, x, s_set(1)); }
SPK_INLINE span s_one_less(span_mask m, span x) { return _mm512_mask_sub_epi32(x, m, x, s_set(1)); }
SPK_INLINE uint32_t s_bits(span_mask m) { return m; }
SPK_INLINE span_mask s_mask(uint32_t bits) { return (span_mask)bits; }

SPK_INLINE void s_put_spikes(uint64_t *pixel, size_t c, span_mask m) {
    const uint16_t bits = m;
    if (c % 64 == 0)
        pixel[c / 64] = bits;
    else
        memcpy((uint8_t *)pixel + c / 8, &bits, sizeof bits);
}

#endif
