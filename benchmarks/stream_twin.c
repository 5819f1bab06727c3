/* The int8 twin of a network for signals: dense layers over taps of the past, ReLUs for neurons, a sum over time.

   acc[o] = bias[o] + sum of weight[o, i] x[i];   y[o] = clip((acc[o] * multiplier[o] + 2^30) >> 31, 0, 255) */
#include "stream_twin.h"

static const uint8_t *tapped(const twin_layer *k, const uint8_t *x, uint32_t now) {
    uint32_t t, i;
    uint8_t *row = k->past + now % k->rows * k->inputs;
    for (i = 0; i < k->inputs; i++) row[i] = x[i];
    for (t = 0; t < k->taps; t++) {
        const uint8_t *then = k->past + (now + k->rows - k->delays[t]) % k->rows * k->inputs;
        for (i = 0; i < k->inputs; i++) k->gathered[t * k->inputs + i] = then[i];
    }
    return k->gathered;
}

static int32_t product(const int8_t *weight, const uint8_t *x, uint32_t count) {
    const uint8_t *const end = x + count;
    int32_t sum = 0;
    while (x < end) sum += *weight++ * *x++;
    return sum;
}

void twin_dense(const twin_layer *k, const uint8_t *x, uint8_t *y, uint32_t now) {
    const uint32_t count = k->taps * k->inputs;
    uint32_t o;
    x = tapped(k, x, now);
    for (o = 0; o < k->outputs; o++) {
        const int32_t sum = k->bias[o] + product(k->weight + o * count, x, count);
        const int32_t value = (int32_t)(((int64_t)sum * k->multiplier[o] + ((int64_t)1 << 30)) >> 31);
        y[o] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

void twin_classify(const twin_layer *k, const uint8_t *x, int32_t *sums) {
    uint32_t o;
    for (o = 0; o < k->outputs; o++) sums[o] += k->bias[o] + product(k->weight + o * k->inputs, x, k->inputs);
}
