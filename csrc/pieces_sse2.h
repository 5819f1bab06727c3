/* What SSE2 has an instruction for and vectors of GCC and Clang have no word. */

#ifndef SPIKELET_PIECES_SSE2_H
#define SPIKELET_PIECES_SSE2_H

#include <emmintrin.h>

SPK_ALWAYS v_u64 piece_dot16(v_u64 x, v_u64 y) { return (v_u64)_mm_madd_epi16((__m128i)x, (__m128i)y); }

SPK_ALWAYS uint32_t piece_signs32(v_u64 x) { return (uint32_t)_mm_movemask_ps((__m128)x); }

#endif
