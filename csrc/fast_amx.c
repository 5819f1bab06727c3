/* Products of blocks with AMX as Sapphire Rapids has it, on Linux; the other kernels are those for AVX-512.
   CMakeLists.txt says the compiler's options. */

#define _DEFAULT_SOURCE

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blocks_amx.h"

#include "blocks.h"

enum {
    CPU_HAS_TILES = 1 << 24, /* leaf 7, edx: and their products of int8 */
    CPU_HAS_TILE_PRODUCTS = 1 << 25,
    REQUEST_STATE = 0x1023, /* arch_prctl: ARCH_REQ_XCOMP_PERM */
    STATE_OF_TILES = 18     /* ... of this part of a thread's state: XFEATURE_XTILEDATA */
};

/* Linux keeps tile registers of threads whose process has asked it to, once. */
static int system_keeps_tiles(void) { return syscall(SYS_arch_prctl, REQUEST_STATE, STATE_OF_TILES) == 0; }

static int is_available(void) {
    unsigned int a = 0, b = 0, c = 0, d = 0;
    if (!cpu_has_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (d & CPU_HAS_TILES) && (d & CPU_HAS_TILE_PRODUCTS) && system_keeps_tiles();
}

extern const spk_kernels spk_kernels_avx512, spk_kernels_amx;
const spk_kernels spk_kernels_amx = {
    .name = "amx",
    .available = is_available,
    .base = &spk_kernels_avx512,
    .kernel = {[SPK_CONV_BLOCKS] = {conv_blocks, blocks_bytes}},
};
