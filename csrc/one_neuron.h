/* O6 and O17 for one neuron and one step, in the words of docs/spec/operations.md. */

#ifndef SPIKELET_ONE_NEURON_H
#define SPIKELET_ONE_NEURON_H

#include "spikelet.h"

/* O6's constants of one channel. */
typedef struct constants {
    int64_t leak, gain, threshold, step, drop, start, levels;
} constants;

static inline constants constants_of(const spk_op *op, size_t c) {
    if (op->neuron == NULL) return (constants){op->leak, op->gain, op->threshold, 1, op->drop, 0, 1};
    const size_t lanes = spk_lanes(op->out_c);
    const int32_t *k = op->neuron + c;
    return (constants){k[SPK_LEAK * lanes], k[SPK_GAIN * lanes], k[SPK_THRESHOLD * lanes],
                       k[SPK_STEP * lanes], k[SPK_DROP * lanes], k[SPK_START * lanes],
                       op->levels};
}

typedef struct step {
    int32_t charge, spikes;
} step;

/* One step; *v is the membrane. */
static inline step fire(const spk_op *op, constants k, int32_t x, int32_t *v) {
    const int64_t charge = k.leak * *v + k.gain * x + op->rounding;
    const int64_t h = charge >> op->leak_bits, over = h - k.threshold;
    const int64_t reached = over < 0 ? 0 : over / k.step + 1, spikes = reached > k.levels ? k.levels : reached;
    int64_t r = h;
    if (spikes > 0) r = op->soft_reset ? h - k.drop * spikes : 0;
    if (op->membrane_shift) {
        const int64_t unit = (int64_t)1 << op->membrane_shift, top = op->membrane_top;
        r = (r + unit / 2) >> op->membrane_shift;
        r = (r > top ? top : r < -top ? -top : r) * unit;
    }
    *v = (int32_t)r;
    return (step){(int32_t)h, (int32_t)spikes};
}

#endif
