/* The fast kernels for AVX-512 and AMX as Sapphire Rapids has them, on Linux; CMakeLists.txt says the options. */

#define _DEFAULT_SOURCE

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "blocks_amx.h"
#include "events_avx512.h"
#include "sliced_avx512.h"

#define SPK_SET_NAME "amx"
#define SPK_SET_TABLE spk_kernels_amx

enum {
    CPU_HAS_TILES = 1 << 24, /* leaf 7, edx: and their products of int8 */
    CPU_HAS_TILE_PRODUCTS = 1 << 25,
    REQUEST_STATE = 0x1023, /* arch_prctl: ARCH_REQ_XCOMP_PERM */
    STATE_OF_TILES = 18     /* ... of this part of a thread's state: XFEATURE_XTILEDATA */
};

/* Linux keeps tile registers of threads whose process has asked it to, once. */
static int system_keeps_tiles(void) { return syscall(SYS_arch_prctl, REQUEST_STATE, STATE_OF_TILES) == 0; }

static int spk_set_is_available(void) {
    unsigned int a = 0, b = 0, c = 0, d = 0;
    if (!cpu_has_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (d & CPU_HAS_TILES) && (d & CPU_HAS_TILE_PRODUCTS) && system_keeps_tiles();
}

#include "fast.h"
