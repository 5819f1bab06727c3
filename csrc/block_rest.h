/* The rests of a block of weights, which blocks_neon.h and blocks_dotprod.h add to products of bytes less 128. */

#ifndef SPIKELET_BLOCK_REST_H
#define SPIKELET_BLOCK_REST_H

#include "block_product.h"
#include "bytes_less_128.h"

/* Those of 16 outputs. */
SPK_INLINE void block_rest(const int8_t *b, size_t depth, int32x4_t rest[4]) {
    for (size_t v = 0; v < 4; v++) rest[v] = vdupq_n_s32(0);
    for (size_t k = 0; k < 16 * depth; k++)
        for (size_t v = 0; v < 4; v++) rest[v] = add_rest(rest[v], vld1q_s8(b + 64 * k + 16 * v));
    for (size_t v = 0; v < 4; v++) rest[v] = rest_of(rest[v]);
}

SPK_INLINE void blocks_open(void) {}
SPK_INLINE void blocks_close(void) {}

#endif
