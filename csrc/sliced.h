/* Spikes through 1-bit rows: a weight row of 8 * WIDE outputs is one vector, and counting its ones over all
   events needs neither widening nor multiplication. Counters stand upright: plane p holds bit p of
   every output's count, and a carry-save adder takes two more rows at once.

   With codes +1 and -1:   n = (ones) - (events - ones) = 2 ones - events.

   Rows shorter than a vector lie side by side in it, those of several output pixels or time steps, each with its own
   list; shorter lists are filled up with the row of zeros. */

#ifndef SPIKELET_SLICED_H
#define SPIKELET_SLICED_H

#include "row_sums.h"
#include "sweep.h"

enum {
    PLANES = 16, /* counts up to 2^16 - 1 */
    STREAMS = 4  /* rows side by side, at most */
};

/* *sum + a + b -> *sum + 2 carry */
SPK_ALWAYS wide add_rows(wide *sum, wide a, wide b) {
    const wide carry = w_majority(*sum, a, b);
    *sum = w_xor3(*sum, a, b);
    return carry;
}

/* The events of streams side by side, list by list from the highest plane on, as many of each, and the weights from
   some output on. */
typedef struct streams {
    const uint8_t *weight;
    const uint32_t *events[STREAMS];
    size_t planes, n[PLANES]; /* events of a plane: a multiple of UNIT */
    uint32_t most;            /* the largest sum of a stream's values */
} streams;

/* How the rows of one event of every stream fill a vector: one of them, half of it, or parts of several. */
enum { WHOLE = 1, HALF = 0 };

SPK_ALWAYS wide sliced_row(const streams *e, size_t i, int parts) {
    if (parts == WHOLE) return w_load(e->weight + e->events[0][i]);
    if (parts == HALF) return w_load_half(e->weight + e->events[0][i]);
    return w_load_parts(e->weight, e->events, i, parts);
}

/* Planes of a counter that stay in registers: 2^IN_HAND rows go by before a carry leaves them. */
enum { IN_HAND = 6 };

/* 2^k rows from i on into planes 0 .. k - 1; returns the carry into plane k. */
SPK_ALWAYS wide sliced_2(wide *planes, const streams *e, size_t i, int parts) {
    return add_rows(&planes[0], sliced_row(e, i, parts), sliced_row(e, i + 1, parts));
}
SPK_ALWAYS wide sliced_4(wide *planes, const streams *e, size_t i, int parts) {
    const wide a = sliced_2(planes, e, i, parts);
    return add_rows(&planes[1], a, sliced_2(planes, e, i + 2, parts));
}
SPK_ALWAYS wide sliced_8(wide *planes, const streams *e, size_t i, int parts) {
    const wide a = sliced_4(planes, e, i, parts);
    return add_rows(&planes[2], a, sliced_4(planes, e, i + 4, parts));
}
SPK_ALWAYS wide sliced_16(wide *planes, const streams *e, size_t i, int parts) {
    const wide a = sliced_8(planes, e, i, parts);
    return add_rows(&planes[3], a, sliced_8(planes, e, i + 8, parts));
}

/* Adds `carry` to a bit of the counter; returns the carry into the next. */
SPK_ALWAYS wide add_carry(wide *plane, wide carry) {
    const wide before = *plane;
    *plane = w_xor(before, carry);
    return w_and(before, carry);
}

/* Adds `carry` to the counter from plane `from` on: those in hand, and `planes` up to `end` - 1. */
SPK_ALWAYS void sliced_ripple(wide in_hand[IN_HAND], wide planes[PLANES], wide carry, int from, size_t end) {
    for (int p = from; p < IN_HAND; p++) carry = add_carry(&in_hand[p], carry);
    for (size_t p = IN_HAND; p < end; p++) carry = add_carry(&planes[p], carry);
}

/* Doubles the counter. */
SPK_ALWAYS void sliced_double(wide in_hand[IN_HAND], wide planes[PLANES], size_t end) {
    for (size_t p = end; p-- > IN_HAND + 1;) planes[p] = planes[p - 1];
    if (end > IN_HAND) planes[IN_HAND] = in_hand[IN_HAND - 1];
    for (size_t p = IN_HAND; p-- > 1;) in_hand[p] = in_hand[p - 1];
    in_hand[0] = w_zero();
}

/* Adds the rows of `n` events from the i-th on. A carry of 16 rows waits for the next, and one of 32 too, so that every
   64 rows a carry leaves the planes in hand. */
