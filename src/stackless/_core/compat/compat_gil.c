/* SPDX-License-Identifier: PSF-2.0 */
/* Sections in which the GIL is not taken from a thread: compat_gil.h.

   What is in `held` is changed under the GIL and gil->mutex, so either is
   enough to read it.  gil->mutex is a leaf here as it is in CPython, but for
   switch_mutex. */
#include "compat.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "internal/pycore_ceval.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"

typedef struct _gil_runtime_state gil_state;

#if PY_VERSION_HEX < 0x030C0000
#    define THE_GIL(ts) ((void)(ts), &_PyRuntime.ceval.gil)
#else
#    define THE_GIL(ts) ((ts)->interp->ceval.gil)
#endif

#if PY_VERSION_HEX < 0x030D0000

static PyThreadState *
holder_of(gil_state *gil)
{
    return _Py_atomic_load_relaxed(&gil->locked)
               ? (PyThreadState *)_Py_atomic_load_relaxed(&gil->last_holder)
               : NULL;
}

static PyThreadState *
last_holder(gil_state *gil)
{
    return (PyThreadState *)_Py_atomic_load_relaxed(&gil->last_holder);
}

static bool
is_asked(PyThreadState *ts)
{
    return _Py_atomic_load_relaxed(&ts->interp->ceval.gil_drop_request);
}

static void
ask(PyThreadState *ts)
{
    _Py_atomic_store_relaxed(&ts->interp->ceval.gil_drop_request, 1);
    _Py_atomic_store_relaxed(&ts->interp->ceval.eval_breaker, 1);
}

/* The breaker is computed anew at the next occasion. */
static void
take_back(PyThreadState *ts)
{
    _Py_atomic_store_relaxed(&ts->interp->ceval.gil_drop_request, 0);
}

static bool
are_signals_pending(PyThreadState *ts)
{
    (void)ts;
    return _Py_atomic_load_relaxed(&_PyRuntime.ceval.signals_pending);
}

#else

static PyThreadState *
last_holder(gil_state *gil)
{
    return _Py_atomic_load_ptr_relaxed(&gil->last_holder);
}

static PyThreadState *
holder_of(gil_state *gil)
{
    return _Py_atomic_load_int_relaxed(&gil->locked) ? last_holder(gil) : NULL;
}

static bool
is_asked(PyThreadState *ts)
{
    return _Py_eval_breaker_bit_is_set(ts, _PY_GIL_DROP_REQUEST_BIT);
}

static void
ask(PyThreadState *ts)
{
    _Py_set_eval_breaker_bit(ts, _PY_GIL_DROP_REQUEST_BIT);
}

static void
take_back(PyThreadState *ts)
{
    _Py_unset_eval_breaker_bit(ts, _PY_GIL_DROP_REQUEST_BIT);
}

static bool
are_signals_pending(PyThreadState *ts)
{
    return _Py_eval_breaker_bit_is_set(ts, _PY_SIGNALS_PENDING_BIT);
}

#endif

#define FOREVER (3600ul * 1000000ul) /* microseconds, as gil->interval */
/* How often the guardian looks, in microseconds: as often as the others would
   ask, within reason. */
#define MIN_TICK 1000ul
#define MAX_TICK 5000ul
/* Ticks without an open section after which it sleeps. */
#define LINGER 20

static struct {
    gil_state *gil;
    slp_section *first;     /* those that are open */
    unsigned long usual;    /* the interval, while any is open */
    unsigned long bumps;    /* how often we have changed gil->switch_number */
    PyThreadState *overdue; /* held the GIL too long, but was inside */

    /* The guardian's: what it saw at its last look, and whom it has asked. */
    PyThreadState *seen, *asked;
    unsigned long seen_switches;
    pthread_t thread;
    pthread_cond_t wake;
    bool runs, asleep, stop;
    bool hooked; /* we hear of new threads */
} held;

/* ---- the guardian --------------------------------------------------------- */

/* A holder that drops the GIL on demand waits until somebody else has taken it,
   so there must be somebody. */
static bool
somebody_waits(gil_state *gil)
{
#ifdef __GLIBC__
    return gil->cond.__data.__wrefs >> 3 != 0; /* see glibc's nptl-cond.h */
#else
    (void)gil;
    return true; /* if not: relieve() */
#endif
}

static bool
is_inside(PyThreadState *ts)
{
    slp_section *s = held.first;
    while (s != NULL && s->ts != ts) {
        s = s->next;
    }
    return s != NULL;
}

/* Whom we have asked may be waiting for somebody that is not there, until it has
   dropped the GIL and somebody else had it. */
static void
relieve(gil_state *gil)
{
    PyThreadState *ts = held.asked;
    if (ts == NULL) {
        return;
    }
    if (last_holder(gil) != ts || (holder_of(gil) == ts && !is_asked(ts))) {
        held.asked = NULL;
    }
    else if (holder_of(gil) == NULL) {
        pthread_mutex_lock(&gil->switch_mutex);
        pthread_cond_signal(&gil->switch_cond);
        pthread_mutex_unlock(&gil->switch_mutex);
    }
}

