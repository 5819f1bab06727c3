/* Spikes through 1-bit rows to spikes: the sums that row_counts.h counts stay upright, one vector a bit, and whether a
   neuron fires is a comparison of its sum with constants by channel, its cuts (spikelet/graph/threshold_forms.py
   derives them).

   Where an output pixel has less than 2^width events at every step,

     m = n + 2^width - 1 = 2 ones + (2^width - 1 - events)

   is never negative and has width + 1 bits, and so have the cuts. They are there for each of CUT_WIDTHS widths, so that
   few events cost few planes. What follows the comparisons is one of

     states > 0   an automaton: cuts for each state, and what becomes of it

     states = 0   M = m + M / 2 since the last spike, against a cut for each number of steps since

   A neuron in state s has ones in the first s of states - 1 planes.

   Rows shorter than a vector lie side by side in it, and so do the outputs of several pixels. */

#ifndef SPIKELET_CUTS_H
#define SPIKELET_CUTS_H

#include "set_counts.h"

enum {
    CUT_WIDTHS = 7, /* 4, 6, ... 16 */
    CUT_FIRST = 4,
    CUT_APART = 2,
    CUTS = 91,                        /* these and the next two: at most */
    CUT_STATES = 7,                   /* of an automaton */
    CUT_STEPS = 8,                    /* of a sum over steps */
    CUT_SUM = PLANES + 1 + CUT_STEPS, /* planes of such a sum */
    CUT_KEPT = CUT_SUM + CUT_STEPS    /* vectors that a column of outputs keeps between two steps */
};

/* The cuts of one width and one column of outputs. */
typedef struct cut_planes {
    const uint8_t *first;
    size_t row; /* bytes from a plane to the next */
    size_t width;
    int parts; /* how a vector is filled: row_counts.h */
} cut_planes;

/* Planes before cut j of a width. */
SPK_ALWAYS size_t cut_row(size_t j, size_t width, int states) {
    return j * (width + 1) + (states ? 0 : j * (j + 1) / 2);
}

/* Planes before all cuts of a width. */
SPK_INLINE size_t rows_before(const spk_op *op, size_t width) {
    size_t rows = 0;
    for (size_t w = CUT_FIRST; w < width; w += CUT_APART) rows += cut_row((size_t)op->cut_count, w, op->states);
    return rows;
}

/* A plane of a cut, once for each part of a vector. */
SPK_ALWAYS wide cut_bits(const uint8_t *at, int parts) {
    return parts == WHOLE ? w_load(at) : parts == HALF ? w_load_half(at) : w_repeat(at, parts);
}

/* Where the number in `planes` planes reaches the cut whose first plane is the `row`-th. */
SPK_ALWAYS wide reaches(const cut_planes *k, size_t row, const wide *number, size_t planes) {
    const uint8_t *at = k->first + row * k->row;
    wide reached = w_ones();
    for (size_t p = 0; p < planes; p++, at += k->row) reached = w_reach(number[p], cut_bits(at, k->parts), reached);
    return reached;
}

/* A number of each pixel in all words of the pixel's outputs. */
SPK_ALWAYS wide by_pixel(const uint32_t numbers[PIXELS], int parts) {
    uint64_t words[WIDE / 8];
    for (size_t i = 0; i < WIDE / 8; i++) words[i] = numbers[i * (size_t)parts / (WIDE / 8)];
    return w_load(words);
}

/* Bit p of it, over all of the pixel's outputs; one pixel's number is `first`. */
SPK_ALWAYS wide spread_bit(wide numbers, uint32_t first, size_t p, int parts) {
    if (parts > WHOLE) return w_bit(numbers, p);
    return first >> p & 1 ? w_ones() : w_zero();
}

