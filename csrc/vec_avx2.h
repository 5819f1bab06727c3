/* The 256-bit vector of AVX2: bits to lanes. */

#ifndef SPIKELET_VEC_H
#define SPIKELET_VEC_H

#include "vec_256.h"

SPK_INLINE vec v_bits8(uint32_t bits) {
    const vec byte_of = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const vec one_each = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    const vec kept = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), byte_of), one_each);
    return _mm256_and_si256(_mm256_cmpeq_epi8(kept, one_each), _mm256_set1_epi8(1));
}
SPK_INLINE vec v_bits16(uint32_t bits) {
    const vec one_each =
        _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768);
    const vec kept = _mm256_and_si256(_mm256_set1_epi16((int16_t)bits), one_each);
    return _mm256_and_si256(_mm256_cmpeq_epi16(kept, one_each), _mm256_set1_epi16(1));
}

#endif
