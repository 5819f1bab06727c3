/* lif (O6) of one level whose constants serve all channels and whose charge fits 32 bits. */
#include "neuron.h"

/* A hard reset, and a membrane of few bits that is kept as a number of its units: most networks' neuron. */
static void few_bits(int32_t *v, int32_t *membrane, const spk_neuron *k, const int32_t *end) {
    const int32_t leak = k->leak.value * (1 << k->shift), gain = k->gain.value, threshold = k->threshold.value;
    const int32_t half = k->half, top = k->top, round = 1 << k->shift >> 1;
    const uint32_t bits = k->leak_bits, shift = k->shift;
    for (; v < end; v++, membrane++) {
        int32_t r = (leak * *membrane + gain * *v + half) >> bits;
        if (r >= threshold) {
            *v = 1;
            *membrane = 0;
            continue;
        }
        r = (r + round) >> shift;
        r = r < -top ? -top : r;
        *v = 0;
        *membrane = r > top ? top : r;
    }
}

void spk_lif_short(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels) {
    const int32_t leak = k->leak.value * (1 << k->kept), gain = k->gain.value, *end = v + channels;
    if (k->hard && k->shift && k->shift == k->kept) {
        few_bits(v, membrane, k, end);
        return;
    }
    for (; v < end; v++, membrane++) {
        const int32_t h = (leak * *membrane + gain * *v + k->half) >> k->leak_bits;
        *v = h >= k->threshold.value;
        *membrane = spk_kept(k, !*v ? h : k->hard ? 0 : h - k->drop.value);
    }
}
