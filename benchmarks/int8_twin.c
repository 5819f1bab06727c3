/* A convolutional network of 8-bit integers without spikes, in plain C: what a spiking one is compared with.

   Maps are int8 [rows, columns, channels]. Weights are int8 in groups of four outputs, so that one pointer walks
   through them: [outputs / 4, kernel rows, kernel columns, channels, 4]. Sums have 32 bits, a multiplier of 31 bits for
   each channel scales them, and a lower end of 0 is a ReLU. Padding is no work: loops end where the map does. */
#include "int8_twin.h"

static int8_t scaled(int32_t sum, int32_t multiplier, uint32_t shift, int32_t low) {
    int32_t y = (int32_t)(((int64_t)sum * multiplier + INT64_C(0x80000000)) >> 32);
    y = (y + (1 << shift >> 1)) >> shift;
    return (int8_t)(y < low ? low : y > 127 ? 127 : y);
}

/* One value times four outputs' weights. */
static inline void add_value(int32_t *a, int32_t *b, int32_t *c, int32_t *d, int32_t x, const int8_t *w) {
    *a += x * w[0];
    *b += x * w[1];
    *c += x * w[2];
    *d += x * w[3];
}

/* Sums of four outputs over a row of a window: n values that lie side by side. */
static inline void add_row(int32_t *sum, const int8_t *x, const int8_t *w, uint32_t n) {
    int32_t a = sum[0], b = sum[1], c = sum[2], d = sum[3];
    for (; n >= 4; n -= 4, x += 4, w += 16) {
        add_value(&a, &b, &c, &d, x[0], w);
        add_value(&a, &b, &c, &d, x[1], w + 4);
        add_value(&a, &b, &c, &d, x[2], w + 8);
        add_value(&a, &b, &c, &d, x[3], w + 12);
    }
    for (; n; n--, x++, w += 4) add_value(&a, &b, &c, &d, *x, w);
    sum[0] = a;
    sum[1] = b;
    sum[2] = c;
    sum[3] = d;
}

void int8_conv(int8_t *y, const int8_t *x, const int8_conv_constants *k) {
    const uint32_t row = k->width * k->channels, tap = 4 * k->channels, group = k->kernel * k->kernel * tap;
    uint32_t i, j, o, r;
    for (i = 0; i < k->out_height; i++)
        for (j = 0; j < k->out_width; j++) {
            const int32_t top = (int32_t)(i * k->stride) - (int32_t)k->pad;
            const int32_t left = (int32_t)(j * k->stride) - (int32_t)k->pad;
            const uint32_t first_row = top < 0 ? (uint32_t)-top : 0, first = left < 0 ? (uint32_t)-left : 0;
            const int32_t rows = (int32_t)k->height - top, columns = (int32_t)k->width - left;
            const uint32_t end_row = rows < (int32_t)k->kernel ? (uint32_t)rows : k->kernel;
            const uint32_t end = columns < (int32_t)k->kernel ? (uint32_t)columns : k->kernel;
            const int8_t *const corner =
                x + (top + (int32_t)first_row) * (int32_t)row + (left + (int32_t)first) * (int32_t)k->channels;
            const int8_t *w = k->weight + (first_row * k->kernel + first) * tap;
            for (o = 0; o < k->outputs; o += 4, w += group) {
                const int8_t *from = corner, *weights = w;
                int32_t sum[4];
                for (r = 0; r < 4; r++) sum[r] = k->bias[o + r];
                for (r = first_row; r < end_row; r++, from += row, weights += k->kernel * tap)
                    add_row(sum, from, weights, (end - first) * k->channels);
                for (r = 0; r < 4; r++) *y++ = scaled(sum[r], k->multiplier[o + r], k->shift, k->low);
            }
        }
}

void int8_linear(int32_t *y, const int8_t *x, const int8_conv_constants *k) {
    uint32_t o;
    for (o = 0; o < k->outputs; o += 4) {
        uint32_t r;
        for (r = 0; r < 4; r++) y[o + r] = k->bias[o + r];
        add_row(y + o, x, k->weight + o * k->channels, k->channels);
    }
}

void int8_max(int8_t *y, const int8_t *x, uint32_t height, uint32_t width, uint32_t channels, uint32_t size) {
    uint32_t i, j, a, b, c;
    for (i = 0; i + size <= height; i += size)
        for (j = 0; j + size <= width; j += size, y += channels)
            for (a = 0; a < size; a++)
                for (b = 0; b < size; b++) {
                    const int8_t *from = x + ((i + a) * width + j + b) * channels;
                    for (c = 0; c < channels; c++)
                        if ((!a && !b) || from[c] > y[c]) y[c] = from[c];
                }
}

void int8_add(int8_t *y, const int8_t *x, uint32_t size) {
    uint32_t i;
    for (i = 0; i < size; i++) {
        const int32_t sum = (y[i] + x[i] + 1) >> 1;
        y[i] = (int8_t)(sum < 0 ? 0 : sum);
    }
}

void int8_mean(int8_t *y, const int8_t *x, uint32_t height, uint32_t width, uint32_t channels, uint32_t size) {
    uint32_t i, j, a, b, c;
    for (i = 0; i + size <= height; i += size)
        for (j = 0; j + size <= width; j += size)
            for (c = 0; c < channels; c++) {
                int32_t sum = (int32_t)(size * size / 2);
                for (a = 0; a < size; a++)
                    for (b = 0; b < size; b++) sum += x[((i + a) * width + j + b) * channels + c];
                *y++ = (int8_t)(sum / (int32_t)(size * size));
            }
}
