/* The kernels to compare with: one value at a time, in the words of docs/spec/operations.md, never
   optimised. Sums run in uint32_t, which wraps where int32_t must not: every final value is inside
   int32 (graph/analysis.py proves it), a partial sum need not be. */

#include <string.h>

#include "matrices.h"
#include "one_neuron.h"
#include "plain.h"

/* The spike of channel c at a pixel of a map, step t. */
static int32_t read_spike(const spk_frame *f, int64_t map, int32_t channels, size_t at, size_t c) {
    return (int32_t)(spk_spikes_at(f, map)[at * spk_words(channels) + c / 64] >> (c % 64) & 1);
}

/* The source's value of channel c at (y, x), step t; through O8 where it is pooled. */
static int32_t read_source(const spk_op *op, const spk_frame *f, size_t t, size_t c, size_t y, size_t x) {
    const size_t pixel = y * (size_t)op->in_w + x, pool = (size_t)op->pool;
    if (op->source == SPK_BYTES) return spk_bytes_at(f, t)[c * spk_in_pixels(op) + pixel];
    if (op->source == SPK_VALUES)
        return spk_values_at(f, op->src)[(t * spk_in_pixels(op) + pixel) * spk_lanes(op->in_c) + c];
    int32_t count = 0;
    for (size_t u = y * pool; u < (y + 1) * pool; u++)
        for (size_t v = x * pool; v < (x + 1) * pool; v++)
            count += read_spike(f, op->src, op->in_c, (t * (size_t)op->map_h + u) * (size_t)op->map_w + v, c);
    return count;
}

/* O2, O3, Q5: weight rows are [kernel_h][kernel_w][in_c], columns the outputs of the row's group. */
static int32_t convolve(const spk_op *op, const spk_frame *f, size_t t, size_t o, size_t y, size_t x) {
    const size_t outputs = (size_t)(op->out_c / op->groups), inputs = (size_t)(op->in_c / op->groups);
    const size_t first = o / outputs * inputs;
    const int8_t *weight = op->weight;
    uint32_t sum = 0;
    const window w = window_at(op, y, x);
    for (int32_t u = w.u0; u < w.u1; u++) {
        for (int32_t v = w.v0; v < w.v1 && !spk_stopped(f); v++) {
            const size_t tap = (size_t)(u * op->kernel_w + v) * (size_t)op->in_c;
            for (size_t c = first; c < first + inputs; c++) {
                const int32_t stored = weight[(tap + c) * (size_t)op->row_bytes + o % outputs];
                const int32_t code = op->odd ? 2 * stored + 1 : stored;
                sum += (uint32_t)code * (uint32_t)read_source(op, f, t, c, window_y(op, w, u), window_x(op, w, v));
            }
        }
    }
    return (int32_t)sum;
}

/* O7 of sums. */
static int32_t largest(const spk_op *op, const spk_frame *f, size_t t, size_t o, size_t y, size_t x) {
    const size_t high = (size_t)op->max_h, wide = (size_t)op->max_w;
    int32_t best = INT32_MIN;
    for (size_t i = 0; i < high * wide; i++) {
        const int32_t sum = convolve(op, f, t, o, y * high + i / wide, x * wide + i % wide);
        best = sum > best ? sum : best;
    }
    return best;
}

static int32_t source_value(const spk_op *op, const spk_frame *f, size_t t, size_t o, size_t y, size_t x) {
    return op->kind == SPK_POINTWISE ? read_source(op, f, t, o, y, x) : largest(op, f, t, o, y, x);
}

/* O4: channel c at step t of the call. */
static int32_t affine(const spk_op *op, const spk_frame *f, int32_t x, size_t t, size_t c) {
    if (op->affine == SPK_AFFINE_NONE) return x;
    const size_t at = (op->affine_t > 1 ? (size_t)f->call->t0 + t : 0) * spk_lanes(op->out_c) + c;
    const int64_t product = (int64_t)op->multiplier[at] * x, half = ((int64_t)1 << op->shift[at]) >> 1;
    const int64_t y = ((product + half) >> op->shift[at]) + op->offset[at];
    if (!op->clipped) return (int32_t)y;
    return y < op->clip_low[c] ? op->clip_low[c] : y > op->clip_high[c] ? op->clip_high[c] : (int32_t)y;
}

/* O5: what is added to channel c of a pixel. */
static int32_t read_addend(const spk_op *op, const spk_frame *f, size_t at, size_t c) {
    if (op->addend_source == SPK_VALUES) return spk_values_at(f, op->addend)[at * spk_lanes(op->out_c) + c];
    return read_spike(f, op->addend, op->out_c, at, c) ? op->addend_one[c] : op->addend_zero[c];
}

