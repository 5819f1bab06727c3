/* The vector of bit rows with NEON. Functions and their meanings are those of wide_portable.h. */

#ifndef SPIKELET_WIDE_H
#define SPIKELET_WIDE_H

#include <string.h>

#include "vec_neon.h"

enum { WIDE = 32 };

typedef vec wide;

SPK_INLINE wide w_load(const void *p) { return v_load(p); }
SPK_INLINE wide w_load_half(const void *p) { return (wide){vld1q_s8(p), vdupq_n_s8(0)}; }
SPK_INLINE wide w_load_parts(const uint8_t *weight, const uint32_t *const *events, size_t i, int parts) {
    (void)parts;
    return v_load2(weight + events[0][i], weight + events[1][i]);
}
SPK_INLINE wide w_zero(void) { return v_zero(); }
SPK_INLINE wide w_and(wide x, wide y) { return v_and(x, y); }
SPK_INLINE wide w_xor(wide x, wide y) { return v_xor(x, y); }
SPK_INLINE wide w_or(wide x, wide y) { return v_or(x, y); }
SPK_INLINE wide w_andnot(wide x, wide y) { return v_andnot(x, y); }
SPK_INLINE wide w_select(wide mask, wide x, wide y) {
    return (wide){vbslq_s8(vreinterpretq_u8_s8(mask.a), x.a, y.a), vbslq_s8(vreinterpretq_u8_s8(mask.b), x.b, y.b)};
}
SPK_INLINE wide w_xor3(wide x, wide y, wide z) { return v_xor(v_xor(x, y), z); }
SPK_INLINE wide w_majority(wide x, wide y, wide z) { return w_select(v_xor(x, y), z, x); }
SPK_INLINE wide w_reach(wide x, wide y, wide below) { return w_select(v_xor(x, y), x, below); }
SPK_INLINE wide w_ones(void) { return v_set32(-1); }
SPK_INLINE wide w_set64(uint64_t number) {
    const int8x16_t both = vreinterpretq_s8_u64(vdupq_n_u64(number));
    return (wide){both, both};
}
SPK_INLINE int8x16_t words_moved(int8x16_t x, int up) {
    return vreinterpretq_s8_u64(vshlq_u64(vreinterpretq_u64_s8(x), vdupq_n_s64(up)));
}
SPK_INLINE wide w_down64(wide x, int by) { return (wide){words_moved(x.a, -by), words_moved(x.b, -by)}; }
SPK_INLINE wide w_up64(wide x, int by) { return (wide){words_moved(x.a, by), words_moved(x.b, by)}; }
SPK_INLINE void w_put_parts(uint8_t *to, size_t apart, wide x) {
    vst1q_s8((int8_t *)to, x.a);
    vst1q_s8((int8_t *)(to + apart), x.b);
}
SPK_INLINE wide w_zip8(wide x, wide y, int upper) {
    if (upper) return (wide){vzip2q_s8(x.a, y.a), vzip2q_s8(x.b, y.b)};
    return (wide){vzip1q_s8(x.a, y.a), vzip1q_s8(x.b, y.b)};
}
SPK_INLINE void w_store(void *p, wide x) { v_store(p, x); }
SPK_INLINE wide w_repeat(const void *p, int parts) {
    if (parts == 2) return v_load2(p, p);
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return w_set64(word);
}
SPK_INLINE wide w_bit(wide x, size_t p) {
    const uint64x2_t bit = vdupq_n_u64((uint64_t)1 << p);
    return (wide){vreinterpretq_s8_u64(vtstq_u64(vreinterpretq_u64_s8(x.a), bit)),
                  vreinterpretq_s8_u64(vtstq_u64(vreinterpretq_u64_s8(x.b), bit))};
}

#include "put_words.h"

#endif
