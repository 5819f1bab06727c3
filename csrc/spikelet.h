/* The native runtime's one header: operations, kernel table, entry points.

   A program is a flat array of operations over one arena, made and checked by
   spikelet/runtime (Python); C trusts its pointers and never sees a file. Nothing here allocates,
   recurses, keeps state between calls or uses floating point: what a stream carries from step to step is
   the caller's, and so is a pool of threads that wait. Meanings O1 ... O17 are those of docs/spec/operations.md.

   Maps of one sample live in the arena, channels last, at 64-byte boundaries:

     values   int32  [steps][height][width][round_up(channels, 8)]     pads hold 0
     spikes   uint64 [steps][height][width][round_up(channels, 64) / 64]
              bit c % 64 of word c / 64 is channel c; pads hold 0
     planes   the bits of values from 0 on, each a map of spikes: see planes.h

   steps is T, or 1 for an edge that is the same at every step. Bytes from outside stay where the
   caller has them: uint8 [steps][batch][channels][height][width].

   A stream's state of one sample is what its neurons, delays and sums over time remember, each a map of
   values at an offset of its own: membranes, the last input, the sum so far. */

#ifndef SPIKELET_H
#define SPIKELET_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define SPK_API __declspec(dllexport)
#elif defined(__GNUC__)
#define SPK_API __attribute__((visibility("default")))
#else
#define SPK_API
#endif

/* `>>` of a negative number is left to the compiler by C11; every one we know floors. */
_Static_assert((-3 >> 1) == -2, "needs a compiler whose >> floors");

#define SPK_KIND_LIST(KIND)                                                                                            \
    KIND(CONV_ROWS)      /* spikes, or values from 0 to `most`, through int8 rows; O2, O3 */                           \
    KIND(CONV_SLICED)    /* the same through 1-bit rows; O2, O3 */                                                     \
    KIND(CONV_NIBBLES)   /* the same through 1-bit rows, 4 bits each; O2, O3 */                                        \
    KIND(CONV_VALUES)    /* any integers through int8 rows; O2, O3 */                                                  \
    KIND(CONV_PAIRS)     /* integers of 16 bits through pairs of int16 rows; O2, O3 */                                 \
    KIND(CONV_QUADS)     /* integers of 8 bits from 0 on through quads of int8 rows; O2, O3 */                         \
    KIND(CONV_DEPTHWISE) /* any integers, a group for each channel, through int16 taps; O2 */                          \
    KIND(POINTWISE)      /* no synapses: source value per channel; O4, O5, O6, O10 */                                  \
    KIND(UNPACK)         /* spikes to values, or with sum_time to their count; O10 */                                  \
    KIND(MAXPOOL_SPIKES) /* O7 */                                                                                      \
    KIND(MAXPOOL_VALUES) /* O7 */                                                                                      \
    KIND(SUMPOOL)        /* O8 */                                                                                      \
    KIND(RESHAPE)        /* values (C, H, W) to (C*H*W, 1, 1), row-major; O9 */                                        \
    KIND(CHANNEL_MAP)    /* values or spikes; O11 */                                                                   \
    KIND(EXPORT_VALUES)  /* values to the caller's logits, int32 [batch][C*H*W] */                                     \
    KIND(EXPORT_SPIKES)  /* spikes or values 0..255 to the caller's uint8 [T][batch][C][H][W] */                       \
    KIND(EXPORT_STEPS)   /* values to the caller's int32 [T][batch][C][H][W] */                                        \
    KIND(EXPAND)         /* values, a dimension or step of 1 repeated; O5, O13 */                                      \
    KIND(MUL)            /* source * addend, values; O13 */                                                            \
    KIND(MATMUL)         /* source and addend as matrices, values; O12 */                                              \
    KIND(MATMUL_BITS)    /* the same, where entries of the addend have 1 to 4 bits, of spikes or values; O12 */        \
    KIND(CONSTANT)       /* int32 `weight`, as it lies in memory, to values; O14 */                                    \
    KIND(GATHER)         /* pixels by `index`, values or spikes; O15 */                                                \
    KIND(RUNNING)        /* values to their sums so far; O10 */                                                        \
    KIND(CARRY)          /* values += state, state = values: a sum over time goes on; O10 */                           \
    KIND(DELAY)          /* values one step later; at first the state, or 0; O16 */                                    \
    KIND(KEEP)           /* state = the last step of the source; O16 */                                                \
    KIND(CALL)           /* the caller's own function; any other operation */                                          \
    KIND(CHARGE)         /* values to what membranes reach; O17 */                                                     \
    KIND(CONV_CUTS)      /* spikes, or values from 0 to `most`, through 1-bit rows to spikes; O2 to O4, O6 */          \
    KIND(ADD_PLANES)     /* spikes or planes of source and addend to planes of their sums; O5 */                       \
    KIND(CONV_BLOCKS)    /* spikes, planes, or integers from 0 to 255 through blocks of int8; O2, O3 */                \
    KIND(CONV_PLACES)    /* spikes through lists of the weights of +1, many places at once; O2, O3 */

