/* conv and linear (O2, O3), one group: for every value that is not zero, its row of weights is added.

   code = scale * field + offset, so that n[o] = scale * (sum of field * x) + offset * (sum of x). */
#include "spk.h"

static void add_row(int32_t *v, const spk_synapses *k, uint32_t synapse, uint32_t x) {
    const uint8_t *row = k->weight + synapse * k->row_bytes, *end = row + k->row_bytes;
    const uint32_t bits = k->bits, mask = (1u << bits) - 1;
    uint32_t byte, left;
    if (bits == 8) {
        for (; row < end; row++) spk_accumulate(v++, x * *row);
        return;
    }
    for (; row < end; row++)
        for (byte = *row, left = 8; left; left -= bits, byte >>= bits) spk_accumulate(v++, x * (byte & mask));
}

static uint32_t add_position(int32_t *v, const spk_synapses *k, const void *x, uint32_t position, uint32_t tap) {
    const uint32_t channels = k->x.channels, words = (channels + 31) / 32;
    uint32_t c, word = 0, value, sum = 0;
    for (c = 0; c < channels; c++) {
        if (k->x.element == SPK_BITS) {
            if (c % 32 == 0) word = ((const uint32_t *)x)[position * words + c / 32];
            value = word & 1;
            word >>= 1;
        } else {
            value = (uint32_t)spk_value(x, &k->x, position, c);
        }
        if (value) add_row(v, k, tap * channels + c, value);
        sum += value;
    }
    return sum;
}

void spk_conv(int32_t *v, const spk_synapses *k, const void *x, uint32_t row, uint32_t column) {
    const uint32_t top = row * k->stride_height - k->pad_height, left = column * k->stride_width - k->pad_width;
    uint32_t a, b, o, i, j, sum = 0;
    memset(v, 0, k->row_bytes * (8 / k->bits) * sizeof *v);
    for (a = 0; a < k->kernel_height; a++) {
        i = top + a * k->dilation_height; /* before the first row it wraps, and is beyond the last */
        for (b = 0; b < k->kernel_width; b++) {
            j = left + b * k->dilation_width;
            if (i < k->x.height && j < k->x.width)
                sum += add_position(v, k, x, i * k->x.width + j, a * k->kernel_width + b);
        }
    }
    for (o = 0; o < k->outputs; o++) v[o] = (int32_t)((uint32_t)v[o] * (uint32_t)k->scale + sum * (uint32_t)k->offset);
}
