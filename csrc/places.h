/* Spikes through 1-bit weights, places side by side: a vector has a bit for each of many output pixels and steps, and an
   output's ones are counted at all of them at once. What is added up are whole maps, shifted under a tap, however many
   spikes they have; lists say which synapses of an output have a weight of +1. With codes +1 and -1

     n = 2 (spikes under weights of +1) - (all spikes of the window).

   Places. A row of an output map, P = 1, 2, 4 or 8 bytes of bits, is as short as 8 P >= out_w allows. A strip of
   ROW = 64 bytes holds `steps` * `band` such rows, step by step; all steps of `band` rows are so many strips.

     taps   [kernel_w][in_c][in_t][rows] P bytes: a channel's row at a step, shifted by the column of a tap; rows of
            padding are there, empty
     table  [synapses + 1] ROW bytes: what a strip sees under each tap; the last is empty, and fills lists up
     planes [PLANES][64 + 1] ROW bytes: bit p of 64 outputs' counts. Transposed, 64 * 64 bits at a time, word l of row i has
            the bits of all outputs at place 64 l + i
     sums   [strips][groups of 64 outputs][64][ROW / 16][8][2][8] values: twice the counts of output 8 a + b at place
            64 (2 l + h) + i are at [i][l][a][h][b]
     totals [strips][ROW / 32][8][32] int32: twice the spikes of a window at place 256 b + 8 i + k, at [b][k][i]

   Output 8 a + b is row 8 b + a of a plane: so counts become numbers in their order (counts_to_sums). */

#ifndef SPIKELET_PLACES_H
#define SPIKELET_PLACES_H

#include "sliced.h"

enum {
    ROW = 64,
    GROUP = 64,
    ROWS_LISTED = 8,
    PLANE = (GROUP + 1) * ROW, /* not a page, or planes would share lines of the nearest cache */
    WINDOW = 16                /* positions of a window of O7, at most */
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
    int32_t *totals;
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
    const size_t values = s.shape.strips * s.shape.groups * GROUP * ROW * 8;
    s.taps = spk_carve(area, taps_bytes(op, &s.shape) + ROW);
    s.table = spk_carve(area, (synapses_of(op) + 2) * ROW);
    s.planes = spk_carve(area, (size_t)PLANES * PLANE);
    s.sums = spk_carve(area, values * (op->short_sums ? 2 : 4));
    s.totals = spk_carve(area, s.shape.strips * ROW * 8 * sizeof(int32_t));
    s.rows = spk_carve(area, spk_round_up(synapses_of(op), UNIT) * sizeof(uint32_t));
    s.sweep = sweep_carve(op, spk_round_up((size_t)op->out_c, 16), 0, area);
    return s;
}

static int64_t places_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)places_carve(op, &area);
    return (int64_t)area.used;
}

/* Squares of `j` * `j` bits beside the diagonal change places, of rows `j` apart; `low` masks columns whose bit j is 0.
 */
SPK_INLINE void swap_wide(wide *a, wide *b, int j, wide low) {
    const wide other = w_and(w_xor(w_down64(*a, j), *b), low);
    *b = w_xor(*b, other);
    *a = w_xor(*a, w_up64(other, j));
}

/* Three rounds of a transposition: rows whose numbers differ in three bits, the highest of which is worth `j`. */
SPK_INLINE void swap_rounds(uint8_t *first, size_t apart, int j, const uint64_t low[3]) {
    wide a[8];
    for (size_t i = 0; i < 8; i++) a[i] = w_load(first + i * apart);
    for (size_t round = 0; round < 3; round++) {
        const size_t other = 4 >> round;
        const wide mask = w_set64(low[round]);
        for (size_t i = 0; i < 8; i++)
            if ((i & other) == 0) swap_wide(&a[i], &a[i + other], j >> round, mask);
    }
    for (size_t i = 0; i < 8; i++) w_store(first + i * apart, a[i]);
}

