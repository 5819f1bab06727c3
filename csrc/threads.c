/* Threads of one call: started when it begins, joined before it ends; nothing outlives it. */

#include "threads.h"

#include "spikelet.h"

#if defined(_WIN32)

#include <windows.h>

typedef SRWLOCK lock_t;
typedef HANDLE thread_t;
#define THREAD_RESULT DWORD WINAPI
static void lock_open(lock_t *l) { InitializeSRWLock(l); }
static void lock_close(lock_t *l) { (void)l; }
static void lock_take(lock_t *l) { AcquireSRWLockExclusive(l); }
static void lock_give(lock_t *l) { ReleaseSRWLockExclusive(l); }
static int thread_start(thread_t *t, LPTHREAD_START_ROUTINE run, void *argument) {
    *t = CreateThread(NULL, 0, run, argument, 0, NULL);
    return *t != NULL;
}
static void thread_join(thread_t t) {
    WaitForSingleObject(t, INFINITE);
    CloseHandle(t);
}

#else

#include <pthread.h>

typedef pthread_mutex_t lock_t;
typedef pthread_t thread_t;
#define THREAD_RESULT void *
static void lock_open(lock_t *l) { (void)pthread_mutex_init(l, NULL); }
static void lock_close(lock_t *l) { (void)pthread_mutex_destroy(l); }
static void lock_take(lock_t *l) { (void)pthread_mutex_lock(l); }
static void lock_give(lock_t *l) { (void)pthread_mutex_unlock(l); }
static int thread_start(thread_t *t, void *(*run)(void *), void *argument) {
    return pthread_create(t, NULL, run, argument) == 0;
}
static void thread_join(thread_t t) { (void)pthread_join(t, NULL); }

#endif

struct spk_queue {
    lock_t lock;
    int64_t next, end;
};

int64_t spk_queue_take(spk_queue *queue) {
    lock_take(&queue->lock);
    const int64_t sample = queue->next < queue->end ? queue->next++ : -1;
    lock_give(&queue->lock);
    return sample;
}

typedef struct job {
    spk_worker work;
    void *argument;
    spk_queue *queue;
    int32_t worker;
} job;

static THREAD_RESULT run_job(void *pointer) {
    const job *j = pointer;
    j->work(j->argument, j->worker, j->queue);
    return 0;
}

void spk_parallel(int32_t threads, int64_t count, spk_worker work, void *argument) {
    spk_queue queue = {.next = 0, .end = count};
    thread_t thread[SPK_MAX_THREADS];
    job jobs[SPK_MAX_THREADS];
    int32_t started = 1;
    lock_open(&queue.lock);
    while (started < threads && started < count && started < SPK_MAX_THREADS) {
        jobs[started] = (job){work, argument, &queue, started};
        if (!thread_start(&thread[started], run_job, &jobs[started])) break;
        started++;
    }
    work(argument, 0, &queue);
    for (int32_t i = 1; i < started; i++) thread_join(thread[i]);
    lock_close(&queue.lock);
}
