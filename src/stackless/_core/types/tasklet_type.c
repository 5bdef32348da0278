/* SPDX-License-Identifier: PSF-2.0 */
/* The type tasklet: construction, attributes, collection, and the methods
   that never switch.  Those that may are in points.c. */
#include "types.h"

#include "../core/atomic.h"
#include "../core/bomb.h"
#include "../core/dispatch.h"
#include "../core/sleep.h"
#include "../core/soften.h"
#include "../core/watchdog.h"

#include "structmember.h"

static PyObject *
error(const char *what)
{
    PyErr_SetString(PyExc_RuntimeError, what);
    return NULL;
}

static bool
is_current(slp_task *t)
{
    return t->thread != NULL && t->thread->current == t;
}

/* ---- life ---------------------------------------------------------------- */

static slp_task *
new_task(slp_thread *st, PyTypeObject *type)
{
    slp_task *t = slp_task_new(st->state, st, type);
    if (t == NULL) {
        return NULL;
    }
    int at = -1;
    slp_caller(st->ts, &t->origin, &at);
    t->origin_at = (unsigned short)(at < 0 || at > SLP_AT_UNKNOWN
                                        ? SLP_AT_UNKNOWN
                                        : at);
    Py_XINCREF(t->origin);
    return t;
}

static PyObject *
tasklet_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
            PyObject *Py_UNUSED(kwargs))
{
    slp_thread *st = slp_thread_get();
    slp_task *t = st ? new_task(st, type) : NULL;
    return t ? t->self : NULL;
}

/* The tasklet's first frame on its C stack; NULL if there is none yet. */
static slp_frame *
hard_bottom(slp_task *t, slp_frame *top)
{
    slp_frame *end = t->carrier->dispatcher;
    return t->bottom != NULL || end == NULL ? t->bottom
                                            : slp_frames_bottom(top, end);
}

static int
tasklet_traverse(PyObject *self, visitproc visit, void *arg)
{
    slp_task *t = slp_task_of(self);
    /* Our own type stays as long as the module does. */
    if (Py_TYPE(self)->tp_traverse != tasklet_traverse) {
        Py_VISIT(Py_TYPE(self));
    }
    /* What it waits for refers to the first of all that do, each to the next: one
       that can be reached holds on to what it waits for. */
    if (t->place == SLP_IN_QUEUE && t->next != NULL) {
        Py_VISIT(t->next->self);
    }
    Py_VISIT(t->tempval);
    Py_VISIT(t->func);
    Py_VISIT(t->name);
    /* Of one that is popped no more is asked: that would take other lines of
       the cache. */
    if (SLP_UNLIKELY(!t->popped)) {
        Py_VISIT(t->args);
        if (t->life != SLP_STARTED) {
            Py_VISIT(t->py.context);
            return slp_extras_traverse(t->py.extras, visit, arg);
        }
        if (is_current(t)) {
            return 0;
        }
    }
    Py_VISIT(t->py.context);
    Py_VISIT(t->exc.exc_value);
    int r = 0;
    if (SLP_UNLIKELY(t->py.extras != NULL)) {
        r = slp_extras_traverse(t->py.extras, visit, arg);
    }
    /* On a C stack: what C holds is unknown; what frames hold is not. */
    bool on_heap = t->popped || t->carrier == NULL;
    bool soft = on_heap || slp_is_interrupted(t);
    slp_frame *top = on_heap ? t->top : slp_carrier_frame(t->carrier);
    slp_frame *bottom = on_heap ? t->bottom : hard_bottom(t, top);
    if (r != 0 || top == NULL || bottom == NULL) {
        return r;
    }
    bool guarded = t->guarded;
    r = slp_frames_traverse(top, bottom, soft, &guarded, visit, arg);
    if (SLP_UNLIKELY(guarded)) { /* not written to as a rule */
        t->guarded = 1;
    }
    return r;
}

static int
tasklet_clear(PyObject *self)
{
    slp_task *t = slp_task_of(self);
    if (t->life != SLP_STARTED) {
        Py_CLEAR(t->func);
        Py_CLEAR(t->args);
        Py_CLEAR(t->tempval);
    }
    else if (t->place == SLP_FLOATING && t->carrier == NULL && !t->is_main
             && !is_current(t)) {
        slp_task_discard(t);
    }
    return 0;
}

