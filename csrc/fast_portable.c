/* The fast kernels in plain C: any machine, any compiler. */

#include "events_portable.h"
#include "sliced_portable.h"
#include "vec_portable.h"

#include "blocks_portable.h"
#include "quads_portable.h"

#define SPK_SET_NAME "portable"
#define SPK_SET_TABLE spk_kernels_portable

static int spk_set_is_available(void) { return 1; }

#include "fast.h"
