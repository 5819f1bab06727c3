/* lif (O6) of one level whose constants serve all channels and whose charge fits 32 bits. */
#include "neuron.h"

void spk_lif_short(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels) {
    const int32_t leak = k->leak.value * (1 << k->kept), gain = k->gain.value, threshold = k->threshold.value;
    uint32_t c;
    for (c = 0; c < channels; c++) {
        const int32_t h = (leak * membrane[c] + gain * v[c] + k->half) >> k->leak_bits, s = h >= threshold;
        membrane[c] = spk_kept(k, k->hard ? (s ? 0 : h) : s ? h - k->drop.value : h);
        v[c] = s;
    }
}
