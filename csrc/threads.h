/* The only file pair that knows about threads: those of a pool, which wait for work, and a queue of samples that
   workers empty. */

#ifndef SPIKELET_THREADS_H
#define SPIKELET_THREADS_H

#include "spikelet.h"

typedef struct spk_queue spk_queue;

/* The next sample that no worker has taken, or -1. */
int64_t spk_queue_take(spk_queue *queue);

typedef void (*spk_worker)(void *argument, int32_t worker, spk_queue *queue);

/* Runs `work` on workers 0 .. threads - 1 (this thread is number 0, the others are the pool's, which starts those that
   it lacks) over samples 0 .. count - 1, and waits for all. Where the system refuses a thread, or it wakes up too late,
   the others do its work; without a pool (NULL) this thread does all. */
void spk_parallel(spk_pool *pool, int32_t threads, int64_t count, spk_worker work, void *argument);

#endif
