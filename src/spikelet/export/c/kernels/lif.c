/* lif (O6): any number of levels, constants by channel, a charge of up to 48 bits. */
#include "neuron.h"

void spk_lif(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels) {
    uint32_t c;
    for (c = 0; c < channels; c++) {
        const int32_t h = spk_charged(k, c, membrane[c] * (1 << k->kept), v[c]), s = spk_fired(k, c, h);
        membrane[c] = spk_after(k, c, h, s);
        v[c] = s;
    }
}
