/* Spikes as lists: where the ones of the input are, and which weight rows an output pixel adds.

   An event is the byte offset of a weight row. Input row y at step t becomes one list per group of
   channels, pixel after pixel; the event of channel c at x is (x * in_c + c) * row_bytes, so that the
   window of an output pixel is kernel_h runs of lists, each shifted by one constant. The lists of
   the input rows under an output row are kept in a ring, for all steps.

   Steps may be counted together: a channel that fires at several of a block of up to TOGETHER steps then has one event
   for all of them, in the list of just that set of steps. Set s holds step i of the block where bit i of s is 1; there
   is no list of set 0.

   Where the source is pooled (O8 with a kernel of `pool`), an input pixel is the pool * pool spikes
   below it: a channel that fired n times there has n events. So has one of value n, where the source is
   values from 0 to `most`. Where it is planes of values, each plane has a list of its own. */

#ifndef SPIKELET_EVENTS_H
#define SPIKELET_EVENTS_H

#include <string.h>

#include "planes.h"

enum {
    LIST_SLACK = 32, /* places after a list that may be overwritten */
    UNIT = 8,        /* events of a window come in units, the last filled up */
    TOGETHER = 4,    /* steps of a block, at most */
    SETS = 1 << TOGETHER
};

/* One tap row of the windows of a row of positions: its first list and starts, and what it adds to events. */
typedef struct event_run {
    const uint32_t *list, *starts;
    uint32_t offset;
} event_run;

/* How the steps of a source are counted: each for itself, or blocks of them together. */
typedef struct step_blocks {
    size_t steps;  /* of a block; the last may have fewer */
    size_t lists;  /* of a block: its sets of steps */
    size_t blocks; /* of the source */
} step_blocks;

typedef struct event_lists {
    uint32_t *lists;  /* ring: [spk_row_count][T][groups][planes][capacity]; or of blocks and not steps, the lists of
                         a block's sets one behind the other */
    uint32_t *starts; /* ring: [spk_row_count][T][groups][planes][in_w + 1]: where each pixel's part begins in the row's
                         lists; or [spk_row_count][blocks][sets][planes][in_w + 1] */
    step_blocks by;
    size_t lists_of_row, starts_of_row;
    event_run *runs;   /* [max_h][kernel_h], of the output row at hand */
    size_t *run_count; /* [max_h] */
    size_t capacity, width, planes;
    uint32_t *sums;       /* [max_h][T, or blocks * sets][in_w + 1], see sum_columns */
    uint32_t pixel_bytes; /* weights of an input pixel under one tap */
    int64_t next_row;     /* input rows before this one are listed, or passed over */
} event_lists;

/* Events that one input value has at most. */
SPK_INLINE size_t most_events(const spk_op *op) {
    return op->source == SPK_SPIKES ? (size_t)op->pool * (size_t)op->pool : (size_t)op->most;
}

/* Lists of a step and group. */
SPK_INLINE size_t list_count(const spk_op *op) { return op->source == SPK_PLANES ? (size_t)op->source_planes : 1; }

/* Output pixels whose weights share a row: each sees its own window, and zeros under the taps of the others'. */
SPK_INLINE size_t row_pixels(const spk_op *op) { return op->row_pixels > 1 ? (size_t)op->row_pixels : 1; }

/* Columns of taps that the weights have: those of the windows of all pixels of a row. */
SPK_INLINE size_t tap_columns(const spk_op *op) {
    return (size_t)op->kernel_w + (row_pixels(op) - 1) * (size_t)op->stride_w;
}

/* Input channels of a group. */
SPK_INLINE size_t group_inputs(const spk_op *op) { return (size_t)(op->in_c / op->groups); }

/* Blocks as long as each other, or nearly so. */
SPK_INLINE step_blocks blocks_of_steps(const spk_op *op) {
    const size_t all = (size_t)op->in_t, blocks = (all + TOGETHER - 1) / TOGETHER;
    step_blocks by = {.steps = (all + blocks - 1) / blocks};
    by.lists = ((size_t)1 << by.steps) - 1;
    by.blocks = (all + by.steps - 1) / by.steps;
    return by;
}

