/* The 256-bit vector with AVX-512: bits to lanes. */

#ifndef SPIKELET_VEC_H
#define SPIKELET_VEC_H

#include "vec_256.h"

SPK_INLINE vec v_bits8(uint32_t bits) { return _mm256_maskz_set1_epi8(bits, 1); }
SPK_INLINE vec v_bits16(uint32_t bits) { return _mm256_maskz_set1_epi16((__mmask16)bits, 1); }

#endif
