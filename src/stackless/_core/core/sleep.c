/* SPDX-License-Identifier: PSF-2.0 */
/* Threads that have nothing to run sleep until another thread wakes them.

   A tasklet blocks, the ring would be empty, nobody in run() could go on: if
   another thread may come and put something into the ring, a tasklet of ours
   takes the place, the sleeper.  It is started like any other and returns as soon
   as it is not alone in the ring any more.  So the ring always has a head, and
   there is a tasklet in which signal handlers can run; what they raise goes where
   errors of tasklets go, to main or to who is in run().

   How a thread waits is in nap.c.  It is woken by whoever holds the GIL and puts
   something into its ring, by signals, and whenever a thread ends: it might have been
   the last one that could wake it. */
#include "sleep.h"

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
        if (o != st && o->ts != NULL && (!slp_thread_naps(o) || o->timed)) {
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

/* ---- the sleeper ----------------------------------------------------------- */

void
slp_sleep_forget(slp_thread *st)
{
    slp_nap_forget(st);
    slp_task *t = st->sleeper;
    st->sleeper = NULL;
    if (t != NULL) {
        slp_task_release(t);
    }
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
        if (r != SOMEBODY || slp_nap_prepare(st) < 0) {
            return NULL;
        }
        st->timed = left != 0;
        slp_nap(st, left);
    }
}

static PyMethodDef sleeper_def = {"sleep", sleeper_body, METH_NOARGS, NULL};

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
        slp_task_release(t);
        return NULL;
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
    if (r == NOBODY || r == FAILED || slp_nap_prepare(st) < 0) {
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
        slp_task *old = st->sleeper;
        st->sleeper = t;
        if (old != NULL) {
            slp_task_release(old);
        }
    }
    return st->sleeper;
}

void
slp_sleeper_taken(slp_thread *st, slp_task *t)
{
    if (t == st->sleeper) {
        st->sleeper = NULL;
        slp_task_release(t); /* the ring has one of its own */
    }
}

int
slp_sleep_setup(slp_state *s)
{
    slp_nap_setup();
    s->sleep = PyCFunction_New(&sleeper_def, NULL);
    return s->sleep == NULL ? -1 : 0;
}