/* Whether steps may be counted together: 1-bit rows, whose lists are then made once for many windows. */
SPK_INLINE int may_be_together(const spk_op *op) {
    return (op->kind == SPK_CONV_SLICED || op->kind == SPK_CONV_CUTS) && op->in_t > 1 && op->source != SPK_VALUES &&
           op->pool == 1 && op->kernel_h * op->kernel_w > 1;
}

/* Lists of all steps, of one plane and group: at most. */
SPK_INLINE size_t lists_of_steps(const spk_op *op) {
    const step_blocks by = blocks_of_steps(op);
    const size_t sets = may_be_together(op) ? by.blocks * by.lists : 0;
    return sets > (size_t)op->in_t ? sets : (size_t)op->in_t;
}

/* Whether sums of windows are wanted apart from their lists: of neurons by cuts, and of pixels that share lists. */
SPK_INLINE int wants_sums(const spk_op *op) { return op->kind == SPK_CONV_CUTS || row_pixels(op) > 1; }

SPK_INLINE event_lists events_carve(const spk_op *op, spk_area *area) {
    event_lists e = {.width = (size_t)op->in_w + 1, .planes = list_count(op), .by = {1, 1, (size_t)op->in_t}};
    const size_t rows = (size_t)op->max_h;
    e.capacity = (size_t)op->in_w * group_inputs(op) * (e.planes > 1 ? 1 : most_events(op)) + LIST_SLACK;
    e.pixel_bytes = (uint32_t)op->in_c * (uint32_t)op->row_bytes;
    e.lists_of_row = (size_t)op->in_t * (size_t)op->groups * e.planes * e.capacity;
    e.starts_of_row = lists_of_steps(op) * (size_t)op->groups * e.planes * e.width;
    e.lists = spk_carve(area, spk_row_count(op) * e.lists_of_row * sizeof(uint32_t));
    e.starts = spk_carve(area, spk_row_count(op) * e.starts_of_row * sizeof(uint32_t));
    e.runs = spk_carve(area, rows * (size_t)op->kernel_h * sizeof(event_run));
    e.run_count = spk_carve(area, rows * sizeof(size_t));
    e.sums = spk_carve(area, wants_sums(op) ? rows * lists_of_steps(op) * e.width * sizeof(uint32_t) : 0);
    return e;
}

/* Events that the window of one output pixel can have in a group, and slack for each list. */
SPK_INLINE size_t events_capacity(const spk_op *op) {
    const size_t taps = (size_t)op->kernel_h * tap_columns(op);
    const size_t sets = may_be_together(op) ? blocks_of_steps(op).lists : 0;
    return taps * group_inputs(op) * most_events(op) + (LIST_SLACK + UNIT * sets) * list_count(op);
}

/* Bits of word w that belong to channels [first, end). */
SPK_INLINE uint64_t channel_mask(size_t w, size_t first, size_t end) {
    uint64_t mask = ~(uint64_t)0;
    if (first > 64 * w) mask <<= first - 64 * w;
    if (end < 64 * (w + 1)) mask &= ((uint64_t)1 << (end - 64 * w)) - 1;
    return mask;
}

/* Bytes of word w that have channels. */
SPK_INLINE size_t bytes_of_word(const spk_op *op, size_t w) {
    const size_t bytes = ((size_t)op->in_c + 7) / 8 - 8 * w;
    return bytes < 8 ? bytes : 8;
}

/* Lists row y of one step where there are no groups and no pooling: `pixel` is the row's first. The row's lists are at
   `begin`, and this one is at `list`; so in the functions below. */
