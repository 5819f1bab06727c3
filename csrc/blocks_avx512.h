/* Products of blocks with the dot products of AVX-512 VNNI: 16 outputs a vector, eight places at a time. Functions and
   their meanings are those of blocks_portable.h. */

#ifndef SPIKELET_BLOCKS_SET_H
#define SPIKELET_BLOCKS_SET_H

#include <string.h>

#include "block_product.h"
#include "wide_avx512.h"

SPK_INLINE void blocks_open(void) {}
SPK_INLINE void blocks_close(void) {}

SPK_INLINE wide four_bytes(const uint8_t *a) {
    int32_t all;
    memcpy(&all, a, sizeof all);
    return _mm512_set1_epi32(all);
}

SPK_INLINE void block_places(const block_product *p, size_t first, int outputs) {
    enum { PLACES = 8 };
    wide sums[PLACES][2];
    const uint8_t *a = p->a + first * p->a_apart;
    for (size_t i = 0; i < PLACES; i++) sums[i][0] = sums[i][1] = w_zero();
    for (size_t k = 0; k < p->quads; k++, a += 4) {
        const wide low = w_load(p->b + 64 * k);
        const wide high = outputs == 2 ? w_load(p->b + p->depth * BLOCK_WEIGHTS + 64 * k) : w_zero();
        for (size_t i = 0; i < PLACES; i++) {
            const wide x = four_bytes(a + i * p->a_apart);
            sums[i][0] = _mm512_dpbusd_epi32(sums[i][0], x, low);
            if (outputs == 2) sums[i][1] = _mm512_dpbusd_epi32(sums[i][1], x, high);
        }
    }
    for (size_t i = 0; i < PLACES; i++)
        for (int o = 0; o < outputs; o++) w_store(p->c + (first + i) * p->c_apart + 16 * o, sums[i][o]);
}

SPK_INLINE void blocks_multiply(const block_product *p, int rows, int outputs) {
    for (size_t i = 0; i < 16 * (size_t)rows; i += 8) {
        if (outputs == 2)
            block_places(p, i, 2);
        else
            block_places(p, i, 1);
    }
}

#endif
