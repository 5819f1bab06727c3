/* See plain.h. Maps are copied whole pixels at a time wherever their layout allows it. */

#include "plain.h"

#include <string.h>

#include "maps.h"
#include "one_neuron.h"

/* Channel c of a pixel of the source at step t; values or spikes. */
static int32_t source_at(const spk_op *op, const spk_frame *f, size_t t, size_t pixel, size_t c) {
    const size_t at = t * spk_in_pixels(op) + pixel;
    if (op->source == SPK_VALUES) return spk_values_at(f, op->src)[at * spk_lanes(op->in_c) + c];
    return (int32_t)(spk_spikes_at(f, op->src)[at * spk_words(op->in_c) + c / 64] >> (c % 64) & 1);
}

/* int32 of a whole map of values at one step. */
static size_t in_size(const spk_op *op) { return spk_in_pixels(op) * spk_lanes(op->in_c); }
static size_t out_size(const spk_op *op) { return spk_out_pixels(op) * spk_lanes(op->out_c); }

/* O9 */
void spk_reshape(const spk_op *op, const spk_frame *f) {
    const size_t pixels = spk_in_pixels(op), lanes = spk_lanes(op->out_c);
    int32_t *to = spk_values_at(f, op->values);
    spk_clear(f, to, (size_t)op->in_t * lanes * sizeof *to);
    for (size_t t = 0; t < (size_t)op->in_t; t++, to += lanes)
        for (size_t pixel = 0; pixel < pixels && !spk_stopped(f); pixel++)
            for (size_t c = 0; c < (size_t)op->in_c; c++) to[c * pixels + pixel] = source_at(op, f, t, pixel, c);
}

/* One sample's map at step t, row-major, into `to` [C][H][W]. */
static void copy_out(const spk_op *op, const spk_frame *f, size_t t, int32_t *to) {
    for (size_t pixel = 0; pixel < spk_in_pixels(op) && !spk_stopped(f); pixel++)
        for (size_t c = 0; c < (size_t)op->in_c; c++) to[c * spk_in_pixels(op) + pixel] = source_at(op, f, t, pixel, c);
}

void spk_export_values(const spk_op *op, const spk_frame *f) {
    copy_out(op, f, 0, f->call->logits + f->sample * f->call->logit_count);
}

void spk_export_steps(const spk_op *op, const spk_frame *f) {
    const size_t batch = (size_t)f->call->batch, size = spk_in_pixels(op) * (size_t)op->in_c;
    int32_t *node = f->call->outputs + op->external * f->call->batch;
    for (size_t t = 0; t < (size_t)op->T; t++)
        copy_out(op, f, spk_step(op->in_t, t), node + (t * batch + (size_t)f->sample) * size);
}

void spk_export_spikes(const spk_op *op, const spk_frame *f) {
    const size_t batch = (size_t)f->call->batch, pixels = spk_in_pixels(op), size = pixels * (size_t)op->in_c;
    uint8_t *node = f->call->spikes + op->external * f->call->batch;
    for (size_t t = 0; t < (size_t)op->T; t++) {
        uint8_t *map = node + (t * batch + (size_t)f->sample) * size;
        for (size_t pixel = 0; pixel < pixels && !spk_stopped(f); pixel++)
            for (size_t c = 0; c < (size_t)op->in_c; c++)
                map[c * pixels + pixel] = (uint8_t)source_at(op, f, t, pixel, c);
    }
}

/* O5, O13: the source's one row, column, channel or step stands for all. */
void spk_expand(const spk_op *op, const spk_frame *f) {
    const size_t in = spk_lanes(op->in_c), out = spk_lanes(op->out_c);
    int32_t *to = spk_values_at(f, op->values);
    for (size_t t = 0; t < (size_t)op->T; t++)
        for (size_t y = 0; y < (size_t)op->out_h; y++)
            for (size_t x = 0; x < (size_t)op->out_w && !spk_stopped(f); x++, to += out) {
                const size_t row = op->in_h == 1 ? 0 : y, column = op->in_w == 1 ? 0 : x;
                const size_t pixel = spk_step(op->in_t, t) * spk_in_pixels(op) + row * (size_t)op->in_w + column;
                const int32_t *from = spk_values_at(f, op->src) + pixel * in;
                if (op->in_c == op->out_c) {
                    memcpy(to, from, out * sizeof *to);
                    continue;
                }
                memset(to, 0, out * sizeof *to);
                for (size_t c = 0; c < (size_t)op->out_c; c++) to[c] = from[0];
            }
}

