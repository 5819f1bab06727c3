/* conv and linear (O2, O3), one group: for every value that is not zero, its row of weights is added.

   code = scale * field + offset, so that n[o] = scale * (sum of field * x) + offset * (sum of x). Rows are gathered and
   added together: four rows of bytes; of fewer bits sixteen, to four outputs whose sums stay in registers. */
#include "spk.h"

enum { EVENTS = 16 };

typedef struct {
    const uint8_t *rows[EVENTS];
    uint32_t values[EVENTS];
    uint32_t count;
} events;

/* Adds four fields of `bits` bits of every event, the first at bit `first` of a byte. */
static inline void add_four(int32_t *v, const events *found, uint32_t byte, uint32_t first, uint32_t bits) {
    const uint32_t mask = (1u << bits) - 1, count = found->count;
    uint32_t a = (uint32_t)v[0], b = (uint32_t)v[1], c = (uint32_t)v[2], d = (uint32_t)v[3], i;
    for (i = 0; i < count; i++) {
        const uint8_t *row = found->rows[i] + byte;
        const uint32_t x = found->values[i];
        const uint32_t field = bits == 4 ? (uint32_t)row[0] | (uint32_t)row[1] << 8 : (uint32_t)row[0] >> first;
        a += x * (field & mask);
        b += x * (field >> bits & mask);
        c += x * (field >> 2 * bits & mask);
        d += x * (field >> 3 * bits & mask);
    }
    v[0] = (int32_t)a;
    v[1] = (int32_t)b;
    v[2] = (int32_t)c;
    v[3] = (int32_t)d;
}

/* Adds one field of every event: those at the end of a row that are not four. */
static void add_one(int32_t *v, const events *found, uint32_t byte, uint32_t first, uint32_t mask) {
    uint32_t i;
    for (i = 0; i < found->count; i++) spk_accumulate(v, found->values[i] * (found->rows[i][byte] >> first & mask));
}

static void add_fields(int32_t *v, const spk_synapses *k, events *found) {
    const uint32_t bytes = k->row_bytes;
    uint32_t byte = 0;
    if (k->bits == 4) {
        for (; byte + 2 <= bytes; byte += 2, v += 4) add_four(v, found, byte, 0, 4);
        if (byte < bytes) {
            add_one(v, found, byte, 0, 15);
            add_one(v + 1, found, byte, 4, 15);
        }
    } else if (k->bits == 2) {
        for (; byte < bytes; byte++, v += 4) add_four(v, found, byte, 0, 2);
    } else {
        for (; byte < bytes; byte++, v += 8) {
            add_four(v, found, byte, 0, 1);
            add_four(v + 4, found, byte, 4, 1);
        }
    }
    found->count = 0;
}

static void gather(int32_t *v, const spk_synapses *k, events *found, const uint8_t *row, uint32_t x) {
    found->rows[found->count] = row;
    found->values[found->count++] = x;
    if (found->count == EVENTS) add_fields(v, k, found);
}

/* The same of byte weights. */
static void take(int32_t *v, spk_rows *some, const int8_t *row, uint32_t bytes, uint32_t x) {
    const uint32_t count = some->count;
    some->row[count] = row;
    some->x[count] = x;
    some->count = count + 1;
    if (count + 1 < SPK_ROWS) return;
    spk_add_rows(v, some, bytes);
    some->count = 0;
}

static uint32_t take_spikes(int32_t *v, const spk_synapses *k, spk_rows *some, const uint32_t *x, uint32_t first) {
    const uint32_t bytes = k->row_bytes, *end = x + (k->x.channels + 31) / 32;
    const int8_t *rows = (const int8_t *)k->weight + first * bytes, *row;
    uint32_t word, count = 0;
    for (; x < end; x++, rows += 32 * bytes)
        for (word = *x, row = rows; word; word >>= 1, row += bytes)
            if (word & 1) {
                take(v, some, row, bytes, 1);
                count++;
            }
    return count;
}

static uint32_t take_bytes(int32_t *v, const spk_synapses *k, spk_rows *some, const uint8_t *x, uint32_t first) {
    const uint32_t bytes = k->row_bytes;
    const int8_t *row = (const int8_t *)k->weight + first * bytes;
    const uint8_t *end = x + k->x.channels;
    uint32_t sum = 0;
    for (; x < end; x++, row += bytes) {
        const uint32_t value = *x;
        if (value) take(v, some, row, bytes, value);
        sum += value;
    }
    return sum;
}

static uint32_t add_position(int32_t *v, const spk_synapses *k, spk_rows *some, events *found, const void *x,
                             uint32_t position, uint32_t tap) {
    const uint32_t channels = k->x.channels, first = tap * channels;
    const uint32_t *words = (const uint32_t *)x + position * ((channels + 31) / 32);
    const int are_bits = k->x.element == SPK_BITS;
    const uint8_t *row = k->weight + first * k->row_bytes;
    uint32_t c, word = 0, sum = 0;
    if (k->bits == 8 && are_bits) return take_spikes(v, k, some, words, first);
    if (k->bits == 8 && k->x.element == SPK_U8)
        return take_bytes(v, k, some, (const uint8_t *)x + position * channels, first);
    for (c = 0; c < channels; c++, row += k->row_bytes) {
        uint32_t value;
        if (are_bits) {
            if (c % 32 == 0) word = *words++;
            value = word & 1;
            word >>= 1;
        } else {
            value = (uint32_t)spk_value(x, &k->x, position, c);
        }
        if (value && k->bits == 8)
            take(v, some, (const int8_t *)row, k->row_bytes, value);
        else if (value)
            gather(v, k, found, row, value);
        sum += value;
    }
    return sum;
}

void spk_conv(int32_t *v, const spk_synapses *k, const void *x, uint32_t row, uint32_t column) {
    const uint32_t top = row * k->stride_height - k->pad_height, left = column * k->stride_width - k->pad_width;
    uint32_t a, b, o, i, j, sum = 0;
    spk_rows some;
    events found;
    some.count = found.count = 0;
    memset(v, 0, k->row_bytes * (8 / k->bits) * sizeof *v);
    for (a = 0; a < k->kernel_height; a++) {
        i = top + a * k->dilation_height; /* before the first row it wraps, and is beyond the last */
        for (b = 0; b < k->kernel_width; b++) {
            j = left + b * k->dilation_width;
            if (i < k->x.height && j < k->x.width)
                sum += add_position(v, k, &some, &found, x, i * k->x.width + j, a * k->kernel_width + b);
        }
    }
    if (some.count) spk_add_rest(v, &some, k->row_bytes);
    if (found.count) add_fields(v, k, &found);
    if (k->scale == 1 && !k->offset) return;
    for (o = 0; o < k->outputs; o++) v[o] = (int32_t)((uint32_t)v[o] * (uint32_t)k->scale + sum * (uint32_t)k->offset);
}
