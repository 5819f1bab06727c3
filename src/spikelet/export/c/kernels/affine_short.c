/* affine (O4) whose product, and what comes of it, is known to fit 32 bits. */
#include "spk.h"

void spk_affine_short(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels) {
    const int32_t low = k->low, high = k->high, *multiplier = k->multiplier + step * k->by_step;
    const int32_t *offset = k->offset + step * k->by_step, *end = v + channels;
    const uint8_t *shift = k->shift + step * k->by_step;
    const uint32_t next = k->by_channel;
    for (; v < end; v++, multiplier += next, shift += next, offset += next) {
        const uint32_t bits = *shift;
        const int32_t y = ((*multiplier * *v + (int32_t)(1u << bits >> 1)) >> bits) + *offset;
        *v = y < low ? low : y > high ? high : y;
    }
}
