/* Spikes of eight channels into a pixel's words, on processors whose lowest byte comes first. */

#ifndef SPIKELET_PUT_SPIKES_H
#define SPIKELET_PUT_SPIKES_H

SPK_INLINE void put_spikes(uint64_t *pixel, size_t c, uint32_t bits) {
    if (c % 64 == 0)
        pixel[c / 64] = bits;
    else
        ((uint8_t *)pixel)[c / 8] = (uint8_t)bits;
}

#endif
