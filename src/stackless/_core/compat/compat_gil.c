/* SPDX-License-Identifier: PSF-2.0 */
/* Sections in which the GIL is not taken from a thread: compat_gil.h.

   What is in a hold is changed under its GIL and gil->mutex, so either is
   enough to read it.  gil->mutex is a leaf here as it is in CPython, but for
   switch_mutex. */
#include "compat.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "internal/pycore_ceval.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_pystate.h"
#include "internal/pycore_runtime.h"

typedef struct _gil_runtime_state gil_state;

#if PY_VERSION_HEX < 0x030C0000
#    define GIL_OF(interp)   ((void)(interp), &_PyRuntime.ceval.gil)
#    define OWNS_GIL(interp) false
#else
#    define GIL_OF(interp)   ((interp)->ceval.gil)
#    define OWNS_GIL(interp) ((interp)->ceval.own_gil)
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

static bool
ask(PyThreadState *ts)
{
    _Py_atomic_store_relaxed(&ts->interp->ceval.gil_drop_request, 1);
    _Py_atomic_store_relaxed(&ts->interp->ceval.eval_breaker, 1);
    return true;
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

static bool
ask(PyThreadState *ts)
{
    _Py_set_eval_breaker_bit(ts, _PY_GIL_DROP_REQUEST_BIT);
    return true;
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

#if PY_VERSION_HEX < 0x030D0000

/* Who holds the GIL may not be the one that took it, there: an interpreter is
   entered, left and destroyed without letting go.  f(ts) if that is alive. */
static bool
of_living(PyThreadState *ts, bool (*f)(PyThreadState *))
{
    bool r = false;
    PyThread_acquire_lock(_PyRuntime.interpreters.mutex, WAIT_LOCK);
    PyInterpreterState *interp = _PyRuntime.interpreters.head;
    for (; interp != NULL && !r; interp = interp->next) {
        PyThreadState *t = interp->threads.head;
        while (t != NULL && t != ts) {
            t = t->next;
        }
        r = t != NULL && f(ts);
    }
    PyThread_release_lock(_PyRuntime.interpreters.mutex);
    return r;
}

#else

static bool
of_living(PyThreadState *ts, bool (*f)(PyThreadState *))
{
    return f(ts);
}

#endif

#define FOREVER (3600ul * 1000000ul) /* microseconds, as gil->interval */
/* How often the guardian looks, in microseconds: as often as the others would
   ask, within reason. */
#define MIN_TICK 1000ul
#define MAX_TICK 5000ul
/* Ticks without an open section after which it sleeps. */
#define LINGER 20

/* One for each GIL. */
typedef struct slp_hold {
    gil_state *gil;         /* NULL: of none now */
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
    struct slp_hold *next;
} hold;

/* The main interpreter's in front; none is ever freed, so that it is found without
   a lock, which is for changes. */
static hold first_hold;
static pthread_mutex_t set_up = PTHREAD_MUTEX_INITIALIZER;
static bool hooked; /* we hear of new threads */

static hold *
find_hold(gil_state *gil)
{
    hold *h = &first_hold;
    while (h != NULL && __atomic_load_n(&h->gil, __ATOMIC_ACQUIRE) != gil) {
        h = __atomic_load_n(&h->next, __ATOMIC_ACQUIRE);
    }
    return h;
}

static hold *
hold_of(PyThreadState *ts)
{
    gil_state *gil = GIL_OF(ts->interp);
    return SLP_LIKELY(first_hold.gil == gil) ? &first_hold : find_hold(gil);
}

/* ---- the guardian --------------------------------------------------------- */

/* A holder that drops the GIL on demand waits until somebody else has taken it,
   so there must be somebody. */
static bool
somebody_waits(gil_state *gil)
{
#ifdef __GLIBC__
    /* See glibc's nptl-cond.h. */
    return __atomic_load_n(&gil->cond.__data.__wrefs, __ATOMIC_RELAXED) >> 3
           != 0;
#else
    (void)gil;
    return true; /* if not: relieve() */
#endif
}

static slp_section *
section_of(hold *h, PyThreadState *ts)
{
    slp_section *s = h->first;
    while (s != NULL && s->ts != ts) {
        s = s->next;
    }
    return s;
}

/* Whom we have asked may be waiting for somebody that is not there, until it has
   dropped the GIL and somebody else had it. */
static void
relieve(hold *h)
{
    gil_state *gil = h->gil;
    PyThreadState *ts = h->asked;
    if (ts == NULL) {
        return;
    }
    if (last_holder(gil) != ts
        || (holder_of(gil) == ts && !of_living(ts, is_asked))) {
        h->asked = NULL;
    }
    else if (holder_of(gil) == NULL) {
        pthread_mutex_lock(&gil->switch_mutex);
        pthread_cond_signal(&gil->switch_cond);
        pthread_mutex_unlock(&gil->switch_mutex);
    }
}

static void
look(hold *h)
{
    gil_state *gil = h->gil;
    PyThreadState *holder = holder_of(gil);
    unsigned long switches = gil->switch_number - h->bumps;
    relieve(h);
    if (holder != NULL && holder == h->seen && switches == h->seen_switches
        && somebody_waits(gil)) {
        if (section_of(h, holder) != NULL) {
            h->overdue = holder; /* asked as soon as it is not */
        }
        else if (of_living(holder, ask)) {
            h->asked = holder;
        }
    }
    h->seen = holder;
    h->seen_switches = switches;
}

static void
wait_a_tick(hold *h)
{
    unsigned long tick = h->first != NULL ? h->usual : h->gil->interval;
    tick = tick < MIN_TICK ? MIN_TICK : tick > MAX_TICK ? MAX_TICK : tick;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)tick * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&h->wake, &h->gil->mutex, &until);
}