static void
tasklet_finalize(PyObject *self)
{
    slp_task_finalize(slp_task_of(self));
}

static void
tasklet_dealloc(PyObject *self)
{
    slp_task *t = slp_task_of(self);
    PyTypeObject *type = Py_TYPE(self);
    /* subtype_dealloc() calls the finalizer of a subclass, but once only. */
    bool again = t->survived && t->life == SLP_STARTED;
    if (again) {
        slp_gc_unfinalize(self);
    }
    /* Ours has nothing to do for one that is not suspended. */
    bool needed = t->life == SLP_STARTED
                  || type->tp_finalize != tasklet_finalize;
    if ((again || (needed && type->tp_dealloc == tasklet_dealloc))
        && PyObject_CallFinalizerFromDealloc(self) < 0) {
        return;
    }
    PyObject_GC_UnTrack(self);
    if (((slp_tasklet *)self)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    slp_state *s = t->thread ? t->thread->state : slp_state_peek();
    t->all_next->all_prev = t->all_prev;
    t->all_prev->all_next = t->all_next;
    if (s != NULL) {
        s->task_count--;
    }
    if (t->carrier == NULL) {
        slp_task_discard_last(t);
    }
    /* else: cannot be killed any more (exit); its C stack stays as it is. */
    Py_CLEAR(t->name);
    Py_CLEAR(t->origin);
    slp_task_free(s, t);
}

/* ---- bind, setup --------------------------------------------------------- */

static int
check_bind(slp_task *t)
{
    if (is_current(t)) {
        error("can't (re)bind the current tasklet");
        return -1;
    }
    if (t->place != SLP_FLOATING) {
        error("tasklet is scheduled");
        return -1;
    }
    if (slp_soften(t) < 0) {
        return -1;
    }
    if (t->carrier != NULL || (t->is_main && t->life == SLP_STARTED)) {
        error("tasklet has C state on its stack");
        return -1;
    }
    return 0;
}

/* A tasklet adopts the context of who binds it. */
static int
adopt_context(slp_task *t, PyThreadState *ts)
{
    if (t->py.context == NULL) {
        t->py.context = slp_context_current(ts);
    }
    return t->py.context == NULL ? -1 : 0;
}

/* func and args are stolen; on error dropped.  With `insert` it joins the
   ring. */
static inline int
make_ready(slp_thread *st, slp_task *t, PyObject *func, PyObject *args,
           PyObject *kwargs, bool insert)
{
    PyObject *call = func;
    if (SLP_UNLIKELY(!slp_callable_is_plain(func, kwargs, args))) {
        call = slp_callable_for(func, kwargs, &args, st->state->spread);
        Py_DECREF(func);
    }
    _PyStackChunk *chunk = call ? slp_chunk_new(SLP_CHUNK_SIZE) : NULL;
    bool made = chunk != NULL && adopt_context(t, st->ts) == 0;
    /* On 3.11 other threads may have run meanwhile. */
    bool lost = made && (t->thread == NULL || t->life >= SLP_READY);
    if (!made || lost) {
        if (lost) {
            error(t->thread == NULL ? "tasklet has no thread"
                                    : "tasklet is alive");
        }
        else if (call != NULL && !PyErr_Occurred()) {
            PyErr_NoMemory();
        }
        if (chunk != NULL) {
            slp_chunk_free(chunk);
        }
        Py_XDECREF(call);
        Py_DECREF(args);
        return -1;
    }
    SLP_ASSERT(t->chunk == NULL);
    PyObject *old = t->tempval, *old_func = t->func;
    t->tempval = NULL;
    t->chunk = chunk;
    t->args = args;
    t->func = call;
    t->life = SLP_READY;
    t->kills = 0;
    if (insert) {
        slp_task_hold(t);
        slp_ring_append(t->thread, t);
        slp_thread_wake(t->thread);
    }
    /* Their destructors may do anything to t. */
    Py_XDECREF(old);
    Py_XDECREF(old_func);
    return 0;
}

static int
check_types(PyObject *func, PyObject *args, PyObject *kwargs)
{
    if (func != NULL && !PyCallable_Check(func)) {
        PyErr_SetString(PyExc_TypeError,
                        "tasklet func must be a callable or None");
        return -1;
    }
    if (args != NULL && !PyTuple_Check(args)) {
        PyErr_SetString(PyExc_TypeError,
                        "tasklet args must be a tuple or None");
        return -1;
    }
    if (kwargs != NULL && !PyDict_Check(kwargs)) {
        PyErr_SetString(PyExc_TypeError,
                        "tasklet kwargs must be a dict or None");
        return -1;
    }
    return 0;
}

/* The function that a bind without one means: the one bound before. */
static PyObject *
bound_function(slp_task *t)
{
    if (t->life != SLP_BOUND || t->func == NULL) {
        return error("the tasklet was not bound to a function");
    }
    return Py_NewRef(t->func);
}

/* None counts as left out. */
static void
none_is_null(PyObject **op)
{
    if (*op == Py_None) {
        *op = NULL;
    }
}

int
slp_tasklet_bind(slp_task *t, PyObject *func, PyObject *args, PyObject *kwargs)
{
    none_is_null(&func);
    none_is_null(&args);
    none_is_null(&kwargs);
    slp_thread *st = slp_thread_get();
    if (st == NULL || check_types(func, args, kwargs) < 0) {
        return -1;
    }
    bool ready = args != NULL || kwargs != NULL;
    if (t->is_main && !is_current(t) && (!ready || t->thread != st)) {
        error(ready ? "can't bind the main tasklet of another thread"
                    : "can't unbind the main tasklet");
        return -1;
    }
    if (check_bind(t) < 0) {
        return -1;
    }
    PyObject *f = NULL, *a = NULL, *k = NULL;
    if (ready) {
        f = func ? Py_NewRef(func) : bound_function(t);
        a = args ? Py_NewRef(args) : PyTuple_New(0);
        k = kwargs ? PyDict_Copy(kwargs) : NULL;
        if (f == NULL || a == NULL || (kwargs && k == NULL)) {
            Py_XDECREF(f);
            Py_XDECREF(a);
            Py_XDECREF(k);
            return -1;
        }
    }
    else {
        f = Py_XNewRef(func);
    }
    slp_task_discard(t);
    if (t->life != SLP_UNBOUND || check_bind(t) < 0) {
        Py_XDECREF(f);
        Py_XDECREF(a);
        Py_XDECREF(k);
        if (!PyErr_Occurred()) {
            error("a destructor has bound the tasklet meanwhile");
        }
        return -1;
    }
    t->thread = st; /* whoever binds it runs it */
    if (ready) {
        int r = make_ready(st, t, f, a, k, false);
        Py_XDECREF(k);
        return r;
    }
    t->func = f;
    t->life = f ? SLP_BOUND : SLP_UNBOUND;
    return f ? adopt_context(t, st->ts) : 0;
}

/* The calling thread's scheduler if t can be given arguments; else NULL with an
   exception. */
static SLP_NOINLINE slp_thread *
may_be_set_up(slp_task *t)
{
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return NULL;
    }
    if (slp_task_alive(t)) {
        error("tasklet is alive");
        return NULL;
    }
    if (t->life != SLP_BOUND || t->func == NULL) {
        error(
            "cframe function must be a callable: the tasklet was not bound "
            "to a function");
        return NULL;
    }
    return slp_task_reach(t, "setup") < 0 ? NULL : st;
}

