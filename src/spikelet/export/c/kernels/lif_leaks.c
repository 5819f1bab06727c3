/* lif (O6) of one level whose leak goes by channel, other constants serve all, a hard reset, and a membrane in full.

   The charge is worked out in units of 2^-30, of which a shift by a constant makes whole ones. */
#include "spk.h"

void spk_lif_leaks(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels) {
    const uint32_t up = 30 - (uint32_t)k->leak_bits;
    const int32_t *leak = k->leak.by_channel, *end = v + channels;
    const int32_t gain = k->gain.value * (1 << up), half = k->half * (1 << up), threshold = k->threshold.value;
    for (; v < end; v++, membrane++) {
        const int64_t charge = (int64_t)(*leak++ * (1 << up)) * *membrane + (int64_t)gain * *v + half;
        const int32_t h = (int32_t)(charge >> 30);
        *v = h >= threshold;
        *membrane = h >= threshold ? 0 : h;
    }
}
