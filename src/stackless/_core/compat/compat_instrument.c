/* SPDX-License-Identifier: PSF-2.0 */
/* Tools that come and go while tasklets are suspended.

   From 3.12 on, sys.settrace(), sys.setprofile() and sys.monitoring rewrite
   the code of every frame that is on the stack of some thread, at once.
   Suspended tasklets are on none.  They are hung below the running one for
   one pass of CPython's own, before any of them runs again. */
#include "compat.h"

PyObject *
slp_sys_attribute(const char *name)
{
    PyObject *key = PyUnicode_FromString("sys");
    PyObject *sys = key ? PyImport_GetModule(key) : NULL;
    PyObject *value = sys ? PyObject_GetAttrString(sys, name) : NULL;
    if (value == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_RuntimeError, "sys is not in sys.modules");
    }
    Py_XDECREF(key);
    Py_XDECREF(sys);
    return value;
}

#if PY_VERSION_HEX < 0x030C0000

int
slp_instrument(PyThreadState *Py_UNUSED(ts), slp_next_chain Py_UNUSED(next),
               void *Py_UNUSED(arg), PyObject *Py_UNUSED(dispatcher),
               uintptr_t *seen)
{
    *seen = 0;
    return 0;
}

#elif PY_VERSION_HEX >= 0x030F0000

/* 3.15 exports the function that does it for one code object. */
static int
instrument_code(PyThreadState *ts, PyCodeObject *code)
{
    return code->co_flags & CO_NO_MONITORING_EVENTS
               ? 0
               : _Py_Instrument(code, ts->interp);
}

static int
instrument_chain(PyThreadState *ts, slp_frame *f, slp_frame *bottom)
{
    for (; f != NULL; f = f->previous) {
        if (slp_frame_is_python(f)
            && instrument_code(ts, slp_frame_code(f)) < 0) {
            return -1;
        }
        if (f == bottom) {
            break;
        }
    }
    return 0;
}

int
slp_instrument(PyThreadState *ts, slp_next_chain next, void *arg,
               PyObject *dispatcher, uintptr_t *seen)
{
    /* Idle dispatchers are in no chain. */
    PyObject *code = PyFunction_GET_CODE(dispatcher);
    if (instrument_code(ts, (PyCodeObject *)code) < 0) {
        return -1;
    }
    /* The running one, too: it may have arrived just now. */
    slp_frame *f = SLP_FRAME(ts), *bottom = NULL;
    do {
        if (instrument_chain(ts, f, bottom) < 0) {
            return -1;
        }
        f = next(arg, &bottom);
    } while (f != NULL);
    *seen = SLP_INSTRUMENTATION_VERSION(ts);
    return 0;
}

#else

#    if PY_VERSION_HEX >= 0x030D0000
#        define UNMONITORED(code) ((code)->co_flags & CO_NO_MONITORING_EVENTS)
#    else
#        define UNMONITORED(code) false
#    endif

static slp_frame *
last_frame(slp_frame *f)
{
    while (f->previous != NULL) {
        f = f->previous;
    }
    return f;
}

/* restart_events() makes all code look outdated and so gives each tool its
   DISABLEd events back.  Let code that is up to date look newer than that. */
static void
shield_disabled_events(PyThreadState *ts)
{
    PyInterpreterState *interp = ts->interp;
    uint64_t restart = interp->last_restart_version;
    uint64_t version = (uint64_t)SLP_INSTRUMENTATION_VERSION(ts)
                       + SLP_INSTRUMENTATION_STEP;
    PyThreadState *t = PyInterpreterState_ThreadHead(interp);
    for (; t != NULL; t = PyThreadState_Next(t)) {
        for (slp_frame *f = SLP_FRAME(t); f != NULL; f = f->previous) {
            if (!slp_frame_is_python(f)) {
                continue;
            }
            PyCodeObject *code = slp_frame_code(f);
            if (!UNMONITORED(code)
                && code->_co_instrumentation_version >= restart) {
                code->_co_instrumentation_version = version;
            }
        }
    }
}