/* args are stolen. */
static inline int
setup_call(slp_task *t, PyObject *args, PyObject *kwargs)
{
    /* Whose context is adopted matters only if it has none. */
    slp_thread *st = t->thread;
    if (SLP_UNLIKELY(st == NULL || st != slp_this_thread
                     || t->py.context == NULL || t->life != SLP_BOUND
                     || t->func == NULL)) {
        st = may_be_set_up(t);
    }
    if (st == NULL) {
        Py_DECREF(args);
        return -1;
    }
    return make_ready(st, t, Py_NewRef(t->func), args, kwargs, true);
}

int
slp_tasklet_setup_call(slp_task *t, PyObject *args, PyObject *kwargs)
{
    return setup_call(t, Py_NewRef(args), kwargs);
}

PyDoc_STRVAR(bind_doc,
             "bind($self, /, func=None, args=None, kwargs=None)\n--\n\n"
             "Bind to a function; with args (a tuple) or kwargs (a dict) also "
             "make the tasklet\nready to run, paused. Without arguments: "
             "unbind, dropping a suspended stack\nwithout running it. Returns "
             "self.\n\nRaises RuntimeError if the tasklet is current, "
             "scheduled or has C state on its\nstack, or if there is no "
             "function to bind; TypeError for wrong types.");

