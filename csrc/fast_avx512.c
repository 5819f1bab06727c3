/* The fast kernels for AVX-512 as Ice Lake and Zen 4 have it; CMakeLists.txt says the compiler's options. */

#include "events_avx512.h"
#include "sliced_avx512.h"

#define SPK_SET_NAME "avx512"
#define SPK_SET_TABLE spk_kernels_avx512

static int spk_set_is_available(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
}

#include "fast.h"
