/* SPAN neighbouring channels of 32 bits, where a vector holds eight of them. Maps end at a multiple of eight channels,
   so that all are live always; span_avx512.h takes 16, and needs to know. */

#ifndef SPIKELET_SPAN_H
#define SPIKELET_SPAN_H

enum { SPAN = 8 };

typedef vec span;
typedef vec span_mask; /* which channels: lanes of -1 and 0 */
typedef int span_live; /* which channels the map has */

SPK_INLINE span_live s_live(size_t c, size_t channels) {
    (void)c, (void)channels;
    return 1;
}
SPK_INLINE span s_load(span_live live, const void *p) {
    (void)live;
    return v_load(p);
}
SPK_INLINE span s_load16(span_live live, const void *p) { /* of int16 */
    (void)live;
    return v_load16to32(p);
}
SPK_INLINE void s_store(span_live live, void *p, span x) {
    (void)live;
    v_store(p, x);
}
SPK_INLINE span s_zero(void) { return v_zero(); }
SPK_INLINE span s_set(int32_t x) { return v_set32(x); }
SPK_INLINE span s_and(span x, span y) { return v_and(x, y); }
SPK_INLINE span s_add(span x, span y) { return v_add32(x, y); }
SPK_INLINE span s_sub(span x, span y) { return v_sub32(x, y); }
SPK_INLINE span s_mul(span x, span y) { return v_mul32(x, y); }
SPK_INLINE span s_min(span x, span y) { return v_min32(x, y); }
SPK_INLINE span s_max(span x, span y) { return v_max32(x, y); }
SPK_INLINE span s_srav(span x, span y) { return v_srav32(x, y); }
SPK_INLINE span s_sra(span x, int32_t count) { return v_sra32(x, count); }
SPK_INLINE span s_sll(span x, int32_t count) { return v_sll32(x, count); }

SPK_INLINE span_mask s_above(span x, span y) { return v_gt32(x, y); }
SPK_INLINE span s_where(span_mask m, span x) { return v_and(m, x); }     /* 0 elsewhere */
SPK_INLINE span s_unless(span_mask m, span x) { return v_andnot(m, x); } /* 0 there */
SPK_INLINE span s_choose(span_mask m, span x, span y) { return v_or(v_and(m, x), v_andnot(m, y)); }
SPK_INLINE span s_one_more(span_mask m, span x) { return v_sub32(x, m); } /* x + 1 there */
SPK_INLINE span s_one_less(span_mask m, span x) { return v_add32(x, m); }
SPK_INLINE uint32_t s_bits(span_mask m) { return v_signs32(m); }
SPK_INLINE span_mask s_mask(uint32_t bits) { return v_mask32(bits); }

/* Spikes of channels c .. c + SPAN - 1 of a pixel, c a multiple of SPAN; the first of a word clears the others. */
SPK_INLINE void s_put_spikes(uint64_t *pixel, size_t c, span_mask m) { put_spikes(pixel, c, v_signs32(m)); }

#endif