static int
parse_bind(PyObject *args, PyObject *kwargs, PyObject *out[3])
{
    static const char *const names[] = {"func", "args", "kwargs", NULL};
    return PyArg_ParseTupleAndKeywords(args, kwargs, "|OOO:bind",
                                       SLP_KWLIST(names), &out[0], &out[1],
                                       &out[2])
               ? 0
               : -1;
}

static PyObject *
tasklet_bind(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *a[3] = {NULL, NULL, NULL};
    if (parse_bind(args, kwargs, a) < 0
        || slp_tasklet_bind(slp_task_of(self), a[0], a[1], a[2]) < 0) {
        return NULL;
    }
    return Py_NewRef(self);
}

static int
tasklet_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *a[3] = {NULL, NULL, NULL};
    if (parse_bind(args, kwargs, a) < 0) {
        return -1;
    }
    if (a[0] == NULL && a[1] == NULL && a[2] == NULL
        && slp_task_of(self)->life == SLP_UNBOUND) {
        return 0;
    }
    return slp_tasklet_bind(slp_task_of(self), a[0], a[1], a[2]);
}

PyDoc_STRVAR(setup_doc,
             "setup($self, /, *args, **kwargs)\n--\n\n"
             "Give the bound function its arguments and append the tasklet to "
             "its thread's\nring of runnable tasklets. Returns self. Calling "
             "the tasklet does the same.\n\nRaises RuntimeError if it is "
             "alive or bound to no function.");

static PyObject *
tasklet_setup(PyObject *self, PyObject *args, PyObject *kwargs)
{
    if (slp_tasklet_setup_call(slp_task_of(self), args, kwargs) < 0) {
        return NULL;
    }
    return Py_NewRef(self);
}

/* Keyword arguments of a vectorcall, of which values are the last: new reference or
   NULL. */
static SLP_NOINLINE PyObject *
pack_keywords(PyObject *const *values, PyObject *names)
{
    PyObject *kwargs = PyDict_New();
    for (Py_ssize_t i = 0; kwargs && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (PyDict_SetItem(kwargs, name, values[i]) < 0) {
            Py_CLEAR(kwargs);
        }
    }
    return kwargs;
}

/* Arguments of a vectorcall as a tuple, and a dict or NULL; -1 on error. */
static inline int
pack(PyObject *const *args, Py_ssize_t n, PyObject *kwnames, PyObject **tuple,
     PyObject **kwargs)
{
    *kwargs = NULL;
    if (SLP_UNLIKELY(kwnames != NULL)) {
        *kwargs = pack_keywords(args + n, kwnames);
        if (*kwargs == NULL) {
            return -1;
        }
    }
    *tuple = PyTuple_New(n);
    if (*tuple == NULL) {
        Py_CLEAR(*kwargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyTuple_SET_ITEM(*tuple, i, Py_NewRef(args[i]));
    }
    return 0;
}

/* t(...) */
static PyObject *
tasklet_setup_vector(PyObject *self, PyObject *const *args, size_t nargsf,
                     PyObject *kwnames)
{
    /* 3.11 still comes here when the type was given another __call__. */
    ternaryfunc call = Py_TYPE(self)->tp_call;
    if (call == NULL) {
        PyErr_Format(PyExc_TypeError, "'%.200s' object is not callable",
                     Py_TYPE(self)->tp_name);
        return NULL;
    }
    PyObject *tuple, *kwargs;
    if (pack(args, PyVectorcall_NARGS(nargsf), kwnames, &tuple, &kwargs) < 0) {
        return NULL;
    }
    PyObject *r;
    if (SLP_LIKELY(call == tasklet_setup)) {
        int done = setup_call(slp_task_of(self), tuple, kwargs);
        r = done < 0 ? NULL : Py_NewRef(self);
    }
    else {
        r = call(self, tuple, kwargs);
        Py_DECREF(tuple);
    }
    Py_XDECREF(kwargs);
    return r;
}

static slp_task *
new_bound(PyTypeObject *type, PyObject *func)
{
    slp_thread *st = slp_thread_get();
    slp_task *t = st ? new_task(st, type) : NULL;
    if (t == NULL) {
        return NULL;
    }
    if (adopt_context(t, st->ts) < 0) {
        slp_task_release(t);
        return NULL;
    }
    t->func = Py_NewRef(func);
    t->life = SLP_BOUND;
    ((slp_tasklet *)t->self)->vectorcall = tasklet_setup_vector;
    return t;
}

/* tasklet(f) of the type itself, which is how most are made; all else as if this
   were not here. */
static PyObject *
tasklet_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf,
                   PyObject *kwnames)
{
    PyTypeObject *type = (PyTypeObject *)self;
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    if (n == 1 && kwnames == NULL && type->tp_new == tasklet_new
        && type->tp_init == tasklet_init && PyCallable_Check(args[0])) {
        slp_task *t = new_bound(type, args[0]);
        return t ? t->self : NULL;
    }
    PyObject *tuple, *kwargs;
    if (pack(args, n, kwnames, &tuple, &kwargs) < 0) {
        return NULL;
    }
    PyObject *r = PyType_Type.tp_call(self, tuple, kwargs);
    Py_DECREF(tuple);
    Py_XDECREF(kwargs);
    return r;
}

