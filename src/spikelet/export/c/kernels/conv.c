/* conv and linear (O2, O3), one group: for every value that is not zero, its row of weights is added.

   code = scale * field + offset, so that n[o] = scale * (sum of field * x) + offset * (sum of x). */
#include "spk.h"

static void add_row(int32_t *v, const spk_synapses *k, uint32_t synapse, uint32_t x) {
    const uint8_t *row = k->weight + synapse * k->row_bytes, *end = row + k->row_bytes;
    const uint32_t bits = k->bits, mask = (1u << bits) - 1;
    uint32_t byte, left;
    for (; row < end; row++)
        for (byte = *row, left = 8; left; left -= bits, byte >>= bits) spk_accumulate(v++, x * (byte & mask));
}

/* The same of byte weights: rows are gathered, and added some at once. */
static void take(int32_t *v, spk_rows *some, const int8_t *row, uint32_t bytes, uint32_t x) {
    const uint32_t count = some->count;
    some->row[count] = row;
    some->x[count] = x;
    some->count = count + 1;
    if (count + 1 < SPK_ROWS) return;
    spk_add_rows(v, some, bytes);
    some->count = 0;
}

static uint32_t take_spikes(int32_t *v, const spk_synapses *k, spk_rows *some, const uint32_t *x, uint32_t first) {
    const uint32_t bytes = k->row_bytes, *end = x + (k->x.channels + 31) / 32;
    const int8_t *rows = (const int8_t *)k->weight + first * bytes, *row;
    uint32_t word, count = 0;
    for (; x < end; x++, rows += 32 * bytes)
        for (word = *x, row = rows; word; word >>= 1, row += bytes)
            if (word & 1) {
                take(v, some, row, bytes, 1);
                count++;
            }
    return count;
}

static uint32_t take_bytes(int32_t *v, const spk_synapses *k, spk_rows *some, const uint8_t *x, uint32_t first) {
    const uint32_t bytes = k->row_bytes;
    const int8_t *row = (const int8_t *)k->weight + first * bytes;
    const uint8_t *end = x + k->x.channels;
    uint32_t sum = 0;
    for (; x < end; x++, row += bytes) {
        const uint32_t value = *x;
        if (value) take(v, some, row, bytes, value);
        sum += value;
    }
    return sum;
}

static uint32_t add_position(int32_t *v, const spk_synapses *k, spk_rows *some, const void *x, uint32_t position,
                             uint32_t tap) {
    const uint32_t channels = k->x.channels, first = tap * channels;
    uint32_t c, sum = 0;
    const uint32_t *word = (const uint32_t *)x + position * ((channels + 31) / 32);
    const int are_bits = k->x.element == SPK_BITS;
    if (k->bits == 8 && are_bits) return take_spikes(v, k, some, word, first);
    if (k->bits == 8 && k->x.element == SPK_U8)
        return take_bytes(v, k, some, (const uint8_t *)x + position * channels, first);
    for (c = 0; c < channels; c++) {
        const uint32_t value = are_bits ? word[c / 32] >> c % 32 & 1 : (uint32_t)spk_value(x, &k->x, position, c);
        if (value && k->bits == 8)
            take(v, some, (const int8_t *)k->weight + (first + c) * k->row_bytes, k->row_bytes, value);
        else if (value)
            add_row(v, k, first + c, value);
        sum += value;
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
    if (some.count) spk_add_rest(v, &some, k->row_bytes);
    if (k->scale == 1 && !k->offset) return;
    for (o = 0; o < k->outputs; o++) v[o] = (int32_t)((uint32_t)v[o] * (uint32_t)k->scale + sum * (uint32_t)k->offset);
}
