/* What a product of blocks reads and writes; blocks_portable.h says what it means. */

#ifndef SPIKELET_BLOCK_PRODUCT_H
#define SPIKELET_BLOCK_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

enum { BLOCK_WEIGHTS = 1024 }; /* of 64 synapses and 16 outputs */

typedef struct block_product {
    const uint8_t *a;
    size_t a_apart; /* bytes from a place to the next */
    const int8_t *b;
    size_t depth; /* blocks of 64 synapses */
    size_t quads; /* of synapses; those behind have weights of 0 */
    int32_t *c;
    size_t c_apart; /* sums from a place to the next */
} block_product;

#endif
