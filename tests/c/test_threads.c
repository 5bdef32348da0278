/* SPDX-License-Identifier: PSF-2.0 */

/* Threads, each with its own stacks, sharing the cache; new stacks and memory
 * that go from one thread to another; fork while others use the cache. */

#include "base/slp_base.h"
#include "fiber.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define FIBERS  16
#define KIB     ((size_t)1024)

struct worker {
    pthread_t thread;
    int number;
    long sum;
};

static void
add_body(void *arg)
{
    struct worker *self = arg;
    for (int i = 0; i < 20; i++) {
        errno = 1000 + self->number;
        self->sum++;
        fiber_yield();
        NEED(errno == 1000 + self->number);
    }
}

static void *
worker_main(void *arg)
{
    struct worker *self = arg;
    struct fiber fibers[FIBERS];
    fiber_thread_start();
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < FIBERS; i++) {
            fiber_start(&fibers[i], (size_t)(1 + i % 3) * 128 * KIB, add_body,
                        self);
        }
        while (!fibers[FIBERS - 1].done) {
            for (int i = 0; i < FIBERS; i++) {
                fiber_resume(&fibers[i]);
            }
        }
        for (int i = 0; i < FIBERS; i++) {
            fiber_free(&fibers[i]);
        }
    }
    fiber_thread_end();
    return NULL;
}

static void
threads_with_own_stacks(void)
{
    struct worker workers[THREADS];
    int old = slp_cstack_cache_limit(8); /* so that it overflows often */
    for (int i = 0; i < THREADS; i++) {
        workers[i].number = i;
        workers[i].sum = 0;
        NEED(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i])
             == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        NEED(pthread_join(workers[i].thread, NULL) == 0);
        CHECK(workers[i].sum == 10 * FIBERS * 20);
    }
    struct slp_cstack_stats stats;
    slp_cstack_stats(&stats);
    CHECK(stats.mapped == stats.cached);
    CHECK(stats.cached <= 8);
    slp_cstack_cache_limit(old);
}

/* ---- Made here, run there, freed here ---- */

static void
touch_body(void *arg)
{
    *(int *)arg += 1;
    fiber_yield();
    *(int *)arg += 1;
}

static void *
run_given_fiber(void *arg)
{
    fiber_thread_start();
    fiber_resume(arg);
    fiber_thread_end();
    return NULL;
}

static void
stack_made_in_another_thread(void)
{
    struct fiber fiber;
    pthread_t thread;
    int count = 0;
    fiber_start(&fiber, 128 * KIB, touch_body, &count);
    NEED(pthread_create(&thread, NULL, run_given_fiber, &fiber) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    CHECK(count == 1);
    CHECK(!fiber.done);
    fiber_free(&fiber); /* suspended, its thread gone */
}

static void *
native_bounds_of_thread(void *arg)
{
    (void)arg;
    char *low;
    char *high;
    char *here = (char *)__builtin_frame_address(0);
    fiber_thread_start();
    slp_cstack_bounds(fiber_native, &low, &high);
    CHECK(low < here && here < high);
    CHECK((size_t)(high - low) >= 64 * KIB);
    fiber_thread_end();
    return NULL;
}

static void
native_stack_of_a_thread(void)
{
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, native_bounds_of_thread, NULL) == 0);
    NEED(pthread_join(thread, NULL) == 0);
}

/* ---- Fork ---- */

static atomic_bool stop;

static void *
use_cache(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        struct slp_cstack_stats stats;
        for (int i = 0; i < 1000; i++) { /* holds the lock most of the time */
            slp_cstack_stats(&stats);
        }
        slp_cstack_free(slp_cstack_new(128 * KIB, touch_body, NULL));
    }
    return NULL;
}

static void
fork_while_cache_is_used(void)
{
    pthread_t threads[2];
    if (WITH_TSAN || WITH_ASAN || running_under("valgrind")) {
        return; /* their run-times may hang in a child of a threaded process,
                 * or see leaks of threads that it does not have */
    }
    for (int i = 0; i < 2; i++) {
        NEED(pthread_create(&threads[i], NULL, use_cache, NULL) == 0);
    }
    for (int i = 0; i < 200 && check_failures == 0; i++) {
        pid_t pid = fork();
        NEED(pid >= 0);
        if (pid == 0) {
            alarm(20); /* the lock was lost: die, do not hang */
            slp_cstack_free(slp_cstack_new(128 * KIB, touch_body, NULL));
            _exit(0);
        }
        int status;
        NEED(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        NEED(pthread_join(threads[i], NULL) == 0);
    }
}

int
main(void)
{
    fiber_thread_start();
    RUN(threads_with_own_stacks);
    RUN(stack_made_in_another_thread);
    RUN(native_stack_of_a_thread);
    RUN(fork_while_cache_is_used);
    slp_cstack_cache_limit(0);
    fiber_thread_end();
    return check_result();
}
