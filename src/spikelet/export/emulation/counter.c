/* Counts blocks of code while Unicorn runs them. It is built for this machine and called by Unicorn, where a callback
   of Python's would take a hundred times as long. */
#include <stdint.h>

enum { BLOCKS = 1 << 16, MARKS = 256 };

typedef struct {
    uint32_t address, size;
    uint64_t times;
    uint32_t mark, unused;
} block;

typedef struct {
    block blocks[BLOCKS]; /* open addressing; a free place has times 0 */
    uint64_t taken;       /* blocks that did not follow the one before */
    uint32_t next, full;
    uint32_t marks[MARKS]; /* where parts of the program begin, then 0 */
    uint32_t mark;         /* the part that was entered last, from 1 on */
} counter;

void count_block(void *machine, uint64_t address, uint32_t size, void *data);
void count_block(void *machine, uint64_t address, uint32_t size, void *data) {
    counter *const found = data;
    uint32_t i, tries;
    (void)machine;
    for (i = 0; i < MARKS && found->marks[i]; i++)
        if (found->marks[i] == address) found->mark = i + 1;
    i = ((uint32_t)(address >> 1) + 7919 * found->mark) * 2654435761u >> 16;
    found->taken += (uint32_t)address != found->next;
    found->next = (uint32_t)address + size;
    for (tries = 0; tries < BLOCKS; tries++, i = (i + 1) % BLOCKS) {
        block *const one = found->blocks + i;
        if (!one->times) {
            one->address = (uint32_t)address;
            one->size = size;
            one->mark = found->mark;
        }
        if (one->address == address && one->size == size && one->mark == found->mark) {
            one->times++;
            return;
        }
    }
    found->full = 1;
}