/* m in width + 1 planes. */
SPK_ALWAYS void sums_from_zero(const wide *ones, const uint32_t events[PIXELS], const cut_planes *k, wide *m) {
    uint32_t rest[PIXELS] = {0};
    for (size_t i = 0; i < side_by_side(k->parts); i++) rest[i] = (1u << k->width) - 1 - events[i];
    const wide numbers = k->parts > WHOLE ? by_pixel(rest, k->parts) : w_zero();
    m[0] = spread_bit(numbers, rest[0], 0, k->parts);
    wide carry = w_zero();
    for (size_t p = 0; p < k->width; p++) {
        m[p + 1] = ones[p];
        carry = add_rows(&m[p + 1], spread_bit(numbers, rest[0], p + 1, k->parts), carry);
    }
}

/* States that a neuron may be in, from `low` to `high`, and the entries of a state's row of transitions. */
typedef struct cut_rows {
    const int32_t *transitions;
    size_t low, high, entries;
} cut_rows;

/* What has been said of cuts, by the number in entry e of the row of the state that each neuron is in. */
SPK_ALWAYS wide by_state(const cut_rows *r, const wide *reached, const wide *state, size_t e) {
    wide value = reached[r->transitions[r->low * r->entries + e]];
    for (size_t s = r->low + 1; s <= r->high; s++)
        value = w_select(state[s - 1], reached[r->transitions[s * r->entries + e]], value);
    return value;
}

/* One step of an automaton: where it fires. A state's row of transitions has the number of the cut from which on it
   fires; of those from which on its next state is beyond 0, 1, ... where it does not fire; and with soft reset of those
   where it does. A hard reset is to the state in the middle, where all begin. */
SPK_ALWAYS wide automaton_step(const spk_op *op, const cut_planes *k, const wide *m, wide *state, size_t t,
                               int states) {
    const size_t planes = k->width + 1, beyond = (size_t)states - 1, middle = beyond / 2;
    const int first = t == 0, last = states == 1 || t + 1 == (size_t)op->T;
    const cut_rows r = {op->transitions, first ? middle : 0, first ? middle : beyond,
                        1 + beyond * (op->soft_reset ? 2 : 1)};
    wide reached[CUTS], next[CUT_STATES];
    reached[0] = w_zero(); /* or a compiler may warn that none is made */
    if (first || last) {
        for (size_t s = r.low; s <= r.high; s++)
            for (size_t e = 0; e < (last ? 1 : r.entries); e++) {
                const size_t j = (size_t)r.transitions[s * r.entries + e];
                reached[j] = reaches(k, j * planes, m, planes);
            }
    } else {
        for (size_t j = 0; j < (size_t)op->cut_count; j++) reached[j] = reaches(k, j * planes, m, planes);
    }
    const wide fires = by_state(&r, reached, state, 0);
    if (last) return fires;
    for (size_t b = 0; b < beyond; b++) {
        const wide quiet = by_state(&r, reached, state, 1 + b);
        if (op->soft_reset)
            next[b] = w_select(fires, by_state(&r, reached, state, 1 + beyond + b), quiet);
        else
            next[b] = b < middle ? w_or(fires, quiet) : w_andnot(fires, quiet);
    }
    for (size_t b = 0; b < beyond; b++) state[b] = next[b];
    return fires;
}

/* `sum` = (sum / 2 where `fired` is 0) + m * 2^(T - 1), exactly: after t + 1 steps its lowest T - 1 - t planes hold 0.
 */
SPK_ALWAYS void add_step(const wide *m, size_t width, wide *sum, wide fired, size_t t, size_t T) {
    wide carry = w_zero();
    if (t == 0) {
        for (size_t p = 0; p <= width; p++) sum[T - 1 + p] = m[p];
    } else {
        for (size_t p = T - 1 - t; p < T - 1; p++) sum[p] = w_andnot(fired, sum[p + 1]);
        for (size_t p = 0; p <= width; p++) {
            const wide kept = w_andnot(fired, sum[T + p]);
            sum[T - 1 + p] = m[p];
            carry = add_rows(&sum[T - 1 + p], kept, carry);
        }
    }
    sum[T + width] = carry;
}

