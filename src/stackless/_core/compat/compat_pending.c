/* SPDX-License-Identifier: PSF-2.0 */
/* Calls between two instructions: compat_pending.h.

   CPython marks its queue as busy while it makes a call of it, so that none is
   made inside another.  Who leaves the C stack there must take the mark off. */
#include "compat.h"

#include "internal/pycore_ceval.h"
#if PY_VERSION_HEX >= 0x030D0000
#    include "internal/pycore_ceval_state.h"
#    include "internal/pycore_lock.h"
#    include "internal/pycore_parking_lot.h"
#endif
#include "internal/pycore_frame.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"

static bool
push(PyInterpreterState *interp, bool main, slp_pending_fn fn, void *arg)
{
#if PY_VERSION_HEX >= 0x030D0000
    return _PyEval_AddPendingCall(interp, fn, arg,
                                  main ? _Py_PENDING_MAINTHREADONLY : 0)
           == 0;
#elif PY_VERSION_HEX >= 0x030C0000
    return _PyEval_AddPendingCall(interp, fn, arg, main) == 0;
#else
    (void)main;
    return _PyEval_AddPendingCall(interp, fn, arg) == 0;
#endif
}

bool
slp_pending_add(PyInterpreterState *interp, bool main, slp_pending_fn fn,
                void *arg)
{
    bool done = push(interp, main, fn, arg);
#if PY_VERSION_HEX < 0x030D0000
    /* They do not do that in another thread. */
    _Py_atomic_store_relaxed(&interp->ceval.eval_breaker, 1);
#endif
    return done;
}

void
slp_pending_after_fork(PyThreadState *ts)
{
#if PY_VERSION_HEX >= 0x030D0000
    /* If it was not the main thread that forked, CPython forgets that the child's
       is another one, and never makes the calls it has for that. */
    _PyRuntime.main_tstate = ts;
#else
    (void)ts;
#endif
}

#if PY_VERSION_HEX >= 0x030D0000

/* ---- the queue's lock -------------------------------------------------------

   CPython's functions let go of the GIL where they have to wait for it, and may
   be given it before they have the GIL again.  This does neither: it does not wait,
   and gives it to nobody. */

static bool
try_lock(PyMutex *m)
{
    uint8_t expected = _Py_UNLOCKED;
    return _Py_atomic_compare_exchange_uint8(&m->_bits, &expected, _Py_LOCKED);
}

static void
let_others_try(void *arg, void *Py_UNUSED(waiter), int more)
{
    PyMutex *m = arg;
    _Py_atomic_store_uint8(&m->_bits, more ? _Py_HAS_PARKED : _Py_UNLOCKED);
}

static void
unlock(PyMutex *m)
{
    uint8_t expected = _Py_LOCKED;
    if (!_Py_atomic_compare_exchange_uint8(&m->_bits, &expected,
                                           _Py_UNLOCKED)) {
        _PyParkingLot_Unpark(m, let_others_try, m);
    }
}

bool
slp_pending_try(PyInterpreterState *interp, bool main, slp_pending_fn fn,
                void *arg)
{
    struct _pending_calls *pending = main
                                         ? &_PyRuntime.ceval.pending_mainthread
                                         : &interp->ceval.pending;
    if (!try_lock(&pending->mutex)) {
        return false;
    }
    bool room = pending->npending < pending->max;
    if (room) {
        int i = pending->next;
        pending->calls[i] = (struct _pending_call){
            .func = fn,
            .arg = arg,
            .flags = main ? _Py_PENDING_MAINTHREADONLY : 0,
        };
        pending->next = (i + 1) % PENDINGCALLSARRAYSIZE;
        _Py_atomic_add_int32(&pending->npending, 1);
    }
    unlock(&pending->mutex);
    return room;
}

void
slp_pending_tell(PyInterpreterState *interp, bool main)
{
    if (main) {
        _Py_set_eval_breaker_bit(_PyRuntime.main_tstate, _PY_CALLS_TO_DO_BIT);
        return;
    }
    PyMutex_Lock(&_PyRuntime.interpreters.mutex);
    PyThreadState *ts = interp->threads.head;
    for (; ts != NULL; ts = ts->next) {
        _Py_set_eval_breaker_bit(ts, _PY_CALLS_TO_DO_BIT);
    }
    PyMutex_Unlock(&_PyRuntime.interpreters.mutex);
}

bool
slp_pending_none(PyThreadState *ts)
{
    bool none = !_Py_eval_breaker_bit_is_set(ts, _PY_CALLS_TO_DO_BIT);
    _Py_set_eval_breaker_bit(ts, _PY_CALLS_TO_DO_BIT);
    return none;
}

/* So many calls of a queue are made at one place. */
static struct _pending_calls *
queue_of(PyThreadState *ts)
{
    return slp_handles_signals(ts) ? &_PyRuntime.ceval.pending_mainthread
                                   : &ts->interp->ceval.pending;
}

bool
slp_pending_again(PyThreadState *ts, slp_pending_fn fn, void *arg, bool inside)
{
    (void)inside;
    queue_of(ts)->maxloop = 1;
    return push(ts->interp, slp_handles_signals(ts), fn, arg);
}

bool
slp_pending_repeated(PyThreadState *ts, slp_pending_fn fn, void *arg)
{
    /* The bit is taken off before the calls at one place. */
    if (!_Py_eval_breaker_bit_is_set(ts, _PY_CALLS_TO_DO_BIT)) {
        return false;
    }
    return push(ts->interp, slp_handles_signals(ts), fn, arg);
}

