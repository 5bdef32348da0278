/* SPDX-License-Identifier: PSF-2.0 */
/* Threads that have nothing to run sleep until another thread wakes them.

   A tasklet blocks, the ring would be empty, nobody in run() could go on: if
   another thread may come and put something into the ring, a tasklet of ours
   takes the place, the sleeper.  It is started like any other and returns as soon
   as it is not alone in the ring any more.  So the ring always has a head, and
   there is a tasklet in which signal handlers can run; what they raise goes where
   errors of tasklets go, to main or to who is in run().

   A thread sleeps without the GIL, on a file descriptor, and does not poll.  It
   is woken by whoever holds the GIL and puts something into its ring, by signals,
   and whenever a thread ends: it might have been the last one that could wake it. */
#include "sleep.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "watchdog.h"

bool slp_sleep_never;

/* ---- who could wake a thread ---------------------------------------------- */

static slp_thread *
scheduler_of(slp_state *s, PyThreadState *ts)
{
    slp_thread *st = s->threads;
    while (st != NULL && (st->ts != ts || st->ts_id != ts->id)) {
        st = st->next_thread;
    }
    return st;
}

static bool
has_ended(slp_state *s, uint64_t id)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(s->ended); i++) {
        if (s->ended[i] == id) {
            return true;
        }
    }
    return false;
}

/* Is there a thread that may run Python code and is not asleep, or not for ever?
   Of one that has no scheduler we want to hear when it ends. */
typedef enum {
    FAILED = -1, /* with an exception */
    NOBODY,
    SOMEBODY,
    PERHAPS, /* look again: others have run */
} answer;

static answer
can_be_woken(slp_thread *st)
{
    slp_state *s = st->state;
    if (slp_sleep_never) {
        return NOBODY;
    }
    for (slp_thread *o = s->threads; o != NULL; o = o->next_thread) {
        if (o != st && o->ts != NULL && (!o->asleep || o->woken || o->timed)) {
            return SOMEBODY;
        }
    }
    PyThreadState *ts = PyInterpreterState_ThreadHead(s->interp);
    for (; ts != NULL; ts = PyThreadState_Next(ts)) {
        if (ts != st->ts && ts->id != s->watcher_id && !has_ended(s, ts->id)
            && scheduler_of(s, ts) == NULL) {
            int r = slp_thread_watch(s, ts);
            return r < 0 ? FAILED : r == 0 ? SOMEBODY : PERHAPS;
        }
    }
    return NOBODY;
}

bool
slp_may_be_woken(slp_thread *st)
{
    answer r = can_be_woken(st);
    if (r == FAILED) {
        PyErr_Clear();
    }
    return r == SOMEBODY || r == PERHAPS;
}

void
slp_sleepers_look(slp_state *s, uint64_t ended_id)
{
    s->ended[s->ended_count++ % Py_ARRAY_LENGTH(s->ended)] = ended_id;
    for (slp_thread *st = s->threads; st != NULL; st = st->next_thread) {
        slp_thread_wake(st);
    }
}

/* ---- asleep --------------------------------------------------------------- */

void
slp_thread_wake_up(slp_thread *st)
{
    if (!st->woken && st->wake_owner == getpid()) {
        st->woken = true;
        eventfd_write(st->wake_fd, 1);
    }
}

void
slp_sleep_forget(slp_thread *st)
{
    if (st->wake_owner != 0) {
        close(st->wake_fd);
        st->wake_owner = 0;
    }
    Py_CLEAR(st->sleeper);
}