SPK_INLINE void list_plain_row(const spk_op *op, const uint64_t *pixel, uint32_t *begin, uint32_t *list,
                               uint32_t *starts) {
    const size_t words = spk_words(op->in_c), width = (size_t)op->in_w;
    const uint32_t row = (uint32_t)op->row_bytes, pixel_bytes = (uint32_t)op->in_c * row;
    uint32_t base = 0;
    for (size_t x = 0; x < width; x++, base += pixel_bytes, pixel += words) {
        starts[x] = (uint32_t)(list - begin);
        for (size_t w = 0; w < words; w++)
            list += list_word(pixel[w], bytes_of_word(op, w), base + (uint32_t)(64 * w) * row, row, list);
    }
    starts[width] = (uint32_t)(list - begin);
}

/* Lists the channels [first, end) of a pixel of spikes; the offset of channel 0 is `base`. Returns how many there are.
 */
SPK_INLINE size_t list_channels(const spk_op *op, const uint64_t *pixel, size_t first, size_t end, uint32_t base,
                                uint32_t *list) {
    const uint32_t row = (uint32_t)op->row_bytes;
    size_t n = 0;
    for (size_t w = first / 64; 64 * w < end; w++)
        n += list_word(pixel[w] & channel_mask(w, first, end), bytes_of_word(op, w), base + (uint32_t)(64 * w) * row,
                       row, list + n);
    return n;
}

/* Lists row y of one step and group: `map` is the step's spikes. */
SPK_INLINE void list_group_row(const spk_op *op, const uint64_t *map, size_t y, size_t g, uint32_t *begin,
                               uint32_t *list, uint32_t *starts) {
    const size_t words = spk_words(op->in_c), width = (size_t)op->in_w, pool = (size_t)op->pool;
    const size_t first = g * group_inputs(op), end = first + group_inputs(op), map_w = (size_t)op->map_w;
    const uint32_t row = (uint32_t)op->row_bytes, pixel_bytes = (uint32_t)op->in_c * row;
    uint32_t base = 0;
    for (size_t x = 0; x < width; x++, base += pixel_bytes) {
        starts[x] = (uint32_t)(list - begin);
        for (size_t u = y * pool; u < (y + 1) * pool; u++) {
            for (size_t v = x * pool; v < (x + 1) * pool; v++) {
                const uint64_t *pixel = map + (u * map_w + v) * words;
                list += list_channels(op, pixel, first, end, base, list);
            }
        }
    }
    starts[width] = (uint32_t)(list - begin);
}

/* Lists a row of values of one step and group: the channels above 0, then those above 1, and so on. */
SPK_INLINE void list_counts_row(const spk_op *op, const int32_t *pixel, size_t g, uint32_t *begin, uint32_t *list,
                                uint32_t *starts) {
    const size_t lanes = spk_lanes(op->in_c), width = (size_t)op->in_w;
    const size_t first = g * group_inputs(op), end = first + group_inputs(op);
    const uint32_t row = (uint32_t)op->row_bytes, pixel_bytes = (uint32_t)op->in_c * row;
    uint32_t base = 0;
    for (size_t x = 0; x < width; x++, base += pixel_bytes, pixel += lanes) {
        starts[x] = (uint32_t)(list - begin);
        list += list_counts(pixel, first, end, op->most, base, row, list);
    }
    starts[width] = (uint32_t)(list - begin);
}

/* Lists plane p, or all there is, of one step of input row y and group g. */
SPK_INLINE void list_step(const spk_op *op, const spk_frame *f, size_t t, size_t y, size_t g, size_t p, uint32_t *begin,
                          uint32_t *list, uint32_t *starts) {
    const size_t map = (size_t)op->map_h * (size_t)op->map_w, row = y * (size_t)op->in_w;
    if (op->source == SPK_VALUES) {
        list_counts_row(op, spk_values_at(f, op->src) + (t * map + row) * spk_lanes(op->in_c), g, begin, list, starts);
        return;
    }
    const size_t words = spk_words(op->in_c), plane = p * plane_words(op);
    const uint64_t *const spikes = spk_spikes_at(f, op->src) + plane + t * map * words;
    if (op->groups == 1 && op->pool == 1)
        list_plain_row(op, spikes + row * words, begin, list, starts);
    else
        list_group_row(op, spikes, y, g, begin, list, starts);
}

