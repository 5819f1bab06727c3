/* The membranes of neurons before their first step (O6). */
#include "neuron.h"

void spk_start(int32_t *membrane, const spk_neuron *k, uint32_t channels) {
    uint32_t c;
    for (c = 0; c < channels; c++) membrane[c] = spk_number_of(&k->start, c) >> k->kept;
}