/* One step of neurons that fire by their sum since the last spike: where they do. `kept`: the sum, and where they fired
   at every step so far. */
SPK_ALWAYS wide sum_step(const spk_op *op, const cut_planes *k, const wide *m, wide *kept, size_t t) {
    const size_t T = (size_t)op->T, width = k->width;
    wide *const sum = kept, *const fired = kept + CUT_SUM;
    add_step(m, width, sum, t ? fired[t - 1] : w_zero(), t, T);
    wide fires = reaches(k, cut_row(t, width, 0), sum + T - 1 - t, width + 2 + t);
    for (size_t j = t; j-- > 0;) /* where the last spike was j + 1 steps ago */
        fires = w_select(fired[t - 1 - j], reaches(k, cut_row(j, width, 0), sum + T - 1 - j, width + 2 + j), fires);
    fired[t] = fires;
    return fires;
}

typedef struct cut_scratch {
    event_lists lists;
    uint32_t *events[STREAMS];
    uint8_t *kept; /* [columns][CUT_KEPT] vectors */
} cut_scratch;

SPK_INLINE cut_scratch cuts_carve(const spk_op *op, spk_area *area) {
    cut_scratch s;
    s.lists = events_carve(op, area);
    for (size_t i = 0; i < STREAMS; i++)
        s.events[i] = spk_carve(area, i < most_streams(op) ? events_capacity(op) * sizeof(uint32_t) : 0);
    s.kept = spk_carve(area, spk_round_up((size_t)op->row_bytes, 64) * CUT_KEPT);
    return s;
}

static int64_t cuts_bytes(const spk_op *op) {
    spk_area area = {NULL, 0};
    (void)cuts_carve(op, &area);
    return (int64_t)area.used;
}

/* Output pixels side by side: their windows, how many there are, and the first one's number. */
typedef struct cut_pixels {
    event_window window[PIXELS];
    int there;
    size_t first;
} cut_pixels;

/* The largest sum of a window's values at a step of a block. */
SPK_INLINE size_t block_sum(const event_lists *e, const event_window *w, size_t block) {
    size_t sums[TOGETHER] = {0}, most = 0;
    if (e->by.lists == 1) return window_sum(e, w, block);
    for (size_t set = 1; set <= e->by.lists; set++) {
        const size_t sum = window_sum(e, w, block * e->by.lists + set - 1);
        for (size_t i = 0; i < TOGETHER; i++) sums[i] += (set >> i & 1) * sum;
    }
    for (size_t i = 0; i < TOGETHER; i++)
        if (sums[i] > most) most = sums[i];
    return most;
}

/* The width for the events of all steps. */
SPK_INLINE size_t width_of(const cut_scratch *s, const cut_pixels *at) {
    size_t most = 0, width = CUT_FIRST;
    for (int i = 0; i < at->there; i++)
        for (size_t b = 0; b < s->lists.by.blocks; b++) {
            const size_t sum = block_sum(&s->lists, &at->window[i], b);
            if (sum > most) most = sum;
        }
    while (most >> width) width += CUT_APART;
    return width;
}

/* A column of outputs whose `ones` have been counted at step t: where they fire. */
SPK_ALWAYS wide cut_counted(const spk_op *op, const cut_planes *k, wide *ones, size_t used,
                            const uint32_t events[PIXELS], wide *kept, size_t t, int parts, int states) {
    const cut_planes mine = {k->first, k->row, k->width, parts};
    wide m[PLANES + 1];
    for (size_t p = used; p < k->width; p++) ones[p] = w_zero();
    sums_from_zero(ones, events, &mine, m);
    return states ? automaton_step(op, &mine, m, kept, t, states) : sum_step(op, &mine, m, kept, t);
}

/* Neurons of so many states where rows fill a vector in one way: where they fire. */
typedef wide (*cut_neurons)(const spk_op *, const cut_planes *, wide *ones, size_t used, const uint32_t events[PIXELS],
                            wide *kept, size_t t);

