/* SPDX-License-Identifier: PSF-2.0 */
/* Attributes of tasklets. */
#include "types.h"

#include "../core/quick.h"
#include "../core/sched.h"
#include "../core/soften.h"

static bool
is_current(slp_task *t)
{
    return t->thread != NULL && t->thread->current == t;
}

/* ---- state --------------------------------------------------------------- */

int
slp_tasklet_nesting(slp_task *t)
{
    slp_thread *st = t->thread;
    if (t->life != SLP_STARTED || st == NULL) {
        return 0;
    }
    slp_carrier *c = is_current(t) ? st->running : t->carrier;
    if (c == NULL || slp_is_interrupted(t)) {
        return 0; /* soft, or as good as that */
    }
    return is_current(t) ? slp_carrier_nesting(c, SLP_FRAME(st->ts))
                         : slp_carrier_nesting(c, slp_carrier_frame(c)) + 1;
}

bool
slp_tasklet_restorable(slp_task *t)
{
    return !t->is_main && slp_tasklet_nesting(t) == 0;
}

int
slp_tasklet_depth(slp_task *t)
{
    if (t->life != SLP_STARTED) {
        return 0;
    }
    if (is_current(t)) {
        PyThreadState *ts = t->thread->ts;
        return SLP_DEPTH_LIMIT(ts) - SLP_DEPTH_LEFT(ts) + t->py.excess;
    }
    if (t->carrier
        != NULL) { /* neither the point nor its gate is the program's */
        return t->py.depth - (t->gated ? 2 : 0);
    }
    slp_frame *top = t->popped ? t->top : slp_frame_below(t->top);
    PyObject *interrupted = slp_state_peek()->interrupted_function;
    return t->py.depth - !t->popped
           - (top != NULL && slp_frame_is_of(top, interrupted));
}

PyObject *
slp_tasklet_frame(slp_task *t)
{
    slp_frame *f = slp_task_frame(t);
    if (f == NULL) {
        Py_RETURN_NONE;
    }
    return slp_frame_object(slp_ts(), f);
}

#define BOOL_GETTER(name, expression)                                         \
    static PyObject *get_##name(PyObject *self, void *Py_UNUSED(closure))     \
    {                                                                         \
        slp_task *t = slp_task_of(self);                                      \
        return PyBool_FromLong(expression);                                   \
    }

BOOL_GETTER(alive, slp_task_alive(t) && t->thread != NULL)
BOOL_GETTER(paused, slp_task_paused(t) && t->thread != NULL)
BOOL_GETTER(blocked, slp_task_blocked(t))
BOOL_GETTER(scheduled, t->place != SLP_FLOATING)
BOOL_GETTER(restorable, slp_tasklet_restorable(t))
BOOL_GETTER(atomic, t->atomic)
BOOL_GETTER(ignore_nesting, t->ignore_nesting)
BOOL_GETTER(block_trap, t->block_trap)
BOOL_GETTER(is_main, t->is_main)
BOOL_GETTER(is_current, is_current(t))

static PyObject *
get_thread_id(PyObject *self, void *Py_UNUSED(closure))
{
    slp_thread *st = slp_task_of(self)->thread;
    if (st == NULL) {
        return PyLong_FromLong(-1);
    }
    return PyLong_FromUnsignedLong(st->ident);
}

static PyObject *
new_or_none(PyObject *op)
{
    return Py_NewRef(op ? op : Py_None);
}

/* In st->dropped, next means something else, but nobody looks then. */
static PyObject *
neighbour(slp_task *t, slp_task *other)
{
    bool there = t->place != SLP_FLOATING && other != NULL;
    return new_or_none(there ? other->self : NULL);
}

static PyObject *
get_next(PyObject *self, void *Py_UNUSED(closure))
{
    slp_task *t = slp_task_of(self);
    return neighbour(t, t->next);
}

static PyObject *
get_prev(PyObject *self, void *Py_UNUSED(closure))
{
    slp_task *t = slp_task_of(self);
    return neighbour(t, t->prev);
}

static PyObject *
get_frame(PyObject *self, void *Py_UNUSED(closure))
{
    return slp_tasklet_frame(slp_task_of(self));
}

