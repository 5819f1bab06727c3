/* Products of blocks with AMX, a tile register a block. Functions and their meanings are those of blocks_portable.h. */

#ifndef SPIKELET_BLOCKS_SET_H
#define SPIKELET_BLOCKS_SET_H

#include <stdatomic.h>

#include "block_product.h"
#include "wide_avx512.h"

/* Eight registers of 16 rows of 64 bytes: sums in 0 to 3, places in 4 and 5, weights in 6 and 7. They are the thread's,
   and given back as soon as they are not used, so that the system need not keep them. */
SPK_INLINE void blocks_open(void) {
    static const uint8_t shapes[64] = {
        [0] = 1,   [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64, [28] = 64, [30] = 64,
        [48] = 16, [49] = 16, [50] = 16, [51] = 16, [52] = 16, [53] = 16, [54] = 16, [55] = 16,
    };
    _tile_loadconfig(shapes);
}

SPK_INLINE void blocks_close(void) { _tile_release(); }

/* One or two blocks of places, and of outputs: `rows` and `outputs` are known where this is compiled. */
SPK_INLINE void blocks_product(const block_product *p, int rows, int outputs) {
    const uint8_t *a = p->a;
    const int8_t *b = p->b;
    const size_t below = 16 * p->a_apart, beside = p->depth * BLOCK_WEIGHTS, c_bytes = p->c_apart * sizeof(int32_t);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t k = 0; k < p->depth; k++, a += 64, b += BLOCK_WEIGHTS) {
        _tile_loadd(4, a, p->a_apart);
        _tile_loadd(6, b, 64);
        if (outputs == 2) _tile_loadd(7, b + beside, 64);
        _tile_dpbusd(0, 4, 6);
        if (outputs == 2) _tile_dpbusd(1, 4, 7);
        if (rows == 1) continue;
        _tile_loadd(5, a + below, p->a_apart);
        _tile_dpbusd(2, 5, 6);
        if (outputs == 2) _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, p->c, c_bytes);
    if (outputs == 2) _tile_stored(1, p->c + 16, c_bytes);
    if (rows == 1) return;
    _tile_stored(2, p->c + 16 * p->c_apart, c_bytes);
    if (outputs == 2) _tile_stored(3, p->c + 16 * p->c_apart + 16, c_bytes);
}

SPK_INLINE void blocks_multiply(const block_product *p, int rows, int outputs) {
    atomic_signal_fence(memory_order_seq_cst); /* the compiler does not know what the loads read */
    if (rows == 2 && outputs == 2)
        blocks_product(p, 2, 2);
    else if (rows == 2)
        blocks_product(p, 2, 1);
    else if (outputs == 2)
        blocks_product(p, 1, 2);
    else
        blocks_product(p, 1, 1);
}

#endif
