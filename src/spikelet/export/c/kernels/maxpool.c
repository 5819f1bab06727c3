/* maxpool (O7): the larger, channel by channel. */
#include "spk.h"

void spk_max(int32_t *v, const int32_t *u, uint32_t channels) {
    uint32_t c;
    for (c = 0; c < channels; c++) v[c] = u[c] > v[c] ? u[c] : v[c];
}
