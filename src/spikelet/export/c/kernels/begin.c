/* The membranes of a whole map before the first step (O6), where they lie in memory between two steps. */
#include "neuron.h"

void spk_begin(void *membranes, const spk_form *form, const spk_neuron *k) {
    const uint32_t positions = form->height * form->width;
    uint32_t p, c;
    for (p = 0; p < positions; p++)
        for (c = 0; c < form->channels; c++) spk_put(membranes, form, p, c, spk_number_of(&k->start, c) >> k->kept);
}
