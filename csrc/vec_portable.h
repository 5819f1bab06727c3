/* A 256-bit vector in plain C, for any machine: the same functions as vec_avx2.h. Where GCC and Clang have vectors of
   their own it is two of these (vec_pieces.h), else its lanes go one by one (vec_loops.h).

   v_*8, v_*16, v_*32 work on lanes of so many bits; lane i lies at byte i * bits / 8 of memory. */

#ifndef SPIKELET_VEC_H
#define SPIKELET_VEC_H

#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && !defined(SPK_BY_LANES)
#include "vec_pieces.h"
#else
#include "vec_loops.h"
#endif

V_BINARY(v_and, v_u64, a &b)
V_BINARY(v_or, v_u64, a | b)
V_BINARY(v_xor, v_u64, a ^ b)
V_BINARY(v_andnot, v_u64, ~a &b) /* keeps y where x is 0 */
V_BINARY(v_add8, v_u8, a + b)
V_BINARY(v_add16, v_u16, a + b)
V_BINARY(v_sub16, v_u16, a - b)
V_BINARY(v_gt16, v_i16, V_GREATER(a, b))
V_BINARY(v_add32, v_u32, a + b)
V_BINARY(v_sub32, v_u32, a - b)
V_BINARY(v_mul32, v_u32, a *b)
V_BINARY(v_gt32, v_i32, V_GREATER(a, b))

#undef V_BINARY
#undef V_GREATER

/* x where `mask` is 1, else y. */
SPK_ALWAYS vec v_select(vec mask, vec x, vec y) { return v_or(v_and(mask, x), v_andnot(mask, y)); }
SPK_ALWAYS vec v_max16(vec x, vec y) { return v_select(v_gt16(x, y), x, y); }
SPK_ALWAYS vec v_min32(vec x, vec y) { return v_select(v_gt32(x, y), y, x); }
SPK_ALWAYS vec v_max32(vec x, vec y) { return v_select(v_gt32(x, y), x, y); }

/* Asks for 64 bytes that are to be written soon, where the machine can be asked. */
SPK_ALWAYS void v_will_write(void *p) { (void)p; }

/* The number of a word's ones. */
SPK_ALWAYS size_t count_ones(uint64_t word) {
    word -= word >> 1 & 0x5555555555555555;
    word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return (size_t)(word * 0x0101010101010101 >> 56);
}

/* ((m x + half) >> s) + d with a 64-bit product; half = (1 << s) >> 1. */
SPK_ALWAYS vec v_affine_wide(vec x, vec m, vec s, vec d) {
    int32_t xs[8], ms[8], ss[8], ds[8];
    v_store(xs, x);
    v_store(ms, m);
    v_store(ss, s);
    v_store(ds, d);
    for (int i = 0; i < 8; i++) {
        const int64_t half = ((int64_t)1 << ss[i]) >> 1;
        xs[i] = (int32_t)((((int64_t)ms[i] * xs[i] + half) >> ss[i]) + ds[i]);
    }
    return v_load(xs);
}

#endif