SPK_ALWAYS void sliced_add(wide in_hand[IN_HAND], wide planes[PLANES], const streams *e, size_t i, size_t n, int parts,
                           size_t end) {
    wide of_16 = w_zero(), of_32 = w_zero();
    const size_t blocks = n / 16;
    for (size_t b = 0; b < blocks; b++, i += 16) {
        const wide carry = sliced_16(in_hand, e, i, parts);
        if (b % 2 == 0) {
            of_16 = carry;
            continue;
        }
        const wide both = add_rows(&in_hand[4], of_16, carry);
        if (b % 4 == 1)
            of_32 = both;
        else
            sliced_ripple(in_hand, planes, add_rows(&in_hand[5], of_32, both), 6, end);
    }
    if (blocks % 4 >= 2) sliced_ripple(in_hand, planes, of_32, 5, end);
    if (blocks % 2 == 1) sliced_ripple(in_hand, planes, of_16, 4, end);
    if (n & 8) sliced_ripple(in_hand, planes, sliced_8(in_hand, e, i, parts), 3, end);
}

/* Counts the rows of a vector of outputs, those of plane p 2^p times; returns the planes used. */
SPK_INLINE size_t sliced_count(wide planes[PLANES], const streams *e, int parts) {
    size_t end = IN_HAND, i = 0;
    while ((e->most >> end) != 0) end++;
    wide in_hand[IN_HAND];
    for (size_t p = 0; p < IN_HAND; p++) in_hand[p] = w_zero();
    for (size_t p = IN_HAND; p < end; p++) planes[p] = w_zero();
    for (size_t p = e->planes; p-- > 0; i += e->n[p]) {
        if (i > 0) sliced_double(in_hand, planes, end);
        sliced_add(in_hand, planes, e, i, e->n[p], parts, end);
    }
    for (size_t p = 0; p < IN_HAND; p++) planes[p] = in_hand[p];
    return end;
}

/* A window at a step of the source. */
typedef struct stream_place {
    event_window window;
    size_t t;
} stream_place;

/* Lists the events of `there` places into `to`, the shorter lists of `parts` filled up; `events` becomes the sum of
   each place's values. */
SPK_INLINE streams streams_of(const spk_op *op, const event_lists *lists, const stream_place *at, size_t there,
                              size_t parts, uint32_t *const *to, uint32_t events[STREAMS]) {
    const vec none = v_set32((int32_t)zero_row(op, lists));
    streams e = {.planes = lists->planes};
    size_t begin = 0;
    for (size_t i = 0; i < parts; i++) {
        events[i] = 0;
        e.events[i] = to[i];
    }
    for (size_t p = e.planes; p-- > 0; begin += e.n[p]) {
        size_t n[STREAMS] = {0}, most = 0;
        for (size_t i = 0; i < there; i++) {
            n[i] = join_list(op, lists, &at[i].window, at[i].t * e.planes + p, to[i] + begin);
            events[i] = 2 * events[i] + (uint32_t)n[i];
            if (n[i] > most) most = n[i];
        }
        e.n[p] = spk_round_up(most, UNIT);
        for (size_t i = 0; parts > 1 && i < parts; i++) /* a list has room for eight more */
            for (size_t k = n[i]; k < e.n[p]; k += 8) v_store(to[i] + begin + k, none);
    }
    for (size_t i = 0; i < there; i++)
        if (events[i] > e.most) e.most = events[i];
    return e;
}

typedef struct sliced_scratch {
    event_lists lists;
    uint32_t *events[STREAMS];
    int32_t *unused; /* sums of a stream past the last one */
    sweep_scratch sweep;
} sliced_scratch;

/* Rows that a vector of 64 bytes holds; a shorter vector holds as many or fewer. */
SPK_INLINE size_t most_streams(const spk_op *op) { return op->row_bytes >= 64 ? 1 : 64 / (size_t)op->row_bytes; }

SPK_INLINE sliced_scratch sliced_carve(const spk_op *op, spk_area *area) {
    sliced_scratch s;
    const size_t lanes = (size_t)op->row_bytes * 8;
    s.lists = events_carve(op, area);
    for (size_t i = 0; i < STREAMS; i++)
        s.events[i] = spk_carve(area, i < most_streams(op) ? events_capacity(op) * sizeof(uint32_t) : 0);
    s.unused = spk_carve(area, lanes * sizeof(int32_t));
    s.sweep = sweep_carve(op, lanes, 0, area);
    return s;
}

static int64_t sliced_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)sliced_carve(op, &area);
    return (int64_t)area.used;
}

static void sliced_begin(void *kernel, const spk_op *op, const spk_frame *f, size_t y) {
    sliced_scratch *s = kernel;
    events_begin_row(op, f, &s->lists, y);
}

SPK_INLINE void sliced_sums(const spk_op *op, const streams *e, int parts, uint8_t *const *to, const uint32_t *events,
                            int block, int blocks) {
    wide planes[PLANES];
    const size_t used = sliced_count(planes, e, parts);
    if (op->short_sums)
        counts_to_sums(planes, used, to, events, block, blocks, 1);
    else
        counts_to_sums(planes, used, to, events, block, blocks, 0);
}

