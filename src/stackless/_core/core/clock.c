/* SPDX-License-Identifier: PSF-2.0 */
/* Asks threads, every so often, to look whether their tasklet has run long enough.

   A thread of its own, without a thread state and without the GIL: all it does is
   to queue calls.  It ends when nobody has wanted it for a while.  All
   interpreters of the process share it. */
#include "clock.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#define LINGER (2 * SLP_SECOND)

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    bool started; /* the thread is to be joined */
    bool runs;    /* it has not come to its end */
    bool stop;    /* it is to */
    bool paused;  /* there is a fork */
    bool lost;    /* in its child */
    slp_clock *clocks;
} timer = {.mutex = PTHREAD_MUTEX_INITIALIZER};

uint64_t
slp_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SLP_SECOND + (uint64_t)t.tv_nsec;
}

/* Ring it if it is time; when to look again, at the latest then. */
static uint64_t
look_at(slp_clock *c, slp_bell *b, uint64_t now, uint64_t until)
{
    if (b->period == 0) {
        return until;
    }
    if (now >= b->next) {
        b->next = now + b->period;
        if (!__atomic_load_n(&b->asked, __ATOMIC_RELAXED)) {
            bool of_main = b == &c->bells[0];
            __atomic_store_n(&b->asked, true, __ATOMIC_RELAXED);
            if (!slp_call_from_outside(c->interp, of_main, c->fn,
                                       of_main ? c : NULL)) {
                __atomic_store_n(&b->asked, false, __ATOMIC_RELAXED);
            }
        }
    }
    return b->next < until ? b->next : until;
}

static void *
tick(void *Py_UNUSED(arg))
{
    uint64_t wanted = slp_now();
    pthread_mutex_lock(&timer.mutex);
    while (!timer.stop) {
        uint64_t now = slp_now(), until = UINT64_MAX;
        for (slp_clock *c = timer.clocks; c != NULL; c = c->next) {
            until = look_at(c, &c->bells[0], now, until);
            until = look_at(c, &c->bells[1], now, until);
        }
        if (until != UINT64_MAX) {
            wanted = now;
        }
        else if (now - wanted >= LINGER) {
            break;
        }
        else {
            until = now + LINGER;
        }
        struct timespec t = {.tv_sec = (time_t)(until / SLP_SECOND),
                             .tv_nsec = (long)(until % SLP_SECOND)};
        pthread_cond_timedwait(&timer.changed, &timer.mutex, &t);
    }
    timer.runs = false;
    pthread_mutex_unlock(&timer.mutex);
    return NULL;
}

/* The mutex is held; it is given back for a moment. */
static void
join(void)
{
    if (timer.started) {
        timer.started = false;
        pthread_mutex_unlock(&timer.mutex);
        pthread_join(timer.thread, NULL);
        pthread_mutex_lock(&timer.mutex);
    }
}

/* The mutex is held.  False: there can be no thread. */
static bool
start(void)
{
    if (timer.runs || timer.paused) {
        return true;
    }
    join(); /* it has ended, or is about to */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for others */
    timer.stop = false;
    timer.started = pthread_create(&timer.thread, NULL, tick, NULL) == 0;
    timer.runs = timer.started;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return timer.runs;
}

/* The mutex is held. */
static void
end(void)
{
    timer.stop = true;
    pthread_cond_signal(&timer.changed);
    join();
}

static bool
set_period(slp_bell *b, uint64_t period)
{
    if (b->period == period) {
        return false;
    }
    b->period = period;
    b->next = slp_now() + period;
    return true;
}

const char *
slp_clock_set(slp_clock *c, uint64_t in_main, uint64_t in_others)
{
    const char *error = NULL;
    pthread_mutex_lock(&timer.mutex);
    bool changed = set_period(&c->bells[0], in_main);
    changed |= set_period(&c->bells[1], in_others);
    if (in_main != 0 || in_others != 0) {
        error = c->closed  ? "the interpreter is shutting down"
                : !start() ? "can't start new thread"
                           : NULL;
        if (changed) {
            pthread_cond_signal(&timer.changed);
        }
    }
    pthread_mutex_unlock(&timer.mutex);
    return error;
}

