/* Spikes through 1-bit rows: a weight row of 8 * WIDE outputs is one vector, and counting its ones over all
   events needs neither widening nor multiplication. Counters stand upright: plane p holds bit p of
   every output's count, and a carry-save adder takes two more rows at once.

   With codes +1 and -1:   n = (ones) - (events - ones) = 2 ones - events.

   Rows shorter than a vector lie side by side in it, those of several output pixels or time steps, each with its own
   list; shorter lists are filled up with the row of zeros. Or a row holds the weights of several neighbouring pixels,
   which have one list: that of all their windows. */

#ifndef SPIKELET_ROW_COUNTS_H
#define SPIKELET_ROW_COUNTS_H

#include "events.h"

enum {
    PLANES = 16, /* counts up to 2^16 - 1 */
    STREAMS = 4, /* rows side by side in a vector, at most */
    PIXELS = 8   /* pixels */
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

/* Adds `carry` to the planes of a counter that are not in hand, `end` in all. */
SPK_ALWAYS void sliced_ripple(wide planes[PLANES], wide carry, size_t end) {
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
   64 rows a carry leaves the planes in hand; what waits in the end, and a carry of the last 8 rows, goes in together.
 */
SPK_ALWAYS void sliced_add(wide in_hand[IN_HAND], wide planes[PLANES], const streams *e, size_t i, size_t n, int parts,
                           size_t end) {
    wide of_8 = w_zero(), of_16 = w_zero(), of_32 = w_zero();
    for (size_t b = 0; b < n / 16; b++, i += 16) {
        const wide carry = sliced_16(in_hand, e, i, parts);
        if (b % 2 == 0) {
            of_16 = carry;
            continue;
        }
        const wide both = add_rows(&in_hand[4], of_16, carry);
        of_16 = w_zero();
        if (b % 4 == 1) {
            of_32 = both;
        } else {
            sliced_ripple(planes, add_rows(&in_hand[5], of_32, both), end);
            of_32 = w_zero();
        }
    }
    if (n & 8) of_8 = sliced_8(in_hand, e, i, parts);
    of_8 = add_carry(&in_hand[3], of_8);
    of_16 = add_rows(&in_hand[4], of_16, of_8);
    sliced_ripple(planes, add_rows(&in_hand[5], of_32, of_16), end);
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

/* A window at a step of the source, or at a set of steps: number block * sets + set - 1. */
typedef struct stream_place {
    const event_window *window;
    size_t t;
} stream_place;

/* The sum of a window's values at a step, or set of steps: numbered as in stream_place. */
SPK_INLINE size_t window_sum(const event_lists *e, const event_window *w, size_t t) {
    const uint32_t *const sums = w->sums + t * e->width;
    return sums[w->k.to] - sums[w->k.from];
}

/* list_streams, of places of which `shared` share a row each. */
SPK_ALWAYS size_t list_places(const spk_op *op, const event_lists *lists, const stream_place *at, size_t there,
                              size_t beside, size_t shared, uint32_t *const *to, uint32_t *events, streams *e) {
    const vec none = v_set32((int32_t)zero_row(op, lists));
    size_t begin = 0;
    e->planes = lists->planes;
    e->most = 0;
    for (size_t i = 0; i < STREAMS; i++) e->events[i] = to[i];
    for (size_t i = there; i < beside * shared; i++) events[i] = 0;
    for (size_t p = e->planes; p-- > 0; begin += e->n[p]) {
        size_t n[STREAMS] = {0}, most = 0;
        for (size_t i = 0; i * shared < there; i++) {
            const stream_place *const first = at + i * shared;
            const size_t end = (i + 1) * shared < there ? (i + 1) * shared : there;
            n[i] = join_list(op, lists, first->window, &at[end - 1].window->k, first->t * e->planes + p, to[i] + begin);
            if (shared == 1) events[i] = (p + 1 < e->planes ? 2 * events[i] : 0) + (uint32_t)n[i];
            if (n[i] > most) most = n[i];
        }
        e->n[p] = spk_round_up(most, UNIT);
        for (size_t i = 0; beside > 1 && i < beside; i++) /* a list has room for eight more */
            for (size_t k = n[i]; k < e->n[p]; k += 8) v_store(to[i] + begin + k, none);
    }
    for (size_t i = 0; i < there; i++) {
        if (shared > 1) events[i] = (uint32_t)window_sum(lists, at[i].window, at[i].t);
        if (events[i] > e->most) e->most = events[i];
    }
    return begin;
}

/* Lists the events of `there` places into `to`, a list for those that share rows, the shorter ones of `beside` filled
   up; `events` becomes the sum of each place's values. Returns how many places of `to` are taken. There are STREAMS of
   `to`, whatever is beside: so many are copied at once, where a copy of some is a slow string instruction. */
SPK_INLINE size_t list_streams(const spk_op *op, const event_lists *lists, const stream_place *at, size_t there,
                               size_t beside, uint32_t *const *to, uint32_t *events, streams *e) {
    const size_t shared = row_pixels(op);
    if (shared > 1) return list_places(op, lists, at, there, beside, shared, to, events, e);
    return list_places(op, lists, at, there, beside, 1, to, events, e);
}

/* Weights of a pixel in a row. */
SPK_INLINE size_t pixel_row(const spk_op *op) { return (size_t)op->row_bytes / row_pixels(op); }

/* How rows of so many bytes fill the vector that begins at byte `column` of one. */
SPK_INLINE int filled_by(size_t row, size_t column) {
    if (row >= WIDE) return column + WIDE <= row ? WHOLE : HALF;
    return (int)(WIDE / row);
}

/* The same of an operation's rows, and of its pixels' parts of them, whose outputs are counted. */
SPK_INLINE int read_at(const spk_op *op, size_t column) { return filled_by((size_t)op->row_bytes, column); }
SPK_INLINE int parts_at(const spk_op *op, size_t column) { return filled_by(pixel_row(op), column); }

/* Rows, or pixels, that lie side by side in a vector. */
SPK_INLINE size_t side_by_side(int parts) { return parts > WHOLE ? (size_t)parts : 1; }

/* Rows, and pixels, that a vector of 64 bytes holds; a shorter vector holds as many or fewer. */
SPK_INLINE size_t most_streams(const spk_op *op) { return op->row_bytes >= 64 ? 1 : 64 / (size_t)op->row_bytes; }
SPK_INLINE size_t most_places(const spk_op *op) { return pixel_row(op) >= 64 ? 1 : 64 / pixel_row(op); }

#endif
