/* lif (O6) of one level, constants that serve all channels, a hard reset and a membrane of few bits that is kept as a
   number of its units: most networks' neuron. Spikes go to words of a map, 32 a word. Nothing is divided by 2^leak_bits
   on the way: the threshold and the units are that much larger. */
#include "spk.h"

/* further: whether a step comes behind this one. */
void spk_lif_words(uint32_t *y, const int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels,
                   uint32_t further) {
    const int32_t leak = k->leak.value * (1 << k->shift), gain = k->gain.value, lowest = -k->top;
    const uint32_t shift = k->shift + k->leak_bits;
    const int32_t round = 1 << shift >> 1, half = k->half + round;
    const int32_t threshold = k->threshold.value * (1 << k->leak_bits) + round, *const end = v + channels;
    while (v < end) {
        const int32_t *const stop = end - v > 32 ? v + 32 : end;
        uint32_t bit = 1, word = 0;
        if (!further)
            for (; v < stop; bit <<= 1) {
                const int32_t h = gain * *v++ + (leak * *membrane++ + half);
                if (h >= threshold) word |= bit;
            }
        for (; v < stop; bit <<= 1) {
            const int32_t h = gain * *v++ + (leak * *membrane + half);
            int32_t units = 0;
            if (h >= threshold) {
                word |= bit;
            } else {
                units = h >> shift;
                if (units < lowest) units = lowest;
            }
            *membrane++ = units;
        }
        *y++ = word;
    }
}
