/* The fast kernels for AVX-512 as Ice Lake and Zen 4 have it; CMakeLists.txt says the compiler's options. */

#include "blocks_avx512.h"
#include "events_avx512.h"
#include "sliced_avx512.h"

#include "quads_portable.h"

#define SPK_SET_NAME "avx512"
#define SPK_SET_TABLE spk_kernels_avx512

static int spk_set_is_available(void) { return cpu_has_avx512(); }

#include "fast.h"
