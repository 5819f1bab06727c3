/* Sound to frames of log-mel energies: base/logmel.py of spikelet has the equations, equal bit for bit. */
#ifndef SPK_LOGMEL_H
#define SPK_LOGMEL_H

#include "spk.h"

/* A front end. window: samples of a frame, a power of two; hop: new ones in each; bands: bytes that come out; quiet:
   what is taken from the logarithm; sine: 32767 sin(2 pi n / window); order: of the transform's inputs; first, up: the
   band below a frequency, and the sixteenths of its power that go to the band above. */
typedef struct {
    uint32_t window, hop, bands;
    int32_t quiet;
    const int16_t *sine;
    const uint16_t *order;
    const uint8_t *first, *up;
} spk_logmel;

/* heard: the last `window` samples; z: as many; energy: bands + 2 words. */
void spk_hear(uint8_t *frame, const spk_logmel *k, const int16_t *samples, int16_t *heard, int16_t *z,
              uint32_t *energy);

#endif
