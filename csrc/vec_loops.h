/* A 256-bit vector lane by lane, for compilers without vectors of their own and processors whose highest byte comes
   first. Compilers turn most of these loops into what the machine has. */

#ifndef SPIKELET_VEC_LOOPS_H
#define SPIKELET_VEC_LOOPS_H

#include <string.h>

#include "spikelet.h"

#define SPK_INLINE static inline
#define SPK_ALWAYS static inline

typedef uint64_t v_u64;
typedef uint32_t v_u32;
typedef int32_t v_i32;
typedef uint16_t v_u16;
typedef int16_t v_i16;
typedef uint8_t v_u8;

typedef struct vec {
    uint64_t w[4];
} vec;

SPK_ALWAYS vec v_load(const void *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
SPK_ALWAYS void v_store(void *p, vec v) { memcpy(p, &v, sizeof v); }
SPK_ALWAYS vec v_zero(void) { return (vec){{0, 0, 0, 0}}; }

/* A function of two vectors, and what it does with lanes a and b. */
#define V_BINARY(name, LANE, EXPRESSION)                                                                               \
    SPK_ALWAYS vec name(vec x, vec y) {                                                                                \
        LANE as[sizeof x / sizeof(LANE)], bs[sizeof x / sizeof(LANE)];                                                 \
        memcpy(as, &x, sizeof x);                                                                                      \
        memcpy(bs, &y, sizeof y);                                                                                      \
        for (size_t i = 0; i < sizeof x / sizeof(LANE); i++) {                                                         \
            const LANE a = as[i], b = bs[i];                                                                           \
            as[i] = (LANE)(EXPRESSION);                                                                                \
        }                                                                                                              \
        return v_load(as);                                                                                             \
    }

#define V_GREATER(a, b) (-((a) > (b))) /* -1 or 0 */

typedef struct lanes32 {
    int32_t l[8];
} lanes32;

SPK_ALWAYS lanes32 v_lanes(vec v) {
    lanes32 l;
    memcpy(&l, &v, sizeof l);
    return l;
}
SPK_ALWAYS vec v_from(lanes32 l) { return v_load(&l); }

SPK_ALWAYS vec v_set16(int16_t x) {
    int16_t a[16];
    for (int i = 0; i < 16; i++) a[i] = x;
    return v_load(a);
}
SPK_ALWAYS vec v_set32(int32_t x) { return v_from((lanes32){{x, x, x, x, x, x, x, x}}); }

/* >> of every lane by a count of its own; >> and << of all by one. */
V_BINARY(v_srav32, v_i32, a >> b)
SPK_ALWAYS vec v_sra32(vec x, int32_t count) { return v_srav32(x, v_set32(count)); }
V_BINARY(v_sllv32, v_u32, a << b)
SPK_ALWAYS vec v_sll32(vec x, int32_t count) { return v_sllv32(x, v_set32(count)); }

/* Sums of neighbours' products of int16, as int32. */
SPK_ALWAYS vec v_dot16(vec x, vec y) {
    int16_t a[16], b[16];
    lanes32 sum;
    memcpy(a, &x, sizeof a);
    memcpy(b, &y, sizeof b);
    for (int i = 0; i < 8; i++)
        sum.l[i] = (int32_t)((uint32_t)(a[2 * i] * b[2 * i]) + (uint32_t)(a[2 * i + 1] * b[2 * i + 1]));
    return v_from(sum);
}

/* Sums of neighbours' products of uint8 with int8, as int16, which must hold them. */
SPK_ALWAYS vec v_dot8(vec x, vec y) {
    uint8_t a[32];
    int8_t b[32];
    int16_t sum[16];
    memcpy(a, &x, sizeof a);
    memcpy(b, &y, sizeof b);
    for (int i = 0; i < 16; i++) sum[i] = (int16_t)(a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
    return v_load(sum);
}

/* Half `half` (0 or 1) of int8 lanes as int16, of int16 lanes as int32. */
SPK_ALWAYS vec v_widen8(vec x, int half) {
    int8_t a[32];
    int16_t wide[16];
    memcpy(a, &x, sizeof a);
    for (int i = 0; i < 16; i++) wide[i] = a[16 * half + i];
    return v_load(wide);
}
SPK_ALWAYS vec v_widen16(vec x, int half) {
    int16_t a[16];
    lanes32 wide;
    memcpy(a, &x, sizeof a);
    for (int i = 0; i < 8; i++) wide.l[i] = a[8 * half + i];
    return v_from(wide);
}

/* 16 int8 in memory as int16 lanes; 8 int8 as int32 lanes. */
SPK_ALWAYS vec v_load8to16(const int8_t *p) {
    int16_t wide[16];
    for (int i = 0; i < 16; i++) wide[i] = p[i];
    return v_load(wide);
}
SPK_ALWAYS vec v_load8to32(const int8_t *p) {
    lanes32 wide;
    for (int i = 0; i < 8; i++) wide.l[i] = p[i];
    return v_from(wide);
}

/* 8 uint8 in memory as int32 lanes; 8 int16 likewise. */
SPK_ALWAYS vec v_load8uto32(const void *p) {
    uint8_t a[8];
    lanes32 wide;
    memcpy(a, p, sizeof a);
    for (int i = 0; i < 8; i++) wide.l[i] = a[i];
    return v_from(wide);
}
SPK_ALWAYS vec v_load16to32(const void *p) {
    int16_t a[8];
    lanes32 wide;
    memcpy(a, p, sizeof a);
    for (int i = 0; i < 8; i++) wide.l[i] = a[i];
    return v_from(wide);
}

/* Rows of two places side by side. */
SPK_ALWAYS vec v_load2(const void *p, const void *q) {
    vec v;
    memcpy(&v.w[0], p, 16);
    memcpy(&v.w[2], q, 16);
    return v;
}

/* Bit i: the sign of 32-bit lane i. And back: lane i is -1 where bit i is set, or 0. */
SPK_ALWAYS uint32_t v_signs32(vec x) {
    const lanes32 a = v_lanes(x);
    uint32_t bits = 0;
    for (int i = 0; i < 8; i++) bits |= (uint32_t)(a.l[i] < 0) << i;
    return bits;
}
SPK_ALWAYS vec v_mask32(uint32_t bits) {
    lanes32 a;
    for (int i = 0; i < 8; i++) a.l[i] = -(int32_t)(bits >> i & 1);
    return v_from(a);
}

/* 32 bits as bytes of 0 and 1; 16 as lanes of 16 bits. */
SPK_ALWAYS vec v_bits8(uint32_t bits) {
    uint8_t a[32];
    for (int i = 0; i < 32; i++) a[i] = bits >> i & 1;
    return v_load(a);
}
SPK_ALWAYS vec v_bits16(uint32_t bits) {
    uint16_t a[16];
    for (int i = 0; i < 16; i++) a[i] = bits >> i & 1;
    return v_load(a);
}

/* The place of the lowest 1 of a word, 64 where it has none. */
SPK_ALWAYS size_t first_one(uint64_t word) {
    size_t n = 0;
    for (; n < 64 && (word >> n & 1) == 0; n++) {
    }
    return n;
}

/* 8 spikes of channels c .. c + 7 of a pixel, c a multiple of 8; the first of a word clears the others. */
SPK_ALWAYS void put_spikes(uint64_t *pixel, size_t c, uint32_t bits) {
    if (c % 64 == 0)
        pixel[c / 64] = bits;
    else
        pixel[c / 64] |= (uint64_t)bits << (c % 64);
}

#include "turned_in_memory.h"

#endif
