/* The fast kernels for NEON, which every AArch64 has. */

#include "events_neon.h"
#include "sliced_neon.h"

#include "blocks_neon.h"
#include "quads_portable.h"

#define SPK_SET_NAME "neon"
#define SPK_SET_TABLE spk_kernels_neon

static int spk_set_is_available(void) { return 1; }

#include "fast.h"
