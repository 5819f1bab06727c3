/* What every kernel works with: maps in memory, and vectors of one position's channels.

   A map holds a position's channels side by side, position after position. A kernel computes one position: it leaves
   int32 values of the channels in a vector, and the next kernel goes on from there. Vectors are padded to a multiple
   of 8. Sums wrap as uint32: what a sum ends with fits 32 bits, which is proved before a model is exported. */
#ifndef SPK_H
#define SPK_H

#include <stddef.h>
#include <stdint.h>

/* The two functions of string.h that kernels use, so that a compiler without a C library does too. */
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);

/* What C99 leaves to the compiler and every kernel relies on: else there is no array of these sizes. */
typedef char spk_int_has_32_bits[sizeof(int) >= 4 ? 1 : -1];
typedef char spk_shift_is_arithmetic[(-1 >> 1) == -1 ? 1 : -1];
typedef char spk_conversion_wraps[(int32_t)UINT32_MAX == -1 && (int8_t)255 == -1 ? 1 : -1];

/* What an element of a map is: a bit of a 32-bit word, an integer (16 bits: low byte first), or a byte of a picture
   that lies channel by channel, as inputs do. */
enum { SPK_BITS, SPK_U8, SPK_I8, SPK_I16, SPK_I32, SPK_PLANAR };

typedef struct {
    uint32_t element, channels, height, width;
} spk_form;

/* A constant of all channels, or one of each. */
typedef struct {
    int32_t value;
    const int32_t *by_channel;
} spk_number;

/* n[o] = sum over taps and channels of code * x, with code = scale * field + offset and packed fields, which are
   signed where they are bytes. The fields of one tap and channel, of all outputs, begin at a byte; groups: see
   conv_groups.c. */
typedef struct {
    spk_form x;
    uint32_t outputs, kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width;
    uint32_t dilation_height, dilation_width, groups, bits, row_bytes;
    int32_t scale, offset;
    const uint8_t *weight;
} spk_synapses;

/* The same of spikes, with the bits of fields in planes; see conv_bits.c. depth: planes of a counter; zeros: where a
   row of zeros begins. */
typedef struct {
    spk_form x;
    uint32_t outputs, kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width;
    uint32_t dilation_height, dilation_width, bits, words, depth, zeros;
    int32_t scale, offset;
    const uint32_t *weight;
} spk_slices;

/* y = clip(((multiplier * x + half) >> shift) + offset); by_channel and by_step are 0 where one serves for all. */
typedef struct {
    uint32_t by_channel, by_step;
    int32_t low, high;
    const int32_t *multiplier;
    const uint8_t *shift;
    const int32_t *offset;
} spk_scaling;

/* A neuron's constants; its membrane v is kept as v >> kept. */
typedef struct {
    spk_number leak, gain, threshold, step, drop, start;
    int32_t half, levels;
    uint8_t leak_bits, hard, shift, top, kept;
} spk_neuron;

/* The matrices of a product, head by head. */
typedef struct {
    spk_form a, b;
    uint32_t heads, rows, inner, columns, transpose_a, transpose_b, by_row;
} spk_matrices;

/* Words behind the counters of a position, for the rows of the spikes that are there: a multiple of 8. */
enum { SPK_EVENTS = 96 };

/* Some rows of weights, and what each is multiplied by. */
enum { SPK_ROWS = 4 };

typedef struct {
    const int8_t *row[SPK_ROWS];
    uint32_t x[SPK_ROWS], count;
} spk_rows;

static inline void spk_accumulate(int32_t *sum, uint32_t x) { *sum = (int32_t)((uint32_t)*sum + x); }

/* rows.c */
void spk_add_rows(int32_t *v, const spk_rows *some, uint32_t bytes);
void spk_add_rest(int32_t *v, spk_rows *some, uint32_t bytes);

/* map.c */
int32_t spk_value(const void *x, const spk_form *form, uint32_t position, uint32_t channel);
void spk_load(int32_t *v, const void *x, const spk_form *form, uint32_t position);
void spk_store(void *y, const spk_form *form, uint32_t position, const int32_t *v);
void spk_put(void *y, const spk_form *form, uint32_t position, uint32_t channel, int32_t value);
/* vector.c */
void spk_fill(int32_t *v, int32_t value, uint32_t channels);
void spk_copy(int32_t *v, const int32_t *u, uint32_t channels);
/* give.c */
void spk_give(int32_t *y, const void *x, const spk_form *form);
/* broadcast.c */
void spk_broadcast(int32_t *v, const void *x, const spk_form *form, uint32_t row, uint32_t column, uint32_t channels);
/* conv.c, conv_groups.c */
void spk_conv(int32_t *v, const spk_synapses *k, const void *x, uint32_t row, uint32_t column);
void spk_conv_groups(int32_t *v, const spk_synapses *k, const void *x, uint32_t row, uint32_t column);
/* conv_bits.c */
void spk_conv_bits(int32_t *v, uint32_t *counters, const spk_slices *k, const void *x, uint32_t row, uint32_t column);
/* affine.c, affine_short.c */
void spk_affine(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels);
void spk_affine_even(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels);
void spk_affine_word(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels);
void spk_affine_short(int32_t *v, const spk_scaling *k, uint32_t step, uint32_t channels);
/* add.c, mul.c, maxpool.c */
void spk_add(int32_t *v, const int32_t *u, uint32_t channels);
void spk_mul(int32_t *v, const int32_t *u, uint32_t channels);
void spk_max(int32_t *v, const int32_t *u, uint32_t channels);
/* start.c, begin.c, lif.c, lif_leaks.c, lif_short.c, lif_words.c, charge.c */
void spk_start(int32_t *membrane, const spk_neuron *k, uint32_t channels);
void spk_begin(void *membranes, const spk_form *form, const spk_neuron *k);
void spk_lif(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels);
void spk_lif_leaks(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels);
void spk_lif_short(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels);
void spk_lif_words(uint32_t *y, const int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels,
                   uint32_t further);
void spk_charge(int32_t *v, int32_t *membrane, const spk_neuron *k, uint32_t channels);
/* channelmap.c, flatten.c, delay.c, matmul.c */
void spk_channels(int32_t *v, const int16_t *source, uint32_t first, const void *x, const spk_form *form,
                  uint32_t position, uint32_t channels);
void spk_flatten(int32_t *v, const void *x, const spk_form *form);
void spk_delay(void *y, const spk_form *form, const void *x, const spk_form *x_form);
void spk_matmul(int32_t *v, const spk_matrices *k, const void *a, const void *b, uint32_t row, uint32_t column);

#endif
