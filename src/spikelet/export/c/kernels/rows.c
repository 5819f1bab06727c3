/* Rows of byte weights times their values, added to a vector: a sum is read and written once for all of them. */
#include "spk.h"

static inline uint32_t times(uint32_t x, int32_t weight) { return x * (uint32_t)weight; }

void spk_add_rows(int32_t *v, const spk_rows *some, uint32_t bytes) {
    const int8_t *a = some->row[0], *b = some->row[1], *c = some->row[2], *d = some->row[3], *const end = a + bytes;
    const uint32_t p = some->x[0], q = some->x[1], r = some->x[2], s = some->x[3];
    while (a < end)
        spk_accumulate(v++, times(p, *a++) + times(q, *b++) + times(r, *c++) + times(s, *d++));
}

/* Fewer than SPK_ROWS of them. */
void spk_add_rest(int32_t *v, spk_rows *some, uint32_t bytes) {
    uint32_t i;
    for (i = some->count; i < SPK_ROWS; i++) {
        some->row[i] = some->row[0];
        some->x[i] = 0;
    }
    if (some->count > 2) {
        spk_add_rows(v, some, bytes);
    } else {
        const int8_t *a = some->row[0], *b = some->row[1], *const end = a + bytes;
        const uint32_t p = some->x[0], q = some->x[1];
        while (a < end) spk_accumulate(v++, times(p, *a++) + times(q, *b++));
    }
}
