/* affine (O4) whose product, and what comes of it, is known to fit 32 bits. */
#include "spk.h"

void spk_affine_short(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels) {
    uint32_t c, i = step * k->by_step;
    for (c = 0; c < channels; c++, i += k->by_channel) {
        const int32_t half = (int32_t)(1u << k->shift[i] >> 1);
        int32_t y = ((k->multiplier[i] * v[c] + half) >> k->shift[i]) + k->offset[i];
        y = y < k->low ? k->low : y;
        v[c] = y > k->high ? k->high : y;
    }
}
