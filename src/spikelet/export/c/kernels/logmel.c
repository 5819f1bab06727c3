/* `hop` new samples make a frame: windowed at the frame's own scale, transformed as complex numbers of 16 bits, summed
   to bands, and their logarithms. No product is longer than 32 bits. */
#include "logmel.h"

typedef struct {
    int32_t real, imaginary;
} spk_complex;

static inline int32_t spk_lifted(const int16_t *x) { return x[0] - x[-1] + (x[-1] >> 5); }

static inline spk_complex spk_at(const int16_t *z, uint32_t i) {
    const spk_complex one = {z[2 * i], z[2 * i + 1]};
    return one;
}

static inline void spk_set(int16_t *z, uint32_t i, int32_t real, int32_t imaginary) {
    z[2 * i] = (int16_t)real;
    z[2 * i + 1] = (int16_t)imaginary;
}

static inline spk_complex spk_turned(spk_complex z, int32_t c, int32_t s) {
    const spk_complex one = {(z.real * c + z.imaginary * s + 16384) >> 15,
                             (z.imaginary * c - z.real * s + 16384) >> 15};
    return one;
}

/* The shift that brings the lifted samples to 14 bits. */
static int32_t spk_scale(const int16_t *x, uint32_t window) {
    uint32_t all = 0, i;
    int32_t shift = 13;
    for (i = 1; i < window; i++) {
        const int32_t y = spk_lifted(x + i);
        all |= (uint32_t)(y < 0 ? ~y : y);
    }
    for (all >>= 1; all; all >>= 1) shift--;
    return shift;
}

static inline int32_t spk_windowed(const spk_logmel *k, const int16_t *x, uint32_t i, int32_t drop) {
    const int32_t w = (32769 - k->sine[(i + k->window / 4) & (k->window - 1)]) >> 2;
    return (spk_lifted(x + i) * w + (1 << (drop - 1))) >> drop;
}

static void spk_four(const spk_logmel *k, int16_t *z, uint32_t size) {
    const uint32_t window = k->window, quarter = window / 4, step = quarter / size;
    const int16_t *const sine = k->sine;
    uint32_t i, at;
    for (i = 0; i < size; i++) {
        const uint32_t one = i * step, two = 2 * one, three = 3 * one;
        const int32_t cos_one = sine[one + quarter], sin_one = sine[one];
        const int32_t cos_two = sine[(two + quarter) & (window - 1)], sin_two = sine[two];
        const int32_t cos_three = sine[(three + quarter) & (window - 1)], sin_three = sine[three];
        for (at = i; at < window / 2; at += 4 * size) {
            const spk_complex a = spk_at(z, at), b = spk_turned(spk_at(z, at + size), cos_one, sin_one);
            const spk_complex c = spk_turned(spk_at(z, at + 2 * size), cos_two, sin_two);
            const spk_complex d = spk_turned(spk_at(z, at + 3 * size), cos_three, sin_three);
            const int32_t ar = a.real + c.real + 2, ai = a.imaginary + c.imaginary + 2;
            const int32_t br = b.real + d.real, bi = b.imaginary + d.imaginary;
            const int32_t cr = a.real - c.real + 2, ci = a.imaginary - c.imaginary + 2;
            const int32_t dr = b.real - d.real, di = b.imaginary - d.imaginary;
            spk_set(z, at, (ar + br) >> 2, (ai + bi) >> 2);
            spk_set(z, at + size, (cr + di) >> 2, (ci - dr) >> 2);
            spk_set(z, at + 2 * size, (ar - br) >> 2, (ai - bi) >> 2);
            spk_set(z, at + 3 * size, (cr - di) >> 2, (ci + dr) >> 2);
        }
    }
}

static void spk_transform(const spk_logmel *k, int16_t *z) {
    const uint32_t points = k->window / 2;
    uint32_t i, size = 1;
    if (!(points & 0x55555555u)) {
        for (i = 0; i < points; i += 2) {
            const spk_complex a = spk_at(z, i), b = spk_at(z, i + 1);
            spk_set(z, i, (a.real + b.real + 1) >> 1, (a.imaginary + b.imaginary + 1) >> 1);
            spk_set(z, i + 1, (a.real - b.real + 1) >> 1, (a.imaginary - b.imaginary + 1) >> 1);
        }
        size = 2;
    }
    for (; size < points; size *= 4) spk_four(k, z, size);
}

static inline void spk_collect(const spk_logmel *k, uint32_t *energy, uint32_t i, int32_t real, int32_t imaginary) {
    const uint32_t power = (uint32_t)(real * real) + (uint32_t)(imaginary * imaginary), up = power * k->up[i];
    energy[k->first[i]] += 16 * power - up;
    energy[k->first[i] + 1] += up;
}

static void spk_bands(const spk_logmel *k, const int16_t *z, uint32_t *energy) {
    const uint32_t points = k->window / 2;
    uint32_t i;
    memset(energy, 0, (k->bands + 2) * sizeof *energy);
    for (i = 1; 2 * i <= points; i++) {
        const spk_complex a = spk_at(z, i), b = spk_at(z, points - i);
        const int32_t real = a.real + b.real + 1, imaginary = a.imaginary - b.imaginary + 1;
        const spk_complex odd = {a.imaginary + b.imaginary, b.real - a.real};
        const spk_complex t = spk_turned(odd, k->sine[i + points / 2], k->sine[i]);
        spk_collect(k, energy, i, (real + t.real) >> 1, (imaginary + t.imaginary) >> 1);
        if (2 * i < points) spk_collect(k, energy, points - i, (real - t.real) >> 1, (imaginary - t.imaginary) >> 1);
    }
}

/* floor(8 log2 e) of e > 0 */
static int32_t spk_eighths(uint32_t e) {
    static const uint16_t steps[7] = {35734, 38968, 42495, 46341, 50536, 55109, 60097};
    int32_t octave = 31, eighth = 0;
    uint32_t s;
    for (s = 16; s; s >>= 1)
        if (!(e >> (32 - s))) {
            e <<= s;
            octave -= (int32_t)s;
        }
    for (s = 4; s; s >>= 1)
        if (e >> 16 >= steps[(uint32_t)eighth + s - 1]) eighth += (int32_t)s;
    return 8 * octave + eighth;
}

void spk_hear(uint8_t *frame, const spk_logmel *k, const int16_t *samples, int16_t *heard, int16_t *z,
              uint32_t *energy) {
    const uint32_t kept = k->window - k->hop;
    uint32_t i;
    int32_t shift;
    for (i = 0; i < kept; i++) heard[i] = heard[i + k->hop];
    memcpy(heard + kept, samples, k->hop * sizeof *samples);
    shift = spk_scale(heard, k->window);
    z[0] = 0;
    z[1] = (int16_t)spk_windowed(k, heard, 1, 14 - shift);
    for (i = 1; i < k->window / 2; i++) {
        const uint32_t from = 2u * k->order[i];
        spk_set(z, i, spk_windowed(k, heard, from, 14 - shift), spk_windowed(k, heard, from + 1, 14 - shift));
    }
    spk_transform(k, z);
    spk_bands(k, z, energy);
    for (i = 0; i < k->bands; i++) {
        const uint32_t e = energy[i + 1];
        const int32_t level = e ? spk_eighths(e) - 16 * shift - k->quiet : 0;
        frame[i] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
}