#define CUT_FIRES(parts, states)                                                                                       \
    static wide fires_##parts##_##states(const spk_op *op, const cut_planes *k, wide *ones, size_t used,               \
                                         const uint32_t events[PIXELS], wide *kept, size_t t) {                        \
        return cut_counted(op, k, ones, used, events, kept, t, parts, states);                                         \
    }
#define CUT_NEURONS(parts)                                                                                             \
    CUT_FIRES(parts, 0)                                                                                                \
    CUT_FIRES(parts, 1)                                                                                                \
    CUT_FIRES(parts, 3)                                                                                                \
    CUT_FIRES(parts, 7)                                                                                                \
    static cut_neurons neurons_##parts(int states) {                                                                   \
        if (states == 0) return fires_##parts##_0;                                                                     \
        if (states == 1) return fires_##parts##_1;                                                                     \
        return states == 3 ? fires_##parts##_3 : fires_##parts##_7;                                                    \
    }

CUT_NEURONS(WHOLE)
CUT_NEURONS(HALF)
CUT_NEURONS(2)
CUT_NEURONS(4)
CUT_NEURONS(8)

#undef CUT_NEURONS
#undef CUT_FIRES

SPK_INLINE cut_neurons neurons_of(int parts, int states) {
    if (parts == WHOLE) return neurons_WHOLE(states);
    if (parts == HALF) return neurons_HALF(states);
    if (parts == 2) return neurons_2(states);
    return parts == 4 ? neurons_4(states) : neurons_8(states);
}

/* What the steps of pixels side by side have in common. */
typedef struct cut_place {
    const spk_op *op;
    const cut_scratch *s;
    cut_pixels at;
    cut_neurons fires, half; /* of a column, and of one whose vector is half filled */
    int parts;               /* pixels in a vector */
    size_t words;            /* of a pixel in it */
    const uint8_t *cuts;
    size_t width;
    uint64_t *to; /* at step 0 */
} cut_place;

/* A column's spikes into the words of its pixels. */
SPK_INLINE void put_columns(const cut_place *c, wide spikes, uint64_t *to, size_t column) {
    const size_t words = spk_words(c->op->out_c), first = column / 8, most = c->words;
    const size_t here = words - first < most ? words - first : most, there = (size_t)c->at.there;
    if (c->parts <= WHOLE || (words == most && there == (size_t)c->parts)) {
        w_put_words(to + first, spikes, here * there);
        return;
    }
    uint64_t all[WIDE / 8];
    w_store(all, spikes);
    for (size_t i = 0; i < there; i++)
        for (size_t w = 0; w < here; w++) to[i * words + first + w] = all[i * most + w];
}

/* A column that has been counted at step t: its spikes. */
SPK_ALWAYS void cut_column(const cut_place *c, wide *ones, size_t used, const uint32_t events[PIXELS], size_t column,
                           size_t t, int read) {
    const spk_op *const op = c->op;
    const cut_planes k = {c->cuts + column, pixel_row(op), c->width, c->parts};
    const cut_neurons neurons = read == HALF ? c->half : c->fires;
    const wide fires = neurons(op, &k, ones, used, events, (wide *)(void *)c->s->kept + column / WIDE * CUT_KEPT, t);
    uint64_t *const to = c->to + t * spk_out_pixels(op) * spk_words(op->out_c);
    put_columns(c, fires, to, column);
}

/* The same, after counting at that step. */
SPK_ALWAYS void cut_step(const cut_place *c, streams *e, const uint32_t events[PIXELS], size_t column, size_t t,
                         int read) {
    wide ones[PLANES];
    e->weight = (const uint8_t *)c->op->weight + column;
    const size_t used = sliced_count(ones, e, read);
    cut_column(c, ones, used, events, column, t, read);
}