int
slp_instrument(PyThreadState *ts, slp_next_chain next, void *arg,
               PyObject *Py_UNUSED(dispatcher), uintptr_t *seen)
{
    PyObject *monitoring = slp_sys_attribute("monitoring");
    PyObject *restart = monitoring ? PyObject_GetAttrString(monitoring,
                                                            "restart_events")
                                   : NULL;
    Py_XDECREF(monitoring);
    if (restart == NULL) {
        return -1;
    }
    if (SLP_FRAME(ts) == NULL) {
        Py_DECREF(restart);
        return 0; /* nothing to hang them on: next time */
    }
    /* One long chain.  Each joint is remembered in the frame below it by
       `bottom`: cut by walking it again. */
    slp_frame *first_joint = last_frame(SLP_FRAME(ts)), *joint = first_joint;
    slp_frame *top, *bottom;
    Py_ssize_t n = 0, size = 0;
    slp_frame **joints = NULL;
    while ((top = next(arg, &bottom)) != NULL) {
        if (n == size) {
            size = size ? 2 * size : 64;
            slp_frame **more = PyMem_Realloc(joints,
                                             (size_t)size * sizeof(*more));
            if (more == NULL) {
                PyErr_NoMemory();
                break;
            }
            joints = more;
        }
        joint->previous = top;
        joints[n++] = joint;
        bottom->previous = NULL;
        joint = bottom;
    }
    PyObject *r = NULL;
    if (!PyErr_Occurred()) {
        uint64_t old = ts->interp->last_restart_version;
        shield_disabled_events(ts);
        r = PyObject_CallNoArgs(restart);
        ts->interp->last_restart_version = old;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        joints[i]->previous = NULL;
    }
    PyMem_Free(joints);
    Py_DECREF(restart);
    if (r == NULL) {
        return -1;
    }
    Py_DECREF(r);
    *seen = SLP_INSTRUMENTATION_VERSION(ts);
    return 0;
}

#endif

/* ---- sys.settrace() and sys.setprofile() from 3.12 on --------------------- */

#if (PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000)             \
    || (SLP_DISPATCHER_CATCHES && PY_VERSION_HEX >= 0x030D0000)

#    if PY_VERSION_HEX >= 0x030D0000
/* From 3.13 on the state of the once-only set-up is not a plain bool: the
   fronts come when tracing has been used once, which these calls see to. */
#        define TRACE_READY(interp)   false
#        define PROFILE_READY(interp) false
#    else
#        define TRACE_READY(interp)   ((interp)->sys_trace_initialized)
#        define PROFILE_READY(interp) ((interp)->sys_profile_initialized)
#    endif

/* An exception that leaves a tasklet's bottom frame passes the dispatcher's.
   CPython tells the functions behind sys.settrace() and sys.setprofile(), which
   look for a visible frame there, find none, and put a SystemError in place
   of the exception.  So each of them gets a front that forwards nothing of
   our code. */
static PyObject *
forward(PyObject *handler, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs > 0 && PyCode_Check(args[0])
        && (((PyCodeObject *)args[0])->co_flags & SLP_CODE_IS_OURS)) {
        Py_RETURN_NONE;
    }
    return PyObject_Vectorcall(handler, args, (size_t)nargs, NULL);
}

static PyMethodDef forward_def = {"_forward", (PyCFunction)(void *)forward,
                                  METH_FASTCALL, NULL};

static int
put_front(PyObject **handler)
{
    if (*handler == NULL || PyCFunction_Check(*handler)) {
        return 0; /* none, or it has one */
    }
    PyObject *front = PyCFunction_New(&forward_def, *handler);
    if (front == NULL) {
        return -1;
    }
    Py_SETREF(*handler, front);
    return 0;
}

static int
ignore_event(PyObject *Py_UNUSED(obj), PyFrameObject *Py_UNUSED(frame),
             int Py_UNUSED(what), PyObject *Py_UNUSED(arg))
{
    return 0;
}

int
slp_tools_setup(PyThreadState *ts)
{
    static const int events[] = {PY_MONITORING_EVENT_RAISE,
                                 PY_MONITORING_EVENT_EXCEPTION_HANDLED,
                                 PY_MONITORING_EVENT_PY_UNWIND};
    PyInterpreterState *interp = ts->interp;
    /* The functions are there from the first use on. */
    if (!TRACE_READY(interp) && ts->c_tracefunc == NULL) {
        PyEval_SetTrace(ignore_event, NULL);
        PyEval_SetTrace(NULL, NULL);
    }
    if (!PROFILE_READY(interp) && ts->c_profilefunc == NULL) {
        PyEval_SetProfile(ignore_event, NULL);
        PyEval_SetProfile(NULL, NULL);
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(events); i++) {
        int e = events[i];
        if (put_front(
                &interp->monitoring_callables[PY_MONITORING_SYS_TRACE_ID][e])
                < 0
            || put_front(
                   &interp->monitoring_callables[PY_MONITORING_SYS_PROFILE_ID]
                                                [e])
                   < 0) {
            return -1;
        }
    }
    return 0;
}

#else

int
slp_tools_setup(PyThreadState *Py_UNUSED(ts))
{
    return 0;
}

#endif
