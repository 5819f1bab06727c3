/* conv and linear (O2, O3) of spikes, 32 outputs at a time.

   Weights are fields whose bits lie in planes: a row holds, for one tap and channel, a word of each bit for every 32
   outputs. The rows of the spikes that are there are added by carry-save adders, eight at once, into counters whose
   bits lie in planes too. No population count, and no step for what does not fire. */
#include "spk.h"

typedef struct {
    uint32_t *rows; /* where those that are gathered begin in the weights: SPK_EVENTS at most */
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

/* Adds what was gathered, eight rows after eight; `all`: zeros fill the last eight. Else the rest stays. */
static void flush(uint32_t *counters, const spk_slices *k, events *found, uint32_t all) {
    uint32_t i, count, rest;
    while (all && found->count % 8) found->rows[found->count++] = k->zeros;
    rest = found->count % 8;
    count = found->count - rest;
    for (i = 0; i < k->bits * k->words; i++)
        add_rows(counters + i * k->depth, k->weight + i, found->rows, found->rows + count);
    for (i = 0; i < rest; i++) found->rows[i] = found->rows[count + i];
    found->count = rest;
}

/* The number of the lowest bit that is set, which is cleared. */
static inline uint32_t taken(uint32_t *word) {
    static const uint8_t place[32] = {0,  1,  28, 2,  29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
                                      31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9};
    const uint32_t lowest = *word & (0u - *word);
    *word ^= lowest;
    return place[(lowest * 0x077cb531u) >> 27];
}

static void gather(uint32_t *counters, const spk_slices *k, events *found, const uint32_t *x, uint32_t row) {
    const uint32_t stride = k->bits * k->words, *end = x + (k->x.channels + 31) / 32;
    for (; x < end; x++, row += 32 * stride) {
        uint32_t word = *x, *next = found->rows + found->count;
        while (word) *next++ = row + taken(&word) * stride;
        found->total += (uint32_t)(next - found->rows) - found->count;
        found->count = (uint32_t)(next - found->rows);
        if (found->count > SPK_EVENTS - 32) flush(counters, k, found, 0);
    }
}

/* Swaps the bits of `a` that `mask` << `shift` has with those of `b` that `mask` has. */
static inline void swap(uint32_t *a, uint32_t *b, uint32_t shift, uint32_t mask) {
    const uint32_t t = (*a >> shift ^ *b) & mask;
    *b ^= t;
    *a ^= t << shift;
}

/* Eight planes become bytes: four matrices of 8 x 8 bits, transposed. Output 8 b + i has byte b of word i. */
static void transpose(uint32_t *word) {
    uint32_t a = word[0], b = word[1], c = word[2], d = word[3], e = word[4], f = word[5], g = word[6], h = word[7];
    swap(&a, &e, 4, 0x0f0f0f0fu);
    swap(&b, &f, 4, 0x0f0f0f0fu);
    swap(&c, &g, 4, 0x0f0f0f0fu);
    swap(&d, &h, 4, 0x0f0f0f0fu);
    swap(&a, &c, 2, 0x33333333u);
    swap(&b, &d, 2, 0x33333333u);
    swap(&e, &g, 2, 0x33333333u);
    swap(&f, &h, 2, 0x33333333u);
    swap(&a, &b, 1, 0x55555555u);
    swap(&c, &d, 1, 0x55555555u);
    swap(&e, &f, 1, 0x55555555u);
    swap(&g, &h, 1, 0x55555555u);
    word[0] = a;
    word[1] = b;
    word[2] = c;
    word[3] = d;
    word[4] = e;
    word[5] = f;
    word[6] = g;
    word[7] = h;
}

/* base, and a word's counters times scale, of 32 outputs; without a base, onto what is there. depth: 8 or 16. */
static void add_counts(int32_t *v, uint32_t *counter, uint32_t depth, uint32_t scale, const uint32_t *base) {
    const uint32_t *end = counter + depth;
    for (; counter < end; v -= 8, scale <<= 8, base = 0) {
        const int32_t *const eight = v + 8;
        for (transpose(counter); v < eight; v++) {
            const uint32_t x = *counter++;
            if (base) v[0] = v[8] = v[16] = v[24] = (int32_t)*base;
            spk_accumulate(v, scale * (x & 255));
            spk_accumulate(v + 8, scale * (x >> 8 & 255));
            spk_accumulate(v + 16, scale * (x >> 16 & 255));
            spk_accumulate(v + 24, scale * (x >> 24));
        }
    }
}

void spk_conv_bits(int32_t *v, uint32_t *counters, const spk_slices *k, const void *x, uint32_t row, uint32_t column) {
    const uint32_t top = row * k->stride_height - k->pad_height, left = column * k->stride_width - k->pad_width;
    const uint32_t inputs = (k->x.channels + 31) / 32, tap = k->x.channels * k->bits * k->words;
    uint32_t a, b, base, depth, i, j;
    const uint32_t planes = k->bits * k->words * k->depth;
    events found;
    found.rows = counters + planes;
    found.count = found.total = 0;
    memset(counters, 0, planes * sizeof *counters);
    for (a = 0; a < k->kernel_height; a++) {
        i = top + a * k->dilation_height;
        for (b = 0; b < k->kernel_width; b++) {
            j = left + b * k->dilation_width;
            if (i < k->x.height && j < k->x.width)
                gather(counters, k, &found, (const uint32_t *)x + (i * k->x.width + j) * inputs,
                       (a * k->kernel_width + b) * tap);
        }
    }
    flush(counters, k, &found, 1);
    base = found.total * (uint32_t)k->offset;
    depth = found.total < 256 ? 8 : k->depth; /* no counter is above the number of spikes */
    for (i = 0; i < k->bits; i++)
        for (j = 0; j < k->words; j++)
            add_counts(v + 32 * j, counters + (i * k->words + j) * k->depth, depth, (uint32_t)k->scale << i,
                       i ? 0 : &base);
}
