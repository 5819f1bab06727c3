/* What a neuron does in a step (O6): charge, fire, reset, keep. */
#ifndef SPK_NEURON_H
#define SPK_NEURON_H

#include "spk.h"

static inline int32_t spk_number_of(const spk_number *number, uint32_t channel) {
    return number->by_channel ? number->by_channel[channel] : number->value;
}

static inline int32_t spk_charged(const spk_neuron *k, uint32_t c, int32_t v, int32_t x) {
    const int64_t charge = (int64_t)spk_number_of(&k->leak, c) * v + (int64_t)spk_number_of(&k->gain, c) * x + k->half;
    return (int32_t)(charge >> k->leak_bits);
}

static inline int32_t spk_fired(const spk_neuron *k, uint32_t c, int32_t h) {
    const int32_t threshold = spk_number_of(&k->threshold, c);
    int32_t s;
    if (h < threshold) return 0;
    if (k->levels == 1) return 1;
    s = (h - threshold) / spk_number_of(&k->step, c);
    return s < k->levels ? s + 1 : k->levels;
}

/* The membrane as it is kept. shift is 0 where every bit is. */
static inline int32_t spk_kept(const spk_neuron *k, int32_t r) {
    const int32_t top = k->top;
    int32_t units;
    if (!k->shift) return r;
    units = (r + (1 << k->shift >> 1)) >> k->shift;
    units = units < -top ? -top : units > top ? top : units;
    return units * (1 << (k->shift - k->kept));
}

static inline int32_t spk_after(const spk_neuron *k, uint32_t c, int32_t h, int32_t s) {
    const uint32_t drop = (uint32_t)spk_number_of(&k->drop, c) * (uint32_t)s;
    return spk_kept(k, k->hard ? (s ? 0 : h) : (int32_t)((uint32_t)h - drop));
}

#endif