void
slp_clock_answered(slp_clock *c, bool of_main)
{
    __atomic_store_n(&c->bells[of_main ? 0 : 1].asked, false,
                     __ATOMIC_RELAXED);
}

void
slp_clock_missed(slp_clock *c)
{
    slp_clock_answered(c, false);
    pthread_mutex_lock(&timer.mutex);
    uint64_t soon = slp_now() + SLP_SECOND / 1000;
    if (c->bells[1].period != 0 && soon < c->bells[1].next) {
        c->bells[1].next = soon;
        pthread_cond_signal(&timer.changed);
    }
    pthread_mutex_unlock(&timer.mutex);
}

static bool
is_wanted(void)
{
    slp_clock *c = timer.clocks;
    while (c != NULL && c->bells[0].period == 0 && c->bells[1].period == 0) {
        c = c->next;
    }
    return c != NULL;
}

/* ---- forks ----------------------------------------------------------------- */

static void
make_primitives(void)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&timer.mutex, NULL);
    pthread_cond_init(&timer.changed, &attr);
    pthread_condattr_destroy(&attr);
}

/* The child has no other interpreter than the one that has forked. */
static void
in_child(void)
{
    PyThreadState *ts = slp_ts();
    slp_clock **link = &timer.clocks;
    make_primitives();
    while (*link != NULL) {
        slp_clock *c = *link;
        if (ts != NULL && c->interp != ts->interp) {
            *link = c->next;
            c->closed = true;
        }
        else {
            link = &c->next;
        }
    }
    timer.lost = timer.paused || timer.runs;
    timer.started = timer.runs = timer.stop = false;
    for (slp_clock *c = timer.clocks; c != NULL; c = c->next) {
        c->bells[0].asked = c->bells[1].asked = false;
    }
}

/* C code forks without telling: then the thread is not in the middle of queueing a
   call. */
static void
before_fork(void)
{
    pthread_mutex_lock(&timer.mutex);
}

static void
after_fork(void)
{
    pthread_mutex_unlock(&timer.mutex);
}

void
slp_clock_pause(void)
{
    pthread_mutex_lock(&timer.mutex);
    if (timer.runs) {
        timer.paused = true;
        end();
    }
    pthread_mutex_unlock(&timer.mutex);
}

bool
slp_clock_is_lost(void)
{
    return timer.lost;
}

void
slp_clock_go_on(void)
{
    pthread_mutex_lock(&timer.mutex);
    timer.paused = timer.lost = false;
    bool fine = !is_wanted() || start();
    pthread_mutex_unlock(&timer.mutex);
    if (!fine) {
        PyErr_SetString(PyExc_RuntimeError, "can't start new thread");
        PyErr_WriteUnraisable(NULL);
    }
}

/* ---- set-up ---------------------------------------------------------------- */

static void
set_up(void)
{
    make_primitives();
    pthread_atfork(before_fork, after_fork, in_child);
}

void
slp_clock_setup(slp_clock *c, PyInterpreterState *interp, slp_pending_fn fn)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
    *c = (slp_clock){.interp = interp, .fn = fn};
    pthread_mutex_lock(&timer.mutex);
    if (timer.clocks == NULL) {
        timer.paused = timer.lost = false;
    }
    c->next = timer.clocks;
    timer.clocks = c;
    pthread_mutex_unlock(&timer.mutex);
}

void
slp_clock_stop(slp_clock *c)
{
    if (c->interp == NULL || c->closed) {
        return;
    }
    pthread_mutex_lock(&timer.mutex);
    slp_clock **link = &timer.clocks;
    while (*link != c) {
        link = &(*link)->next;
    }
    *link = c->next;
    c->bells[0].period = c->bells[1].period = 0;
    c->closed = true;
    if (timer.clocks == NULL) {
        end();
    }
    pthread_mutex_unlock(&timer.mutex);
}
