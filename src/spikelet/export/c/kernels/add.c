/* add (O5), and every other sum: sumpool (O8), sumtime (O10). */
#include "spk.h"

void spk_add(int32_t *v, const int32_t *u, uint32_t channels) {
    uint32_t c;
    for (c = 0; c < channels; c++) spk_accumulate(v + c, (uint32_t)u[c]);
}
