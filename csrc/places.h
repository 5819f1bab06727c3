/* Spikes through 1-bit weights, places side by side: a vector has a bit for each of many output pixels and steps, and
   an output's ones are counted at all of them at once. What is added up are whole maps, shifted under a tap, however
   many spikes they have; lists say which synapses of an output have a weight of +1. With codes +1 and -1

     n = 2 (spikes under weights of +1) - (all spikes of the window).

   Places. A row of an output map, P = 1, 2, 4 or 8 bytes of bits, is as short as 8 P >= out_w allows. A strip of
   ROW = 64 bytes holds `steps` * `band` such rows, step by step; all steps of `band` rows are so many strips.

     taps   [kernel_w][in_c][in_t][rows] P bytes: a channel's row at a step, shifted by the column of a tap; rows of
            padding are there, empty
     table  [synapses + 1] ROW bytes: what a strip sees under each tap; the last is empty, and fills lists up
     planes [PLANES][64 + 1] ROW bytes: bit p of 64 outputs' counts. Transposed, 64 * 64 bits at a time, word l of
            row i has the bits of all outputs at place 64 l + i
     sums   [strips][groups of 64 outputs][places][64] int16: twice the counts
     totals [strips][places] int16: the spikes of a window

   Output 8 a + b is row 8 b + a of a plane, so that bit 8 b + a of a word is its. Sums of all windows are int16. */

#ifndef SPIKELET_PLACES_H
#define SPIKELET_PLACES_H

#include "sliced.h"
#include "transpose.h"

enum {
    ROW = 64,
    GROUP = 64,
    ROWS_LISTED = 8,
    PLANE = (GROUP + 1) * ROW, /* not a page, or planes would share lines of the nearest cache */
    STRIP = 8 * ROW,
    SUM_BYTES = 2 * GROUP, /* sums of a group at a place, and at all places of a strip */
    GROUP_BYTES = STRIP * SUM_BYTES
};

/* How places lie in strips. */
typedef struct strip_shape {
    size_t pitch; /* bytes of a row */
    size_t band;  /* position rows that are computed at once, whole windows of O7 */
    size_t steps; /* of a strip */
    size_t strips;
    size_t rows; /* of a step's taps */
    size_t groups;
} strip_shape;

SPK_INLINE strip_shape strip_shape_of(const spk_op *op) {
    const size_t high = (size_t)op->max_h, positions = (size_t)op->out_h * high, times = (size_t)op->in_t;
    const size_t width = (size_t)op->out_w * (size_t)op->max_w;
    strip_shape s = {.pitch = width <= 8 ? 1 : width <= 16 ? 2 : width <= 32 ? 4 : 8};
    s.band = ROW / (s.pitch * times) / high * high;
    if (s.band < high) s.band = high;
    if (s.band > positions) s.band = positions;
    s.steps = ROW / (s.pitch * s.band);
    if (s.steps > times) s.steps = times;
    s.strips = (times + s.steps - 1) / s.steps;
    const size_t read = spk_round_up(positions, s.band) + (size_t)op->kernel_h - 1;
    const size_t written = (size_t)op->pad_h + spk_round_up((size_t)op->in_h, ROWS_LISTED);
    s.rows = read > written ? read : written;
    s.groups = ((size_t)op->out_c + GROUP - 1) / GROUP;
    return s;
}

typedef struct places_scratch {
    strip_shape shape;
    uint8_t *taps, *table, *planes, *sums;
    int16_t *totals;
    uint32_t *rows; /* of the table, that an output adds up */
    size_t first;   /* position row of the band at hand */
    sweep_scratch sweep;
} places_scratch;

SPK_INLINE size_t synapses_of(const spk_op *op) {
    return (size_t)op->kernel_h * (size_t)op->kernel_w * (size_t)op->in_c;
}

SPK_INLINE size_t taps_bytes(const spk_op *op, const strip_shape *s) {
    return (size_t)op->kernel_w * (size_t)op->in_c * (size_t)op->in_t * s->rows * s->pitch;
}