/* ---- methods that never switch ------------------------------------------- */

PyDoc_STRVAR(insert_doc,
             "insert($self, /)\n--\n\n"
             "Append to the ring of runnable tasklets; nothing happens if it "
             "is there. Returns\nself.\n\nRaises RuntimeError if the tasklet "
             "is blocked or dead.");

static PyObject *
tasklet_insert(PyObject *self, PyObject *Py_UNUSED(args))
{
    if (slp_thread_get() == NULL || slp_task_insert(slp_task_of(self)) < 0) {
        return NULL;
    }
    return Py_NewRef(self);
}

PyDoc_STRVAR(remove_doc,
             "remove($self, /)\n--\n\n"
             "Take out of the ring of runnable tasklets: paused, until it is "
             "inserted or run.\nReturns self.\n\nRaises RuntimeError if the "
             "tasklet is blocked or current.");

static PyObject *
tasklet_remove(PyObject *self, PyObject *Py_UNUSED(args))
{
    if (slp_thread_get() == NULL || slp_task_remove(slp_task_of(self)) < 0) {
        return NULL;
    }
    return Py_NewRef(self);
}

PyDoc_STRVAR(bind_thread_doc,
             "bind_thread($self, thread_id=-1, /)\n--\n\n"
             "Move to the thread with that id (int), -1 meaning the calling "
             "one: a tasklet that is\nnew, paused or blocked, also one whose "
             "thread has ended, goes on there.\n\nRaises RuntimeError if it "
             "is runnable or running, has C state on its stack, is\ninside "
             "run() or is a main tasklet; ValueError if no thread with that "
             "id has used\ntasklets, OverflowError for an id below -1.");

static slp_thread *
thread_to_bind(slp_thread *st, long long id)
{
    if (id < -1) {
        PyErr_SetString(PyExc_OverflowError, "thread id out of range");
        return NULL;
    }
    slp_thread *to = st->state->threads;
    if (id == -1) {
        return st;
    }
    while (to != NULL && to->ident != (unsigned long)id) {
        to = to->next_thread;
    }
    if (to == NULL) {
        PyErr_SetString(PyExc_ValueError, "bad thread id");
    }
    return to;
}

/* Why t cannot be moved, or NULL. */
static const char *
stays(slp_task *t)
{
    return t->place == SLP_IN_RING ? "can't (re)bind a runnable tasklet"
           : is_current(t) || t->carrier != NULL
                   || (t->is_main && t->life == SLP_STARTED)
               ? "tasklet has C state on its stack"
           : t->watchdog ? "can't (re)bind a tasklet inside run()"
                         : NULL;
}

int
slp_tasklet_bind_thread(slp_task *t, long long id)
{
    slp_thread *st = slp_thread_get();
    if (t->place != SLP_IN_RING && slp_soften(t) < 0) {
        return -1;
    }
    const char *reason = stays(t);
    if (st != NULL && reason != NULL) {
        PyErr_SetString(PyExc_RuntimeError, reason);
        return -1;
    }
    slp_thread *to = st ? thread_to_bind(st, id) : NULL;
    if (to == NULL) {
        return -1;
    }
    if (t->popped && t->thread != NULL) {
        slp_pop_settle(t->thread->ts, t->thread->head);
    }
    if (t->doomed) {
        to->doomed++;
        if (t->thread != NULL) {
            t->thread->doomed--;
        }
    }
    t->thread = to;
    return 0;
}

