/* A vector of WIDE bytes for rows of bits, in plain C; 32 or 64, and whatever reads rows works with both. */

#ifndef SPIKELET_WIDE_H
#define SPIKELET_WIDE_H

#include "vec_portable.h"

#if !defined(SPK_WIDE)
#define SPK_WIDE 32
#endif

enum { WIDE = SPK_WIDE };

/* What operators work on: 16 bytes where a compiler has such vectors, which it keeps in registers, else a word. */
#if defined(__GNUC__)
typedef uint64_t piece __attribute__((vector_size(16)));
#else
typedef uint64_t piece;
#endif

enum { PIECES = WIDE / sizeof(piece) };

typedef struct wide {
    piece w[PIECES];
} wide;

SPK_ALWAYS wide w_zero(void) {
    wide x;
    memset(&x, 0, sizeof x);
    return x;
}

/* WIDE bytes of memory; or half as many, the others being 0. */
SPK_ALWAYS wide w_load(const void *p) {
    wide x;
    memcpy(&x, p, sizeof x);
    return x;
}
SPK_ALWAYS wide w_load_half(const void *p) {
    wide x = w_zero();
    memcpy(&x, p, WIDE / 2);
    return x;
}

/* `bytes` bytes of memory, whole pieces, from piece `first` on. */
SPK_ALWAYS void w_put_pieces(wide *x, size_t first, const uint8_t *from, size_t bytes) {
    for (size_t i = 0; i < bytes / sizeof(piece); i++)
        memcpy(&x->w[first + i], from + i * sizeof(piece), sizeof(piece));
}

/* `parts` rows side by side, each WIDE / parts bytes: those of the i-th event of so many lists. */
SPK_ALWAYS wide w_load_parts(const uint8_t *weight, const uint32_t *const *events, size_t i, int parts) {
    wide x = w_zero(); /* or a compiler may warn of parts that no operation has */
    const size_t each = PIECES / (size_t)parts;
    for (size_t p = 0; p < (size_t)parts; p++) w_put_pieces(&x, p * each, weight + events[p][i], WIDE / (size_t)parts);
    return x;
}

#define W_BITWISE(name, EXPRESSION)                                                                                    \
    SPK_ALWAYS wide name(wide x, wide y) {                                                                             \
        for (size_t i = 0; i < PIECES; i++) x.w[i] = EXPRESSION;                                                       \
        return x;                                                                                                      \
    }

W_BITWISE(w_and, x.w[i] & y.w[i])
W_BITWISE(w_or, x.w[i] | y.w[i])
W_BITWISE(w_xor, x.w[i] ^ y.w[i])
W_BITWISE(w_andnot, ~x.w[i] & y.w[i]) /* keeps y where x is 0 */

#undef W_BITWISE

/* Sum and carry of three bits. */
SPK_ALWAYS wide w_xor3(wide x, wide y, wide z) { return w_xor(w_xor(x, y), z); }
SPK_ALWAYS wide w_majority(wide x, wide y, wide z) { return w_or(w_and(x, y), w_and(w_xor(x, y), z)); }
SPK_ALWAYS void w_store(void *p, wide x) { memcpy(p, &x, sizeof x); }
SPK_ALWAYS wide w_ones(void) {
    wide x;
    memset(&x, 0xff, sizeof x);
    return x;
}

/* A number in every word; words moved to lower and to higher bits. */
SPK_ALWAYS wide w_set64(uint64_t number) {
    uint64_t words[WIDE / 8];
    for (size_t i = 0; i < WIDE / 8; i++) words[i] = number;
    return w_load(words);
}
SPK_ALWAYS wide w_down64(wide x, int by) {
    for (size_t i = 0; i < PIECES; i++) x.w[i] = x.w[i] >> (uint64_t)by;
    return x;
}
SPK_ALWAYS wide w_up64(wide x, int by) {
    for (size_t i = 0; i < PIECES; i++) x.w[i] = x.w[i] << (uint64_t)by;
    return x;
}

/* Parts of 16 bytes, `apart` bytes from each other. */
SPK_ALWAYS void w_put_parts(uint8_t *to, size_t apart, wide x) {
    for (size_t i = 0; i < WIDE / 16; i++) memcpy(to + i * apart, (const uint8_t *)&x + 16 * i, 16);
}

/* Bytes of x and y in turns, of each 16 bytes the lower or the upper eight. */
SPK_ALWAYS wide w_zip8(wide x, wide y, int upper) {
    uint8_t a[WIDE], b[WIDE], all[WIDE];
    memcpy(a, &x, WIDE);
    memcpy(b, &y, WIDE);
    for (int i = 0; i < WIDE; i++) {
        const int from = i / 16 * 16 + i % 16 / 2 + 8 * upper;
        all[i] = i % 2 ? b[from] : a[from];
    }
    return w_load(all);
}

/* x where `mask` is 1, else y. */
SPK_ALWAYS wide w_select(wide mask, wide x, wide y) { return w_or(w_and(mask, x), w_andnot(mask, y)); }

/* Whether a number reaches another, from bit to bit upwards: x where the two differ, else what lies below says it. */
SPK_ALWAYS wide w_reach(wide x, wide y, wide below) { return w_select(w_xor(x, y), x, below); }

/* The first so many words. */
SPK_ALWAYS void w_put_words(uint64_t *to, wide x, size_t words) { memcpy(to, &x, 8 * words); }

/* WIDE / parts bytes of memory, once for each part. */
SPK_ALWAYS wide w_repeat(const void *p, int parts) {
    uint8_t all[WIDE];
    const size_t each = WIDE / (size_t)parts;
    for (size_t i = 0; i < (size_t)parts; i++) memcpy(all + i * each, p, each);
    return w_load(all);
}

/* Ones in the words whose bit p is 1. */
SPK_ALWAYS wide w_bit(wide x, size_t p) {
    for (size_t i = 0; i < PIECES; i++) x.w[i] = -(x.w[i] >> (uint64_t)p & 1);
    return x;
}

#endif
