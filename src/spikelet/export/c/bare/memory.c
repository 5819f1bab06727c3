/* memcpy and memset, for where there is no C library. volatile keeps compilers from making calls of them of the loops.
 */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    volatile uint32_t *words = to;
    volatile uint8_t *bytes = to;
    const uint32_t *from_words = from;
    const uint8_t *from_bytes = from;
    if (((uintptr_t)to | (uintptr_t)from | size) % 4 == 0)
        for (size /= 4; size; size--) *words++ = *from_words++;
    else
        for (; size; size--) *bytes++ = *from_bytes++;
    return to;
}

void *memset(void *to, int value, size_t size) {
    volatile uint32_t *words = to;
    volatile uint8_t *bytes = to;
    const uint32_t word = (uint8_t)value * 0x01010101u;
    if (((uintptr_t)to | size) % 4 == 0)
        for (size /= 4; size; size--) *words++ = word;
    else
        for (; size; size--) *bytes++ = (uint8_t)value;
    return to;
}
