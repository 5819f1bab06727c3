/* A map as it leaves: int32, channel by channel. */
#include "spk.h"

void spk_give(int32_t *y, const void *x, const spk_form *form) {
    const uint32_t positions = form->height * form->width;
    uint32_t p, c;
    for (c = 0; c < form->channels; c++)
        for (p = 0; p < positions; p++) y[c * positions + p] = spk_value(x, form, p, c);
}
