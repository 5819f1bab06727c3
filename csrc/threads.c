/* Threads that wait between calls: a condition wakes them on cores that are free, where the system would often start a
   new thread on the core of the one that makes it. */

#if !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include "threads.h"

#if defined(_WIN32)

#include <windows.h>

typedef SRWLOCK lock_t;
typedef CONDITION_VARIABLE condition_t;
typedef HANDLE thread_t;
#define THREAD_RESULT DWORD WINAPI
static void lock_open(lock_t *l) { InitializeSRWLock(l); }
static void lock_close(lock_t *l) { (void)l; }
static void lock_take(lock_t *l) { AcquireSRWLockExclusive(l); }
static void lock_give(lock_t *l) { ReleaseSRWLockExclusive(l); }
static void condition_open(condition_t *c) { InitializeConditionVariable(c); }
static void condition_close(condition_t *c) { (void)c; }
static void condition_wait(condition_t *c, lock_t *l) { (void)SleepConditionVariableSRW(c, l, INFINITE, 0); }
static void condition_wake(condition_t *c) { WakeConditionVariable(c); }
static void condition_wake_all(condition_t *c) { WakeAllConditionVariable(c); }
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
#include <signal.h>

typedef pthread_mutex_t lock_t;
typedef pthread_cond_t condition_t;
typedef pthread_t thread_t;
#define THREAD_RESULT void *
static void lock_open(lock_t *l) { (void)pthread_mutex_init(l, NULL); }
static void lock_close(lock_t *l) { (void)pthread_mutex_destroy(l); }
static void lock_take(lock_t *l) { (void)pthread_mutex_lock(l); }
static void lock_give(lock_t *l) { (void)pthread_mutex_unlock(l); }
static void condition_open(condition_t *c) { (void)pthread_cond_init(c, NULL); }
static void condition_close(condition_t *c) { (void)pthread_cond_destroy(c); }
static void condition_wait(condition_t *c, lock_t *l) { (void)pthread_cond_wait(c, l); }
static void condition_wake(condition_t *c) { (void)pthread_cond_signal(c); }
static void condition_wake_all(condition_t *c) { (void)pthread_cond_broadcast(c); }
/* The caller's threads keep all signals that are sent to the process, but for faults: these are the thread's own. */
static int thread_start(thread_t *t, void *(*run)(void *), void *argument) {
    const int faults[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    sigset_t blocked, before;
    (void)sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) (void)sigdelset(&blocked, faults[i]);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
    const int started = pthread_create(t, NULL, run, argument) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}
static void thread_join(thread_t t) { (void)pthread_join(t, NULL); }

#endif

struct spk_queue {
    lock_t *lock; /* NULL: one thread empties it */
    int64_t next, end;
};

int64_t spk_queue_take(spk_queue *queue) {
    if (queue->lock) lock_take(queue->lock);
    const int64_t sample = queue->next < queue->end ? queue->next++ : -1;
    if (queue->lock) lock_give(queue->lock);
    return sample;
}

struct spk_pool {
    lock_t lock;          /* of everything below */
    condition_t called;   /* there are places, or the pool ends */
    condition_t finished; /* busy is 0 again */
    int32_t places;       /* in the call that runs, which no thread has taken yet; the last is worker 1 */
    int32_t busy;         /* threads that have taken one */
    int32_t ends;
    spk_worker work;
    void *argument;
    spk_queue queue;
    int32_t started;
    thread_t thread[SPK_MAX_THREADS - 1];
};

static THREAD_RESULT serve(void *pointer) {
    spk_pool *pool = pointer;
    lock_take(&pool->lock);
    for (;;) {
        while (!pool->places && !pool->ends) condition_wait(&pool->called, &pool->lock);
        if (pool->ends) break;
        const int32_t worker = pool->places--;
        pool->busy++;
        lock_give(&pool->lock);
        pool->work(pool->argument, worker, &pool->queue);
        lock_take(&pool->lock);
        if (--pool->busy == 0) condition_wake(&pool->finished);
    }
    lock_give(&pool->lock);
    return 0;
}

int64_t spk_pool_bytes(void) { return (int64_t)sizeof(spk_pool); }

void spk_pool_open(spk_pool *pool) {
    *pool = (spk_pool){.started = 0};
    lock_open(&pool->lock);
    condition_open(&pool->called);
    condition_open(&pool->finished);
}

void spk_pool_close(spk_pool *pool) {
    lock_take(&pool->lock);
    pool->ends = 1;
    lock_give(&pool->lock);
    condition_wake_all(&pool->called);
    for (int32_t i = 0; i < pool->started; i++) thread_join(pool->thread[i]);
    condition_close(&pool->finished);
    condition_close(&pool->called);
    lock_close(&pool->lock);
}

/* Offers places to so many of the pool's threads, or to those that the system lets it have, and wakes as many. */
static void offer(spk_pool *pool, int32_t places) {
    lock_take(&pool->lock);
    while (pool->started < places && thread_start(&pool->thread[pool->started], serve, pool)) pool->started++;
    if (places > pool->started) places = pool->started;
    pool->places = places;
    lock_give(&pool->lock);
    for (int32_t i = 0; i < places; i++) condition_wake(&pool->called);
}

/* Takes back the places that nobody came for, and waits for the others. */
static void finish(spk_pool *pool) {
    lock_take(&pool->lock);
    pool->places = 0;
    while (pool->busy) condition_wait(&pool->finished, &pool->lock);
    lock_give(&pool->lock);
}

void spk_parallel(spk_pool *pool, int32_t threads, int64_t count, spk_worker work, void *argument) {
    if (threads > count) threads = (int32_t)count;
    if (threads > SPK_MAX_THREADS) threads = SPK_MAX_THREADS;
    if (pool == NULL || threads < 2) {
        work(argument, 0, &(spk_queue){.lock = NULL, .next = 0, .end = count});
        return;
    }
    pool->queue = (spk_queue){.lock = &pool->lock, .next = 0, .end = count};
    pool->work = work;
    pool->argument = argument;
    offer(pool, threads - 1);
    work(argument, 0, &pool->queue);
    finish(pool);
}
