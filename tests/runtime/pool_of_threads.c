/* What a pool of threads (csrc/threads.c) does, counted: test_pools.py compiles it with a `pthread_create` of ours. */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "threads.h"

#define MOST 64
#define CHECK(holds)                                                                                                   \
    if (!(holds)) (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #holds), exit(1)

static atomic_int made, allowed;

int create(pthread_t *thread, const pthread_attr_t *options, void *(*run)(void *), void *argument);
int create(pthread_t *thread, const pthread_attr_t *options, void *(*run)(void *), void *argument) {
    if (made >= allowed) return 11;
    made++;
    return pthread_create(thread, options, run, argument);
}

static void allow(int threads) {
    made = 0;
    allowed = threads;
}

static spk_pool *opened(void) {
    spk_pool *pool = malloc((size_t)spk_pool_bytes());
    CHECK(pool != NULL);
    spk_pool_open(pool);
    return pool;
}

static void closed(spk_pool *pool) {
    spk_pool_close(pool);
    free(pool);
}

/* One call: how often each sample was taken, which workers came, and for how many each of them waits. */
typedef struct tally {
    atomic_int taken[MOST], workers[MOST], arrived;
    int meet;
    int plain[MOST]; /* written by whoever took the sample, read after the call: a race if the call doesn't wait */
} tally;

static void take_all(void *argument, int32_t worker, spk_queue *queue) {
    tally *t = argument;
    CHECK(worker >= 0 && worker < MOST);
    t->workers[worker]++;
    for (int64_t sample; (sample = spk_queue_take(queue)) >= 0;) {
        t->taken[sample]++;
        t->plain[sample] = worker + 1;
        t->arrived++;
        while (t->arrived < t->meet) (void)sched_yield();
    }
}

/* Calls, and sees that each sample was taken once, and by workers of different numbers. */
static void call(spk_pool *pool, int32_t threads, int64_t count, int meet) {
    static _Thread_local tally t;
    t = (tally){.meet = meet};
    spk_parallel(pool, threads, count, take_all, &t);
    for (int64_t i = 0; i < MOST; i++) {
        CHECK(t.taken[i] == (i < count));
        CHECK((t.plain[i] > 0) == (i < count));
        CHECK(t.workers[i] <= 1 && (t.workers[i] == 0 || i == 0 || i < threads));
    }
}

/* Every one of three workers must take a sample, or the call never ends: two threads do, again and again. */
static void waiting_threads_work(void) {
    spk_pool *pool = opened();
    allow(MOST);
    for (int i = 0; i < 50; i++) call(pool, 3, 3, 3);
    CHECK(made == 2);
    for (int i = 0; i < 50; i++) call(pool, 2, 9, 2);
    CHECK(made == 2);
    closed(pool);
}

static void threads_are_made_when_needed(void) {
    spk_pool *pool = opened();
    allow(MOST);
    call(pool, 1, 5, 1);
    call(pool, 8, 1, 1);
    call(pool, 8, 0, 0);
    call(NULL, 8, 5, 1);
    CHECK(made == 0);
    call(pool, 8, 3, 1);
    CHECK(made == 2);
    for (int32_t i = 0; i < 500; i++) call(pool, 1 + i % 5, i % 7, 1);
    CHECK(made == 4);
    closed(pool);
    closed(opened());
}

static void fewer_threads_do_all(void) {
    for (int most = 0; most < 3; most++) {
        spk_pool *pool = opened();
        allow(most);
        for (int i = 0; i < 30; i++) call(pool, 4, 9, 1 + most);
        CHECK(made == most);
        closed(pool);
    }
}

static void *call_again_and_again(void *unused) {
    (void)unused;
    spk_pool *pool = opened();
    for (int32_t i = 0; i < 60; i++) call(pool, 3, 2 + i % 3, 2);
    closed(pool);
    return NULL;
}

static void callers_with_pools_of_their_own_share_nothing(void) {
    pthread_t caller[4];
    allow(MOST);
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&caller[i], NULL, call_again_and_again, NULL) == 0);
    for (int i = 0; i < 4; i++) CHECK(pthread_join(caller[i], NULL) == 0);
    CHECK(made == 8);
}

int main(void) {
    waiting_threads_work();
    threads_are_made_when_needed();
    fewer_threads_do_all();
    callers_with_pools_of_their_own_share_nothing();
    return puts("clean") < 0;
}
