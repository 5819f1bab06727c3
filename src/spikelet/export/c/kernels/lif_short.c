/* lif (O6) of one level whose constants serve all channels and whose charge fits 32 bits. */
#include "neuron.h"

void spk_lif_short(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels) {
    const int32_t leak = k->leak.value * (1 << k->kept), gain = k->gain.value, *end = v + channels;
    for (; v < end; v++, membrane++) {
        const int32_t h = (leak * *membrane + gain * *v + k->half) >> k->leak_bits;
        *v = h >= k->threshold.value;
        *membrane = spk_kept(k, !*v ? h : k->hard ? 0 : h - k->drop.value);
    }
}