static void *
guardian(void *arg)
{
    hold *h = arg;
    gil_state *gil = h->gil;
    int idle = 0;
    pthread_mutex_lock(&gil->mutex);
    while (!h->stop) {
        wait_a_tick(h);
        look(h);
        idle = h->first != NULL || h->asked != NULL ? 0 : idle + 1;
        if (idle < LINGER || h->stop) {
            continue;
        }
        /* Whoever began to wait while one was open looks after itself now. */
        pthread_cond_broadcast(&gil->cond);
        h->asleep = true;
        while (h->asleep && !h->stop) {
            pthread_cond_wait(&h->wake, &gil->mutex);
        }
        idle = 0;
    }
    pthread_mutex_unlock(&gil->mutex);
    return NULL;
}

/* False: there can be no other thread. */
static bool
start_guardian(hold *h)
{
    if (h->runs) {
        return true;
    }
    sigset_t all, before;
    sigfillset(&all);
    h->stop = h->asleep = false;
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for others */
    int r = pthread_create(&h->thread, NULL, guardian, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    h->runs = r == 0;
    return h->runs;
}

/* The same; -1 with RuntimeError. */
static int
need_guardian(hold *h)
{
    if (!start_guardian(h)) {
        PyErr_SetString(PyExc_RuntimeError, "can't start new thread");
        return -1;
    }
    return 0;
}

static void
init_wake(hold *h)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &attr);
    pthread_condattr_destroy(&attr);
}

/* ---- sections ------------------------------------------------------------- */

/* No other thread needs a turn, and we hear when there is going to be one. */
static bool
is_alone(void)
{
#ifdef __GLIBC__
    extern char __libc_single_threaded __attribute__((weak));
    return hooked && &__libc_single_threaded != NULL && __libc_single_threaded;
#else
    return false;
#endif
}

