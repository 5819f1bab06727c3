/* Counting the steps of a block together: a row of weights is added once for all steps at which its channel fires, to
   the count of that set of steps. A step's count is then the sum of the counts of the sets that hold it.

   Where maps are full, or channels that fire once fire again, that is far fewer rows: 0.54 of them for four steps at
   40 % without any order. It costs 22 additions of counts a place and vector, and 15 lists in the place of four.

   What it counts is what row_counts.h counts step by step. */

#ifndef SPIKELET_SET_COUNTS_H
#define SPIKELET_SET_COUNTS_H

#include "row_counts.h"

/* The lists of the windows of places side by side, a set's each. */
typedef struct set_lists {
    size_t steps, sets;
    streams of[SETS];                  /* `most` of each: the largest of theirs */
    size_t planes;                     /* of the sums at each step */
    uint32_t events[TOGETHER][PIXELS]; /* the sum of each place's values at each step */
} set_lists;

/* Says how many planes the sums have, and lets the counts of all sets have as many as each other, so that their loops
   are as long. */
SPK_INLINE void agree_on_planes(set_lists *s, size_t there) {
    uint32_t of_set = 0, of_step = 0;
    for (size_t set = 1; set <= s->sets; set++)
        if (s->of[set].most > of_set) of_set = s->of[set].most;
    for (size_t set = 1; set <= s->sets; set++) s->of[set].most = of_set;
    for (size_t t = 0; t < s->steps; t++)
        for (size_t i = 0; i < there; i++)
            if (s->events[t][i] > of_step) of_step = s->events[t][i];
    s->planes = 0;
    while (of_step >> s->planes) s->planes++;
}

/* Lists a block of the windows of `there` places into `to`, of which there are STREAMS, the shorter lists of `beside`
   filled up. */
SPK_INLINE void join_sets(const spk_op *op, const event_lists *lists, const event_window *windows, size_t there,
                          size_t beside, size_t block, uint32_t *const *to, set_lists *s) {
    uint32_t *next[STREAMS], events[PIXELS];
    stream_place at[PIXELS];
    const size_t places = beside * row_pixels(op);
    s->steps = lists->by.steps, s->sets = lists->by.lists;
    for (size_t i = 0; i < STREAMS; i++) next[i] = to[i];
    for (size_t i = 0; i < there; i++) at[i] = (stream_place){windows + i, block * s->sets};
    for (size_t set = 1; set <= s->sets; set++) {
        const size_t taken = list_streams(op, lists, at, there, beside, next, events, &s->of[set]);
        for (size_t i = 0; i < beside; i++) next[i] += taken;
        for (size_t i = 0; i < there; i++) at[i].t++;
        for (size_t i = 0; i < places; i++)
            for (size_t t = 0; t < s->steps; t++)
                s->events[t][i] = (set > 1 ? s->events[t][i] : 0) + (uint32_t)(set >> t & 1) * events[i];
    }
    agree_on_planes(s, there);
}

/* A sum of two numbers, bit by bit: returns the sum's, and keeps the carry for the next. */
SPK_ALWAYS wide next_bit(wide a, wide b, wide *carry) {
    const wide sum = w_xor3(a, b, *carry);
    *carry = w_majority(a, b, *carry);
    return sum;
}

SPK_ALWAYS wide sum_2(const wide *a, wide *carry) { return next_bit(a[0], a[1], carry); }
SPK_ALWAYS wide sum_4(const wide *a, wide *carry) {
    return next_bit(sum_2(a, carry), sum_2(a + 2, carry + 1), carry + 2);
}
SPK_ALWAYS wide sum_8(const wide *a, wide *carry) {
    return next_bit(sum_4(a, carry), sum_4(a + 4, carry + 3), carry + 6);
}

/* The count at the last step that `2 * half - 1` sets know: the sum of those of the sets from `half` on, which hold it.
   Each of these is then added to the set that it is without that step. */
SPK_ALWAYS void take_step(wide sum[PLANES], wide of_set[SETS][PLANES], size_t planes, size_t half) {
    wide kept[SETS / 2], carry[SETS / 2];
    for (size_t i = 0; i < half; i++) kept[i] = carry[i] = w_zero();
    for (size_t p = 0; p < planes; p++) {
        wide with[SETS / 2];
        for (size_t i = 0; i < half; i++) with[i] = of_set[half + i][p];
        for (size_t i = 1; i < half; i++) of_set[i][p] = next_bit(of_set[i][p], with[i], &kept[i]);
        sum[p] = half == 8 ? sum_8(with, carry) : half == 4 ? sum_4(with, carry) : sum_2(with, carry);
    }
}

static void take_fourth(wide sum[PLANES], wide of_set[SETS][PLANES], size_t planes) {
    take_step(sum, of_set, planes, 8);
}
static void take_third(wide sum[PLANES], wide of_set[SETS][PLANES], size_t planes) {
    take_step(sum, of_set, planes, 4);
}
static void take_second(wide sum[PLANES], wide of_set[SETS][PLANES], size_t planes) {
    take_step(sum, of_set, planes, 2);
}

/* The counts of a column of weights at each step of a block; returns the planes used. */
SPK_INLINE size_t count_sets(wide sums[TOGETHER][PLANES], set_lists *s, const uint8_t *weight, int parts) {
    const size_t planes = s->planes;
    wide of_set[SETS][PLANES];
    for (size_t set = 1; set <= s->sets; set++) {
        s->of[set].weight = weight;
        for (size_t p = sliced_count(of_set[set], &s->of[set], parts); p < planes; p++) of_set[set][p] = w_zero();
    }
    if (s->steps > 3) take_fourth(sums[3], of_set, planes);
    if (s->steps > 2) take_third(sums[2], of_set, planes);
    take_second(sums[1], of_set, planes);
    memcpy(sums[0], of_set[1], planes * sizeof(wide));
    return planes;
}

/* Such counting for one way in which rows fill a vector. */
typedef size_t (*row_counter)(wide sums[TOGETHER][PLANES], set_lists *, const uint8_t *weight);

#define COUNT_SETS(parts)                                                                                              \
    static size_t count_sets_##parts(wide sums[TOGETHER][PLANES], set_lists *s, const uint8_t *weight) {               \
        return count_sets(sums, s, weight, parts);                                                                     \
    }

COUNT_SETS(WHOLE)
COUNT_SETS(HALF)
COUNT_SETS(2)
COUNT_SETS(4)

#undef COUNT_SETS

SPK_INLINE row_counter row_counter_of(int parts) {
    if (parts == WHOLE) return count_sets_WHOLE;
    if (parts == HALF) return count_sets_HALF;
    return parts == 2 ? count_sets_2 : count_sets_4;
}

#endif