static PyObject *
tasklet_bind_thread(PyObject *self, PyObject *args)
{
    long long id = -1;
    if (!PyArg_ParseTuple(args, "|L:bind_thread", &id)
        || slp_tasklet_bind_thread(slp_task_of(self), id) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    set_atomic_doc,
    "set_atomic($self, flag, /)\n--\n\n"
    "Set the atomic flag (int); returns the old value (bool). While an "
    "atomic tasklet\nruns, neither another tasklet nor another "
    "thread takes its place unless it blocks or\nreleases the GIL "
    "itself. RuntimeError if that needs a thread and there can be "
    "none.");

static PyObject *
tasklet_set_atomic(PyObject *self, PyObject *flag)
{
    slp_task *t = slp_task_of(self);
    long value = PyLong_AsLong(flag);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    bool old = t->atomic;
    return slp_task_set_atomic(t, value != 0) < 0 ? NULL
                                                  : PyBool_FromLong(old);
}

PyDoc_STRVAR(set_ignore_nesting_doc,
             "set_ignore_nesting($self, flag, /)\n--\n\n"
             "Allow a watchdog to interrupt the tasklet inside C calls (int); "
             "returns the old\nvalue (bool).");

static PyObject *
tasklet_set_ignore_nesting(PyObject *self, PyObject *flag)
{
    slp_task *t = slp_task_of(self);
    long value = PyLong_AsLong(flag);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    bool old = t->ignore_nesting;
    slp_task_set_ignore_nesting(t, value != 0);
    return PyBool_FromLong(old);
}

/* The tasklet's context: borrowed, made if there is none; NULL on error. */
static PyObject *
context_of(slp_task *t)
{
    if (is_current(t)) {
        slp_thread *st = slp_thread_get();
        if (st == NULL || slp_task_own(st, t, "use the context of") < 0) {
            return NULL;
        }
        PyObject *c = slp_context_current(st->ts);
        Py_XDECREF(c); /* the thread holds it */
        return c;
    }
    if (t->py.context == NULL) {
        t->py.context = PyContext_New();
    }
    return t->py.context;
}

static int
check_context(slp_task *t)
{
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return -1;
    }
    if (t->thread != st && (t->place == SLP_IN_RING || is_current(t))) {
        error("tasklet is runnable in a different thread");
        return -1;
    }
    PyObject *c = is_current(t) ? st->ts->context : t->py.context;
    if (c != NULL && slp_context_entered(c)) {
        error("the current context of the tasklet has been entered");
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(set_context_doc,
             "set_context($self, context, /)\n--\n\n"
             "Make a contextvars.Context the tasklet's. Returns self.\n\n"
             "Raises RuntimeError if its present context is entered "
             "(Context.run) or the tasklet\nis runnable in another thread.");

static PyObject *
tasklet_set_context(PyObject *self, PyObject *context)
{
    slp_task *t = slp_task_of(self);
    if (!PyContext_CheckExact(context)) {
        PyErr_Format(PyExc_TypeError,
                     "a contextvars.Context is required, not %.100s",
                     Py_TYPE(context)->tp_name);
        return NULL;
    }
    if (check_context(t) < 0) {
        return NULL;
    }
    Py_INCREF(context);
    if (is_current(t)) {
        Py_XDECREF(slp_context_swap(t->thread->ts, context));
    }
    else {
        Py_XSETREF(t->py.context, context);
    }
    return Py_NewRef(self);
}

PyDoc_STRVAR(context_run_doc,
             "context_run($self, callable, /, *args, **kwargs)\n--\n\n"
             "Call the callable in the tasklet's context; returns what it "
             "returns.");

static PyObject *
tasklet_context_run(PyObject *self, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_GET_SIZE(args) < 1) {
        PyErr_SetString(PyExc_TypeError,
                        "context_run() missing 1 required positional argument:"
                        " 'callable'");
        return NULL;
    }
    slp_thread *st = slp_thread_get();
    PyObject *context = st ? context_of(slp_task_of(self)) : NULL;
    if (context == NULL) {
        return NULL;
    }
    PyObject *rest = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args));
    if (rest == NULL) {
        return NULL;
    }
    /* The call may switch: the context then travels with the caller. */
    PyObject *old = slp_context_swap(st->ts, Py_NewRef(context));
    PyObject *r = PyObject_Call(PyTuple_GET_ITEM(args, 0), rest, kwargs);
    Py_XDECREF(slp_context_swap(slp_ts(), old));
    Py_DECREF(rest);
    return r;
}

