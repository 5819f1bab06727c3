/* affine (O4): a gain rounded half up, an offset, a clip. The product has 64 bits. */
#include "spk.h"

void spk_affine(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels) {
    uint32_t c, i = step * k->by_step;
    for (c = 0; c < channels; c++, i += k->by_channel) {
        const int64_t half = ((int64_t)1 << k->shift[i]) >> 1;
        int64_t y = (((int64_t)k->multiplier[i] * v[c] + half) >> k->shift[i]) + k->offset[i];
        y = y < k->low ? k->low : y;
        v[c] = (int32_t)(y > k->high ? k->high : y);
    }
}