/* Sums of one place whose rows have a vector or more. */
SPK_INLINE void sliced_long(const sliced_scratch *s, const spk_op *op, const stream_place *at, uint8_t *sums) {
    enum { BLOCKS = WIDE / 32 };
    uint32_t events[STREAMS];
    streams e = streams_of(op, &s->lists, at, 1, 1, s->events, events);
    const size_t block = 8 * 32 * (size_t)(op->short_sums ? 2 : 4), row_bytes = (size_t)op->row_bytes;
    for (size_t column = 0; column < row_bytes; column += WIDE) {
        uint8_t *const first = sums + column / 32 * block;
        uint8_t *const to[2] = {first, first + block};
        const uint32_t both[2] = {events[0], events[0]};
        e.weight = (const uint8_t *)op->weight + column;
        if (column + WIDE <= row_bytes)
            sliced_sums(op, &e, WHOLE, to, both, 32, BLOCKS);
        else
            sliced_sums(op, &e, HALF, to, both, 32, 1);
    }
}

/* Sums of `n` places side by side, `parts` at most. */
SPK_INLINE void sliced_short(const sliced_scratch *s, const spk_op *op, const stream_place *at, uint8_t *const *sums,
                             size_t n, int parts) {
    uint32_t events[STREAMS];
    uint8_t *to[STREAMS];
    streams e = streams_of(op, &s->lists, at, n, (size_t)parts, s->events, events);
    for (size_t i = 0; i < (size_t)parts; i++) to[i] = i < n ? sums[i] : (uint8_t *)s->unused;
    e.weight = op->weight;
    sliced_sums(op, &e, parts, to, events, WIDE / parts, parts);
}

/* Sums of `n` places, at most as many as lie side by side. */
SPK_INLINE void sliced_places(const sliced_scratch *s, const spk_op *op, const stream_place *at, uint8_t *const *sums,
                              size_t n) {
    if (op->row_bytes >= WIDE)
        sliced_long(s, op, at, sums[0]);
    else if (2 * op->row_bytes == WIDE)
        sliced_short(s, op, at, sums, n, 2);
    else
        sliced_short(s, op, at, sums, n, 4);
}

SPK_INLINE size_t sliced_side_by_side(const spk_op *op) {
    return op->row_bytes >= WIDE ? 1 : WIDE / (size_t)op->row_bytes;
}

SPK_INLINE size_t sliced_sum_bytes(const spk_op *op, const sliced_scratch *s) {
    return s->sweep.lanes * (op->short_sums ? 2 : 4);
}

static void sliced_accumulate(void *kernel, const spk_op *op, const spk_frame *f, size_t y, size_t x, size_t t,
                              size_t rows, void *sums) {
    const sliced_scratch *s = kernel;
    const event_window w = window_of(op, &s->lists, y, x);
    const size_t bytes = sliced_sum_bytes(op, s), together = sliced_side_by_side(op);
    uint8_t *const to = sums;
    for (size_t r = 0; r < rows && !spk_stopped(f); r += together) {
        stream_place at[STREAMS];
        uint8_t *place[STREAMS];
        const size_t n = rows - r < together ? rows - r : together;
        for (size_t i = 0; i < n; i++) {
            at[i] = (stream_place){w, t + r + i};
            place[i] = to + (r + i) * bytes;
        }
        sliced_places(s, op, at, place, n);
    }
    clear_row_pads(op, to, rows, bytes);
}

/* A tile's sums, several pixels or steps side by side. */
static void sliced_tile(void *kernel, const spk_op *op, const spk_frame *f, const tile *m, size_t y, size_t x,
                        size_t t) {
    const sliced_scratch *s = kernel;
    const size_t bytes = sliced_sum_bytes(op, s), together = sliced_side_by_side(op), all = m->pixels * m->rows;
    for (size_t r = 0; r < all && !spk_stopped(f); r += together) {
        stream_place at[STREAMS];
        uint8_t *place[STREAMS];
        const size_t n = all - r < together ? all - r : together;
        for (size_t i = 0; i < n; i++) {
            const size_t p = (r + i) / m->rows, step = (r + i) % m->rows;
            at[i] = (stream_place){window_of(op, &s->lists, y, x + p), t + step};
            place[i] = (uint8_t *)m->sums + (p * m->steps + step) * bytes;
        }
        sliced_places(s, op, at, place, n);
        for (size_t i = 0; i < n; i++) clear_row_pads(op, place[i], 1, bytes);
    }
}

static void conv_sliced(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    sliced_scratch s = sliced_carve(op, &area);
    sweep_tiles(op, f, &s.sweep, &s, sliced_begin, sliced_accumulate, sliced_tile);
}

#endif