/* Plane p of the source's map at each step of a block. */
typedef struct block_maps {
    const uint64_t *step[TOGETHER];
    size_t steps;
} block_maps;

SPK_INLINE block_maps maps_of_block(const spk_op *op, const spk_frame *f, const step_blocks *by, size_t block,
                                    size_t p) {
    const size_t map = (size_t)op->map_h * (size_t)op->map_w * spk_words(op->in_c), first = block * by->steps;
    const uint64_t *const from = spk_spikes_at(f, op->src) + p * plane_words(op);
    block_maps m = {.steps = (size_t)op->in_t - first < by->steps ? (size_t)op->in_t - first : by->steps};
    for (size_t i = 0; i < m.steps; i++) m.step[i] = from + (first + i) * map;
    return m;
}

/* Where channels fire at the steps of a set, and at no other of the block: word w of the maps. */
SPK_ALWAYS uint64_t word_of_set(const block_maps *m, size_t set, size_t w) {
    uint64_t word = ~(uint64_t)0;
    for (size_t i = 0; i < m->steps; i++) word &= set >> i & 1 ? m->step[i][w] : ~m->step[i][w];
    return word;
}

/* Lists row y of a block and plane, set after set; starts of a set's planes lie side by side. */
SPK_INLINE void list_sets(const spk_op *op, const event_lists *e, const block_maps *m, size_t y, uint32_t *begin,
                          uint32_t *list, uint32_t *starts) {
    const size_t words = spk_words(op->in_c), width = (size_t)op->in_w;
    const uint32_t row = (uint32_t)op->row_bytes;
    for (size_t set = 1; set <= e->by.lists; set++, starts += e->planes * e->width) {
        size_t at = y * width * words;
        uint32_t base = 0;
        for (size_t x = 0; x < width; x++, base += e->pixel_bytes) {
            starts[x] = (uint32_t)(list - begin);
            for (size_t w = 0; w < words && set >> m->steps == 0; w++, at++)
                list += list_word(word_of_set(m, set, at), bytes_of_word(op, w), base + (uint32_t)(64 * w) * row, row,
                                  list);
        }
        starts[width] = (uint32_t)(list - begin);
    }
}

/* Ones of the source's map, step by step, or where they fire at some step of a block. */
typedef struct ones_of_map {
    size_t by_steps, by_sets;
} ones_of_map;

SPK_INLINE ones_of_map count_map(const spk_op *op, const spk_frame *f, const step_blocks *by, size_t planes) {
    const size_t words = spk_in_pixels(op) * spk_words(op->in_c);
    ones_of_map ones = {0, 0};
    for (size_t b = 0; b < by->blocks; b++) {
        for (size_t p = 0; p < planes; p++) {
            const block_maps m = maps_of_block(op, f, by, b, p);
            for (size_t w = 0; w < words; w++) {
                uint64_t any = 0;
                for (size_t i = 0; i < m.steps; i++) any |= m.step[i][w], ones.by_steps += count_ones(m.step[i][w]);
                ones.by_sets += count_ones(any);
            }
        }
    }
    return ones;
}

/* Counts steps together from now on, where that takes fewer rows by enough: the lists of one more set cost what LISTING
   rows do a word of channels, and COUNTING rows a vector of outputs; and where `beside` places lie side by side in one,
   whose lists are as long as the longest of them, UNEVEN rows more. Pixels that share rows have one list. */
