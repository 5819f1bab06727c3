/* delay (O16): at the end of a step its map becomes what it reads. */
#include "spk.h"

void spk_delay(void *y, const spk_form *form, const void *x, const spk_form *x_form) {
    static const uint8_t size[] = {0, 1, 1, 2, 4};
    const uint32_t positions = form->height * form->width, channels = form->channels;
    uint32_t p, c;
    if (form->element != x_form->element || form->element == SPK_PLANAR) {
        for (p = 0; p < positions; p++)
            for (c = 0; c < channels; c++) spk_put(y, form, p, c, spk_value(x, x_form, p, c));
    } else if (form->element == SPK_BITS) {
        memcpy(y, x, (channels + 31) / 32 * 4 * positions);
    } else {
        memcpy(y, x, size[form->element] * channels * positions);
    }
}