static PyObject *
get_recursion_depth(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(slp_tasklet_depth(slp_task_of(self)));
}

static PyObject *
get_nesting_level(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(slp_tasklet_nesting(slp_task_of(self)));
}

static PyObject *
get_channel(PyObject *self, void *Py_UNUSED(closure))
{
    slp_waitq *q = slp_task_of(self)->waitq;
    return new_or_none(q ? q->owner : NULL);
}

static PyObject *
get_cstate(PyObject *self, void *Py_UNUSED(closure))
{
    slp_task *t = slp_task_of(self);
    slp_state *s = slp_state_peek();
    if ((t->carrier == NULL && !is_current(t)) || s == NULL) {
        Py_RETURN_NONE;
    }
    size_t used = t->carrier ? slp_carrier_used(t->carrier) : 0;
    return PyObject_CallFunction((PyObject *)s->cstack_type, "Oin", self,
                                 slp_tasklet_nesting(t), (Py_ssize_t)used);
}

static PyObject *
get_context_id(PyObject *self, void *Py_UNUSED(closure))
{
    slp_task *t = slp_task_of(self);
    if (!is_current(t)) {
        return PyLong_FromVoidPtr(t->py.context);
    }
    PyObject *c = slp_context_current(t->thread->ts);
    PyObject *id = c ? PyLong_FromVoidPtr(c) : NULL;
    Py_XDECREF(c);
    return id;
}

/* ---- what may be set ----------------------------------------------------- */

static int
refuse_delete(PyObject *value, const char *name)
{
    if (value == NULL) {
        PyErr_Format(PyExc_TypeError, "cannot delete attribute '%s'", name);
        return -1;
    }
    return 0;
}

static PyObject *
get_tempval(PyObject *self, void *Py_UNUSED(closure))
{
    slp_task *t = slp_task_of(self);
    slp_state *s = slp_state_peek();
    if (t->bombed && s != NULL) {
        PyObject *tb = PyException_GetTraceback(t->tempval);
        PyObject *bomb = PyObject_CallFunction((PyObject *)s->bomb_type, "OOO",
                                               Py_TYPE(t->tempval), t->tempval,
                                               tb ? tb : Py_None);
        Py_XDECREF(tb);
        return bomb;
    }
    if (t->tempval == NULL && t->life == SLP_BOUND) {
        return new_or_none(t->func);
    }
    return new_or_none(t->tempval);
}

static int
set_tempval(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    slp_task *t = slp_task_of(self);
    if (refuse_delete(value, "tempval") < 0) {
        return -1;
    }
    t->bombed = 0;
    Py_XSETREF(t->tempval, Py_NewRef(value));
    return 0;
}

static int
set_block_trap(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (refuse_delete(value, "block_trap") < 0) {
        return -1;
    }
    if (!PyLong_Check(value)) {
        PyErr_SetString(PyExc_TypeError,
                        "block_trap must be set to a bool or integer");
        return -1;
    }
    int on = PyObject_IsTrue(value);
    if (on < 0) {
        return -1;
    }
    slp_task_of(self)->block_trap = on;
    return 0;
}

static PyObject *
get_name(PyObject *self, void *Py_UNUSED(closure))
{
    return slp_task_name(slp_task_of(self));
}