/* After counting at all steps of a block that begins with t. */
SPK_ALWAYS void cut_block(const cut_place *c, set_lists *l, size_t column, size_t t, int read) {
    wide sums[TOGETHER][PLANES];
    const size_t used = row_counter_of(read)(sums, l, (const uint8_t *)c->op->weight + column);
    for (size_t i = 0; i < l->steps && t + i < (size_t)c->op->T; i++)
        cut_column(c, sums[i], used, l->events[i], column, t + i, read);
}

/* Step after step, column after column. */
SPK_ALWAYS void cut_by_steps(const cut_place *c, const spk_frame *f, int read) {
    const size_t there = (size_t)c->at.there, row = (size_t)c->op->row_bytes;
    for (size_t t = 0; t < (size_t)c->op->T && !spk_stopped(f); t++) {
        uint32_t events[PIXELS];
        stream_place place[PIXELS];
        for (size_t i = 0; i < there; i++) place[i] = (stream_place){c->at.window + i, t};
        streams e;
        list_streams(c->op, &c->s->lists, place, there, side_by_side(read), c->s->events, events, &e);
        for (size_t column = 0; column < row; column += WIDE) {
            if (read == WHOLE && column + WIDE > row)
                cut_step(c, &e, events, column, t, HALF);
            else
                cut_step(c, &e, events, column, t, read);
        }
    }
}

/* The same, block after block of steps that are counted together. */
SPK_ALWAYS void cut_by_blocks(const cut_place *c, const spk_frame *f, int read) {
    const event_lists *const lists = &c->s->lists;
    const size_t there = (size_t)c->at.there, row = (size_t)c->op->row_bytes;
    set_lists l;
    for (size_t b = 0; b < lists->by.blocks && !spk_stopped(f); b++) {
        const size_t t = b * lists->by.steps;
        join_sets(c->op, lists, c->at.window, there, side_by_side(read), b, c->s->events, &l);
        for (size_t column = 0; column < row; column += WIDE) {
            if (read == WHOLE && column + WIDE > row)
                cut_block(c, &l, column, t, HALF);
            else
                cut_block(c, &l, column, t, read);
        }
    }
}

/* All steps of pixels side by side. */
SPK_ALWAYS void cut_steps(cut_place *c, const spk_frame *f, int read) {
    const spk_op *const op = c->op;
    c->width = width_of(c->s, &c->at);
    c->cuts = (const uint8_t *)op->cuts + rows_before(op, c->width) * pixel_row(op);
    c->to = spk_spikes_at(f, op->spikes) + c->at.first * spk_words(op->out_c);
    if (c->s->lists.by.lists > 1)
        cut_by_blocks(c, f, read);
    else
        cut_by_steps(c, f, read);
}

SPK_INLINE void cut_rows_of(const spk_op *op, const spk_frame *f, cut_scratch *s, int read) {
    cut_place c = {.op = op, .s = s, .half = neurons_of(HALF, op->states), .parts = parts_at(op, 0)};
    const size_t width = (size_t)op->out_w, together = side_by_side(c.parts);
    c.fires = neurons_of(c.parts, op->states);
    c.words = WIDE / 8 / together;
    count_together(op, f, &s->lists, side_by_side(read));
    for (size_t y = 0; y < (size_t)op->out_h; y++) {
        events_begin_row(op, f, &s->lists, y);
        for (size_t x = 0; x < width && !spk_stopped(f); x += together) {
            c.at.first = y * width + x;
            for (c.at.there = 0; (size_t)c.at.there < together && x + (size_t)c.at.there < width; c.at.there++)
                c.at.window[c.at.there] = window_of(op, &s->lists, y, x + (size_t)c.at.there);
            cut_steps(&c, f, read);
        }
    }
}

static void conv_cuts(const spk_op *op, const spk_frame *f) {
    spk_area area = spk_scratch(op, f);
    cut_scratch s = cuts_carve(op, &area);
    const int read = read_at(op, 0);
    if (read <= WHOLE)
        cut_rows_of(op, f, &s, WHOLE);
    else if (read == 2)
        cut_rows_of(op, f, &s, 2);
    else
        cut_rows_of(op, f, &s, 4);
}

#endif
