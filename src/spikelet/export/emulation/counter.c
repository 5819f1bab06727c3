/* Counts blocks of code while Unicorn runs them. It is built for this machine and called by Unicorn, where a callback
   of Python's would take a hundred times as long. */
#include <stdint.h>

enum { BLOCKS = 1 << 16 };

typedef struct {
    uint32_t address, size;
    uint64_t times;
} block;

typedef struct {
    block blocks[BLOCKS]; /* open addressing; times 0 where there is none */
    uint64_t taken;       /* blocks that did not follow the one before */
    uint32_t next, full;
} counter;

void count_block(void *machine, uint64_t address, uint32_t size, void *data);
void count_block(void *machine, uint64_t address, uint32_t size, void *data) {
    counter *const found = data;
    uint32_t i = (uint32_t)(address >> 1) * 2654435761u >> 16, tries;
    (void)machine;
    found->taken += (uint32_t)address != found->next;
    found->next = (uint32_t)address + size;
    for (tries = 0; tries < BLOCKS; tries++, i = (i + 1) % BLOCKS) {
        block *const one = found->blocks + i;
        if (!one->times) {
            one->address = (uint32_t)address;
            one->size = size;
        }
        if (one->address == address && one->size == size) {
            one->times++;
            return;
        }
    }
    found->full = 1;
}