static void
look(gil_state *gil)
{
    PyThreadState *holder = holder_of(gil);
    unsigned long switches = gil->switch_number - held.bumps;
    relieve(gil);
    if (holder != NULL && holder == held.seen && switches == held.seen_switches
        && somebody_waits(gil)) {
        if (is_inside(holder)) {
            held.overdue = holder; /* asked as soon as it is not */
        }
        else {
            ask(holder);
            held.asked = holder;
        }
    }
    held.seen = holder;
    held.seen_switches = switches;
}

static void
wait_a_tick(gil_state *gil)
{
    unsigned long tick = held.first != NULL ? held.usual : gil->interval;
    tick = tick < MIN_TICK ? MIN_TICK : tick > MAX_TICK ? MAX_TICK : tick;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)tick * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&held.wake, &gil->mutex, &until);
}

static void *
guardian(void *arg)
{
    gil_state *gil = arg;
    int idle = 0;
    pthread_mutex_lock(&gil->mutex);
    while (!held.stop) {
        wait_a_tick(gil);
        look(gil);
        idle = held.first != NULL || held.asked != NULL ? 0 : idle + 1;
        if (idle < LINGER || held.stop) {
            continue;
        }
        /* Whoever began to wait while one was open looks after itself now. */
        pthread_cond_broadcast(&gil->cond);
        held.asleep = true;
        while (held.asleep && !held.stop) {
            pthread_cond_wait(&held.wake, &gil->mutex);
        }
        idle = 0;
    }
    pthread_mutex_unlock(&gil->mutex);
    return NULL;
}

/* False: there can be no other thread. */
static bool
start_guardian(gil_state *gil)
{
    if (held.runs) {
        return true;
    }
    sigset_t all, before;
    sigfillset(&all);
    held.gil = gil;
    held.stop = held.asleep = false;
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for others */
    int r = pthread_create(&held.thread, NULL, guardian, gil);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    held.runs = r == 0;
    return held.runs;
}

/* The same; -1 with RuntimeError. */
static int
need_guardian(gil_state *gil)
{
    if (!start_guardian(gil)) {
        PyErr_SetString(PyExc_RuntimeError, "can't start new thread");
        return -1;
    }
    return 0;
}

static void
init_wake(void)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&held.wake, &attr);
    pthread_condattr_destroy(&attr);
}

/* ---- sections ------------------------------------------------------------- */

/* No other thread needs a turn, and we hear when there is going to be one. */
static bool
is_alone(void)
{
#ifdef __GLIBC__
    extern char __libc_single_threaded __attribute__((weak));
    return held.hooked && &__libc_single_threaded != NULL
           && __libc_single_threaded;
#else
    return false;
#endif
}

int
slp_section_prepare(PyThreadState *ts)
{
    if (!is_alone() && need_guardian(THE_GIL(ts)) < 0) {
        return -1;
    }
    if (SLP_UNLIKELY(is_asked(ts))) {
        Py_BEGIN_ALLOW_THREADS
        Py_END_ALLOW_THREADS
    }
    return 0;
}

/* Who is in the middle of a wait does not ask for the GIL at its end. */
static void
bump(gil_state *gil)
{
    gil->switch_number++;
    held.bumps++;
}

void
slp_section_open(slp_section *s, PyThreadState *ts)
{
    if (s->ts != NULL) {
        return;
    }
    gil_state *gil = THE_GIL(ts);
    if (SLP_UNLIKELY(!held.runs && !is_alone())) {
        /* Threads have come since its tasklet was made atomic.  If there can be
           no guardian the section holds, and who lets go may wait long. */
        (void)start_guardian(gil);
    }
    pthread_mutex_lock(&gil->mutex);
    held.gil = gil;
    if (held.first == NULL) {
        held.usual = gil->interval;
        gil->interval = FOREVER;
    }
    s->ts = ts;
    s->prev = NULL;
    s->next = held.first;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    held.first = s;
    bump(gil);
    take_back(ts);
    if (SLP_UNLIKELY(held.asleep)) {
        held.asleep = false;
        pthread_cond_signal(&held.wake);
    }
    pthread_mutex_unlock(&gil->mutex);
}