SPK_INLINE places_scratch places_carve(const spk_op *op, spk_area *area) {
    places_scratch s = {.shape = strip_shape_of(op)};
    s.taps = spk_carve(area, taps_bytes(op, &s.shape) + ROW);
    s.table = spk_carve(area, (synapses_of(op) + 2) * ROW);
    s.planes = spk_carve(area, (size_t)PLANES * PLANE);
    s.sums = spk_carve(area, s.shape.strips * s.shape.groups * GROUP_BYTES);
    s.totals = spk_carve(area, s.shape.strips * STRIP * sizeof(int16_t));
    s.rows = spk_carve(area, spk_round_up(synapses_of(op), UNIT) * sizeof(uint32_t));
    s.sweep = sweep_carve(op, spk_round_up((size_t)op->out_c, 16), 0, area);
    return s;
}

static int64_t places_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)places_carve(op, &area);
    return (int64_t)area.used;
}

SPK_INLINE void load_rows(wide a[8], const uint8_t *first, size_t apart) {
    for (size_t i = 0; i < 8; i++) a[i] = w_load(first + i * apart);
}
SPK_INLINE void store_rows(uint8_t *first, size_t apart, const wide a[8]) {
    for (size_t i = 0; i < 8; i++) w_store(first + i * apart, a[i]);
}

/* 64 rows of ROW bytes: each word of a row and those below it, 64 * 64 bits, are transposed. */
static void transpose_rows(uint8_t *rows) {
    for (size_t column = 0; column < ROW; column += WIDE) {
        for (size_t i = 0; i < 8; i++) {
            wide a[8];
            load_rows(a, rows + column + i * ROW, 8 * (size_t)ROW);
            swap_apart(a);
            store_rows(rows + column + i * ROW, 8 * (size_t)ROW, a);
        }
        for (size_t i = 0; i < 8; i++) {
            wide a[8];
            load_rows(a, rows + column + i * 8 * ROW, ROW);
            swap_beside(a);
            store_rows(rows + column + i * 8 * ROW, ROW, a);
        }
    }
}

/* The lowest `pitch` bytes of eight words, side by side. */
SPK_INLINE void put_rows(uint8_t *to, const uint64_t words[ROWS_LISTED], size_t pitch) {
    for (size_t b = 0; b < ROWS_LISTED; b++) {
        const uint64_t word = words[b];
        const uint32_t half = (uint32_t)word;
        const uint16_t quarter = (uint16_t)word;
        if (pitch == 8) memcpy(to + 8 * b, &word, 8);
        if (pitch == 4) memcpy(to + 4 * b, &half, 4);
        if (pitch == 2) memcpy(to + 2 * b, &quarter, 2);
        if (pitch == 1) to[b] = (uint8_t)word;
    }
}

/* Eight words, moved to lower bits, or to higher ones where `by` is negative. */
SPK_INLINE void shift_words(const uint64_t *from, int by, uint64_t to[ROWS_LISTED]) {
    for (size_t b = 0; b < ROWS_LISTED; b++) to[b] = by < 0 ? from[b] << -by : from[b] >> by;
}

/* `rows`: of pixels' words [64][8], 8 rows of a map side by side, transposed: [channels][8] rows of bits. They go to
   where `taps` has them for each column of the kernel; `apart` bytes lie between channels. */
SPK_INLINE void put_taps(const spk_op *op, const uint8_t *rows, size_t channels, uint8_t *taps, size_t apart,
                         size_t pitch) {
    const size_t column = (size_t)op->in_c * apart;
    for (size_t c = 0; c < channels; c++) {
        uint64_t words[ROWS_LISTED], moved[ROWS_LISTED];
        memcpy(words, rows + c * ROW, ROW);
        for (int32_t v = 0; v < op->kernel_w; v++) {
            shift_words(words, v - op->pad_w, moved);
            put_rows(taps + (size_t)v * column + c * apart, moved, pitch);
        }
    }
}

