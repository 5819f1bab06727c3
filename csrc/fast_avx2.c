/* The fast kernels for AVX2; compiled with -mavx2 -mbmi -mpopcnt. */

#include "events_avx2.h"
#include "sliced_avx2.h"
#include "vec_avx2.h"

#include "blocks_portable.h"
#include "quads_portable.h"

#define SPK_SET_NAME "avx2"
#define SPK_SET_TABLE spk_kernels_avx2

static int spk_set_is_available(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
}

#include "fast.h"
