/* conv and linear (O2, O3), one group: for every value that is not zero, its row of weights is added.

   code = scale * field + offset, so that n[o] = scale * (sum of field * x) + offset * (sum of x). */
#include "spk.h"

static void take(int32_t *v, const spk_synapses *k, spk_rows *some, uint32_t synapse, uint32_t x) {
    some->row[some->count] = k->weight + synapse * k->row_bytes;
    some->x[some->count] = x;
    if (++some->count < SPK_ROWS) return;
    spk_add_rows(v, some, k->row_bytes);
    some->count = 0;
}

static void add_row(int32_t *v, const spk_synapses *k, uint32_t synapse, uint32_t x) {
    const uint8_t *row = k->weight + synapse * k->row_bytes, *end = row + k->row_bytes;
    const uint32_t bits = k->bits, mask = (1u << bits) - 1;
    uint32_t byte, left;
    for (; row < end; row++)
        for (byte = *row, left = 8; left; left -= bits, byte >>= bits) spk_accumulate(v++, x * (byte & mask));
}

static void add(int32_t *v, const spk_synapses *k, spk_rows *some, uint32_t synapse, uint32_t x) {
    if (k->bits == 8)
        take(v, k, some, synapse, x);
    else
        add_row(v, k, synapse, x);
}

static uint32_t add_spikes(int32_t *v, const spk_synapses *k, spk_rows *some, const uint32_t *x, uint32_t first) {
    const uint32_t last = first + k->x.channels;
    uint32_t word, synapse, count = 0;
    for (; first < last; first += 32)
        for (word = *x++, synapse = first; word; word >>= 1, synapse++)
            if (word & 1) {
                add(v, k, some, synapse, 1);
                count++;
            }
    return count;
}

static uint32_t add_position(int32_t *v, const spk_synapses *k, spk_rows *some, const void *x, uint32_t position,
                             uint32_t tap) {
    const uint32_t channels = k->x.channels, first = tap * channels;
    uint32_t c, sum = 0;
    if (k->x.element == SPK_BITS)
        return add_spikes(v, k, some, (const uint32_t *)x + position * ((channels + 31) / 32), first);
    for (c = 0; c < channels; c++) {
        const int32_t value = spk_value(x, &k->x, position, c);
        if (value) add(v, k, some, first + c, (uint32_t)value);
        sum += (uint32_t)value;
    }
    return sum;
}

void spk_conv(int32_t *v, const spk_synapses *k, const void *x, uint32_t row, uint32_t column) {
    const uint32_t top = row * k->stride_height - k->pad_height, left = column * k->stride_width - k->pad_width;
    uint32_t a, b, o, i, j, sum = 0;
    spk_rows some;
    some.count = 0;
    memset(v, 0, k->row_bytes * (8 / k->bits) * sizeof *v);
    for (a = 0; a < k->kernel_height; a++) {
        i = top + a * k->dilation_height; /* before the first row it wraps, and is beyond the last */
        for (b = 0; b < k->kernel_width; b++) {
            j = left + b * k->dilation_width;
            if (i < k->x.height && j < k->x.width)
                sum += add_position(v, k, &some, x, i * k->x.width + j, a * k->kernel_width + b);
        }
    }
    while (some.count) take(v, k, &some, 0, 0);
    for (o = 0; o < k->outputs; o++) v[o] = (int32_t)((uint32_t)v[o] * (uint32_t)k->scale + sum * (uint32_t)k->offset);
}
