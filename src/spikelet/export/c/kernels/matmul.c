/* matmul (O12): one column of the product, head by head. */
#include "spk.h"

void spk_matmul(int32_t *v, const spk_matrices *k, const void *a, const void *b, uint32_t row, uint32_t column) {
    const uint32_t a_channels = k->a.channels / k->heads, b_channels = k->b.channels / k->heads;
    const uint32_t a_first = k->by_row ? row * k->a.width : 0, b_first = k->by_row ? row * k->b.width : 0;
    uint32_t g, i, r;
    memset(v, 0, k->heads * k->rows * sizeof *v);
    for (g = 0; g < k->heads; g++, v += k->rows)
        for (i = 0; i < k->inner; i++) {
            const int32_t y = k->transpose_b ? spk_value(b, &k->b, b_first + i, g * b_channels + column)
                                             : spk_value(b, &k->b, b_first + column, g * b_channels + i);
            for (r = 0; y && r < k->rows; r++) {
                const int32_t x = k->transpose_a ? spk_value(a, &k->a, a_first + r, g * a_channels + i)
                                                 : spk_value(a, &k->a, a_first + i, g * a_channels + r);
                spk_accumulate(v + r, (uint32_t)x * (uint32_t)y);
            }
        }
}
