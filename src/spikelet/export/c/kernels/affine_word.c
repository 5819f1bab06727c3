/* affine (O4) of one shift, constants by channel, no clip, and offsets that hold the half and are shifted with the
   product: (multiplier * x + offset) >> shift, known to fit 32 bits on the way. */
#include "spk.h"

void spk_affine_word(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels) {
    const int32_t *multiplier = k->multiplier + step * k->by_step, *offset = k->offset + step * k->by_step;
    const int32_t *end = v + channels;
    const uint32_t bits = *k->shift;
    for (; v < end; v++) *v = (*multiplier++ * *v + *offset++) >> bits;
}
