/* A 256-bit vector as two of 16 bytes, by an attribute of GCC and Clang; lane 0 is the lowest. What vec_portable.h
   makes of it becomes the instructions of any processor that has such vectors. */

#ifndef SPIKELET_VEC_PIECES_H
#define SPIKELET_VEC_PIECES_H

#include <string.h>

#include "spikelet.h"

/* Small functions, and those that constants among their arguments make small, are inlined by force; all of them would
   take three times as long to compile. */
#define SPK_INLINE static inline
#define SPK_ALWAYS static inline __attribute__((always_inline))

#define V_PIECE __attribute__((vector_size(16)))
typedef uint64_t v_u64 V_PIECE;
typedef uint32_t v_u32 V_PIECE;
typedef int32_t v_i32 V_PIECE;
typedef uint16_t v_u16 V_PIECE;
typedef int16_t v_i16 V_PIECE;
typedef uint8_t v_u8 V_PIECE;
#undef V_PIECE

typedef struct vec {
    v_u64 a, b;
} vec;

/* Lanes of two pieces by number; those of the second follow the first's. */
#if defined(__clang__)
#define V_SHUFFLE(LANES, x, y, ...) __builtin_shufflevector((LANES)(x), (LANES)(y), __VA_ARGS__)
#else
#define V_SHUFFLE(LANES, x, y, ...) __builtin_shuffle((LANES)(x), (LANES)(y), (LANES){__VA_ARGS__})
#endif

