/* Rows of byte weights times their values, added to a vector: a sum is read and written once for all of them. */
#include "spk.h"

void spk_add_rows(int32_t *v, const spk_rows *some, uint32_t bytes) {
    const uint8_t *a = some->row[0], *b = some->row[1], *c = some->row[2], *d = some->row[3], *const end = a + bytes;
    const uint32_t p = some->x[0], q = some->x[1], r = some->x[2], s = some->x[3];
    while (a < end) spk_accumulate(v++, p * *a++ + q * *b++ + r * *c++ + s * *d++);
}