int
slp_section_prepare(PyThreadState *ts)
{
    hold *h = hold_of(ts);
    if (h == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "the interpreter is shutting down");
        return -1;
    }
    if (!is_alone() && need_guardian(h) < 0) {
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
bump(hold *h)
{
    h->gil->switch_number++;
    h->bumps++;
}

void
slp_section_open(slp_section *s, PyThreadState *ts)
{
    hold *h = hold_of(ts);
    if (s->ts != NULL || h == NULL) {
        return;
    }
    gil_state *gil = h->gil;
    if (SLP_UNLIKELY(!h->runs && !is_alone())) {
        /* Threads have come since its tasklet was made atomic.  If there can be
           no guardian the section holds, and who lets go may wait long. */
        (void)start_guardian(h);
    }
    pthread_mutex_lock(&gil->mutex);
    if (h->first == NULL) {
        h->usual = gil->interval;
        gil->interval = FOREVER;
    }
    s->ts = ts;
    s->hold = h;
    s->missed = false;
    s->prev = NULL;
    s->next = h->first;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    h->first = s;
    bump(h);
    take_back(ts);
    if (SLP_UNLIKELY(h->asleep)) {
        h->asleep = false;
        pthread_cond_signal(&h->wake);
    }
    pthread_mutex_unlock(&gil->mutex);
}

/* Take it off the list; the last one restores the interval. */
static void
unlink_section(slp_section *s)
{
    hold *h = s->hold;
    if (s->prev != NULL) {
        s->prev->next = s->next;
    }
    else {
        h->first = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    s->ts = NULL;
    if (h->first == NULL) {
        h->gil->interval = h->usual;
    }
}

void
slp_section_close(slp_section *s)
{
    PyThreadState *ts = s->ts;
    if (ts == NULL) {
        return;
    }
    hold *h = s->hold;
    gil_state *gil = h->gil;
    pthread_mutex_lock(&gil->mutex);
    unlink_section(s);
    if (SLP_UNLIKELY(h->overdue != NULL)) {
        if (h->overdue == ts && holder_of(gil) == ts && somebody_waits(gil)) {
            (void)ask(ts);
            h->asked = ts;
        }
        h->overdue = NULL;
    }
    pthread_mutex_unlock(&gil->mutex);
}

/* Who puts a call into the queue holds gil->mutex meanwhile: so nobody takes the
   GIL, and nobody opens a section.  It does not wait for the queue's lock, which
   may belong to somebody that waits for the GIL. */
bool
slp_call_from_outside(PyInterpreterState *interp, bool main, slp_pending_fn fn,
                      void *arg)
{
#if PY_VERSION_HEX >= 0x030D0000
    hold *h = find_hold(GIL_OF(interp));
    if (h == NULL) {
        return false;
    }
    pthread_mutex_lock(&h->gil->mutex);
    slp_section *s = section_of(h, holder_of(h->gil));
    bool done = s == NULL && slp_pending_try(interp, main, fn, arg);
    if (s != NULL) {
        s->missed = true;
        if (slp_pending_none(s->ts)) {
            __atomic_fetch_add(&s->looks, 1, __ATOMIC_RELAXED);
        }
    }
    pthread_mutex_unlock(&h->gil->mutex);
    if (done) {
        slp_pending_tell(interp, main);
    }
    return done;
#else
    return slp_pending_add(interp, main, fn, arg);
#endif
}

/* In the child of a fork only the calling thread lives; CPython makes the mutex
   anew. */
static void
start_anew(hold *h, PyThreadState *ts)
{
    h->runs = h->asleep = h->stop = false;
    h->overdue = h->seen = h->asked = NULL;
    init_wake(h);
    slp_section *s = h->first;
    while (s != NULL) {
        slp_section *next = s->next;
        if (s->ts != ts) {
            unlink_section(s);
        }
        s = next;
    }
}

void
slp_setup_lock(void)
{
    pthread_mutex_lock(&set_up);
}

void
slp_setup_unlock(void)
{
    pthread_mutex_unlock(&set_up);
}

static void
in_child(void)
{
    PyThreadState *ts = slp_ts();
    for (hold *h = &first_hold; h != NULL; h = h->next) {
        start_anew(h, ts);
    }
    slp_setup_unlock();
}

bool
slp_signals_pending(PyThreadState *ts)
{
    return slp_handles_signals(ts) && are_signals_pending(ts);
}

/* ---- waiting for the GIL ---------------------------------------------------- */

struct slp_hold *
slp_gil_of(PyThreadState *ts)
{
    return hold_of(ts);
}

bool
slp_gil_is_worth_waiting(struct slp_hold *h)
{
    gil_state *gil = h ? __atomic_load_n(&h->gil, __ATOMIC_ACQUIRE) : NULL;
    if (gil == NULL) {
        return false;
    }
    bool held = holder_of(gil) != NULL;
#ifdef __GLIBC__
    /* Whoever lets go holds the mutex for a moment yet. */
    held |= __atomic_load_n(&gil->mutex.__data.__lock, __ATOMIC_RELAXED) != 0;
    return held && !somebody_waits(gil);
#else
    return held;
#endif
}

/* ---- functions of CPython's that have to know ------------------------------ */

static PyCFunction sys_get, sys_set, start_new;

static bool
is_held(hold *h)
{
    return h != NULL && h->first != NULL;
}

static PyObject *
get_interval(PyObject *self, PyObject *args)
{
    hold *h = hold_of(slp_ts());
    return is_held(h) ? PyFloat_FromDouble(1e-6 * (double)h->usual)
                      : sys_get(self, args);
}

static PyObject *
set_interval(PyObject *self, PyObject *args)
{
    PyObject *r = sys_set(self, args);
    hold *h = hold_of(slp_ts());
    if (r != NULL && is_held(h)) {
        pthread_mutex_lock(&h->gil->mutex);
        h->usual = h->gil->interval;
        h->gil->interval = FOREVER;
        bump(h);
        pthread_mutex_unlock(&h->gil->mutex);
    }
    return r;
}

/* A section that was opened while there was no other thread. */
static int
before_thread(void)
{
    hold *h = hold_of(slp_ts());
    return is_held(h) ? need_guardian(h) : 0;
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
   table is changed. */
int
slp_stand_in_front(const char *module, const char *name, int flags,
                   PyCFunction ours, PyCFunction *theirs)
{
    PyObject *m = PyImport_ImportModule(module);
    PyObject *f = m ? PyObject_GetAttrString(m, name) : NULL;
    Py_XDECREF(m);
    if (f == NULL) {
        return -1;
    }
    PyMethodDef *def = PyCFunction_CheckExact(f)
                           ? ((PyCFunctionObject *)f)->m_ml
                           : NULL;
    bool same = def != NULL && def->ml_flags == flags;
    slp_setup_lock(); /* interpreters share the table */
    if (same && def->ml_meth != ours) {
        *theirs = def->ml_meth;
        __atomic_store_n(&def->ml_meth, ours, __ATOMIC_RELEASE);
    }
    slp_setup_unlock();
    Py_DECREF(f);
    return same;
}

/* Makes the one for its GIL if there is none; -1 with MemoryError. */
static int
add_hold(PyInterpreterState *interp)
{
    gil_state *gil = GIL_OF(interp);
    bool main = gil == GIL_OF(PyInterpreterState_Main());
    hold *h = main ? &first_hold : find_hold(gil);
    if (h == NULL) {
        h = first_hold.next;
        while (h != NULL && h->gil != NULL) {
            h = h->next;
        }
    }
    if (h == NULL) {
        h = PyMem_RawCalloc(1, sizeof(*h));
        if (h == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        init_wake(h);
        h->next = first_hold.next;
        __atomic_store_n(&first_hold.next, h, __ATOMIC_RELEASE);
    }
    if (h->gil != gil) {
        __atomic_store_n(&h->gil, gil, __ATOMIC_RELEASE);
    }
    return 0;
}

int
slp_gil_setup(PyInterpreterState *interp)
{
    static bool once;
    bool all = true;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(wrapped); i++) {
        int r = slp_stand_in_front(wrapped[i].module, wrapped[i].name,
                                   wrapped[i].flags, wrapped[i].ours,
                                   wrapped[i].theirs);
        if (r < 0) {
            return -1;
        }
        all &= r;
    }
    slp_setup_lock();
    hooked = all;
    if (!once) {
        once = true;
        init_wake(&first_hold);
        pthread_atfork(slp_setup_lock, slp_setup_unlock, in_child);
    }
    int r = add_hold(interp);
    slp_setup_unlock();
    return r;
}

static void
end_guardian(hold *h)
{
    pthread_mutex_lock(&h->gil->mutex);
    h->stop = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->gil->mutex);
    pthread_join(h->thread, NULL);
    if (h->asked == slp_ts()) {
        take_back(h->asked); /* perhaps nobody waits any more */
    }
    h->asked = NULL;
    h->runs = false;
}

void
slp_gil_shutdown(PyInterpreterState *interp)
{
    bool main = interp == PyInterpreterState_Main();
    hold *h = find_hold(GIL_OF(interp));
    if (h == NULL || !(main || OWNS_GIL(interp))) {
        return; /* others need it yet */
    }
    if (h->runs) {
        end_guardian(h);
    }
    if (!main) {
        __atomic_store_n(&h->gil, NULL, __ATOMIC_RELEASE);
    }
}

void
slp_gil_before_fork(void)
{
    hold *h = hold_of(slp_ts());
    if (h == NULL || !h->runs) {
        return;
    }
    pthread_mutex_lock(&h->gil->mutex);
    bool idle = h->first == NULL && h->asked == NULL;
    pthread_mutex_unlock(&h->gil->mutex);
    if (idle) {
        end_guardian(h);
    }
}
