/* What a sweep hands on: sums of a few neighbouring pixels and steps, still in the nearest cache. */

#ifndef SPIKELET_TILE_H
#define SPIKELET_TILE_H

#include "maps.h"

enum {
    CHUNK = 16,         /* time steps that sums are kept for */
    TILE_BYTES = 12288, /* sums that are kept at once, where one pixel has no more */
    TILE_PIXELS = 16
};

/* Neighbouring output pixels and steps: sums are int32 [pixels][steps][lanes]. A source that is the same at every
   step fills only row 0 of a pixel: rows = 1. They are those of channels [first, end), which are all but where
   `fused` is given some at a time. */
typedef struct tile {
    int32_t *sums;
    int32_t *membrane; /* [pixels][channels], between chunks, or between the calls of a stream */
    int begins, ends;  /* whether no step comes before, none after, so that there is no membrane to read or write */
    size_t lanes, rows;
    size_t pixel, pixels, t0, steps;
    size_t first, end;
} tile;

SPK_INLINE int32_t *tile_row(const tile *m, size_t p, size_t r) { return m->sums + (p * m->steps + r) * m->lanes; }

#endif
