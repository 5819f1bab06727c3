/* A position of a map whose channels, rows or columns may be one that stands for all. */
#include "spk.h"

void spk_broadcast(int32_t *v, const void *x, const spk_form *form, uint32_t row, uint32_t column, uint32_t channels) {
    const uint32_t i = form->height > 1 ? row : 0, j = form->width > 1 ? column : 0;
    uint32_t c;
    for (c = 0; c < channels; c++) v[c] = spk_value(x, form, i * form->width + j, form->channels > 1 ? c : 0);
}
