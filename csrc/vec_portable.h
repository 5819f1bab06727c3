/* A 256-bit vector in plain C, for compilers and machines without one: the same functions, lane by
   lane, as vec_avx2.h. Compilers turn most of these loops into what the machine has.

   v_*8, v_*16, v_*32 work on lanes of so many bits; lane i lies at byte i * bits / 8 of memory. */

#ifndef SPIKELET_VEC_H
#define SPIKELET_VEC_H

#include <string.h>

#include "spikelet.h"

#define SPK_INLINE static inline

typedef struct vec {
    uint64_t w[4];
} vec;

typedef struct lanes32 {
    int32_t l[8];
} lanes32;

SPK_INLINE vec v_load(const void *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
SPK_INLINE void v_store(void *p, vec v) { memcpy(p, &v, sizeof v); }
SPK_INLINE lanes32 v_lanes(vec v) {
    lanes32 l;
    memcpy(&l, &v, sizeof l);
    return l;
}
SPK_INLINE vec v_from(lanes32 l) { return v_load(&l); }
SPK_INLINE vec v_zero(void) { return (vec){{0, 0, 0, 0}}; }

#define V_BINARY(name, TYPE, COUNT, EXPRESSION)                                                                        \
    SPK_INLINE vec name(vec x, vec y) {                                                                                \
        TYPE a[COUNT], b[COUNT];                                                                                       \
        memcpy(a, &x, sizeof a);                                                                                       \
        memcpy(b, &y, sizeof b);                                                                                       \
        for (int i = 0; i < COUNT; i++) a[i] = (TYPE)(EXPRESSION);                                                     \
        return v_load(a);                                                                                              \
    }

V_BINARY(v_and, uint64_t, 4, a[i] & b[i])
V_BINARY(v_or, uint64_t, 4, a[i] | b[i])
V_BINARY(v_xor, uint64_t, 4, a[i] ^ b[i])
V_BINARY(v_andnot, uint64_t, 4, ~a[i] & b[i]) /* keeps y where x is 0 */
V_BINARY(v_add8, uint8_t, 32, a[i] + b[i])
V_BINARY(v_add16, uint16_t, 16, a[i] + b[i])
V_BINARY(v_sub16, uint16_t, 16, a[i] - b[i])
V_BINARY(v_max16, int16_t, 16, a[i] > b[i] ? a[i] : b[i])
V_BINARY(v_add32, uint32_t, 8, a[i] + b[i])
V_BINARY(v_sub32, uint32_t, 8, a[i] - b[i])
V_BINARY(v_mul32, uint32_t, 8, a[i] * b[i])
V_BINARY(v_min32, int32_t, 8, a[i] < b[i] ? a[i] : b[i])
V_BINARY(v_max32, int32_t, 8, a[i] > b[i] ? a[i] : b[i])
V_BINARY(v_gt32, int32_t, 8, -(a[i] > b[i]))
V_BINARY(v_srav32, int32_t, 8, a[i] >> b[i])

#undef V_BINARY

SPK_INLINE vec v_set16(int16_t x) {
    int16_t a[16];
    for (int i = 0; i < 16; i++) a[i] = x;
    return v_load(a);
}
SPK_INLINE vec v_set32(int32_t x) { return v_from((lanes32){{x, x, x, x, x, x, x, x}}); }

/* >> and << of every lane by one count. */
SPK_INLINE vec v_sra32(vec x, int32_t count) { return v_srav32(x, v_set32(count)); }
SPK_INLINE vec v_sll32(vec x, int32_t count) { return v_mul32(x, v_set32((int32_t)(1u << count))); }

/* Sums of neighbours' products of int16, as int32. */
SPK_INLINE vec v_dot16(vec x, vec y) {
    int16_t a[16], b[16];
    lanes32 sum;
    memcpy(a, &x, sizeof a);
    memcpy(b, &y, sizeof b);
    for (int i = 0; i < 8; i++)
        sum.l[i] = (int32_t)((uint32_t)(a[2 * i] * b[2 * i]) + (uint32_t)(a[2 * i + 1] * b[2 * i + 1]));
    return v_from(sum);
}

/* Sums of neighbours' products of uint8 with int8, as int16, which must hold them. */
SPK_INLINE vec v_dot8(vec x, vec y) {
    uint8_t a[32];
    int8_t b[32];
    int16_t sum[16];
    memcpy(a, &x, sizeof a);
    memcpy(b, &y, sizeof b);
    for (int i = 0; i < 16; i++) sum[i] = (int16_t)(a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
    return v_load(sum);
}

/* Half `half` (0 or 1) of int8 lanes as int16, of int16 lanes as int32. */
SPK_INLINE vec v_widen8(vec x, int half) {
    int8_t a[32];
    int16_t wide[16];
    memcpy(a, &x, sizeof a);
    for (int i = 0; i < 16; i++) wide[i] = a[16 * half + i];
    return v_load(wide);
}
SPK_INLINE vec v_widen16(vec x, int half) {
    int16_t a[16];
    lanes32 wide;
    memcpy(a, &x, sizeof a);
    for (int i = 0; i < 8; i++) wide.l[i] = a[8 * half + i];
    return v_from(wide);
}

/* 16 int8 in memory as int16 lanes; 8 int8 as int32 lanes. */
SPK_INLINE vec v_load8to16(const int8_t *p) {
    int16_t wide[16];
    for (int i = 0; i < 16; i++) wide[i] = p[i];
    return v_load(wide);
}
SPK_INLINE vec v_load8to32(const int8_t *p) {
    lanes32 wide;
    for (int i = 0; i < 8; i++) wide.l[i] = p[i];
    return v_from(wide);
}

/* 8 uint8 in memory as int32 lanes; 8 int16 likewise. */
SPK_INLINE vec v_load8uto32(const void *p) {
    uint8_t a[8];
    lanes32 wide;
    memcpy(a, p, sizeof a);
    for (int i = 0; i < 8; i++) wide.l[i] = a[i];
    return v_from(wide);
}
SPK_INLINE vec v_load16to32(const void *p) {
    int16_t a[8];
    lanes32 wide;
    memcpy(a, p, sizeof a);
    for (int i = 0; i < 8; i++) wide.l[i] = a[i];
    return v_from(wide);
}

/* Rows of two places side by side. */
SPK_INLINE vec v_load2(const void *p, const void *q) {
    vec v;
    memcpy(&v.w[0], p, 16);
    memcpy(&v.w[2], q, 16);
    return v;
}

/* Bit i: the sign of 32-bit lane i. And back: lane i is -1 where bit i is set, or 0. */
SPK_INLINE uint32_t v_signs32(vec x) {
    const lanes32 a = v_lanes(x);
    uint32_t bits = 0;
    for (int i = 0; i < 8; i++) bits |= (uint32_t)(a.l[i] < 0) << i;
    return bits;
}
SPK_INLINE vec v_mask32(uint32_t bits) {
    lanes32 a;
    for (int i = 0; i < 8; i++) a.l[i] = -(int32_t)(bits >> i & 1);
    return v_from(a);
}

/* 32 bits as bytes of 0 and 1; 16 as lanes of 16 bits. */
SPK_INLINE vec v_bits8(uint32_t bits) {
    uint8_t a[32];
    for (int i = 0; i < 32; i++) a[i] = bits >> i & 1;
    return v_load(a);
}
SPK_INLINE vec v_bits16(uint32_t bits) {
    uint16_t a[16];
    for (int i = 0; i < 16; i++) a[i] = bits >> i & 1;
    return v_load(a);
}

/* Asks for 64 bytes that are to be written soon, where the machine can be asked. */
SPK_INLINE void v_will_write(void *p) { (void)p; }

/* The place of the lowest 1 of a word, 64 where it has none; the number of its ones. */
SPK_INLINE size_t count_ones(uint64_t word) {
    word -= word >> 1 & 0x5555555555555555;
    word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (size_t)(word * 0x0101010101010101 >> 56);
}
SPK_INLINE size_t first_one(uint64_t word) { return count_ones(~word & (word - 1)); }

/* ((m x + half) >> s) + d with a 64-bit product; half = (1 << s) >> 1. */
SPK_INLINE vec v_affine_wide(vec x, vec m, vec s, vec d) {
    const lanes32 xs = v_lanes(x), ms = v_lanes(m), ss = v_lanes(s), ds = v_lanes(d);
    lanes32 y;
    for (int i = 0; i < 8; i++) {
        const int64_t half = ((int64_t)1 << ss.l[i]) >> 1;
        y.l[i] = (int32_t)((((int64_t)ms.l[i] * xs.l[i] + half) >> ss.l[i]) + ds.l[i]);
    }
    return v_from(y);
}

/* 8 spikes of channels c .. c + 7 of a pixel, c a multiple of 8; the first of a word clears the others. */
SPK_INLINE void put_spikes(uint64_t *pixel, size_t c, uint32_t bits) {
    if (c % 64 == 0)
        pixel[c / 64] = bits;
    else
        pixel[c / 64] |= (uint64_t)bits << (c % 64);
}

#include "turned_in_memory.h"

#endif