/* A function of two vectors, and what it does with lanes a and b. */
#define V_BINARY(name, LANES, EXPRESSION)                                                                              \
    SPK_ALWAYS v_u64 name##_piece(v_u64 x, v_u64 y) {                                                                  \
        const LANES a = (LANES)x, b = (LANES)y;                                                                        \
        return (v_u64)(EXPRESSION);                                                                                    \
    }                                                                                                                  \
    SPK_ALWAYS vec name(vec x, vec y) { return (vec){name##_piece(x.a, y.a), name##_piece(x.b, y.b)}; }

#define V_GREATER(a, b) ((a) > (b)) /* -1 or 0 */

SPK_ALWAYS v_u64 piece_load(const void *p) {
    v_u64 x;
    memcpy(&x, p, sizeof x);
    return x;
}

SPK_ALWAYS vec v_load(const void *p) { return (vec){piece_load(p), piece_load((const uint8_t *)p + 16)}; }
SPK_ALWAYS void v_store(void *p, vec v) {
    memcpy(p, &v.a, sizeof v.a);
    memcpy((uint8_t *)p + 16, &v.b, sizeof v.b);
}
SPK_ALWAYS vec v_zero(void) { return (vec){{0, 0}, {0, 0}}; }
SPK_ALWAYS vec v_set16(int16_t x) {
    const v_u64 all = (v_u64)(v_i16){x, x, x, x, x, x, x, x};
    return (vec){all, all};
}
SPK_ALWAYS vec v_set32(int32_t x) {
    const v_u64 all = (v_u64)(v_i32){x, x, x, x};
    return (vec){all, all};
}

/* >> and << of every lane by one count. */
SPK_ALWAYS vec v_sra32(vec x, int32_t count) {
    return (vec){(v_u64)((v_i32)x.a >> count), (v_u64)((v_i32)x.b >> count)};
}
SPK_ALWAYS vec v_sll32(vec x, int32_t count) {
    const uint32_t by = (uint32_t)count;
    return (vec){(v_u64)((v_u32)x.a << by), (v_u64)((v_u32)x.b << by)};
}

/* >> of every lane by a count of its own. A processor that has no such shift has that of all lanes by one count: it is
   done once where all counts are the same, else once for each lane. */
SPK_ALWAYS v_u64 piece_srav32(v_u64 x, v_u64 y) {
    const v_i32 of = (v_i32)x, by = (v_i32)y;
    const v_i32 by_0 = of >> by[0], by_1 = of >> by[1], by_2 = of >> by[2], by_3 = of >> by[3];
    const v_u64 low = (v_u64)V_SHUFFLE(v_u32, by_0, by_1, 0, 4, 1, 5);
    const v_u64 high = (v_u64)V_SHUFFLE(v_u32, by_2, by_3, 2, 6, 3, 7);
    return (v_u64)V_SHUFFLE(v_u32, low, high, 0, 3, 4, 7);
}
SPK_ALWAYS vec v_srav32(vec x, vec y) {
    const uint64_t count = y.a[0] & 0xffffffff, all = count << 32 | count;
    if (((y.a[0] ^ all) | (y.a[1] ^ all) | (y.b[0] ^ all) | (y.b[1] ^ all)) == 0) return v_sra32(x, (int32_t)count);
    return (vec){piece_srav32(x.a, y.a), piece_srav32(x.b, y.b)};
}

/* The lower or the upper lanes of two pieces in turns. */
SPK_ALWAYS v_u64 zip8_low(v_u64 x, v_u64 y) {
    return (v_u64)V_SHUFFLE(v_u8, x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
SPK_ALWAYS v_u64 zip8_high(v_u64 x, v_u64 y) {
    return (v_u64)V_SHUFFLE(v_u8, x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
SPK_ALWAYS v_u64 zip16_low(v_u64 x, v_u64 y) { return (v_u64)V_SHUFFLE(v_u16, x, y, 0, 8, 1, 9, 2, 10, 3, 11); }
SPK_ALWAYS v_u64 zip16_high(v_u64 x, v_u64 y) { return (v_u64)V_SHUFFLE(v_u16, x, y, 4, 12, 5, 13, 6, 14, 7, 15); }
SPK_ALWAYS v_u64 zip32_low(v_u64 x, v_u64 y) { return (v_u64)V_SHUFFLE(v_u32, x, y, 0, 4, 1, 5); }
SPK_ALWAYS v_u64 zip32_high(v_u64 x, v_u64 y) { return (v_u64)V_SHUFFLE(v_u32, x, y, 2, 6, 3, 7); }
SPK_ALWAYS v_u64 zip64_low(v_u64 x, v_u64 y) { return V_SHUFFLE(v_u64, x, y, 0, 2); }
SPK_ALWAYS v_u64 zip64_high(v_u64 x, v_u64 y) { return V_SHUFFLE(v_u64, x, y, 1, 3); }

/* A piece's int8 lanes as int16, its int16 lanes as int32: moved up, and down again with their sign. */
SPK_ALWAYS vec piece_widened8(v_u64 x) {
    const v_u64 none = {0, 0};
    return (vec){(v_u64)((v_i16)zip8_low(none, x) >> 8), (v_u64)((v_i16)zip8_high(none, x) >> 8)};
}
SPK_ALWAYS vec piece_widened16(v_u64 x) {
    const v_u64 none = {0, 0};
    return (vec){(v_u64)((v_i32)zip16_low(none, x) >> 16), (v_u64)((v_i32)zip16_high(none, x) >> 16)};
}

/* Half `half` (0 or 1) of int8 lanes as int16, of int16 lanes as int32. */
SPK_ALWAYS vec v_widen8(vec x, int half) { return piece_widened8(half ? x.b : x.a); }
SPK_ALWAYS vec v_widen16(vec x, int half) { return piece_widened16(half ? x.b : x.a); }

/* 16 int8 in memory as int16 lanes; 8 int8 as int32 lanes. */
SPK_ALWAYS vec v_load8to16(const int8_t *p) { return piece_widened8(piece_load(p)); }
SPK_ALWAYS vec v_load8to32(const int8_t *p) {
    v_u64 x = {0, 0};
    memcpy(&x, p, 8);
    return piece_widened16(piece_widened8(x).a);
}

/* 8 uint8 in memory as int32 lanes; 8 int16 likewise. */
SPK_ALWAYS vec v_load8uto32(const void *p) {
    const v_u64 none = {0, 0};
    v_u64 x = none;
    memcpy(&x, p, 8);
    x = zip8_low(x, none);
    return (vec){zip16_low(x, none), zip16_high(x, none)};
}
SPK_ALWAYS vec v_load16to32(const void *p) { return piece_widened16(piece_load(p)); }

/* Rows of two places side by side. */
SPK_ALWAYS vec v_load2(const void *p, const void *q) { return (vec){piece_load(p), piece_load(q)}; }

#if defined(__SSE2__)
#include "pieces_sse2.h"
#else
SPK_ALWAYS v_u64 piece_dot16(v_u64 x, v_u64 y) {
    const v_i32 low_x = (v_i32)((v_u32)x << 16) >> 16, low_y = (v_i32)((v_u32)y << 16) >> 16;
    const v_u32 low = (v_u32)low_x * (v_u32)low_y, high = (v_u32)((v_i32)x >> 16) * (v_u32)((v_i32)y >> 16);
    return (v_u64)(low + high);
}
SPK_ALWAYS uint32_t piece_signs32(v_u64 x) {
    const v_u32 each = {1, 2, 4, 8};
    const v_u64 signs = (v_u64)((v_u32)((v_i32)x >> 31) & each);
    const uint64_t two = signs[0] | signs[1];
    return (uint32_t)(two | two >> 32);
}
#endif

/* Bit i: the sign of 32-bit lane i. And back: lane i is -1 where bit i is set, or 0. */
SPK_ALWAYS uint32_t v_signs32(vec x) { return piece_signs32(x.a) | piece_signs32(x.b) << 4; }
SPK_ALWAYS vec v_mask32(uint32_t bits) {
    const v_u32 low = {1, 2, 4, 8}, high = {16, 32, 64, 128}, all = {bits, bits, bits, bits};
    return (vec){(v_u64)((all & low) == low), (v_u64)((all & high) == high)};
}

/* 32 bits as bytes of 0 and 1; 16 as lanes of 16 bits. */
SPK_ALWAYS v_u64 piece_bits8(uint32_t bits) {
    const v_u64 each = {0x8040201008040201, 0x8040201008040201};
    const uint64_t of_all = 0x0101010101010101;
    const v_u64 all = {(bits & 0xff) * of_all, (bits >> 8 & 0xff) * of_all};
    const v_u8 set = (v_u8)((v_u8)(all & each) == (v_u8)each);
    return (v_u64)-set;
}
SPK_ALWAYS vec v_bits8(uint32_t bits) { return (vec){piece_bits8(bits), piece_bits8(bits >> 16)}; }
SPK_ALWAYS v_u64 piece_bits16(uint32_t bits) {
    const v_u16 each = {1, 2, 4, 8, 16, 32, 64, 128};
    const uint16_t eight = bits & 0xff;
    const v_u16 all = {eight, eight, eight, eight, eight, eight, eight, eight};
    return (v_u64) - (v_u16)((all & each) == each);
}
SPK_ALWAYS vec v_bits16(uint32_t bits) { return (vec){piece_bits16(bits), piece_bits16(bits >> 8)}; }

/* Sums of neighbours' products of int16, as int32. */
SPK_ALWAYS vec v_dot16(vec x, vec y) { return (vec){piece_dot16(x.a, y.a), piece_dot16(x.b, y.b)}; }

/* Sums of neighbours' products of uint8 with int8, as int16, which must hold them. */
SPK_ALWAYS v_u64 piece_dot8(v_u64 x, v_u64 y) {
    const v_u16 low_x = (v_u16)x & 0xff, high_x = (v_u16)x >> 8;
    const v_u16 low_y = (v_u16)((v_i16)((v_u16)y << 8) >> 8), high_y = (v_u16)((v_i16)y >> 8);
    return (v_u64)(low_x * low_y + high_x * high_y);
}
SPK_ALWAYS vec v_dot8(vec x, vec y) { return (vec){piece_dot8(x.a, y.a), piece_dot8(x.b, y.b)}; }

/* Four vectors of four 32-bit lanes turned, each to so many vectors from the last. */
SPK_ALWAYS void piece_turn32(v_u64 r0, v_u64 r1, v_u64 r2, v_u64 r3, v_u64 to[4]) {
    const v_u64 low_01 = zip32_low(r0, r1), low_23 = zip32_low(r2, r3);
    const v_u64 high_01 = zip32_high(r0, r1), high_23 = zip32_high(r2, r3);
    to[0] = zip64_low(low_01, low_23), to[1] = zip64_high(low_01, low_23);
    to[2] = zip64_low(high_01, high_23), to[3] = zip64_high(high_01, high_23);
}

/* Eight vectors of eight 32-bit lanes turned, rows to columns. */
SPK_ALWAYS void v_turn32(vec *r) {
    v_u64 to[4][4];
    piece_turn32(r[0].a, r[1].a, r[2].a, r[3].a, to[0]);
    piece_turn32(r[4].a, r[5].a, r[6].a, r[7].a, to[1]);
    piece_turn32(r[0].b, r[1].b, r[2].b, r[3].b, to[2]);
    piece_turn32(r[4].b, r[5].b, r[6].b, r[7].b, to[3]);
    for (int i = 0; i < 4; i++) {
        r[i] = (vec){to[0][i], to[1][i]};
        r[4 + i] = (vec){to[2][i], to[3][i]};
    }
}

/* The place of the lowest 1 of a word, 64 where it has none. */
SPK_ALWAYS size_t first_one(uint64_t word) { return word ? (size_t)__builtin_ctzll(word) : 64; }

#include "put_spikes.h"

#endif
