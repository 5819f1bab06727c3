/* Vectors of one position's channels: fill one, copy one. */
#include "spk.h"

void spk_fill(int32_t *v, int32_t value, uint32_t channels) {
    uint32_t c;
    for (c = 0; c < channels; c++) v[c] = value;
}

void spk_copy(int32_t *v, const int32_t *u, uint32_t channels) { memcpy(v, u, channels * sizeof *v); }
