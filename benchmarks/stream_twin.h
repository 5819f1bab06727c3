#ifndef STREAM_TWIN_H
#define STREAM_TWIN_H

#include <stdint.h>

/* A layer that reads `taps` frames of the past, `delays` back, of the last `rows` that it keeps. */
typedef struct {
    uint32_t inputs, outputs, taps, rows;
    const uint32_t *delays;
    const int8_t *weight;
    const int32_t *bias, *multiplier;
    uint8_t *past, *gathered;
} twin_layer;

void twin_dense(const twin_layer *k, const uint8_t *x, uint8_t *y, uint32_t now);
void twin_classify(const twin_layer *k, const uint8_t *x, int32_t *sums);

#endif