/* O14 */
void spk_constant(const spk_op *op, const spk_frame *f) {
    memcpy(spk_values_at(f, op->values), op->weight, out_size(op) * sizeof(int32_t));
}

/* O15 */
void spk_gather(const spk_op *op, const spk_frame *f) {
    const int spikes = op->spikes >= 0;
    const size_t bytes = spikes ? spk_words(op->in_c) * sizeof(uint64_t) : spk_lanes(op->in_c) * sizeof(int32_t);
    const uint8_t *from = f->arena + op->src;
    uint8_t *to = f->arena + (spikes ? op->spikes : op->values);
    const size_t in = spk_in_pixels(op) * bytes, out = spk_out_pixels(op);
    if (!op->add_to) spk_clear(f, to, (size_t)op->in_t * out * bytes);
    for (size_t t = 0; t < (size_t)op->in_t; t++, from += in, to += out * bytes)
        for (size_t pixel = 0; pixel < out && !spk_stopped(f); pixel++)
            if (op->index[pixel] >= 0) memcpy(to + pixel * bytes, from + (size_t)op->index[pixel] * bytes, bytes);
}

/* O10 with running sums. */
void spk_running(const spk_op *op, const spk_frame *f) {
    const size_t size = out_size(op);
    const int32_t *from = spk_values_at(f, op->src);
    int32_t *to = spk_values_at(f, op->values);
    int32_t *const state = op->state >= 0 ? spk_state_at(op, f) : NULL;
    for (size_t i = 0; i < size && !spk_stopped(f); i++) {
        uint32_t total = state ? (uint32_t)state[i] : 0;
        for (size_t t = 0; t < (size_t)op->T; t++) {
            total += (uint32_t)from[spk_step(op->in_t, t) * size + i];
            to[t * size + i] = (int32_t)total;
        }
        if (state) state[i] = (int32_t)total;
    }
}

/* O17 */
void spk_charge(const spk_op *op, const spk_frame *f) {
    const size_t size = out_size(op), lanes = spk_lanes(op->out_c);
    const int32_t *from = spk_values_at(f, op->src);
    int32_t *to = spk_values_at(f, op->values);
    int32_t *const state = op->state >= 0 ? spk_state_at(op, f) : NULL;
    spk_clear(f, to, (size_t)op->T * size * sizeof *to);
    for (size_t i = 0; i < size && !spk_stopped(f); i++) {
        if (i % lanes >= (size_t)op->out_c) continue;
        const constants k = constants_of(op, i % lanes);
        int32_t v = state ? state[i] : (int32_t)k.start;
        for (size_t t = 0; t < (size_t)op->T; t++)
            to[t * size + i] = fire(op, k, from[spk_step(op->in_t, t) * size + i], &v).charge;
        if (state) state[i] = v;
    }
}

/* O10: the sum over the steps of this call becomes that over all steps so far. */
void spk_carry(const spk_op *op, const spk_frame *f) {
    int32_t *values = spk_values_at(f, op->values), *state = spk_state_at(op, f);
    for (size_t i = 0; i < out_size(op); i++)
        values[i] = state[i] = (int32_t)((uint32_t)values[i] + (uint32_t)state[i]);
}

/* O16; with T = 1 the source may be one that is yet to be computed. */
void spk_delay(const spk_op *op, const spk_frame *f) {
    const size_t size = out_size(op), bytes = size * sizeof(int32_t);
    int32_t *to = spk_values_at(f, op->values);
    if (op->state >= 0)
        memcpy(to, spk_state_at(op, f), bytes);
    else
        memset(to, 0, bytes);
    for (size_t t = 1; t < (size_t)op->T && !spk_stopped(f); t++)
        memcpy(to + t * size, spk_values_at(f, op->src) + spk_step(op->in_t, t - 1) * size, bytes);
}

void spk_keep(const spk_op *op, const spk_frame *f) {
    const size_t size = in_size(op), last = (size_t)op->in_t - 1;
    memcpy(spk_state_at(op, f), spk_values_at(f, op->src) + last * size, size * sizeof(int32_t));
}

void spk_call_back(const spk_op *op, const spk_frame *f) { f->call->callback(op->external, f->sample, f->arena); }
