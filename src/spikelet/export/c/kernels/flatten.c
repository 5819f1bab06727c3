/* flatten (O9): a map as one vector, channel by channel. */
#include "spk.h"

void spk_flatten(int32_t *v, const void *x, const spk_form *form) { spk_give(v, x, form); }
