/* conv and linear (O2, O3) of spikes, 32 outputs at a time.

   Weights are fields whose bits lie in planes: a row holds, for one tap and channel, a word of each bit for every 32
   outputs. The rows of the spikes that are there are added by carry-save adders, eight at once, into counters whose
   bits lie in planes too. No population count, and no step for what does not fire. */
#include "spk.h"

enum { EVENTS = 32 }; /* rows that are gathered before they are added, a multiple of 8 */

typedef struct {
    uint32_t rows[EVENTS]; /* where they begin in the weights */
    uint32_t count, total;
} events;

/* Two of the three inputs' sums: `a` keeps the bits of weight 1, the result has those of weight 2. */
static inline uint32_t carry(uint32_t *a, uint32_t b, uint32_t c) {
    const uint32_t u = *a ^ b, both = *a & b;
    *a = u ^ c;
    return both | (u & c);
}

static void add_rows(uint32_t *counter, const uint32_t *weight, const uint32_t *row, const uint32_t *end) {
    uint32_t ones = counter[0], twos = counter[1], fours = counter[2];
    for (; row < end; row += 8) {
        const uint32_t a = carry(&ones, weight[row[0]], weight[row[1]]);
        const uint32_t b = carry(&twos, a, carry(&ones, weight[row[2]], weight[row[3]]));
        const uint32_t c = carry(&ones, weight[row[4]], weight[row[5]]);
        const uint32_t d = carry(&twos, c, carry(&ones, weight[row[6]], weight[row[7]]));
        uint32_t eights = carry(&fours, b, d), *plane = counter + 3;
        for (; eights; plane++) {
            const uint32_t old = *plane;
            *plane = old ^ eights;
            eights &= old;
        }
    }
    counter[0] = ones;
    counter[1] = twos;
    counter[2] = fours;
}

static void flush(uint32_t *counters, const spk_slices *k, events *found) {
    uint32_t i;
    found->total += found->count;
    while (found->count % 8) found->rows[found->count++] = k->zeros;
    for (i = 0; i < k->bits * k->words; i++)
        add_rows(counters + i * k->depth, k->weight + i, found->rows, found->rows + found->count);
    found->count = 0;
}

static uint32_t lowest(uint32_t word) {
    static const uint8_t place[32] = {0,  1,  28, 2,  29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
                                      31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9};
    return place[((word & (0u - word)) * 0x077cb531u) >> 27];
}

static void gather(uint32_t *counters, const spk_slices *k, events *found, const uint32_t *x, uint32_t row) {
    const uint32_t stride = k->bits * k->words, *end = x + (k->x.channels + 31) / 32;
    uint32_t word, *next = found->rows + found->count, *const full = found->rows + EVENTS;
    for (; x < end; x++, row += 32 * stride)
        for (word = *x; word; word &= word - 1) {
            *next++ = row + lowest(word) * stride;
            if (next < full) continue;
            found->count = EVENTS;
            flush(counters, k, found);
            next = found->rows;
        }
    found->count = (uint32_t)(next - found->rows);
}

/* Eight outputs' bits of eight planes, from `bit` on, as eight bytes: an 8 x 8 matrix of bits, transposed. */
static void bytes_of(uint32_t *low, uint32_t *high, const uint32_t *plane, uint32_t count, uint32_t bit) {
    uint32_t a = 0, b = 0, t, q;
    for (q = 0; q < 4; q++) a |= (plane[q] >> bit & 255) << 8 * q;
    for (q = 4; q < 8 && count > 4; q++) b |= (plane[q] >> bit & 255) << (8 * q - 32);
    t = (a ^ a >> 7) & 0x00aa00aau;
    a ^= t ^ t << 7;
    t = (b ^ b >> 7) & 0x00aa00aau;
    b ^= t ^ t << 7;
    t = (a ^ a >> 14) & 0x0000ccccu;
    a ^= t ^ t << 14;
    t = (b ^ b >> 14) & 0x0000ccccu;
    b ^= t ^ t << 14;
    t = (a ^ b << 4) & 0xf0f0f0f0u;
    *low = a ^ t;
    *high = b ^ t >> 4;
}

/* base, and a word's counters times scale, of 32 outputs; without a base, onto what is there. depth: 4, 8, 12 or 16. */
static void add_counts(int32_t *v, const uint32_t *counter, uint32_t depth, uint32_t scale, const uint32_t *base) {
    uint32_t bit, b, low[2], high[2];
    for (bit = 0; bit < 32; bit += 8, v += 8) {
        bytes_of(low, low + 1, counter, depth, bit);
        for (b = 0; b < 4; b++) {
            v[b] = (int32_t)((base ? *base : (uint32_t)v[b]) + scale * (low[0] >> 8 * b & 255));
            v[b + 4] = (int32_t)((base ? *base : (uint32_t)v[b + 4]) + scale * (low[1] >> 8 * b & 255));
        }
        if (depth <= 8) continue;
        bytes_of(high, high + 1, counter + 8, depth - 8, bit);
        for (b = 0; b < 4; b++) {
            spk_accumulate(v + b, (scale << 8) * (high[0] >> 8 * b & 255));
            spk_accumulate(v + b + 4, (scale << 8) * (high[1] >> 8 * b & 255));
        }
    }
}

void spk_conv_bits(int32_t *v, uint32_t *counters, const spk_slices *k, const void *x, uint32_t row, uint32_t column) {
    const uint32_t top = row * k->stride_height - k->pad_height, left = column * k->stride_width - k->pad_width;
    const uint32_t inputs = (k->x.channels + 31) / 32, tap = k->x.channels * k->bits * k->words;
    uint32_t a, b, base, depth, i, j;
    events found;
    found.count = found.total = 0;
    memset(counters, 0, k->bits * k->words * k->depth * sizeof *counters);
    for (a = 0; a < k->kernel_height; a++) {
        i = top + a * k->dilation_height;
        for (b = 0; b < k->kernel_width; b++) {
            j = left + b * k->dilation_width;
            if (i < k->x.height && j < k->x.width)
                gather(counters, k, &found, (const uint32_t *)x + (i * k->x.width + j) * inputs,
                       (a * k->kernel_width + b) * tap);
        }
    }
    flush(counters, k, &found);
    base = found.total * (uint32_t)k->offset;
    depth = found.total < 16 ? 4 : found.total < 256 ? 8 : k->depth; /* no counter is above the number of spikes */
    for (i = 0; i < k->bits; i++)
        for (j = 0; j < k->words; j++)
            add_counts(v + 32 * j, counters + (i * k->words + j) * k->depth, depth, (uint32_t)k->scale << i,
                       i ? 0 : &base);
}
