/* The 256-bit vector as two of NEON's, of AArch64. Functions and their meanings are those of vec_portable.h. */

#ifndef SPIKELET_VEC_H
#define SPIKELET_VEC_H

#include <arm_neon.h>

#include "spikelet.h"

#define SPK_INLINE static inline __attribute__((always_inline))
#define SPK_ALWAYS SPK_INLINE /* what the portable set inlines by force too */

typedef struct vec {
    int8x16_t a, b;
} vec;

SPK_INLINE vec v_load(const void *p) { return (vec){vld1q_s8(p), vld1q_s8((const int8_t *)p + 16)}; }
SPK_INLINE void v_store(void *p, vec v) {
    vst1q_s8(p, v.a);
    vst1q_s8((int8_t *)p + 16, v.b);
}
SPK_INLINE vec v_pair16(int16x8_t a, int16x8_t b) { return (vec){vreinterpretq_s8_s16(a), vreinterpretq_s8_s16(b)}; }
SPK_INLINE vec v_pair32(int32x4_t a, int32x4_t b) { return (vec){vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)}; }
SPK_INLINE int16x8_t v_low16(vec v) { return vreinterpretq_s16_s8(v.a); }
SPK_INLINE int16x8_t v_high16(vec v) { return vreinterpretq_s16_s8(v.b); }
SPK_INLINE int32x4_t v_low32(vec v) { return vreinterpretq_s32_s8(v.a); }
SPK_INLINE int32x4_t v_high32(vec v) { return vreinterpretq_s32_s8(v.b); }

SPK_INLINE vec v_set16(int16_t x) { return v_pair16(vdupq_n_s16(x), vdupq_n_s16(x)); }
SPK_INLINE vec v_set32(int32_t x) { return v_pair32(vdupq_n_s32(x), vdupq_n_s32(x)); }
SPK_INLINE vec v_zero(void) { return v_set32(0); }
SPK_INLINE vec v_and(vec x, vec y) { return (vec){vandq_s8(x.a, y.a), vandq_s8(x.b, y.b)}; }
SPK_INLINE vec v_or(vec x, vec y) { return (vec){vorrq_s8(x.a, y.a), vorrq_s8(x.b, y.b)}; }
SPK_INLINE vec v_xor(vec x, vec y) { return (vec){veorq_s8(x.a, y.a), veorq_s8(x.b, y.b)}; }
SPK_INLINE vec v_andnot(vec x, vec y) { return (vec){vbicq_s8(y.a, x.a), vbicq_s8(y.b, x.b)}; }
SPK_INLINE vec v_add8(vec x, vec y) { return (vec){vaddq_s8(x.a, y.a), vaddq_s8(x.b, y.b)}; }

#define V_BINARY16(name, two)                                                                                          \
    SPK_INLINE vec name(vec x, vec y) { return v_pair16(two(v_low16(x), v_low16(y)), two(v_high16(x), v_high16(y))); }
#define V_BINARY32(name, two)                                                                                          \
    SPK_INLINE vec name(vec x, vec y) { return v_pair32(two(v_low32(x), v_low32(y)), two(v_high32(x), v_high32(y))); }

V_BINARY16(v_add16, vaddq_s16)
V_BINARY16(v_sub16, vsubq_s16)
V_BINARY16(v_max16, vmaxq_s16)
V_BINARY32(v_add32, vaddq_s32)
V_BINARY32(v_sub32, vsubq_s32)
V_BINARY32(v_mul32, vmulq_s32)
V_BINARY32(v_min32, vminq_s32)
V_BINARY32(v_max32, vmaxq_s32)
V_BINARY32(v_shift32, vshlq_s32) /* to the left; to the right, floored, by what is negative */

#undef V_BINARY16
#undef V_BINARY32

SPK_INLINE vec v_gt32(vec x, vec y) {
    return (vec){vreinterpretq_s8_u32(vcgtq_s32(v_low32(x), v_low32(y))),
                 vreinterpretq_s8_u32(vcgtq_s32(v_high32(x), v_high32(y)))};
}
SPK_INLINE vec v_srav32(vec x, vec y) { return v_shift32(x, v_sub32(v_zero(), y)); }
SPK_INLINE vec v_sra32(vec x, int32_t count) { return v_shift32(x, v_set32(-count)); }
SPK_INLINE vec v_sll32(vec x, int32_t count) { return v_shift32(x, v_set32(count)); }

SPK_INLINE int32x4_t v_dot16_128(int16x8_t x, int16x8_t y) {
    return vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
}
SPK_INLINE vec v_dot16(vec x, vec y) {
    return v_pair32(v_dot16_128(v_low16(x), v_low16(y)), v_dot16_128(v_high16(x), v_high16(y)));
}
SPK_INLINE int16x8_t v_dot8_128(uint8x16_t x, int8x16_t y) {
    const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(x)));
    const int16x8_t high = vreinterpretq_s16_u16(vmovl_high_u8(x));
    return vpaddq_s16(vmulq_s16(low, vmovl_s8(vget_low_s8(y))), vmulq_s16(high, vmovl_high_s8(y)));
}
SPK_INLINE vec v_dot8(vec x, vec y) {
    return v_pair16(v_dot8_128(vreinterpretq_u8_s8(x.a), y.a), v_dot8_128(vreinterpretq_u8_s8(x.b), y.b));
}

