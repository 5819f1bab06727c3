/* What a run of values gives every output. */

#ifndef SPIKELET_RUN_SPREAD_H
#define SPIKELET_RUN_SPREAD_H

#include <string.h>

/* 32 bits of a run for every output. */
SPK_ALWAYS vec run_spread(const uint8_t *values) {
    int32_t all;
    memcpy(&all, values, sizeof all);
    return v_set32(all);
}

#endif