/* O6: one step of a stage, its spikes into their map. */
static void neuron_step(const spk_op *op, const spk_frame *f, size_t at, size_t o, int32_t z, int32_t *v) {
    const int32_t spikes = fire(op, constants_of(op, o), z, v).spikes;
    if (op->counts >= 0)
        spk_values_at(f, op->counts)[at * spk_lanes(op->out_c) + o] = spikes;
    else
        spk_spikes_at(f, op->spikes)[at * spk_words(op->out_c) + o / 64] |= (uint64_t)spikes << (o % 64);
}

/* One output channel of one pixel, through all steps. */
static void neuron(const spk_op *op, const spk_frame *f, size_t o, size_t y, size_t x) {
    const size_t pixels = spk_out_pixels(op), pixel = y * (size_t)op->out_w + x, lanes = spk_lanes(op->out_c);
    const int32_t steps = spk_steps(op);
    int32_t *const state = op->state >= 0 ? spk_state_at(op, f) + pixel * lanes + o : NULL;
    uint32_t total = 0;
    int32_t v = state ? *state : (int32_t)constants_of(op, o).start;
    for (size_t t = 0; t < (size_t)op->T && !spk_stopped(f); t++) {
        int32_t z = affine(op, f, source_value(op, f, spk_step(op->in_t, t), o, y, x), t, o);
        if (op->addend >= 0) {
            const size_t at = spk_step(op->addend_t, t) * pixels + pixel;
            z = (int32_t)((uint32_t)z + (uint32_t)read_addend(op, f, at, o));
        }
        total += (uint32_t)z;
        if (op->values >= 0 && !op->sum_time)
            spk_values_at(f, op->values)[(spk_step(steps, t) * pixels + pixel) * lanes + o] = z;
        if (op->spikes >= 0 || op->counts >= 0) neuron_step(op, f, t * pixels + pixel, o, z, &v);
    }
    if (state) *state = v;
    if (op->values >= 0 && op->sum_time) spk_values_at(f, op->values)[pixel * lanes + o] = (int32_t)total;
}

/* Zeroes what an operation will write: spikes are set bit by bit, and pads must hold 0. */
static void clear_results(const spk_op *op, const spk_frame *f) {
    const size_t pixels = spk_out_pixels(op), steps = op->sum_time ? 1 : (size_t)spk_steps(op);
    if (op->values >= 0) spk_clear(f, f->arena + op->values, steps * pixels * spk_lanes(op->out_c) * sizeof(int32_t));
    if (op->spikes >= 0)
        spk_clear(f, f->arena + op->spikes, (size_t)op->T * pixels * spk_words(op->out_c) * sizeof(uint64_t));
    if (op->counts >= 0)
        spk_clear(f, f->arena + op->counts, (size_t)op->T * pixels * spk_lanes(op->out_c) * sizeof(int32_t));
}

static void stage(const spk_op *op, const spk_frame *f) {
    clear_results(op, f);
    for (size_t y = 0; y < (size_t)op->out_h; y++)
        for (size_t x = 0; x < (size_t)op->out_w; x++)
            for (size_t o = 0; o < (size_t)op->out_c && !spk_stopped(f); o++) neuron(op, f, o, y, x);
}

/* O10 on spikes, or their plain conversion to values. */
static void unpack(const spk_op *op, const spk_frame *f) {
    const size_t pixels = spk_out_pixels(op), lanes = spk_lanes(op->out_c);
    clear_results(op, f);
    for (size_t t = 0; t < (size_t)op->in_t; t++)
        for (size_t y = 0; y < (size_t)op->out_h; y++)
            for (size_t x = 0; x < (size_t)op->out_w; x++)
                for (size_t c = 0; c < (size_t)op->out_c && !spk_stopped(f); c++) {
                    const size_t pixel = y * (size_t)op->out_w + x, at = op->sum_time ? pixel : t * pixels + pixel;
                    spk_values_at(f, op->values)[at * lanes + c] += read_source(op, f, t, c, y, x);
                }
}

/* O7 and O8: the maximum or sum over a window clipped to the map. */
static int32_t pool_window(const spk_op *op, const spk_frame *f, size_t t, size_t c, size_t y, size_t x) {
    int32_t best = INT32_MIN;
    uint32_t sum = 0;
    const window w = window_at(op, y, x);
    for (int32_t u = w.u0; u < w.u1; u++) {
        for (int32_t v = w.v0; v < w.v1; v++) {
            const int32_t value = read_source(op, f, t, c, window_y(op, w, u), window_x(op, w, v));
            best = value > best ? value : best;
            sum += (uint32_t)value;
        }
    }
    return op->kind == SPK_SUMPOOL ? (int32_t)sum : best;
}