SPK_INLINE void list_taps_of(const spk_op *op, const spk_frame *f, const places_scratch *s, size_t t, size_t y,
                             size_t word, uint8_t *rows, size_t pitch) {
    const size_t width = (size_t)op->in_w, words = spk_words(op->in_c), high = (size_t)op->in_h;
    const size_t here = high - y < ROWS_LISTED ? high - y : ROWS_LISTED, left = (size_t)op->in_c - 64 * word;
    const uint64_t *from = spk_spikes_at(f, op->src) + (t * high + y) * width * words + word;
    memset(rows, 0, (size_t)GROUP * ROW);
    for (size_t b = 0; b < here; b++, from += width * words)
        for (size_t x = 0; x < width; x++) memcpy(rows + x * ROW + 8 * b, from + x * words, 8);
    transpose_rows(rows);
    const size_t apart = (size_t)op->in_t * s->shape.rows * pitch;
    uint8_t *const to = s->taps + 64 * word * apart + (t * s->shape.rows + (size_t)op->pad_h + y) * pitch;
    put_taps(op, rows, left < 64 ? left : 64, to, apart, pitch);
}

/* All of the source, as `taps`. */
static void list_taps(const spk_op *op, const spk_frame *f, const places_scratch *s) {
    spk_clear(f, s->taps, taps_bytes(op, &s->shape) + ROW);
    for (size_t t = 0; t < (size_t)op->in_t; t++) {
        for (size_t y = 0; y < (size_t)op->in_h; y += ROWS_LISTED) {
            for (size_t w = 0; w < spk_words(op->in_c) && !spk_stopped(f); w++) {
                switch (s->shape.pitch) {
                case 1:
                    list_taps_of(op, f, s, t, y, w, s->planes, 1);
                    break;
                case 2:
                    list_taps_of(op, f, s, t, y, w, s->planes, 2);
                    break;
                case 4:
                    list_taps_of(op, f, s, t, y, w, s->planes, 4);
                    break;
                default:
                    list_taps_of(op, f, s, t, y, w, s->planes, 8);
                    break;
                }
            }
        }
    }
}

/* What a strip of the rows from position row y on, and of `steps` steps from t on, sees under each tap. What is written
   past a row is written anew by what comes next. */
SPK_INLINE void fill_table(const spk_op *op, const places_scratch *s, size_t y, size_t t, size_t steps) {
    const strip_shape *const k = &s->shape;
    const size_t part = k->band * k->pitch, step = k->rows * k->pitch, channel = (size_t)op->in_t * step;
    uint8_t *to = s->table;
    for (size_t u = 0; u < (size_t)op->kernel_h; u++) {
        const uint8_t *from = s->taps + t * step + (y + u) * k->pitch;
        for (size_t i = 0; i < (size_t)op->kernel_w * (size_t)op->in_c; i++, from += channel, to += ROW)
            for (size_t r = 0; r < steps; r++)
                for (size_t at = 0; at < part; at += 32) v_store(to + r * part + at, v_load(from + r * step + at));
    }
    memset(to, 0, ROW);
}

/* `n` numbers of synapses as offsets in the table; or those of all synapses, filled up to a multiple of UNIT. */
SPK_INLINE void find_rows(const uint16_t *numbers, size_t n, uint32_t *rows) {
    for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)numbers[i] * ROW;
}
SPK_INLINE size_t find_all_rows(const spk_op *op, uint32_t *rows) {
    const size_t n = synapses_of(op), filled = spk_round_up(n, UNIT);
    for (size_t i = 0; i < filled; i++) rows[i] = (uint32_t)((i < n ? i : n) * ROW);
    return filled;
}

/* Counts of the spikes in `n` rows of the table. */
SPK_INLINE size_t count_rows(const places_scratch *s, size_t n, size_t column, wide planes[PLANES]) {
    streams e = {.weight = s->table + column, .planes = 1, .most = (uint32_t)n};
    e.events[0] = s->rows;
    e.n[0] = n;
    return sliced_count(planes, &e, WHOLE);
}