#define SPK_KIND(name) SPK_##name,

/* What an operation does; SPK_KINDS is their number. */
typedef enum spk_kind { SPK_KIND_LIST(SPK_KIND) SPK_KINDS } spk_kind;

typedef enum spk_source { SPK_BYTES, SPK_VALUES, SPK_SPIKES, SPK_PLANES } spk_source;

/* How SPK_POINTWISE and the convolutions evaluate ((m x + half) >> s) + d; all are exact. */
typedef enum spk_affine {
    SPK_AFFINE_NONE,
    SPK_AFFINE_WIDE,  /* 64-bit product, from multiplier, shift, offset */
    SPK_AFFINE_SPLIT, /* 32-bit products: m = high * 2^split + low, from high, low, half, rest, offset:
                        ((high x + ((low x) >> split) + half) >> rest) + d,  rest = s - split */
    SPK_AFFINE_LONG   /* as wide, with a 64-bit result that the clip brings back into 32 bits */
} spk_affine;

/* One fused operation of one sample, for all time steps:

     n = synapses(source)             in_t steps; or the largest of max_h * max_w neighbours (O7)
     y = affine(n)                    optional, clipped or not
     z = y + addend                   optional: values, or of a spike addend_one, of none addend_zero
     values <- z, or sum_t z          optional
     spikes <- lif(z)                 optional, T steps; or counts <- lif(z), a neuron of several levels

   Offsets count bytes from the start of the thread's arena; -1 is "none". */