void
slp_pending_enough(PyThreadState *ts)
{
    queue_of(ts)->maxloop = slp_handles_signals(ts) ? MAXPENDINGCALLSLOOP_MAIN
                                                    : MAXPENDINGCALLSLOOP;
}

#else

bool
slp_pending_again(PyThreadState *ts, slp_pending_fn fn, void *arg, bool inside)
{
    bool main = slp_handles_signals(ts);
    /* The queue is worked off up to the first empty entry. */
    return (!inside || push(ts->interp, main, NULL, NULL))
           && push(ts->interp, main, fn, arg);
}

bool
slp_pending_repeated(PyThreadState *Py_UNUSED(ts),
                     slp_pending_fn Py_UNUSED(fn), void *Py_UNUSED(arg))
{
    return false;
}

void
slp_pending_enough(PyThreadState *Py_UNUSED(ts))
{
}

#endif

#if PY_VERSION_HEX < 0x030C0000

/* The mark is a static variable of a function there, out of reach.  So a call
   only arms a trace function, in front of the one that is there, and that one runs
   go() at the next instruction, in the main thread as all calls. */
static struct {
    Py_tracefunc before;
    int (*go)(void);
    PyFrameObject *frame; /* owned; traces every instruction meanwhile: */
    char opcodes;         /* what its f_trace_opcodes was */
} trap;

static void
leave_frame(void)
{
    PyFrameObject *frame = trap.frame;
    if (frame != NULL) {
        trap.frame = NULL;
        frame->f_trace_opcodes = trap.opcodes;
        Py_DECREF(frame);
    }
}

void
slp_pending_untrap(PyThreadState *ts)
{
    leave_frame();
    ts->c_tracefunc = trap.before;
    if (ts->tracing <= 0) {
        bool on = ts->c_tracefunc != NULL || ts->c_profilefunc != NULL;
        ts->cframe->use_tracing = on ? 255 : 0;
    }
}

int
slp_pending_trap(PyObject *obj, PyFrameObject *frame, int what, PyObject *arg)
{
    PyThreadState *ts = slp_ts();
    if (ts->c_tracefunc != slp_pending_trap) {
        /* One place may have two events, and this is the second. */
        return ts->c_tracefunc ? ts->c_tracefunc(obj, frame, what, arg) : 0;
    }
    if (what != PyTrace_LINE && what != PyTrace_CALL
        && what != PyTrace_OPCODE) {
        return trap.before ? trap.before(obj, frame, what, arg) : 0;
    }
    bool ours = frame == trap.frame && what == PyTrace_OPCODE && !trap.opcodes;
    slp_pending_untrap(ts);
    if (!ours && ts->c_tracefunc != NULL
        && ts->c_tracefunc(obj, frame, what, arg) < 0) {
        return -1;
    }
    return trap.go();
}

int
slp_pending_go(PyThreadState *ts, int (*go)(void))
{
    if (ts->tracing > 0) {
        return 0; /* inside of a tracer; later */
    }
    trap.go = go;
    if (ts->c_tracefunc != slp_pending_trap) {
        PyFrameObject *frame = PyThreadState_GetFrame(ts);
        if (frame == NULL) {
            PyErr_Clear();
            return 0; /* no memory; later */
        }
        leave_frame(); /* somebody has set another trace function */
        trap.frame = frame;
        trap.opcodes = frame->f_trace_opcodes;
        frame->f_trace_opcodes = 1;
        trap.before = ts->c_tracefunc;
        ts->c_tracefunc = slp_pending_trap;
        ts->cframe->use_tracing = 255;
    }
    return 0;
}

#else

#    if PY_VERSION_HEX >= 0x030D0000

static bool
any_left(struct _pending_calls *pending)
{
    return _Py_atomic_load_int32_relaxed(&pending->npending) > 0;
}

#    else

/* An empty entry is for the calls that are left now, not for those to come. */
static bool
any_left(struct _pending_calls *pending)
{
    PyThread_acquire_lock(pending->lock, WAIT_LOCK);
    int i = pending->first;
    if (i != pending->last && pending->calls[i].func == NULL) {
        pending->first = (i + 1) % NPENDINGCALLS;
    }
    bool any = pending->first != pending->last;
    PyThread_release_lock(pending->lock);
    return any;
}

#    endif

int
slp_pending_go(PyThreadState *ts, int (*go)(void))
{
    struct _pending_calls *pending = &ts->interp->ceval.pending;
    struct _pending_calls *of_main = &_PyRuntime.ceval.pending_mainthread;
    bool left = any_left(pending);
    left |= slp_handles_signals(ts) && any_left(of_main);
#    if PY_VERSION_HEX >= 0x030D0000
    pending->handling_thread = NULL;
    if (left) {
        _Py_set_eval_breaker_bit(ts, _PY_CALLS_TO_DO_BIT);
    }
    int r = go();
    if (pending->handling_thread == NULL) {
        pending->handling_thread = ts; /* what follows ours */
    }
#    else
    pending->busy = 0;
    if (left) {
        _Py_atomic_store_relaxed(&pending->calls_to_do, 1);
        _Py_atomic_store_relaxed(&of_main->calls_to_do, 1);
        _Py_atomic_store_relaxed(&ts->interp->ceval.eval_breaker, 1);
    }
    int r = go();
    pending->busy = 1;
#    endif
    return r;
}

#endif