/* The child of a fork must not share its parent's.  -1 with OSError. */
static int
open_fd(slp_thread *st)
{
    if (st->wake_owner == getpid()) {
        return 0;
    }
    if (st->wake_owner != 0) {
        close(st->wake_fd);
        st->wake_owner = 0;
    }
    st->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (st->wake_fd < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    st->wake_owner = getpid();
    return 0;
}

/* Sleep until woken or interrupted, or for `most` ns if that is not 0.  Signals are
   let in by ppoll() only, so that none comes between the look for it and the
   sleep.  Nothing of st may be used without the GIL. */
static void
sleep_on(slp_thread *st, uint64_t most)
{
    PyThreadState *ts = st->ts;
    struct timespec time = {.tv_sec = (time_t)(most / SLP_SECOND),
                            .tv_nsec = (long)(most % SLP_SECOND)};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!slp_signals_pending(ts)) {
        struct pollfd p = {.fd = st->wake_fd, .events = POLLIN};
        st->asleep = true;
        st->timed = most != 0;
        Py_BEGIN_ALLOW_THREADS
        /* Another thread may have got one meanwhile. */
        if (!slp_signals_pending(ts)) {
            ppoll(&p, 1, most ? &time : NULL, &before);
        }
        Py_END_ALLOW_THREADS
        st->asleep = false;
        if (st->woken) {
            eventfd_t count;
            st->woken = false;
            eventfd_read(st->wake_fd, &count);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The body of the sleeper. */
static PyObject *
sleeper_body(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_thread *st = slp_thread_get();
    slp_task *me = st ? st->current : NULL;
    if (me == NULL) {
        return NULL;
    }
    for (;;) {
        if (Py_MakePendingCalls() < 0) { /* signal handlers are among them */
            return NULL;
        }
        uint64_t left;
        if (me->next != me || slp_watch_asleep(st, &left)) {
            Py_RETURN_NONE;
        }
        slp_task *w = slp_watchdog(st);
        bool floats = w->place == SLP_FLOATING;
        if (floats && !st->watch.threadblock) {
            Py_RETURN_NONE; /* woken, and taken out of the ring from outside */
        }
        answer r = can_be_woken(st);
        if (r == PERHAPS) {
            continue;
        }
        if (r == NOBODY && floats) {
            Py_RETURN_NONE; /* run() does */
        }
        if (r == NOBODY) {
            slp_deadlock(st,
                         w->sending
                             ? "the main tasklet is sending without a "
                               "receiver available."
                             : "the main tasklet is receiving without a "
                               "sender available.",
                         true);
        }
        if (r != SOMEBODY || open_fd(st) < 0) {
            return NULL;
        }
        sleep_on(st, left);
    }
}

static PyMethodDef sleeper_def = {"sleep", sleeper_body, METH_NOARGS, NULL};

/* ---- the sleeper ----------------------------------------------------------- */

static slp_task *
new_sleeper(slp_thread *st)
{
    slp_state *s = st->state;
    slp_task *t = slp_task_new(s, st, s->tasklet_type);
    if (t == NULL) {
        return NULL;
    }
    t->name = PyUnicode_FromString("sleeper");
    t->args = PyTuple_New(0);
    t->py.context = slp_context_current(st->ts);
    t->chunk = slp_chunk_new(SLP_CHUNK_SIZE);
    t->func = Py_NewRef(s->sleep);
    t->life = SLP_READY;
    t->sleeper = 1;
    if (t->chunk == NULL || t->name == NULL || t->args == NULL
        || t->py.context == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_NoMemory();
        }
        Py_CLEAR(t);
    }
    return t;
}

slp_task *
slp_sleeper(slp_thread *st, const char *what, bool ended, bool *changed)
{
    answer r = can_be_woken(st);
    *changed = r == PERHAPS;
    if (r == NOBODY) {
        slp_deadlock(st, what, ended);
    }
    if (r == NOBODY || r == FAILED || open_fd(st) < 0) {
        return NULL;
    }
    slp_task *t = st->sleeper;
    if (t == NULL || t->life != SLP_READY || t->place != SLP_FLOATING
        || t->thread != st) {
        t = new_sleeper(st);
        if (t == NULL) {
            return NULL;
        }
        *changed = true;
        Py_XSETREF(st->sleeper, t);
    }
    return st->sleeper;
}

void
slp_sleeper_taken(slp_thread *st, slp_task *t)
{
    if (t == st->sleeper) {
        st->sleeper = NULL;
        Py_DECREF(t); /* the ring has one of its own */
    }
}

int
slp_sleep_setup(slp_state *s)
{
    s->sleep = PyCFunction_New(&sleeper_def, NULL);
    return s->sleep == NULL ? -1 : 0;
}
