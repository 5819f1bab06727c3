/* All outputs and places of blocks, PLACES at a time; blocks_neon.h and blocks_dotprod.h say how so many are done. */

#ifndef SPIKELET_BLOCKS_LOOP_H
#define SPIKELET_BLOCKS_LOOP_H

SPK_INLINE void blocks_multiply(const block_product *p, int rows, int outputs) {
    for (size_t o = 0; o < (size_t)outputs; o++) {
        const int8_t *b = p->b + o * p->depth * BLOCK_WEIGHTS;
        int32x4_t rest[4];
        block_rest(b, p->depth, rest);
        for (size_t i = 0; i < 16 * (size_t)rows; i += PLACES)
            block_places(p, b, p->a + i * p->a_apart, rest, p->c + i * p->c_apart + 16 * o);
    }
}

#endif
