/* charge (O17): what a neuron's membrane reaches before it fires. */
#include "neuron.h"

void spk_charge(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels) {
    uint32_t c;
    for (c = 0; c < channels; c++) {
        v[c] = spk_charged(k, c, membrane[c] * (1 << k->kept), v[c]);
        membrane[c] = spk_after(k, c, v[c], spk_fired(k, c, v[c]));
    }
}