/* The spikes of all windows of a strip: byte i of bytes k is place 8 i + k. */
SPK_INLINE void count_all(const spk_op *op, const places_scratch *s, int16_t *totals) {
    const size_t n = find_all_rows(op, s->rows);
    for (size_t column = 0; column < ROW; column += WIDE, totals += 8 * WIDE) {
        wide planes[PLANES];
        uint8_t low[8 * WIDE], high[8 * WIDE];
        for (size_t p = count_rows(s, n, column, planes); p < PLANES; p++) planes[p] = w_zero();
        swap_beside(planes);
        swap_beside(planes + 8);
        store_rows(low, WIDE, planes);
        store_rows(high, WIDE, planes + 8);
        for (size_t i = 0; i < WIDE; i++)
            for (size_t k = 0; k < 8; k++) totals[8 * i + k] = (int16_t)(low[k * WIDE + i] | high[k * WIDE + i] << 8);
    }
}

/* Planes that counts of as many as the longest list has take. */
SPK_INLINE size_t planes_of_lists(const spk_op *op) {
    const size_t longest = *(const uint16_t *)op->weight;
    size_t planes = IN_HAND;
    while (longest >> planes) planes++;
    return planes;
}

/* `used` planes of the counts of `outputs` outputs, whose lists follow each other; returns the list behind the last. */
SPK_INLINE const uint16_t *count_group(const spk_frame *f, const places_scratch *s, const uint16_t *list,
                                       size_t outputs, size_t used) {
    const size_t plane = PLANE;
    if (outputs < GROUP) spk_clear(f, s->planes, used * plane);
    for (size_t o = 0; o < outputs && !spk_stopped(f); o++) {
        uint8_t *const to = s->planes + (8 * (o % 8) + o / 8) * ROW;
        const size_t n = *list++;
        find_rows(list, n, s->rows);
        list += n;
        for (size_t column = 0; column < ROW; column += WIDE) {
            wide planes[PLANES];
            const size_t here = count_rows(s, n, column, planes);
            for (size_t p = 0; p < used; p++) w_store(to + p * plane + column, p < here ? planes[p] : w_zero());
        }
    }
    return list;
}

/* Twice the numbers in `used` planes: eight of their bytes, the lower or the higher ones. */
SPK_INLINE void doubled_bytes(const uint8_t *planes, size_t used, int high, wide to[8]) {
    const size_t first = high ? 7 : 0;
    if (!high) to[0] = w_zero();
    for (size_t i = high ? 0 : 1, p = first; i < 8; i++, p++) to[i] = p < used ? w_load(planes + p * PLANE) : w_zero();
    swap_beside(to);
}

/* Planes of 64 outputs at a strip's places to twice their counts. */
SPK_INLINE void put_group(const spk_frame *f, const places_scratch *s, size_t used, uint8_t *sums) {
    for (size_t p = 0; p < used; p++) transpose_rows(s->planes + p * PLANE);
    for (size_t i = 0; i < 64 && !spk_stopped(f); i++, sums += SUM_BYTES) {
        for (size_t column = 0; column < ROW; column += WIDE) {
            uint8_t *const to = sums + 8 * column * SUM_BYTES;
            wide low[8], high[8];
            doubled_bytes(s->planes + i * ROW + column, used, 0, low);
            doubled_bytes(s->planes + i * ROW + column, used, 1, high);
            for (size_t k = 0; k < 8; k++) {
                w_put_parts(to + 16 * k, 128 * SUM_BYTES, w_zip8(low[k], high[k], 0));
                w_put_parts(to + 16 * k + 64 * SUM_BYTES, 128 * SUM_BYTES, w_zip8(low[k], high[k], 1));
            }
        }
    }
}

