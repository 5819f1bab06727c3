/* The executor: every operation, in order, sample after sample. */

#include "stop.h"
#include "threads.h"

static void run_samples(void *argument, int32_t worker, spk_queue *queue) {
    const spk_call *call = argument;
    const spk_kernels *kernels = spk_set(call->set);
    spk_frame frame = {call, call->arena + (int64_t)worker * call->arena_bytes, 0};
    while (!spk_stopped(&frame) && (frame.sample = spk_queue_take(queue)) >= 0) {
        for (int64_t i = 0; i < call->op_count && !spk_stopped(&frame); i++) {
            const spk_op *op = &call->ops[i];
            spk_kernel_of(kernels, op->kind)->run(op, &frame);
        }
    }
}

void spk_run(spk_call *call) { spk_parallel(call->pool, call->threads, call->batch, run_samples, call); }

void spk_stop(spk_call *call) { call->stop = 1; }