SPK_INLINE vec v_wide8(int8x16_t x) { return v_pair16(vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x)); }
SPK_INLINE vec v_wide16(int16x8_t x) { return v_pair32(vmovl_s16(vget_low_s16(x)), vmovl_high_s16(x)); }
SPK_INLINE vec v_widen8(vec x, int half) { return v_wide8(half ? x.b : x.a); }
SPK_INLINE vec v_widen16(vec x, int half) { return v_wide16(half ? v_high16(x) : v_low16(x)); }
SPK_INLINE vec v_load8to16(const int8_t *p) { return v_wide8(vld1q_s8(p)); }
SPK_INLINE vec v_load8to32(const int8_t *p) { return v_wide16(vmovl_s8(vld1_s8(p))); }
SPK_INLINE vec v_load8uto32(const void *p) { return v_wide16(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p)))); }
SPK_INLINE vec v_load16to32(const void *p) { return v_wide16(vreinterpretq_s16_s8(vld1q_s8(p))); }
SPK_INLINE vec v_load2(const void *p, const void *q) { return (vec){vld1q_s8(p), vld1q_s8(q)}; }

SPK_INLINE uint32_t v_signs32(vec x) {
    static const uint16_t one_each[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t below = vcltzq_s16(vuzp2q_s16(v_low16(x), v_high16(x)));
    return vaddvq_u16(vandq_u16(below, vld1q_u16(one_each)));
}
SPK_INLINE vec v_mask32(uint32_t bits) {
    static const uint32_t one_each[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint32x4_t all = vdupq_n_u32(bits);
    return (vec){vreinterpretq_s8_u32(vtstq_u32(all, vld1q_u32(one_each))),
                 vreinterpretq_s8_u32(vtstq_u32(all, vld1q_u32(one_each + 4)))};
}

SPK_INLINE vec v_bits8(uint32_t bits) {
    static const uint8_t one_each[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    static const uint8_t byte_of[16] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
    const uint8x16_t all = vreinterpretq_u8_u32(vdupq_n_u32(bits)), low = vld1q_u8(byte_of), each = vld1q_u8(one_each);
    const uint8x16_t a = vtstq_u8(vqtbl1q_u8(all, low), each);
    const uint8x16_t b = vtstq_u8(vqtbl1q_u8(all, vaddq_u8(low, vdupq_n_u8(2))), each);
    return (vec){vreinterpretq_s8_u8(vshrq_n_u8(a, 7)), vreinterpretq_s8_u8(vshrq_n_u8(b, 7))};
}
SPK_INLINE vec v_bits16(uint32_t bits) {
    static const uint16_t one_each[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16x8_t all = vdupq_n_u16((uint16_t)bits), each = vld1q_u16(one_each);
    const uint16x8_t a = vtstq_u16(all, each), b = vtstq_u16(vshrq_n_u16(all, 8), each);
    return v_pair16(vreinterpretq_s16_u16(vshrq_n_u16(a, 15)), vreinterpretq_s16_u16(vshrq_n_u16(b, 15)));
}

SPK_INLINE void v_will_write(void *p) { __builtin_prefetch(p, 1); }
SPK_INLINE size_t first_one(uint64_t word) { return word ? (size_t)__builtin_ctzll(word) : 64; }
SPK_INLINE size_t count_ones(uint64_t word) { return vaddv_u8(vcnt_u8(vcreate_u8(word))); }

/* A shift to the right that rounds halves up, without a carry out of 64 bits. */
SPK_INLINE int32x4_t v_affine_wide_128(int32x4_t x, int32x4_t m, int32x4_t s, int32x4_t d) {
    const int32x4_t left = vnegq_s32(s);
    const int64x2_t low = vrshlq_s64(vmull_s32(vget_low_s32(x), vget_low_s32(m)), vmovl_s32(vget_low_s32(left)));
    const int64x2_t high = vrshlq_s64(vmull_high_s32(x, m), vmovl_high_s32(left));
    return vaddq_s32(vuzp1q_s32(vreinterpretq_s32_s64(low), vreinterpretq_s32_s64(high)), d);
}
SPK_INLINE vec v_affine_wide(vec x, vec m, vec s, vec d) {
    return v_pair32(v_affine_wide_128(v_low32(x), v_low32(m), v_low32(s), v_low32(d)),
                    v_affine_wide_128(v_high32(x), v_high32(m), v_high32(s), v_high32(d)));
}

#include "put_spikes.h"
#include "turned_in_memory.h"

#endif
