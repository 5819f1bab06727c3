/* Layers of int8_twin.c. */
#ifndef INT8_TWIN_H
#define INT8_TWIN_H

#include <stdint.h>

/* outputs: a multiple of four. */
typedef struct {
    uint32_t height, width, channels, out_height, out_width, outputs, kernel, stride, pad, shift;
    int32_t low;
    const int8_t *weight;
    const int32_t *bias, *multiplier;
} int8_conv_constants;

void int8_conv(int8_t *y, const int8_t *x, const int8_conv_constants *k);
void int8_linear(int32_t *y, const int8_t *x, const int8_conv_constants *k);
void int8_max(int8_t *y, const int8_t *x, uint32_t height, uint32_t width, uint32_t channels, uint32_t size);
void int8_mean(int8_t *y, const int8_t *x, uint32_t height, uint32_t width, uint32_t channels, uint32_t size);
void int8_add(int8_t *y, const int8_t *x, uint32_t size);

#endif
