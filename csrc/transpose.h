/* Squares of bits transposed, in the words of eight vectors. Whoever includes this has a `wide` already. */

#ifndef SPIKELET_TRANSPOSE_H
#define SPIKELET_TRANSPOSE_H

/* Squares of `j` * `j` bits beside the diagonal change places, of rows `j` apart; `low` masks columns whose bit j is 0.
 */
SPK_ALWAYS void swap_wide(wide *a, wide *b, int j, wide low) {
    const wide other = w_and(w_xor(w_down64(*a, j), *b), low);
    *b = w_xor(*b, other);
    *a = w_xor(*a, w_up64(other, j));
}

/* The same of eight rows, those `other` apart; what is moved lies `j` bits apart. */
SPK_ALWAYS void swap_round(wide a[8], size_t other, int j, uint64_t low) {
    const wide mask = w_set64(low);
    for (size_t i = 0; i < 4; i++) {
        const size_t first = i / other * 2 * other + i % other;
        swap_wide(&a[first], &a[first + other], j, mask);
    }
}

/* Three rounds of a transposition, of rows eight apart. */
SPK_ALWAYS void swap_apart(wide a[8]) {
    swap_round(a, 4, 32, 0x00000000ffffffff);
    swap_round(a, 2, 16, 0x0000ffff0000ffff);
    swap_round(a, 1, 8, 0x00ff00ff00ff00ff);
}

/* The other three, of neighbouring rows. Alone they make bytes of eight rows: bit i of byte b of a[k] is what was bit
   8 b + k of a[i]. */
SPK_ALWAYS void swap_beside(wide a[8]) {
    swap_round(a, 4, 4, 0x0f0f0f0f0f0f0f0f);
    swap_round(a, 2, 2, 0x3333333333333333);
    swap_round(a, 1, 1, 0x5555555555555555);
}

#endif
