/* affine (O4) whose product, and what comes of it, is known to fit 32 bits. */
#include "spk.h"

static inline int32_t scaled(int32_t x, int32_t multiplier, uint32_t bits, int32_t offset) {
    return ((multiplier * x + (int32_t)(1u << bits >> 1)) >> bits) + offset;
}

void spk_affine_short(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels) {
    const int32_t low = k->low, high = k->high, *multiplier = k->multiplier + step * k->by_step;
    const int32_t *offset = k->offset + step * k->by_step, *end = v + channels;
    const uint8_t *shift = k->shift + step * k->by_step;
    const uint32_t next = k->by_channel;
    if (low == INT32_MIN && high == INT32_MAX) {
        for (; v < end; v++, multiplier += next, shift += next, offset += next)
            *v = scaled(*v, *multiplier, *shift, *offset);
        return;
    }
    for (; v < end; v++, multiplier += next, shift += next, offset += next) {
        const int32_t y = scaled(*v, *multiplier, *shift, *offset);
        *v = y < low ? low : y > high ? high : y;
    }
}
