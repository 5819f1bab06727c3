/* affine (O4) of one shift, from 1 to 31, constants by channel, no clip, and a result that is known to fit 32 bits. The
   product has 64. */
#include "spk.h"

void spk_affine_even(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels) {
    const int32_t *multiplier = k->multiplier + step * k->by_step, *offset = k->offset + step * k->by_step;
    const int32_t *end = v + channels;
    const uint32_t bits = *k->shift, half = 1u << bits >> 1;
    while (v < end) {
        const uint64_t y = (uint64_t)((int64_t)*multiplier++ * *v + half);
        *v++ = (int32_t)((uint32_t)y >> bits | (uint32_t)(y >> 32) << (32 - bits)) + *offset++;
    }
}
