/* Elements of maps: read or write one, or a position's. */
#include "spk.h"

static int32_t half_of(const uint8_t *x, uint32_t i) { return (int16_t)(uint16_t)(x[2 * i] | x[2 * i + 1] << 8); }

int32_t spk_value(const void *x, const spk_form *form, uint32_t position, uint32_t channel) {
    const uint32_t *words = x;
    const int32_t *values = x;
    const uint8_t *bytes = x;
    const uint32_t i = position * form->channels + channel;
    switch (form->element) {
    case SPK_BITS:
        return (int32_t)(words[position * ((form->channels + 31) / 32) + channel / 32] >> channel % 32 & 1);
    case SPK_U8:
        return bytes[i];
    case SPK_I8:
        return (int8_t)bytes[i];
    case SPK_I16:
        return half_of(bytes, i);
    case SPK_I32:
        return values[i];
    default:
        return bytes[channel * form->height * form->width + position];
    }
}

void spk_load(int32_t *v, const void *x, const spk_form *form, uint32_t position) {
    const uint32_t channels = form->channels;
    const uint8_t *bytes = x;
    uint32_t c;
    if (form->element == SPK_I32) {
        const int32_t *u = (const int32_t *)x + position * channels, *const end = u + channels;
        while (u < end) *v++ = *u++;
    } else if (form->element == SPK_BITS) {
        const uint32_t *words = (const uint32_t *)x + position * ((channels + 31) / 32);
        for (c = 0; c < channels; c++) v[c] = (int32_t)(words[c / 32] >> c % 32 & 1);
    } else if (form->element == SPK_I16) {
        for (c = 0; c < channels; c++) v[c] = half_of(bytes, position * channels + c);
    } else if (form->element == SPK_U8) {
        for (c = 0, bytes += position * channels; c < channels; c++) v[c] = bytes[c];
    } else {
        for (c = 0; c < channels; c++) v[c] = spk_value(x, form, position, c);
    }
}

static void store_bits(uint32_t *word, const int32_t *v, uint32_t left) {
    while (left) {
        const uint32_t some = left < 32 ? left : 32;
        uint32_t i, bits = 0;
        for (i = some; i; i--) bits = bits << 1 | (uint32_t)v[i - 1];
        *word++ = bits;
        v += some;
        left -= some;
    }
}

void spk_store(void *y, const spk_form *form, uint32_t position, const int32_t *v) {
    const uint32_t channels = form->channels;
    uint32_t c;
    if (form->element == SPK_BITS) {
        store_bits((uint32_t *)y + position * ((channels + 31) / 32), v, channels);
    } else if (form->element == SPK_I32) {
        memcpy((int32_t *)y + position * channels, v, channels * sizeof *v);
    } else if (form->element == SPK_I16) {
        uint8_t *bytes = (uint8_t *)y + 2 * position * channels;
        for (c = 0; c < channels; c++) {
            bytes[2 * c] = (uint8_t)v[c];
            bytes[2 * c + 1] = (uint8_t)((uint32_t)v[c] >> 8);
        }
    } else {
        uint8_t *bytes = (uint8_t *)y + position * channels;
        for (c = 0; c < channels; c++) bytes[c] = (uint8_t)v[c];
    }
}

void spk_put(void *y, const spk_form *form, uint32_t position, uint32_t channel, int32_t value) {
    const uint32_t i = position * form->channels + channel;
    uint8_t *bytes = y;
    if (form->element == SPK_BITS) {
        uint32_t *word = (uint32_t *)y + position * ((form->channels + 31) / 32) + channel / 32;
        *word = (*word & ~(1u << channel % 32)) | (uint32_t)value << channel % 32;
    } else if (form->element == SPK_I32) {
        ((int32_t *)y)[i] = value;
    } else if (form->element == SPK_I16) {
        bytes[2 * i] = (uint8_t)value;
        bytes[2 * i + 1] = (uint8_t)((uint32_t)value >> 8);
    } else {
        bytes[i] = (uint8_t)value;
    }
}