#define SPK_OP_FIELDS(FIELD)                                                                                           \
    FIELD(int32_t, kind)   /* spk_kind */                                                                              \
    FIELD(int32_t, source) /* spk_source */                                                                            \
    FIELD(int32_t, T)                                                                                                  \
    FIELD(int32_t, in_c)                                                                                               \
    FIELD(int32_t, in_h)                                                                                               \
    FIELD(int32_t, in_w)                                                                                               \
    FIELD(int32_t, in_t)                                                                                               \
    FIELD(int32_t, out_c)                                                                                              \
    FIELD(int32_t, out_h)                                                                                              \
    FIELD(int32_t, out_w)                                                                                              \
    FIELD(int32_t, map_h) /* spikes through weights: their map ... */                                                  \
    FIELD(int32_t, map_w)                                                                                              \
    FIELD(int32_t, pool) /* ... and the O8 before the weights; or 1 */                                                 \
    FIELD(int32_t, kernel_h)                                                                                           \
    FIELD(int32_t, kernel_w)                                                                                           \
    FIELD(int32_t, stride_h)                                                                                           \
    FIELD(int32_t, stride_w)                                                                                           \
    FIELD(int32_t, pad_h)                                                                                              \
    FIELD(int32_t, pad_w)                                                                                              \
    FIELD(int32_t, groups)                                                                                             \
    FIELD(int32_t, code_top) /* largest |w| the weights w may hold */                                                  \
    FIELD(int32_t, odd)      /* int8 rows: w stands for the code 2 w + 1 (Q5), else for itself */                      \
    FIELD(int32_t, affine)   /* spk_affine */                                                                          \
    FIELD(int32_t, split)                                                                                              \
    FIELD(int32_t, addend_source) /* spk_source: values or spikes */                                                   \
    FIELD(int32_t, addend_t)      /* steps */                                                                          \
    FIELD(int32_t, sum_time)                                                                                           \
    FIELD(int32_t, leak)                                                                                               \
    FIELD(int32_t, gain)                                                                                               \
    FIELD(int32_t, leak_bits)                                                                                          \
    FIELD(int32_t, threshold)                                                                                          \
    FIELD(int32_t, soft_reset)                                                                                         \
    FIELD(int32_t, membrane_shift) /* 0: the membrane keeps every bit */                                               \
    FIELD(int32_t, membrane_top)                                                                                       \
    FIELD(int32_t, drop) /* what a spike takes from the membrane, with soft_reset */                                   \
    FIELD(int32_t, dilation_h)                                                                                         \
    FIELD(int32_t, dilation_w) /* between the taps of a kernel */                                                      \
    FIELD(int32_t, affine_t)   /* 1, or more: affine constants [steps][channels], from step t0 of the call on */       \
    FIELD(int32_t, clipped)    /* whether clip_low and clip_high hold after the affine step */                         \
    FIELD(int32_t, rounding)   /* what is added to the charge before the shift by leak_bits */                         \
    FIELD(int32_t, levels)     /* most spikes of a neuron and step */                                                  \
    FIELD(int32_t, add_to)     /* SPK_CHANNEL_MAP, SPK_GATHER: the rest of the map is there already, else 0 */         \
    FIELD(int32_t, heads)                                                                                              \
    FIELD(int32_t, transpose_a)                                                                                        \
    FIELD(int32_t, transpose_b)                                                                                        \
    FIELD(int32_t, by_row)                                                                                             \
    FIELD(int32_t, narrow)   /* SPK_MATMUL: both sources within -32767..32767 */                                       \
    FIELD(int32_t, addend_c) /* the addend's map, where it is not the output's */                                      \
    FIELD(int32_t, addend_h)                                                                                           \
    FIELD(int32_t, addend_w)                                                                                           \
    FIELD(int32_t, planes)        /* SPK_MATMUL_BITS: bits of an entry of the addend, 1 to 4 */                        \
    FIELD(int32_t, has_sign)      /* ... whether the top one is that of negative entries */                            \
    FIELD(int32_t, lane_bits)     /* ... 8: every entry of the product is 0..255, 16: an int16, or 32 */               \
    FIELD(int32_t, wide_charge)   /* leak v + gain x + rounding may leave 32 bits */                                   \
    FIELD(int32_t, most)          /* events or quads: the largest of source values */                                  \
    FIELD(int32_t, quotient_bits) /* 0: levels are found by cuts; else by division, see spk_quotient_row */            \
    FIELD(int32_t, max_h)         /* O7 behind the weights: windows side by side that fill no padding; or 1 */         \
    FIELD(int32_t, max_w)                                                                                              \
    FIELD(int32_t, short_sums) /* spikes through weights: every sum of theirs is an int16 */                           \
    FIELD(int32_t, states)     /* SPK_CONV_CUTS: of its automaton, 1, 3 or 7; 0: cuts for sums since the last spike */ \
    FIELD(int32_t, cut_count)                                                                                          \
    FIELD(int32_t, source_planes) /* of a source in planes, or of spikes: 1 */                                         \
    FIELD(int32_t, sum_planes)    /* SPK_ADD_PLANES: of the result; `planes` are those of the addend */                \
    FIELD(int32_t, row_pixels) /* SPK_CONV_SLICED, SPK_CONV_CUTS: output pixels that share a row of weights; or 0 */   \
    FIELD(int64_t, src)                                                                                                \
    FIELD(int64_t, addend)                                                                                             \
    FIELD(int64_t, values)                                                                                             \
    FIELD(int64_t, spikes)                                                                                             \
    FIELD(int64_t, counts)                                                                                             \
    FIELD(int64_t, state) /* offset in the state of a sample; -1: the operation keeps none */                          \
    FIELD(int64_t, scratch)                                                                                            \
    FIELD(int64_t, external)  /* exports: values per sample before this node's; SPK_CALL: its number */                \
    FIELD(int64_t, row_bytes) /* weights of one synapse, padded */                                                     \
    FIELD(const void *, weight)                                                                                        \
    FIELD(const int32_t *, multiplier) /* per channel, padded to 8, as all constants below */                          \
    FIELD(const int32_t *, shift)                                                                                      \
    FIELD(const int32_t *, offset)                                                                                     \
    FIELD(const int32_t *, high)                                                                                       \
    FIELD(const int32_t *, low)                                                                                        \
    FIELD(const int32_t *, half)                                                                                       \
    FIELD(const int32_t *, rest)                                                                                       \
    FIELD(const int32_t *, addend_zero)                                                                                \
    FIELD(const int32_t *, addend_one)                                                                                 \
    FIELD(const int32_t *, channels) /* SPK_CHANNEL_MAP: runs of neighbours, each (first channel of the output,        \
                                        first of the source, how many); the last has none */                           \
    FIELD(const int32_t *, clip_low)                                                                                   \
    FIELD(const int32_t *, clip_high)                                                                                  \
    FIELD(const int32_t *, neuron)       /* or NULL: rows by channel, see spk_neuron_row */                            \
    FIELD(const int32_t *, index)        /* SPK_GATHER: the source's pixel of every pixel, or -1 */                    \
    FIELD(const void *, cuts)            /* SPK_CONV_CUTS: by width, cut and plane, row_bytes each; see cuts.h */      \
    FIELD(const int32_t *, transitions)  /* ... of its automaton: numbers of cuts, a row a state */                    \
    FIELD(const int32_t *, first_spikes) /* or NULL: [steps] of a neuron under a still current, see still.h */