static void pool(const spk_op *op, const spk_frame *f) {
    const size_t pixels = spk_out_pixels(op);
    clear_results(op, f);
    for (size_t t = 0; t < (size_t)op->in_t; t++)
        for (size_t y = 0; y < (size_t)op->out_h; y++)
            for (size_t x = 0; x < (size_t)op->out_w; x++)
                for (size_t c = 0; c < (size_t)op->out_c && !spk_stopped(f); c++) {
                    const int32_t value = pool_window(op, f, t, c, y, x);
                    const size_t at = t * pixels + y * (size_t)op->out_w + x;
                    if (op->kind == SPK_MAXPOOL_SPIKES)
                        spk_spikes_at(f, op->spikes)[at * spk_words(op->out_c) + c / 64] |= (uint64_t)value << (c % 64);
                    else
                        spk_values_at(f, op->values)[at * spk_lanes(op->out_c) + c] = value;
                }
}

/* O11: output channel c of a run is source channel c - run[0] + run[1]; one in no run is zero. */
static void map_channels(const spk_op *op, const spk_frame *f) {
    const size_t pixels = spk_out_pixels(op);
    if (!op->add_to) clear_results(op, f);
    for (size_t t = 0; t < (size_t)op->in_t; t++)
        for (size_t y = 0; y < (size_t)op->out_h; y++)
            for (size_t x = 0; x < (size_t)op->out_w; x++)
                for (const int32_t *run = op->channels; run[2] > 0 && !spk_stopped(f); run += 3)
                    for (size_t i = 0; i < (size_t)run[2]; i++) {
                        const size_t at = t * pixels + y * (size_t)op->out_w + x, c = (size_t)run[0] + i;
                        const int32_t value = read_source(op, f, t, (size_t)run[1] + i, y * (size_t)op->stride_h,
                                                          x * (size_t)op->stride_w);
                        if (op->spikes >= 0)
                            spk_spikes_at(f, op->spikes)[at * spk_words(op->out_c) + c / 64] |= (uint64_t)value
                                                                                                << (c % 64);
                        else
                            spk_values_at(f, op->values)[at * spk_lanes(op->out_c) + c] = value;
                    }
}

/* O13 */
static void multiply(const spk_op *op, const spk_frame *f) {
    const size_t pixels = spk_out_pixels(op), lanes = spk_lanes(op->out_c);
    const int32_t *a = spk_values_at(f, op->src), *b = spk_values_at(f, op->addend);
    clear_results(op, f);
    for (size_t t = 0; t < (size_t)spk_steps(op); t++)
        for (size_t pixel = 0; pixel < pixels && !spk_stopped(f); pixel++)
            for (size_t c = 0; c < (size_t)op->out_c; c++) {
                const int64_t x = a[(spk_step(op->in_t, t) * pixels + pixel) * lanes + c];
                const int64_t y = b[(spk_step(op->addend_t, t) * pixels + pixel) * lanes + c];
                spk_values_at(f, op->values)[(t * pixels + pixel) * lanes + c] = (int32_t)(x * y);
            }
}

/* O12 */
static void multiply_matrices(const spk_op *op, const spk_frame *f) {
    const matrix_steps in_a = steps_of(op->transpose_a, spk_lanes(op->in_c));
    const matrix_steps in_b = steps_of(op->transpose_b, spk_lanes(op->addend_c));
    clear_results(op, f);
    for (size_t t = 0; t < (size_t)spk_steps(op); t++) {
        const matrices m = matrices_of(op, f, t);
        for (size_t i = 0; i < m.count * (size_t)op->heads; i++) {
            const size_t row = i / (size_t)op->heads, g = i % (size_t)op->heads;
            const int32_t *a = m.a + row * m.a_positions * spk_lanes(op->in_c) + g * m.a_channels;
            const int32_t *b = m.b + row * m.b_positions * spk_lanes(op->addend_c) + g * m.b_channels;
            for (size_t r = 0; r < m.rows; r++)
                for (size_t s = 0; s < m.columns && !spk_stopped(f); s++) {
                    uint32_t sum = 0;
                    for (size_t k = 0; k < m.inner; k++)
                        sum +=
                            (uint32_t)a[r * in_a.row + k * in_a.column] * (uint32_t)b[k * in_b.row + s * in_b.column];
                    m.y[(row * m.columns + s) * spk_lanes(op->out_c) + g * m.rows + r] = (int32_t)sum;
                }
        }
    }
}

static int always(void) { return 1; }

extern const spk_kernels spk_kernels_scalar;
const spk_kernels spk_kernels_scalar = {
    .name = "scalar",
    .available = always,
    .kernel =
        {
            [SPK_CONV_ROWS] = {stage, NULL},
            [SPK_CONV_VALUES] = {stage, NULL},
            [SPK_POINTWISE] = {stage, NULL},
            [SPK_UNPACK] = {unpack, NULL},
            [SPK_MAXPOOL_SPIKES] = {pool, NULL},
            [SPK_MAXPOOL_VALUES] = {pool, NULL},
            [SPK_SUMPOOL] = {pool, NULL},
            [SPK_CHANNEL_MAP] = {map_channels, NULL},
            [SPK_MUL] = {multiply, NULL},
            [SPK_MATMUL] = {multiply_matrices, NULL},
            SPK_PLAIN_KERNELS,
        },
};
