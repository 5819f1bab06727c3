/* Products of blocks in plain C: what blocks_avx512.h and blocks_amx.h do.

     c[i][o] = sum over k of a[i][k] b[k][o]      16 rows, 16 outputs, 64 `depth` synapses; a from 0 to 255, b int8

   The weights of 64 synapses and 16 outputs lie together, [16][16][4]: four neighbouring synapses of an output, then
   the next output; blocks of an output one after the other. */

#ifndef SPIKELET_BLOCKS_SET_H
#define SPIKELET_BLOCKS_SET_H

#include <string.h>

#include "block_product.h"

SPK_INLINE void blocks_open(void) {}
SPK_INLINE void blocks_close(void) {}

/* 16 * rows places and 16 * outputs outputs. */
SPK_INLINE void blocks_multiply(const block_product *p, int rows, int outputs) {
    for (size_t i = 0; i < 16 * (size_t)rows; i++) {
        for (size_t o = 0; o < (size_t)outputs; o++) {
            int32_t sums[16] = {0};
            const uint8_t *a = p->a + i * p->a_apart;
            const int8_t *b = p->b + o * p->depth * BLOCK_WEIGHTS;
            for (size_t k = 0; k < p->quads; k++, a += 4, b += 64)
                for (size_t j = 0; j < 64; j++) sums[j / 4] += a[j % 4] * b[j];
            memcpy(p->c + i * p->c_apart + 16 * o, sums, sizeof sums);
        }
    }
}

#endif
