/* conv (O2) of several groups: the rows of a tap and a channel of every group hold all outputs. */
#include "spk.h"

static uint32_t field_of(const spk_synapses *k, uint32_t row, uint32_t output) {
    const uint32_t bit = output * k->bits;
    if (k->bits == 8) return (uint32_t)(int8_t)k->weight[row * k->row_bytes + output];
    return (uint32_t)k->weight[row * k->row_bytes + bit / 8] >> bit % 8 & ((1u << k->bits) - 1);
}

static void add_position(int32_t *v, const spk_synapses *k, const void *x, uint32_t position, uint32_t tap) {
    const uint32_t inputs = k->x.channels / k->groups, outputs = k->outputs / k->groups;
    uint32_t i, o, g, n, value;
    for (i = 0; i < inputs; i++) {
        for (g = 0, o = 0; g < k->groups; g++) {
            value = (uint32_t)spk_value(x, &k->x, position, g * inputs + i);
            for (n = 0; value && n < outputs; n++)
                spk_accumulate(v + o + n, value * ((uint32_t)k->scale * field_of(k, tap * inputs + i, o + n) +
                                                   (uint32_t)k->offset));
            o += outputs;
        }
    }
}

void spk_conv_groups(int32_t *v, const spk_synapses *k, const void *x, uint32_t row, uint32_t column) {
    const uint32_t top = row * k->stride_height - k->pad_height, left = column * k->stride_width - k->pad_width;
    uint32_t a, b, i, j;
    memset(v, 0, k->outputs * sizeof *v);
    for (a = 0; a < k->kernel_height; a++) {
        i = top + a * k->dilation_height;
        for (b = 0; b < k->kernel_width; b++) {
            j = left + b * k->dilation_width;
            if (i < k->x.height && j < k->x.width) add_position(v, k, x, i * k->x.width + j, a * k->kernel_width + b);
        }
    }
}