static int
set_name(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (refuse_delete(value, "name") < 0) {
        return -1;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "name must be a str, not %.100s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    Py_XSETREF(slp_task_of(self)->name, Py_NewRef(value));
    return 0;
}

static PyObject *
get_created_at(PyObject *self, void *Py_UNUSED(closure))
{
    return slp_task_origin(slp_task_of(self));
}

static PyObject *
get_function(PyObject *self, bool profile)
{
    slp_task *t = slp_task_of(self);
    if (is_current(t)) {
        PyThreadState *ts = t->thread->ts;
        return new_or_none(profile ? ts->c_profileobj : ts->c_traceobj);
    }
    return slp_extras_get_trace(&t->py, profile);
}

static int
set_function(PyObject *self, PyObject *value, bool profile)
{
    slp_task *t = slp_task_of(self);
    const char *name = profile ? "profile_function" : "trace_function";
    if (refuse_delete(value, name) < 0) {
        return -1;
    }
    if (t->life != SLP_STARTED && t->life != SLP_READY) {
        if (value == Py_None) {
            return 0;
        }
        PyErr_SetString(PyExc_RuntimeError, "tasklet is not alive");
        return -1;
    }
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return -1;
    }
    if (slp_task_own(st, t, "trace") < 0) {
        return -1;
    }
    if (!is_current(t)) {
        slp_quick_undo(st, t);
        st->in_callback++; /* audit hooks run: t must stay as it is */
        int r = slp_extras_set_trace(st->ts, &t->py, value, profile);
        st->in_callback--;
        return r;
    }
    PyObject *set = slp_sys_attribute(profile ? "setprofile" : "settrace");
    PyObject *r = set ? PyObject_CallOneArg(set, value) : NULL;
    Py_XDECREF(set);
    Py_XDECREF(r);
    return r == NULL ? -1 : 0;
}

static PyObject *
get_trace_function(PyObject *self, void *Py_UNUSED(closure))
{
    return get_function(self, false);
}

static int
set_trace_function(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    return set_function(self, value, false);
}

static PyObject *
get_profile_function(PyObject *self, void *Py_UNUSED(closure))
{
    return get_function(self, true);
}

static int
set_profile_function(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    return set_function(self, value, true);
}

SLP_INTERNAL extern PyGetSetDef slp_tasklet_getset[];

PyGetSetDef slp_tasklet_getset[] = {
    {"alive", get_alive, NULL, "bool: has work left.", NULL},
    {"paused", get_paused, NULL,
     "bool: alive, but neither runnable nor blocked.", NULL},
    {"blocked", get_blocked, NULL, "bool: waits on a channel.", NULL},
    {"scheduled", get_scheduled, NULL, "bool: runnable or blocked.", NULL},
    {"restorable", get_restorable, NULL,
     "bool: no C code between its Python frames.", NULL},
    {"atomic", get_atomic, NULL, "bool: see set_atomic().", NULL},
    {"ignore_nesting", get_ignore_nesting, NULL,
     "bool: see set_ignore_nesting().", NULL},
    {"block_trap", get_block_trap, set_block_trap,
     "bool: an attempt to block raises RuntimeError.", NULL},
    {"is_main", get_is_main, NULL, "bool: its thread's main tasklet.", NULL},
    {"is_current", get_is_current, NULL, "bool: running in its thread.", NULL},
    {"thread_id", get_thread_id, NULL,
     "int: id of its thread, -1 once that has ended.", NULL},
    {"next", get_next, NULL, "The next one in the ring or queue, or None.",
     NULL},
    {"prev", get_prev, NULL, "The previous one in the ring or queue, or None.",
     NULL},
    {"frame", get_frame, NULL,
     "Its newest Python frame, or None if it has not started or has ended.",
     NULL},
    {"recursion_depth", get_recursion_depth, NULL,
     "int: depth of its Python calls.", NULL},
    {"nesting_level", get_nesting_level, NULL,
     "int: calls of the interpreter from C on its stack; one more while "
     "suspended hard.",
     NULL},
    {"cstate", get_cstate, NULL,
     "The C stack that it runs on or is bound to, or None.", NULL},
    {"_channel", get_channel, NULL, "The channel it is blocked on, or None.",
     NULL},
    {"waiting_for", get_channel, NULL, "What it is blocked on, or None.",
     NULL},
    {"tempval", get_tempval, set_tempval,
     "What its pending switch call will return; a bomb is raised.", NULL},
    {"name", get_name, set_name, "str: shown in reports.", NULL},
    {"created_at", get_created_at, NULL,
     "str or None: 'file:line' where it was made.", NULL},
    {"context_id", get_context_id, NULL,
     "int: id of its contextvars.Context, 0 if it has none yet.", NULL},
    {"trace_function", get_trace_function, set_trace_function,
     "Its sys.settrace() function, or None.", NULL},
    {"profile_function", get_profile_function, set_profile_function,
     "Its sys.setprofile() function, or None.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
