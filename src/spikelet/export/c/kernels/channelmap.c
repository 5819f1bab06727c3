/* channelmap (O11): the channels that one input, whose first has the number `first`, gives to a position. */
#include "spk.h"

void spk_channels(int32_t *v, const int16_t *source, uint32_t first, const void *x, const spk_form *form,
                  uint32_t position, uint32_t channels) {
    uint32_t c, i;
    for (c = 0; c < channels; c++) {
        i = (uint32_t)source[c] - first; /* -1 and earlier inputs' wrap, and are beyond the last */
        if (source[c] >= 0 && i < form->channels) v[c] = spk_value(x, form, position, i);
    }
}
