/* The fast kernel set, once for every vector header. The including file defines SPK_SET_NAME,
   SPK_SET_TABLE and spk_set_is_available(), and has included its vec_*.h, events_*.h, sliced_*.h, blocks_*.h and
   quads_*.h. */

#include "blocks.h"
#include "channel_map.h"
#include "cuts.h"
#include "depthwise.h"
#include "matmul.h"
#include "matmul_bits.h"
#include "places.h"
#include "plain.h"
#include "planes.h"
#include "pointwise.h"
#include "pool.h"
#include "rows.h"
#include "runs.h"
#include "sliced.h"

/* Spikes or planes as values. */
static void unpack(const spk_op *op, const spk_frame *f) {
    if (op->source == SPK_PLANES)
        unpack_planes(op, f);
    else
        unpack_spikes(op, f);
}

extern const spk_kernels SPK_SET_TABLE;
const spk_kernels SPK_SET_TABLE = {
    .name = SPK_SET_NAME,
    .available = spk_set_is_available,
    .kernel =
        {
            [SPK_CONV_ROWS] = {conv_rows, rows_bytes},
            [SPK_CONV_NIBBLES] = {conv_rows, rows_bytes},
            [SPK_CONV_SLICED] = {conv_sliced, sliced_bytes},
            [SPK_CONV_CUTS] = {conv_cuts, cuts_bytes},
            [SPK_CONV_PLACES] = {conv_places, places_bytes},
            [SPK_CONV_VALUES] = {conv_values, plain_bytes},
            [SPK_CONV_PAIRS] = {conv_runs, runs_bytes},
            [SPK_CONV_QUADS] = {conv_runs, runs_bytes},
            [SPK_CONV_BLOCKS] = {conv_blocks, blocks_bytes},
            [SPK_CONV_DEPTHWISE] = {conv_depthwise, depthwise_bytes},
            [SPK_POINTWISE] = {pointwise, plain_bytes},
            [SPK_UNPACK] = {unpack, NULL},
            [SPK_ADD_PLANES] = {add_planes, NULL},
            [SPK_MAXPOOL_SPIKES] = {max_pool_spikes, NULL},
            [SPK_MAXPOOL_VALUES] = {max_pool_values, NULL},
            [SPK_SUMPOOL] = {sum_pool_values, NULL},
            [SPK_CHANNEL_MAP] = {channel_map, NULL},
            [SPK_MUL] = {multiply, NULL},
            [SPK_MATMUL] = {multiply_matrices, matrices_bytes},
            [SPK_MATMUL_BITS] = {matmul_bits, matmul_bits_bytes},
            SPK_PLAIN_KERNELS,
        },
};
