/* Bytes by the dot products of ARMv8.2, on Linux; the other kernels are those for NEON. CMakeLists.txt says the
   compiler's options. */

#include <sys/auxv.h>

#include "wide_neon.h"

#include "blocks_dotprod.h"
#include "quads_dotprod.h"

#include "blocks.h"
#include "runs.h"

enum { CPU_HAS_DOT_PRODUCTS = 1 << 20 }; /* of AT_HWCAP: HWCAP_ASIMDDP */

static int is_available(void) { return (getauxval(AT_HWCAP) & CPU_HAS_DOT_PRODUCTS) != 0; }

extern const spk_kernels spk_kernels_neon, spk_kernels_dotprod;
const spk_kernels spk_kernels_dotprod = {
    .name = "dotprod",
    .available = is_available,
    .base = &spk_kernels_neon,
    .kernel = {[SPK_CONV_BLOCKS] = {conv_blocks, blocks_bytes}, [SPK_CONV_QUADS] = {conv_runs, runs_bytes}},
};
