/* lif (O6) of one level whose leak goes by channel, other constants serve all, a hard reset, and a membrane in full.
   leak_bits is 30: a shift by a constant makes whole units of a charge. */
#include "spk.h"

void spk_lif_leaks(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels) {
    const int32_t *leak = k->leak.by_channel, *end = v + channels;
    const int32_t gain = k->gain.value, half = k->half, threshold = k->threshold.value;
    for (; v < end; v++, membrane++) {
        const int64_t charge = (int64_t)*leak++ * *membrane + (int64_t)gain * *v + half;
        const int32_t h = (int32_t)(charge >> 30);
        *v = h >= threshold;
        *membrane = h >= threshold ? 0 : h;
    }
}