typedef void (*spk_callback)(int64_t number, int64_t sample, uint8_t *arena);

/* The rows of `neuron`: O6 with constants by channel or several levels. Behind them lie `levels` cuts, each
   threshold + j * step - 1, or the largest int32: the charges above j cuts give j spikes. */
typedef enum spk_neuron_row {
    SPK_LEAK,
    SPK_GAIN,
    SPK_THRESHOLD,
    SPK_STEP,
    SPK_DROP,
    SPK_START,
    SPK_NEURON_ROWS
} spk_neuron_row;

/* The rows of `neuron` behind those, where quotient_bits = b is not 0. With u = h - floor, h held between floor and
   ceiling, the spikes are floor(u / step), which is q or q - 1 of

       q = ((u >> shift) factor + 2^(b - 1)) >> b,

   and q - 1 where u < q step. */
typedef enum spk_quotient_row {
    SPK_FLOOR = SPK_NEURON_ROWS, /* threshold - step */
    SPK_CEILING,                 /* threshold + (levels - 1) step */
    SPK_QUOTIENT_SHIFT,
    SPK_QUOTIENT_FACTOR
} spk_quotient_row;

/* Raised by spk_stop while a call runs: the call ends soon, and its results are of no use. */
#if defined(__STDC_NO_ATOMICS__) || (defined(_MSC_VER) && !defined(__clang__))
typedef volatile int32_t spk_flag;
#else
typedef _Atomic int32_t spk_flag;
#endif

/* Threads that wait between calls, of one call at a time. */
typedef struct spk_pool spk_pool;