static void count_together(const spk_op *op, const spk_frame *f, event_lists *e, size_t beside) {
    enum { LISTING = 3, COUNTING = 40, UNEVEN = 200 };
    if (!may_be_together(op)) return;
    const step_blocks by = blocks_of_steps(op);
    const ones_of_map ones = count_map(op, f, &by, e->planes);
    const size_t places = spk_out_pixels(op) * (size_t)(op->max_h * op->max_w);
    const size_t columns = ((size_t)op->row_bytes + WIDE - 1) / WIDE, together = beside * row_pixels(op);
    const size_t vectors = columns * places / together, taps = (size_t)op->kernel_h * tap_columns(op);
    const size_t seen = taps / (size_t)(op->stride_h * op->stride_w);
    const size_t saved = (ones.by_steps - ones.by_sets) * seen * columns / together;
    const size_t more = (by.blocks * by.lists - (size_t)op->in_t) * e->planes;
    const size_t listed = more * spk_in_pixels(op) * spk_words(op->in_c);
    const size_t a_vector = more * COUNTING + (beside > 1 ? UNEVEN : 0);
    if (saved > listed * LISTING + vectors * a_vector) e->by = by;
}

/* Lists input row y, at all steps, into its place in the ring. */
SPK_INLINE void list_row(const spk_op *op, const spk_frame *f, const event_lists *e, size_t y) {
    const size_t groups = (size_t)op->groups, slot = y % spk_row_count(op);
    uint32_t *const begin = e->lists + slot * e->lists_of_row, *list = begin;
    uint32_t *starts = e->starts + slot * e->starts_of_row;
    for (size_t t = 0; t < (size_t)op->in_t && e->by.lists == 1 && !spk_stopped(f); t++)
        for (size_t g = 0; g < groups; g++)
            for (size_t p = 0; p < e->planes; p++, list += e->capacity, starts += e->width)
                list_step(op, f, t, y, g, p, begin, list, starts);
    for (size_t b = 0; b < e->by.blocks && e->by.lists > 1 && !spk_stopped(f); b++)
        for (size_t p = 0; p < e->planes; p++, list += e->capacity) {
            const block_maps m = maps_of_block(op, f, &e->by, b, p);
            list_sets(op, e, &m, y, begin, list, starts + (b * e->by.lists * e->planes + p) * e->width);
        }
}

/* Says where the runs are of the i-th row of positions, whose windows begin at input row `first`. */
SPK_INLINE void find_runs(const spk_op *op, event_lists *e, size_t i, int64_t first) {
    event_run *run = e->runs + i * (size_t)op->kernel_h;
    for (int64_t row = first < 0 ? 0 : first; row < first + op->kernel_h && row < op->in_h; row++) {
        const size_t at = (size_t)row % spk_row_count(op);
        const uint32_t offset = (uint32_t)(row - first) * (uint32_t)tap_columns(op) * e->pixel_bytes;
        *run++ = (event_run){e->lists + at * e->lists_of_row, e->starts + at * e->starts_of_row, offset};
    }
    e->run_count[i] = (size_t)(run - (e->runs + i * (size_t)op->kernel_h));
}

/* Sums of the values of the i-th row of positions' input rows, at each step or set of steps: of all columns before
   each. A window's is then the difference of two. */
SPK_INLINE void sum_columns(const spk_op *op, const event_lists *e, size_t i) {
    const event_run *const runs = e->runs + i * (size_t)op->kernel_h;
    const size_t entries = e->by.blocks * e->by.lists;
    uint32_t *to = e->sums + i * lists_of_steps(op) * e->width;
    for (size_t t = 0; t < entries; t++, to += e->width) {
        memset(to, 0, e->width * sizeof(uint32_t));
        for (size_t r = 0; r < e->run_count[i]; r++)
            for (size_t p = 0; p < e->planes; p++) {
                const uint32_t *const starts = runs[r].starts + (t * e->planes + p) * e->width, before = starts[0];
                for (size_t x = 0; x < e->width; x++) to[x] += (starts[x] - before) << p;
            }
    }
}

