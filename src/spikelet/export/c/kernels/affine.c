/* affine (O4): a gain rounded half up, an offset, a clip. The product has 64 bits. */
#include "spk.h"

void spk_affine(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels) {
    const int32_t low = k->low, high = k->high, *multiplier = k->multiplier + step * k->by_step;
    const int32_t *offset = k->offset + step * k->by_step, *end = v + channels;
    const uint8_t *shift = k->shift + step * k->by_step;
    const uint32_t next = k->by_channel;
    for (; v < end; v++, multiplier += next, shift += next, offset += next) {
        int64_t y = (int64_t)*multiplier * *v;
        if (*shift) y = ((y >> (*shift - 1)) + 1) >> 1; /* (y + half) >> shift */
        y += *offset;
        y = y < low ? low : y;
        *v = (int32_t)(y > high ? high : y);
    }
}
