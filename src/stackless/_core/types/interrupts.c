/* SPDX-License-Identifier: PSF-2.0 */
/* preempt(), and what slow_calls.py needs. */
#include "types.h"

#include "../core/nap.h"
#include "../core/watchdog.h"

int
slp_seconds_arg(PyObject *v, const char *name, uint64_t *ns)
{
    double seconds = PyFloat_AsDouble(v);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (!(seconds > 0)) {
        PyErr_Format(PyExc_ValueError, "%s must be positive, not %R", name, v);
        return -1;
    }
    double limit = 1e9; /* thirty years, as good as for ever */
    *ns = (uint64_t)((seconds < limit ? seconds : limit) * (double)SLP_SECOND);
    *ns += *ns == 0;
    return 0;
}

static PyObject *
seconds_or_none(uint64_t ns)
{
    if (ns == 0) {
        Py_RETURN_NONE;
    }
    return PyFloat_FromDouble((double)ns / (double)SLP_SECOND);
}

/* 0 for None; the state, or NULL with an exception. */
static slp_state *
interval_arg(PyObject *v, uint64_t *ns)
{
    slp_thread *st = slp_thread_get();
    *ns = 0;
    if (st == NULL
        || (v != Py_None && slp_seconds_arg(v, "interval", ns) < 0)) {
        return NULL;
    }
    return st->state;
}

PyDoc_STRVAR(
    preempt_doc,
    "preempt(interval, /)\n--\n\n"
    "Give every tasklet turns of interval seconds (float): who runs "
    "longer is\ninterrupted and goes to the far end of the ring. None: "
    "tasklets run until they let\ngo by themselves. Holds for all "
    "threads (on CPython 3.11 the main thread only);\nreturns what "
    "was set before. Atomic tasklets are not interrupted.\n\n"
    "Raises TypeError or ValueError if interval is not a positive "
    "number, RuntimeError\nif no helper thread can be started.");

static PyObject *
preempt(PyObject *Py_UNUSED(module), PyObject *interval)
{
    uint64_t ns;
    slp_state *s = interval_arg(interval, &ns);
    if (s == NULL) {
        return NULL;
    }
    if (ns != 0 && !SLP_PENDING_ANYWHERE
        && s->interp != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_NotImplementedError,
                        "preempt() in a subinterpreter needs CPython 3.12 or "
                        "later");
        return NULL;
    }
    uint64_t before = s->preempt;
    return slp_preempt(s, ns) < 0 ? NULL : seconds_or_none(before);
}

PyDoc_STRVAR(look_often_doc,
             "_look_often(interval, /)\n--\n\n"
             "Have threads look for interruptions in intervals of so many "
             "seconds, or None.");

static PyObject *
look_often(PyObject *Py_UNUSED(module), PyObject *interval)
{
    uint64_t ns;
    slp_state *s = interval_arg(interval, &ns);
    if (s != NULL && ns != 0 && s->interp != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_NotImplementedError,
                        "set_slow_call_handler() needs the main interpreter: "
                        "others have no daemon threads");
        return NULL;
    }
    return s == NULL || slp_look_often(s, ns) < 0 ? NULL : Py_NewRef(Py_None);
}

PyDoc_STRVAR(
    looks_doc,
    "_looks()\n--\n\n"
    "List of (thread ident, current tasklet, number of looks) of the "
    "threads in which\nother tasklets wait until the current one lets "
    "go.");

/* Threads that it is about come first; how many. */
static Py_ssize_t
busy_threads(slp_state *s, slp_thread **threads, Py_ssize_t room)
{
    Py_ssize_t n = 0;
    for (slp_thread *st = s->threads; st != NULL; st = st->next_thread) {
        bool others = st->runcount > 1 || st->watchdog_count > 0;
        if (others && slp_nap_look(st) == SLP_AWAKE && st->current != NULL
            && (SLP_PENDING_ANYWHERE || st->ident == slp_main_thread_id())) {
            if (n < room) {
                threads[n] = st;
            }
            n++;
        }
    }
    return n;
}

static PyObject *
looks(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_state *s = slp_state_peek();
    Py_ssize_t n = s ? busy_threads(s, NULL, 0) : 0;
    slp_thread **threads = PyMem_Calloc((size_t)n + 1, sizeof(*threads));
    PyObject *list = threads ? PyList_New(0) : PyErr_NoMemory();
    /* Others may have run; records of threads are never freed. */
    n = s && list ? Py_MIN(busy_threads(s, threads, n), n) : 0;
    for (Py_ssize_t i = 0; list != NULL && i < n; i++) {
        slp_thread *st = threads[i];
        if (st->ts == NULL || st->current == NULL) {
            continue;
        }
        PyObject *item = Py_BuildValue(
            "(kOK)", st->ident, st->current->self,
            st->looks + slp_section_looks(&st->section));
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    PyMem_Free(threads);
    return list;
}

PyDoc_STRVAR(only_watches_doc,
             "_only_watches()\n--\n\n"
             "The calling thread never wakes another one.");

static PyObject *
only_watches(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_state *s = slp_state_peek();
    if (s != NULL) {
        s->watcher_id = PyThreadState_GetID(slp_ts());
    }
    Py_RETURN_NONE;
}

PyMethodDef slp_interrupt_methods[] = {
    {"preempt", preempt, METH_O, preempt_doc},
    {"_look_often", look_often, METH_O, look_often_doc},
    {"_looks", looks, METH_NOARGS, looks_doc},
    {"_only_watches", only_watches, METH_NOARGS, only_watches_doc},
    {NULL, NULL, 0, NULL},
};

/* ---- fork ------------------------------------------------------------------ */

static PyObject *
before_fork(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_watch_before_fork();
    Py_RETURN_NONE;
}

static PyObject *
in_parent(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_state *s = slp_state_peek();
    if (s != NULL) {
        slp_watch_in_parent(s);
    }
    Py_RETURN_NONE;
}

static PyObject *
in_child(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    slp_watch_after_fork();
    Py_RETURN_NONE;
}

static PyMethodDef fork_defs[] = {
    {"before", before_fork, METH_NOARGS, NULL},
    {"after_in_parent", in_parent, METH_NOARGS, NULL},
    {"after_in_child", in_child, METH_NOARGS, NULL},
};

int
slp_interrupts_setup(slp_state *s)
{
    slp_watch_setup(s);
    PyObject *posix = PyImport_ImportModule("posix"); /* os is not light */
    PyObject *f = posix ? PyObject_GetAttrString(posix, "register_at_fork")
                        : NULL;
    PyObject *none = f ? PyTuple_New(0) : NULL, *kwargs = PyDict_New();
    int r = none && kwargs ? 0 : -1;
    for (size_t i = 0; r == 0 && i < Py_ARRAY_LENGTH(fork_defs); i++) {
        PyObject *hook = PyCFunction_New(&fork_defs[i], NULL);
        r = hook ? PyDict_SetItemString(kwargs, fork_defs[i].ml_name, hook)
                 : -1;
        Py_XDECREF(hook);
    }
    PyObject *v = r == 0 ? PyObject_Call(f, none, kwargs) : NULL;
    Py_XDECREF(posix);
    Py_XDECREF(f);
    Py_XDECREF(none);
    Py_XDECREF(kwargs);
    Py_XDECREF(v);
    return v == NULL ? -1 : 0;
}