/* Lists every input row that output row y reads, and says where its windows' runs are. */
static void events_begin_row(const spk_op *op, const spk_frame *f, event_lists *e, size_t y) {
    const int64_t first = spk_first_row(op, y), end = first + (int64_t)spk_row_count(op);
    if (e->next_row < first) e->next_row = first;
    for (; e->next_row < end && e->next_row < op->in_h; e->next_row++) list_row(op, f, e, (size_t)e->next_row);
    for (int32_t i = 0; i < op->max_h; i++) {
        find_runs(op, e, (size_t)i, first + (int64_t)i * op->stride_h);
        if (wants_sums(op)) sum_columns(op, e, (size_t)i);
    }
}

/* Input columns of the windows of position x. */
typedef struct columns {
    size_t from, to;
    int64_t left;
} columns;

SPK_INLINE columns columns_at(const spk_op *op, size_t x) {
    const int64_t left = (int64_t)x * op->stride_w - op->pad_w, right = left + op->kernel_w;
    return (columns){left < 0 ? 0 : (size_t)left, right < op->in_w ? (size_t)right : (size_t)op->in_w, left};
}

/* A window: its runs, and its input columns. */
typedef struct event_window {
    const event_run *runs, *end;
    const uint32_t *sums; /* of all columns before each, at step 0; or NULL */
    columns k;
} event_window;

SPK_INLINE event_window window_of(const spk_op *op, const event_lists *e, size_t y, size_t x) {
    const size_t i = y % (size_t)op->max_h;
    const event_run *const runs = e->runs + i * (size_t)op->kernel_h;
    const uint32_t *const sums = wants_sums(op) ? e->sums + i * lists_of_steps(op) * e->width : NULL;
    return (event_window){runs, runs + e->run_count[i], sums, columns_at(op, x)};
}

/* The byte at which the row of zeros that ends the weights begins. */
SPK_INLINE uint32_t zero_row(const spk_op *op, const event_lists *e) {
    return (uint32_t)op->kernel_h * (uint32_t)tap_columns(op) * e->pixel_bytes;
}

/* Copies n events, adding `offset`; writes whole vectors. */
SPK_ALWAYS void join(uint32_t *to, const uint32_t *from, size_t n, uint32_t offset) {
    const vec add = v_set32((int32_t)offset);
    for (size_t i = 0; i < n; i += 32) {
        v_store(to + i, v_add32(v_load(from + i), add));
        v_store(to + i + 8, v_add32(v_load(from + i + 8), add));
        v_store(to + i + 16, v_add32(v_load(from + i + 16), add));
        v_store(to + i + 24, v_add32(v_load(from + i + 24), add));
    }
}

/* The events of a window, up to the columns of `last`, in one list, and after the last seven of the row of zeros that
   ends the weights; `entry` is (t * groups + g) * planes + p, or (block * sets + set - 1) * planes + p. Returns how
   many they are. */
static size_t join_list(const spk_op *op, const event_lists *e, const event_window *w, const columns *last,
                        size_t entry, uint32_t *events) {
    const size_t start = entry * e->width;
    const uint32_t shift = (uint32_t)w->k.left * e->pixel_bytes;
    size_t n = 0;
    for (const event_run *run = w->runs; run < w->end; run++) {
        const uint32_t *starts = run->starts + start;
        const uint32_t first = starts[w->k.from];
        const size_t count = starts[last->to] - first;
        join(events + n, run->list + first, count, run->offset - shift);
        n += count;
    }
    v_store(events + n, v_set32((int32_t)zero_row(op, e)));
    return n;
}

/* The same of all lists, those of plane p 2^p times; `entry` is t * groups + g. */
SPK_INLINE size_t join_window(const spk_op *op, const event_lists *e, const event_window *w, size_t entry,
                              uint32_t *events) {
    size_t n = join_list(op, e, w, &w->k, entry * e->planes, events);
    for (size_t p = 1; p < e->planes; p++) {
        const size_t ones = join_list(op, e, w, &w->k, entry * e->planes + p, events + n), first = n;
        n += ones;
        for (size_t i = 1; i >> p == 0; i++, n += ones) join(events + n, events + first, ones, 0);
        v_store(events + n, v_set32((int32_t)zero_row(op, e)));
    }
    return n;
}

#endif
