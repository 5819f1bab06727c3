/* Spikes through 1-bit rows of few outputs: an output's bit is spread to four, so that plain additions of rows count
   its ones, 64 outputs a vector. Eight events stay inside 4 bits, 120 inside a byte; then sums are made of them,

     n = (ones) - (events - ones) = 2 ones - events.

   Output 64 v + i lies in the low half of byte 32 v + i, output 64 v + 32 + i in its high half, i < 32. */

#ifndef SPIKELET_NIBBLES_H
#define SPIKELET_NIBBLES_H

#include "row_sums.h"

enum { BYTE_EVENTS = 120 };

/* `vectors` * 64 outputs, those from byte `column` of the rows on. */
SPK_ALWAYS void nibbles_part(row_sums acc, const uint8_t *weight, const uint32_t *events, size_t n, int vectors) {
    const vec low = v_set32(0x0f0f0f0f);
    size_t at = 0;
    int first = 1;
    do {
        const size_t end = n - at > BYTE_EVENTS ? at + BYTE_EVENTS : n;
        const vec count = v_set16((int16_t)(end - at));
        vec bytes[4];
        for (int v = 0; v < 2 * vectors; v++) bytes[v] = v_zero();
        for (; at < end; at += UNIT) {
            for (int v = 0; v < vectors; v++) {
                vec sum = v_load(weight + events[at] + 32 * v);
                for (size_t i = 1; i < UNIT; i++) sum = v_add8(sum, v_load(weight + events[at + i] + 32 * v));
                bytes[2 * v] = v_add8(bytes[2 * v], v_and(sum, low));
                bytes[2 * v + 1] = v_add8(bytes[2 * v + 1], v_and(v_sra32(sum, 4), low));
            }
        }
        for (int v = 0; v < 4 * vectors; v++) {
            const vec ones = v_widen8(bytes[v / 2], v % 2);
            rows_flush(acc, first, 16 * (size_t)v, v_sub16(v_add16(ones, ones), count));
        }
        first = 0;
    } while (at < n);
}

/* Sums of all outputs of the rows of n events. */
static void nibbles_sum(void *acc, const spk_op *op, const uint32_t *events, size_t n) {
    const uint8_t *weight = op->weight;
    size_t c = 0;
    for (; c + 64 <= (size_t)op->row_bytes; c += 64) nibbles_part(sums_from(op, acc, 2 * c), weight + c, events, n, 2);
    if (c < (size_t)op->row_bytes) nibbles_part(sums_from(op, acc, 2 * c), weight + c, events, n, 1);
}

#endif