/* Sums of all steps of the rows from position row y on. */
static void places_band(const spk_op *op, const spk_frame *f, const places_scratch *s, size_t y) {
    const strip_shape *const k = &s->shape;
    const size_t used = planes_of_lists(op);
    uint8_t *sums = s->sums;
    for (size_t strip = 0; strip < k->strips; strip++) {
        const size_t t = strip * k->steps, left = (size_t)op->in_t - t;
        fill_table(op, s, y, t, left < k->steps ? left : k->steps);
        const uint16_t *list = (const uint16_t *)op->weight + 1;
        count_all(op, s, s->totals + strip * STRIP);
        for (size_t g = 0; g < k->groups && !spk_stopped(f); g++, sums += GROUP_BYTES) {
            const size_t outputs = (size_t)op->out_c - g * GROUP;
            list = count_group(f, s, list, outputs < GROUP ? outputs : GROUP, used);
            put_group(f, s, used, sums);
        }
    }
}

static void places_begin(void *kernel, const spk_op *op, const spk_frame *f, size_t y) {
    places_scratch *s = kernel;
    const size_t row = y * (size_t)op->max_h;
    if (row % s->shape.band != 0) return;
    s->first = row;
    places_band(op, f, s, row);
}

/* Sums of 16 outputs at a place: of the counts at `at`, and the spikes of its window. */
SPK_INLINE vec place_16(const uint8_t *at, int16_t total) { return v_sub16(v_load(at), v_set16(total)); }

/* Sums of output pixel (y, x) at a strip's step t, the largest of its high * wide positions; `sums` and `totals` are
   the strip's. */
SPK_INLINE void places_pixel(const places_scratch *s, size_t y, size_t x, size_t t, const uint8_t *sums,
                             const int16_t *totals, size_t high, size_t wide, uint8_t *to) {
    const size_t row = 8 * s->shape.pitch, first = row * (t * s->shape.band + y * high - s->first) + x * wide;
    for (size_t c = 0; c < s->sweep.lanes; c += 16) {
        const uint8_t *const at = sums + c / GROUP * GROUP_BYTES + first * SUM_BYTES + c % GROUP * 2;
        vec most = place_16(at, totals[first]);
        for (size_t i = 1; i < high * wide; i++) {
            const size_t place = i / wide * row + i % wide;
            most = v_max16(most, place_16(at + place * SUM_BYTES, totals[first + place]));
        }
        v_store(to + 2 * c, most);
    }
}

/* A tile's sums. */
SPK_INLINE void places_windows(const places_scratch *s, const spk_op *op, const tile *m, size_t y, size_t x, size_t t,
                               size_t high, size_t wide) {
    const strip_shape *const k = &s->shape;
    const size_t row = m->lanes * 2, strip = k->groups * GROUP_BYTES;
    const uint8_t *sums = s->sums;
    const int16_t *totals = s->totals;
    for (; t >= k->steps; t -= k->steps) sums += strip, totals += STRIP;
    for (size_t r = 0; r < m->rows; r++) {
        uint8_t *to = (uint8_t *)m->sums + r * row;
        for (size_t p = 0; p < m->pixels; p++, to += m->steps * row) {
            places_pixel(s, y, x + p, t, sums, totals, high, wide, to);
            clear_row_pads(op, to, 1, row);
        }
        if (++t == k->steps) t = 0, sums += strip, totals += STRIP;
    }
}

static void places_tile(void *kernel, const spk_op *op, const spk_frame *f, const tile *m, size_t y, size_t x,
                        size_t t) {
    (void)f;
    const places_scratch *const s = kernel;
    const size_t high = (size_t)op->max_h, wide = (size_t)op->max_w;
    if (high * wide == 1)
        places_windows(s, op, m, y, x, t, 1, 1);
    else if (high == 2 && wide == 2)
        places_windows(s, op, m, y, x, t, 2, 2);
    else
        places_windows(s, op, m, y, x, t, high, wide);
}

static void conv_places(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    places_scratch s = places_carve(op, &area);
    spk_clear(f, s.table, (synapses_of(op) + 2) * ROW);
    list_taps(op, f, &s);
    sweep_tiles(op, f, &s.sweep, &s, places_begin, NULL, places_tile);
}

#endif