/* 64 rows of ROW bytes: each word of a row and those below it, 64 * 64 bits, are transposed. */
static void transpose_rows(uint8_t *rows) {
    static const uint64_t wide_apart[3] = {0x00000000ffffffff, 0x0000ffff0000ffff, 0x00ff00ff00ff00ff};
    static const uint64_t close_by[3] = {0x0f0f0f0f0f0f0f0f, 0x3333333333333333, 0x5555555555555555};
    for (size_t column = 0; column < ROW; column += WIDE) {
        for (size_t i = 0; i < 8; i++) swap_rounds(rows + column + i * ROW, 8 * (size_t)ROW, 32, wide_apart);
        for (size_t i = 0; i < 8; i++) swap_rounds(rows + column + i * 8 * ROW, ROW, 4, close_by);
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

/* Twice the spikes of all windows of a strip. */
SPK_INLINE void count_all(const spk_op *op, const places_scratch *s, int32_t *totals) {
    enum { BLOCKS = WIDE / 32 };
    const size_t n = find_all_rows(op, s->rows);
    for (size_t column = 0; column < ROW; column += WIDE, totals += 8 * WIDE) {
        wide planes[PLANES];
        const uint32_t none[STREAMS] = {0};
        uint8_t *const to[2] = {(uint8_t *)totals, (uint8_t *)(totals + 256)};
        const size_t used = count_rows(s, n, column, planes);
        counts_to_sums(planes, used, to, none, 32, BLOCKS, 0);
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

/* Planes of 64 outputs at a strip's places to twice their counts. */
SPK_INLINE void put_group(const spk_frame *f, const places_scratch *s, size_t used, uint8_t *sums, int narrow) {
    enum { BLOCKS = WIDE / 16 };
    const size_t plane = PLANE, block = 128 * (narrow ? 2 : 4);
    const uint32_t none[STREAMS] = {0};
    for (size_t p = 0; p < used; p++) transpose_rows(s->planes + p * plane);
    for (size_t i = 0; i < 64 && !spk_stopped(f); i++) {
        for (size_t column = 0; column < ROW; column += WIDE, sums += BLOCKS * block) {
            wide planes[PLANES];
            uint8_t *to[STREAMS] = {NULL};
            for (size_t p = 0; p < used; p++) planes[p] = w_load(s->planes + p * plane + i * ROW + column);
            for (size_t b = 0; b < BLOCKS; b++) to[b] = sums + b * block;
            counts_to_sums(planes, used, to, none, 16, BLOCKS, narrow);
        }
    }
}

SPK_INLINE size_t group_bytes(const spk_op *op) { return (size_t)GROUP * ROW * 8 * (op->short_sums ? 2 : 4); }

/* Sums of all steps of the rows from position row y on. */
static void places_band(const spk_op *op, const spk_frame *f, const places_scratch *s, size_t y) {
    const strip_shape *const k = &s->shape;
    const size_t used = planes_of_lists(op);
    uint8_t *sums = s->sums;
    for (size_t strip = 0; strip < k->strips; strip++) {
        const size_t t = strip * k->steps, left = (size_t)op->in_t - t;
        fill_table(op, s, y, t, left < k->steps ? left : k->steps);
        const uint16_t *list = (const uint16_t *)op->weight + 1;
        count_all(op, s, s->totals + strip * ROW * 8);
        for (size_t g = 0; g < k->groups && !spk_stopped(f); g++, sums += group_bytes(op)) {
            const size_t outputs = (size_t)op->out_c - g * GROUP;
            list = count_group(f, s, list, outputs < GROUP ? outputs : GROUP, used);
            if (op->short_sums)
                put_group(f, s, used, sums, 1);
            else
                put_group(f, s, used, sums, 0);
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

/* Where the counts of the positions of a window are, and the spikes that each of them sees. */
typedef struct place_window {
    const uint8_t *at[WINDOW];
    int32_t total[WINDOW];
} place_window;

SPK_INLINE vec place_16(const place_window *w, size_t i, size_t byte) {
    const uint8_t *const from = w->at[i] + byte;
    return v_sub16(v_load2(from, from + 32), v_set16((int16_t)w->total[i]));
}
SPK_INLINE vec place_8(const place_window *w, size_t i, size_t byte) {
    return v_sub32(v_load(w->at[i] + byte), v_set32(w->total[i]));
}

/* The largest sums of a window's positions: 16 outputs from number c of a group on, of the part of a window that begins
   at `byte`. */
SPK_INLINE void put_16_sums(const spk_op *op, const place_window *w, size_t positions, size_t byte, size_t c,
                            uint8_t *to) {
    if (op->short_sums) {
        vec most = place_16(w, 0, byte + 4 * c);
        for (size_t i = 1; i < positions; i++) most = v_max16(most, place_16(w, i, byte + 4 * c));
        v_store(to + 2 * c, most);
        return;
    }
    for (size_t k = c; k < c + 16; k += 8) {
        vec most = place_8(w, 0, byte + 8 * k);
        for (size_t i = 1; i < positions; i++) most = v_max32(most, place_8(w, i, byte + 8 * k));
        v_store(to + 4 * k, most);
    }
}

/* Sums of output pixel (y, x) at a strip's step t; `sums` and `totals` are the strip's. */
SPK_INLINE void places_pixel(const spk_op *op, const places_scratch *s, size_t y, size_t x, size_t t,
                             const uint8_t *sums, const int32_t *totals, size_t positions, uint8_t *to) {
    const size_t lanes = s->sweep.lanes, value = op->short_sums ? 2 : 4, group = (size_t)GROUP * ROW * 8 * value;
    const size_t high = (size_t)op->max_h, wide = (size_t)op->max_w, row = 8 * s->shape.pitch;
    size_t first = row * (t * s->shape.band + y * high - s->first) + x * wide;
    place_window w;
    for (size_t i = 0; i < positions; first += row)
        for (size_t v = 0; v < wide; v++, i++) {
            const size_t place = first + v, word = place / 64;
            w.at[i] = sums + (place % 64 * 512 + word / 2 * 128 + word % 2 * 8) * value;
            w.total[i] = totals[place / 256 * 256 + place % 8 * 32 + place % 256 / 8] >> 1;
        }
    for (size_t g = 0; g * GROUP < lanes; g++, to += GROUP * value)
        for (size_t c = 0; c < GROUP && g * GROUP + c < lanes; c += 16)
            put_16_sums(op, &w, positions, g * group, c, to);
}

/* A tile's sums. */
SPK_INLINE void places_windows(const places_scratch *s, const spk_op *op, const tile *m, size_t y, size_t x, size_t t,
                               size_t positions) {
    const strip_shape *const k = &s->shape;
    const size_t row = m->lanes * (op->short_sums ? 2 : 4);
    const uint8_t *sums = s->sums;
    const int32_t *totals = s->totals;
    for (; t >= k->steps; t -= k->steps) sums += k->groups * group_bytes(op), totals += ROW * 8;
    for (size_t r = 0; r < m->rows; r++) {
        uint8_t *to = (uint8_t *)m->sums + r * row;
        for (size_t p = 0; p < m->pixels; p++, to += m->steps * row) {
            places_pixel(op, s, y, x + p, t, sums, totals, positions, to);
            clear_row_pads(op, to, 1, row);
        }
        if (++t == k->steps) t = 0, sums += k->groups * group_bytes(op), totals += ROW * 8;
    }
}

static void places_tile(void *kernel, const spk_op *op, const spk_frame *f, const tile *m, size_t y, size_t x,
                        size_t t) {
    (void)f;
    const places_scratch *const s = kernel;
    const size_t positions = window_positions(op);
    if (positions == 1)
        places_windows(s, op, m, y, x, t, 1);
    else if (positions == 4 && op->max_w == 2)
        places_windows(s, op, m, y, x, t, 4);
    else
        places_windows(s, op, m, y, x, t, positions);
}

static void conv_places(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    places_scratch s = places_carve(op, &area);
    spk_clear(f, s.table, (synapses_of(op) + 2) * ROW);
    list_taps(op, f, &s);
    sweep_tiles(op, f, &s.sweep, &s, places_begin, NULL, places_tile);
}

#endif