/* One batch, as the caller gives it. */
#define SPK_CALL_FIELDS(FIELD)                                                                                         \
    FIELD(const struct spk_op *, ops)                                                                                  \
    FIELD(int64_t, op_count)                                                                                           \
    FIELD(const uint8_t *, x) /* [x_t][batch][x_size] */                                                               \
    FIELD(int64_t, x_size)                                                                                             \
    FIELD(int64_t, batch)                                                                                              \
    FIELD(int32_t *, logits) /* [batch][logit_count], or NULL */                                                       \
    FIELD(int64_t, logit_count)                                                                                        \
    FIELD(uint8_t *, spikes) /* node after node [T][batch][C][H][W], or NULL */                                        \
    FIELD(uint8_t *, arena)  /* threads * arena_bytes, 64-byte aligned */                                              \
    FIELD(int64_t, arena_bytes)                                                                                        \
    FIELD(int32_t, threads) /* 1 .. SPK_MAX_THREADS */                                                                 \
    FIELD(int32_t, set)     /* index of the kernel set */                                                              \
    FIELD(int64_t, t0)      /* the number of the first step */                                                         \
    FIELD(uint8_t *, state) /* [batch][state_bytes], or NULL */                                                        \
    FIELD(int64_t, state_bytes)                                                                                        \
    FIELD(int32_t *, outputs)     /* node after node [steps][batch][C][H][W], or NULL */                               \
    FIELD(spk_callback, callback) /* runs SPK_CALL number `number` for a sample, in a thread's arena */                \
    FIELD(spk_flag, stop)         /* 0 at first */                                                                     \
    FIELD(spk_pool *, pool)       /* whose threads help the caller's, or NULL: it is the only one */

#define SPK_MEMBER(type, name) type name;

typedef struct spk_op {
    SPK_OP_FIELDS(SPK_MEMBER)
} spk_op;

typedef struct spk_call {
    SPK_CALL_FIELDS(SPK_MEMBER)
} spk_call;

/* A member of one of the two, so that whoever fills them in from another language can compare its own picture. */
typedef struct spk_field {
    const char *name; /* NULL: behind the last */
    int64_t offset, size;
} spk_field;

#define SPK_MAX_THREADS 64

/* What a kernel sees: its sample and its thread's arena. */
typedef struct spk_frame {
    const spk_call *call;
    uint8_t *arena;
    int64_t sample;
} spk_frame;

typedef void (*spk_run_kernel)(const spk_op *op, const spk_frame *frame);
typedef int64_t (*spk_scratch_bytes)(const spk_op *op);

/* A kernel of one kind, and the scratch memory that it wants (NULL: none). */
typedef struct spk_kernel {
    spk_run_kernel run;
    spk_scratch_bytes scratch;
} spk_kernel;

/* A kernel set. To add one: a file that defines it, a line in sets.c and in runtime/plan/sets.py. A kind that a
   set leaves out (run == NULL) is that of the set it builds upon, or never scheduled for it; SPK_CONV_ROWS and
   SPK_CONV_VALUES must be there. */
typedef struct spk_kernels {
    const char *name;
    int (*available)(void);         /* whether this machine can run it */
    const struct spk_kernels *base; /* which has kernels that are not its own; NULL: builds upon none */
    spk_kernel kernel[SPK_KINDS];
} spk_kernels;

SPK_API int32_t spk_set_count(void);
SPK_API const char *spk_set_name(int32_t set);
SPK_API int32_t spk_set_available(int32_t set);
SPK_API int32_t spk_set_offers(int32_t set, int32_t kind);
SPK_API int64_t spk_op_scratch(int32_t set, const spk_op *op);
SPK_API const char *const *spk_kind_names(void); /* in their order; NULL behind the last */
SPK_API const spk_field *spk_op_fields(void);
SPK_API const spk_field *spk_call_fields(void);
SPK_API void spk_run(spk_call *call);
SPK_API void spk_stop(spk_call *call); /* from any thread, while spk_run(call) runs */
SPK_API int64_t spk_pool_bytes(void);
SPK_API void spk_pool_open(spk_pool *pool); /* in so many bytes of the caller's; starts no thread yet */
/* Joins its threads. Not while a call has the pool, and not in a forked child: there are no threads of it, its memory
   is just let go. */
SPK_API void spk_pool_close(spk_pool *pool);

const spk_kernels *spk_set(int32_t set);

/* A set's kernel of a kind; what it runs is NULL where it has none. */
const spk_kernel *spk_kernel_of(const spk_kernels *set, int32_t kind);

#endif
