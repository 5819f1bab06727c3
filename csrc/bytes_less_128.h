/* Bytes from 0 to 255 for products of bytes that have a sign, as those of AArch64 are:

     sum of a b = sum of (a - 128) b + 128 sum of b,

   where the last sum, the rest, is the same for every a. */

#ifndef SPIKELET_BYTES_LESS_128_H
#define SPIKELET_BYTES_LESS_128_H

#include "run_spread.h"

/* Four bytes, each less 128, again and again. */
SPK_INLINE int8x16_t four_less_128(const uint8_t *bytes) { return veorq_s8(run_spread(bytes).a, vdupq_n_s8(-128)); }

/* What four neighbouring weights of each output add to its rest, and the rest. */
SPK_INLINE int32x4_t add_rest(int32x4_t rest, int8x16_t weights) { return vpadalq_s16(rest, vpaddlq_s8(weights)); }
SPK_INLINE int32x4_t rest_of(int32x4_t sum) { return vshlq_n_s32(sum, 7); }

#endif
