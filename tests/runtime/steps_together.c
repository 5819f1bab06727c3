/* How many lists a block of steps has that count_together (csrc/events.h) chooses: test_together.py compiles it.

   Arguments: steps, the kernel's side, the map's, channels, bytes of a row of weights, lists side by side, percent of
   words that have ones, half of their bits, pixels that share a row. All steps have the same. Printed are steps of a
   block, its lists, blocks.
 */

#include <stdio.h>
#include <stdlib.h>

#include "events_portable.h"
#include "wide_portable.h"

#include "events.h"

int main(int count, char **words) {
    int given[8];
    if (count != 9) return 2;
    for (int i = 0; i < 8; i++) given[i] = (int)strtol(words[i + 1], NULL, 10);
    const int steps = given[0], kernel = given[1], side = given[2], channels = given[3];
    spk_op op = {.kind = SPK_CONV_SLICED, .source = SPK_SPIKES, .in_t = steps, .T = steps, .pool = 1, .groups = 1};
    op.in_c = channels, op.in_h = op.in_w = op.map_h = op.map_w = op.out_h = op.out_w = side, op.row_bytes = given[4];
    op.row_pixels = given[7];
    op.kernel_h = op.kernel_w = kernel, op.stride_h = op.stride_w = 1, op.max_h = op.max_w = 1, op.most = 1;
    const size_t words_of_step = (size_t)side * (size_t)side * spk_words(channels);
    uint64_t *const spikes = calloc((size_t)steps * words_of_step, sizeof(uint64_t));
    if (spikes == NULL) return 2;
    for (size_t i = 0; i < (size_t)steps * words_of_step; i++)
        if ((int)(i % words_of_step * 100 / words_of_step) < given[6]) spikes[i] = 0x5555555555555555u;
    const spk_frame frame = {.arena = (uint8_t *)spikes};
    event_lists lists = {.planes = 1, .by = {1, 1, (size_t)steps}};
    count_together(&op, &frame, &lists, (size_t)given[5]);
    if (lists.next_row > 0) events_begin_row(&op, &frame, &lists, 0); /* or a compiler warns that nothing calls it */
    printf("%zu %zu %zu\n", lists.by.steps, lists.by.lists, lists.by.blocks);
    free(spikes);
    return 0;
}
