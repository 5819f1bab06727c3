/* The only file pair that knows about threads: a queue of samples and workers that empty it. */

#ifndef SPIKELET_THREADS_H
#define SPIKELET_THREADS_H

#include <stdint.h>

typedef struct spk_queue spk_queue;

/* The next sample that no worker has taken, or -1. */
int64_t spk_queue_take(spk_queue *queue);

typedef void (*spk_worker)(void *argument, int32_t worker, spk_queue *queue);

/* Runs `work` on workers 0 .. threads - 1 (this thread is number 0) over samples 0 .. count - 1 and
   waits for all. Where the system refuses a thread, the others do its work. */
void spk_parallel(int32_t threads, int64_t count, spk_worker work, void *argument);

#endif