PyDoc_STRVAR(
    sizeof_doc,
    "__sizeof__($self, /)\n--\n\n"
    "Bytes of the tasklet and of the memory that its frames begin in. "
    "What deep calls\nneed more is CPython's.");

static PyObject *
tasklet_sizeof(PyObject *self, PyObject *Py_UNUSED(args))
{
    slp_task *t = slp_task_of(self);
    size_t size = (size_t)Py_TYPE(self)->tp_basicsize + sizeof(*t);
    return PyLong_FromSize_t(size + (t->chunk ? t->chunk->size : 0));
}

static PyObject *
tasklet_repr(PyObject *self)
{
    slp_task *t = slp_task_of(self);
    const char *how = slp_task_alive(t) && t->thread == NULL ? "threadless"
                      : is_current(t)                        ? "current"
                      : t->place == SLP_IN_RING              ? "runnable"
                      : slp_task_blocked(t)                  ? "blocked"
                      : slp_task_alive(t)                    ? "paused"
                      : t->life == SLP_BOUND                 ? "bound"
                                                             : "dead";
    PyObject *name = slp_task_name(t);
    if (name == NULL) {
        return NULL;
    }
    PyObject *r = PyUnicode_FromFormat(
        "<%s %U %s at %p>", Py_TYPE(self)->tp_name, name, how, self);
    Py_DECREF(name);
    return r;
}

static PyMethodDef tasklet_methods[] = {
    {"bind", _PyCFunction_CAST(tasklet_bind), METH_VARARGS | METH_KEYWORDS,
     bind_doc},
    {"setup", _PyCFunction_CAST(tasklet_setup), METH_VARARGS | METH_KEYWORDS,
     setup_doc},
    {"insert", tasklet_insert, METH_NOARGS, insert_doc},
    {"remove", tasklet_remove, METH_NOARGS, remove_doc},
    {"bind_thread", tasklet_bind_thread, METH_VARARGS, bind_thread_doc},
    {"set_atomic", tasklet_set_atomic, METH_O, set_atomic_doc},
    {"set_ignore_nesting", tasklet_set_ignore_nesting, METH_O,
     set_ignore_nesting_doc},
    {"set_context", tasklet_set_context, METH_O, set_context_doc},
    {"context_run", _PyCFunction_CAST(tasklet_context_run),
     METH_VARARGS | METH_KEYWORDS, context_run_doc},
    {"__sizeof__", tasklet_sizeof, METH_NOARGS, sizeof_doc},
    {NULL, NULL, 0, NULL},
};

SLP_INTERNAL extern PyGetSetDef slp_tasklet_getset[];

static PyMemberDef tasklet_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(slp_tasklet, weakrefs),
     READONLY, NULL},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(slp_tasklet, vectorcall),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(tasklet_doc,
             "tasklet(func=None, args=None, kwargs=None)\n--\n\n"
             "A microthread. tasklet(f)(*args) makes one that is to call "
             "f(*args) and appends\nit to the ring of runnable tasklets; "
             "with args or kwargs given to the constructor\nit is ready to "
             "run but paused.");

static PyType_Slot tasklet_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)tasklet_doc},
    {Py_tp_new, tasklet_new},
    {Py_tp_init, tasklet_init},
    {Py_tp_call, tasklet_setup},
    {Py_tp_repr, tasklet_repr},
    {Py_tp_traverse, tasklet_traverse},
    {Py_tp_clear, tasklet_clear},
    {Py_tp_finalize, tasklet_finalize},
    {Py_tp_dealloc, tasklet_dealloc},
    {Py_tp_methods, tasklet_methods},
    {Py_tp_getset, slp_tasklet_getset},
    {Py_tp_members, tasklet_members},
    {0, NULL},
};

static PyType_Spec tasklet_spec = {
    .name = "stackless.tasklet",
    .basicsize = sizeof(slp_tasklet),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = tasklet_slots,
};

int
slp_tasklet_setup(slp_state *s, PyObject *module)
{
    s->tasklet_type = slp_add_type(module, &tasklet_spec);
    if (s->tasklet_type == NULL) {
        return -1;
    }
    s->tasklet_type->tp_vectorcall = tasklet_vectorcall;
    return 0;
}
