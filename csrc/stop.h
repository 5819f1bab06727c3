/* A call that is told to stop: every kernel looks at the flag after some milliseconds of work at most, and returns with
   its results unfinished. Whoever called it looks too before it reads them; a raised flag stays raised. */

#ifndef SPIKELET_STOP_H
#define SPIKELET_STOP_H

#include <string.h>

#include "spikelet.h"

#if defined(__STDC_NO_ATOMICS__) || (defined(_MSC_VER) && !defined(__clang__))
static inline int spk_stopped(const spk_frame *f) { return f->call->stop != 0; }
#else
#include <stdatomic.h>
static inline int spk_stopped(const spk_frame *f) {
    return atomic_load_explicit(&f->call->stop, memory_order_relaxed) != 0;
}
#endif

/* Zeroes `bytes` of a map, which may be gigabytes that the system has yet to find. */
static inline void spk_clear(const spk_frame *f, void *map, size_t bytes) {
    const size_t piece = (size_t)1 << 22;
    uint8_t *to = map;
    for (; bytes > piece && !spk_stopped(f); bytes -= piece, to += piece) memset(to, 0, piece);
    memset(to, 0, bytes < piece ? bytes : piece);
}

#endif
