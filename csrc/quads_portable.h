/* Quads of bytes through int8, for sets without dot products of bytes. */

#ifndef SPIKELET_QUADS_H
#define SPIKELET_QUADS_H

#include "run_spread.h"

/* Adds `vectors` * 8 output channels of `places` places: `units` quads of weights, from number `first` of the runs on,
   whose sums of two products stay within 16 bits. */
SPK_ALWAYS void quads_add(const uint8_t *const *runs, size_t first, const uint8_t *weight, size_t units,
                          size_t row_bytes, int32_t *const *sums, int places, int vectors) {
    const vec ones = v_set16(1);
    vec acc[2][4];
    for (int i = 0; i < places; i++)
        for (int v = 0; v < vectors; v++) acc[i][v] = v_zero();
    for (size_t q = first; q < first + units; q++, weight += row_bytes) {
        for (int i = 0; i < places; i++) {
            const vec x = run_spread(runs[i] + 4 * q);
            for (int v = 0; v < vectors; v++) acc[i][v] = v_add16(acc[i][v], v_dot8(x, v_load(weight + 32 * v)));
        }
    }
    for (int i = 0; i < places; i++) {
        for (int v = 0; v < vectors; v++) {
            int32_t *to = sums[i] + 8 * v;
            v_store(to, v_add32(v_load(to), v_dot16(acc[i][v], ones)));
        }
    }
}

#endif