/* Take it off the list; the last one restores the interval. */
static void
unlink_section(slp_section *s)
{
    if (s->prev != NULL) {
        s->prev->next = s->next;
    }
    else {
        held.first = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    s->ts = NULL;
    if (held.first == NULL) {
        held.gil->interval = held.usual;
    }
}

void
slp_section_close(slp_section *s)
{
    PyThreadState *ts = s->ts;
    if (ts == NULL) {
        return;
    }
    gil_state *gil = held.gil;
    pthread_mutex_lock(&gil->mutex);
    unlink_section(s);
    if (SLP_UNLIKELY(held.overdue != NULL)) {
        if (held.overdue == ts && holder_of(gil) == ts
            && somebody_waits(gil)) {
            ask(ts);
            held.asked = ts;
        }
        held.overdue = NULL;
    }
    pthread_mutex_unlock(&gil->mutex);
}

/* In the child of a fork only the calling thread lives; CPython makes the mutex
   anew. */
static void
in_child(void)
{
    PyThreadState *ts = slp_ts();
    held.runs = held.asleep = held.stop = false;
    held.overdue = held.seen = held.asked = NULL;
    init_wake();
    slp_section *s = held.first;
    while (s != NULL) {
        slp_section *next = s->next;
        if (s->ts != ts) {
            unlink_section(s);
        }
        s = next;
    }
}

bool
slp_signals_pending(PyThreadState *ts)
{
    return slp_is_main_thread() && are_signals_pending(ts);
}

/* ---- functions of CPython's that have to know ------------------------------ */

static PyCFunction sys_get, sys_set, start_new;

static bool
is_held(void)
{
    return held.first != NULL && THE_GIL(slp_ts()) == held.gil;
}

static PyObject *
get_interval(PyObject *self, PyObject *args)
{
    return is_held() ? PyFloat_FromDouble(1e-6 * (double)held.usual)
                     : sys_get(self, args);
}

static PyObject *
set_interval(PyObject *self, PyObject *args)
{
    PyObject *r = sys_set(self, args);
    if (r != NULL && is_held()) {
        pthread_mutex_lock(&held.gil->mutex);
        held.usual = held.gil->interval;
        held.gil->interval = FOREVER;
        bump(held.gil);
        pthread_mutex_unlock(&held.gil->mutex);
    }
    return r;
}

/* A section that was opened while there was no other thread. */
static int
before_thread(void)
{
    return is_held() ? need_guardian(held.gil) : 0;
}

static PyObject *
start_new_thread(PyObject *self, PyObject *args)
{
    return before_thread() < 0 ? NULL : start_new(self, args);
}

#if PY_VERSION_HEX >= 0x030D0000

static PyCFunction start_joinable;

static PyObject *
start_joinable_thread(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyCFunctionWithKeywords f = (PyCFunctionWithKeywords)(void *)
        start_joinable;
    return before_thread() < 0 ? NULL : f(self, args, kwargs);
}

#endif

static const struct {
    const char *module, *name;
    int flags;
    PyCFunction ours, *theirs;
} wrapped[] = {
    {"sys", "getswitchinterval", METH_NOARGS, get_interval, &sys_get},
    {"sys", "setswitchinterval", METH_O, set_interval, &sys_set},
    {"_thread", "start_new_thread", METH_VARARGS, start_new_thread,
     &start_new},
    {"_thread", "start_new", METH_VARARGS, start_new_thread, &start_new},
#if PY_VERSION_HEX >= 0x030D0000
    {"_thread", "start_joinable_thread", METH_VARARGS | METH_KEYWORDS,
     (PyCFunction)(void *)start_joinable_thread, &start_joinable},
#endif
};

/* Whoever has the function already calls ours, too: its entry in the method
   table is changed.  1: done; 0: it is another function; -1: error. */
static int
stand_in_front(size_t i)
{
    PyObject *module = PyImport_ImportModule(wrapped[i].module);
    PyObject *f = module ? PyObject_GetAttrString(module, wrapped[i].name)
                         : NULL;
    Py_XDECREF(module);
    if (f == NULL) {
        return -1;
    }
    PyMethodDef *def = PyCFunction_CheckExact(f)
                           ? ((PyCFunctionObject *)f)->m_ml
                           : NULL;
    bool same = def != NULL && def->ml_flags == wrapped[i].flags;
    if (same && def->ml_meth != wrapped[i].ours) {
        *wrapped[i].theirs = def->ml_meth;
        def->ml_meth = wrapped[i].ours;
    }
    Py_DECREF(f);
    return same;
}

int
slp_gil_setup(void)
{
    static bool once;
    held.hooked = true;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(wrapped); i++) {
        int r = stand_in_front(i);
        if (r < 0) {
            return -1;
        }
        held.hooked &= r;
    }
    if (!once) {
        once = true;
        init_wake();
        pthread_atfork(NULL, NULL, in_child);
    }
    return 0;
}

static void
end_guardian(void)
{
    pthread_mutex_lock(&held.gil->mutex);
    held.stop = true;
    pthread_cond_signal(&held.wake);
    pthread_mutex_unlock(&held.gil->mutex);
    pthread_join(held.thread, NULL);
    if (held.asked == slp_ts()) {
        take_back(held.asked); /* perhaps nobody waits any more */
    }
    held.asked = NULL;
    held.runs = false;
}

void
slp_gil_shutdown(void)
{
    if (held.runs) {
        end_guardian();
        held.gil = NULL;
    }
}

void
slp_gil_before_fork(void)
{
    if (!held.runs) {
        return;
    }
    pthread_mutex_lock(&held.gil->mutex);
    bool idle = held.first == NULL && held.asked == NULL;
    pthread_mutex_unlock(&held.gil->mutex);
    if (idle) {
        end_guardian();
    }
}
