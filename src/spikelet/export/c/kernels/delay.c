/* delay (O16): at the end of a step its map becomes what it reads. */
#include "spk.h"

void spk_delay(void *y, const spk_form *form, const void *x, const spk_form *x_form) {
    const uint32_t positions = form->height * form->width;
    uint32_t p, c;
    for (p = 0; p < positions; p++)
        for (c = 0; c < form->channels; c++) spk_put(y, form, p, c, spk_value(x, x_form, p, c));
}
