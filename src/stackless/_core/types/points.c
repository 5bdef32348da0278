/* SPDX-License-Identifier: PSF-2.0 */
/* Everything that may switch, as seen from Python: one line in the table and
   one C function each.  These are Python functions, so that calling one is
   inlined by the interpreter; see compat_code.c. */
#include "types.h"

#include "../core/bomb.h"
#include "../core/dispatch.h"
#include "../core/quick.h"
#include "../core/watchdog.h"
#include "../wait/channel.h"

/* ---- arguments ----------------------------------------------------------- */

static slp_task *
tasklet_arg(slp_thread *st, PyObject *self, const char *name)
{
    if (SLP_UNLIKELY(!PyObject_TypeCheck(self, st->state->tasklet_type))) {
        PyErr_Format(PyExc_TypeError,
                     "descriptor '%s' for 'stackless.tasklet' objects "
                     "doesn't apply to a '%.100s' object",
                     name, Py_TYPE(self)->tp_name);
        return NULL;
    }
    return slp_task_of(self);
}

static slp_channel *
channel_arg(slp_thread *st, PyObject *self, const char *name)
{
    if (SLP_UNLIKELY(!PyObject_TypeCheck(self, st->state->channel_type))) {
        PyErr_Format(PyExc_TypeError,
                     "descriptor '%s' for 'stackless.channel' objects "
                     "doesn't apply to a '%.100s' object",
                     name, Py_TYPE(self)->tp_name);
        return NULL;
    }
    return (slp_channel *)self;
}

static PyObject *
retval_arg(slp_thread *st, PyObject *retval)
{
    return retval == st->state->current_default ? st->current->self : retval;
}

#if SLP_SHORT_CALLS
/* What schedule() was given: borrowed. */
static PyObject *
schedule_arg(slp_thread *st, PyObject **args)
{
    PyObject *retval = slp_point_optional(args[0], args[1],
                                          st->state->current_default);
    if (retval == NULL) {
        Py_ssize_t n = PyTuple_GET_SIZE(args[1]);
        PyErr_Format(PyExc_TypeError,
                     n > 1 ? "schedule() takes from 0 to 1 positional "
                             "arguments but %zd were given"
                           : "schedule() got multiple values for argument "
                             "'retval'",
                     n);
        return NULL;
    }
    return retval_arg(st, retval);
}
#else
static PyObject *
schedule_arg(slp_thread *st, PyObject **args)
{
    return retval_arg(st, args[0]);
}
#endif

/* ---- ops ----------------------------------------------------------------- */

static int
op_schedule(slp_thread *st, slp_entry *e, PyObject **args)
{
    PyObject *retval = schedule_arg(st, args);
    return retval == NULL ? -1 : slp_schedule(st, e, retval, false);
}

static int
op_schedule_remove(slp_thread *st, slp_entry *e, PyObject **args)
{
    return slp_schedule(st, e, retval_arg(st, args[0]), true);
}

static int
op_run(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_limit limit = {.ticks = PyLong_AsLong(args[0])};
    if (limit.ticks == -1 && PyErr_Occurred()) {
        return -1;
    }
    bool *flags[] = {&limit.threadblock, &limit.soft, &limit.ignore_nesting,
                     &limit.total};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(flags); i++) {
        int on = PyObject_IsTrue(args[1 + i]);
        if (on < 0) {
            return -1;
        }
        *flags[i] = on;
    }
    if (args[5] != Py_None) {
        if (limit.ticks > 0) {
            PyErr_SetString(PyExc_TypeError,
                            "run() takes a timeout or seconds, not both");
            return -1;
        }
        if (slp_seconds_arg(args[5], "seconds", &limit.period) < 0) {
            return -1;
        }
    }
    return slp_run_watchdog(st, e, &limit);
}

static int
op_send(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_channel *ch = channel_arg(st, args[0], "send");
    return ch == NULL ? -1 : slp_channel_send(st, e, ch, args[1]);
}

static int
op_receive(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_channel *ch = channel_arg(st, args[0], "receive");
    return ch == NULL ? -1 : slp_channel_receive(st, e, ch);
}

static int
op_send_exception(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_channel *ch = channel_arg(st, args[0], "send_exception");
    PyObject *exc = ch ? slp_exc_from_class(args[1], args[2]) : NULL;
    return exc == NULL ? -1 : slp_channel_throw(st, e, ch, exc);
}

static int
op_send_throw(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_channel *ch = channel_arg(st, args[0], "send_throw");
    PyObject *exc = ch ? slp_exc_from_triple(args[1], args[2], args[3]) : NULL;
    return exc == NULL ? -1 : slp_channel_throw(st, e, ch, exc);
}

static int
op_task_run(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_task *t = tasklet_arg(st, args[0], "run");
    return t == NULL ? -1 : slp_task_run(st, e, t);
}

static int
op_task_switch(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_task *t = tasklet_arg(st, args[0], "switch");
    return t == NULL ? -1 : slp_task_switch(st, e, t);
}

static int
op_kill(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_task *t = tasklet_arg(st, args[0], "kill");
    int pending = t ? PyObject_IsTrue(args[1]) : -1;
    PyObject *none = pending < 0 ? NULL : PyTuple_New(0);
    if (none == NULL) {
        return -1;
    }
    PyObject *exc = slp_exc_from_class(st->state->tasklet_exit, none);
    Py_DECREF(none);
    return exc == NULL ? -1 : slp_task_throw(st, e, t, exc, pending);
}

static int
op_throw(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_task *t = tasklet_arg(st, args[0], "throw");
    int pending = t ? PyObject_IsTrue(args[4]) : -1;
    PyObject *exc = pending < 0
                        ? NULL
                        : slp_exc_from_triple(args[1], args[2], args[3]);
    return exc == NULL ? -1 : slp_task_throw(st, e, t, exc, pending);
}

static int
op_raise_exception(slp_thread *st, slp_entry *e, PyObject **args)
{
    slp_task *t = tasklet_arg(st, args[0], "raise_exception");
    PyObject *exc = t ? slp_exc_from_class(args[1], args[2]) : NULL;
    return exc == NULL ? -1 : slp_task_throw(st, e, t, exc, false);
}

/* ---- the table ----------------------------------------------------------- */

typedef enum {
    IN_MODULE,
    IN_TASKLET,
    IN_CHANNEL
} where;

/* Defaults, one letter each for the last parameters: c <current>, N None,
   0 zero, F False. */
static const struct {
    slp_point_spec spec;
    slp_op_fn fn;
    where place;
    int nargs; /* slots of the frame that fn reads */
    const char *defaults;
    PyType_Spec *quick; /* or NULL: always by the gate */
} table[] = {
    {{"schedule", "schedule", "stackless",
      "Let the next runnable tasklet run; the caller stays in the ring.\n\n"
      "Returns retval (the current tasklet by default), or what was put into "
      "the\ncaller's tempval meanwhile. Raises RuntimeError while a "
      "switch_trap is set.",
      "retval", 0, true},
     op_schedule,
     IN_MODULE,
     SLP_OPTIONAL_SLOTS,
     "c",
     &slp_quick_schedule},
    {{"schedule_remove", "schedule_remove", "stackless",
      "As schedule(), but the caller leaves the ring: it is paused until "
      "somebody\ninserts or runs it. Raises RuntimeError if nothing else "
      "could run.",
      "retval", 0, false},
     op_schedule_remove,
     IN_MODULE,
     1,
     "c",
     &slp_quick_schedule_remove},
    {{"run", "run", "stackless",
      "Run the other tasklets until none is runnable. The caller is paused "
      "meanwhile;\nan error that a tasklet does not catch is raised here.\n\n"
      "With a limit the tasklet that runs longer is interrupted: it leaves "
      "the ring and is\nreturned; insert() lets it go on. The limit is "
      "timeout "
      "(int, in ticks: up to 10,000\nare counted, 2 at each place where "
      "CPython "
      "looks for interruptions; more are 10 ns\neach) or seconds (float). It "
      "counts from the last switch, with totaltimeout from the\ncall on. "
      "soft: "
      "nobody is interrupted, the call returns at the next "
      "switch.\nignore_nesting: interrupt inside C calls, too. "
      "threadblock: wait for\nother threads when all tasklets are blocked. "
      "Inside a run() with a limit all of\nthis is ignored.\n\n"
      "Returns the interrupted tasklet or None. Raises ValueError if seconds "
      "is not\npositive, TypeError if both are given, RuntimeError if no "
      "helper thread can be\nstarted, NotImplementedError in another thread "
      "than the main one on CPython 3.11.",
      "timeout threadblock soft ignore_nesting totaltimeout seconds", 0,
      false},
     op_run,
     IN_MODULE,
     6,
     "0FFFFN",
     NULL},
    {{"send", "channel.send", "stackless",
      "Hand value to a receiver; blocks until there is one.\n\n"
      "Raises RuntimeError on a deadlock or if the tasklet's block_trap is "
      "set, ValueError\nif it would block on a closed channel.",
      "self value", 0, false},
     op_send,
     IN_CHANNEL,
     2,
     "",
     &slp_quick_send},
    {{"receive", "channel.receive", "stackless",
      "Return what a sender hands over; blocks until there is one.\n\n"
      "Raises what the sender sent by send_exception(), and the errors of "
      "send().",
      "self", 0, false},
     op_receive,
     IN_CHANNEL,
     1,
     "",
     &slp_quick_receive},
    {{"send_exception", "channel.send_exception", "stackless",
      "As send(), but the receiver raises exc(*args). TypeError if exc is no "
      "exception\nclass.",
      "self exc *args", 0, false},
     op_send_exception,
     IN_CHANNEL,
     3,
     "",
     NULL},
    {{"send_throw", "channel.send_throw", "stackless",
      "As send(), but the receiver raises: exc is an exception or a class, "
      "val its\nvalue, tb a traceback. TypeError for anything else.",
      "self exc val tb", 0, false},
     op_send_throw,
     IN_CHANNEL,
     4,
     "NN",
     NULL},
    {{"run", "tasklet.run", "stackless",
      "Run the tasklet now; the caller stays in the ring. Raises RuntimeError "
      "if it is\nblocked or dead.",
      "self", 0, false},
     op_task_run,
     IN_TASKLET,
     1,
     "",
     NULL},
    {{"switch", "tasklet.switch", "stackless",
      "Run the tasklet now; the caller leaves the ring and is paused. Raises\n"
      "RuntimeError if the tasklet is blocked, dead or of another thread.",
      "self", 0, false},
     op_task_switch,
     IN_TASKLET,
     1,
     "",
     NULL},
    {{"kill", "tasklet.kill", "stackless",
      "Raise TaskletExit in the tasklet: now, or with pending when it runs "
      "next. Does\nnothing if it has ended.",
      "self pending", 0, false},
     op_kill,
     IN_TASKLET,
     2,
     "F",
     NULL},
    {{"throw", "tasklet.throw", "stackless",
      "Raise an exception in the tasklet: exc is an exception or a class, val "
      "its value,\ntb a traceback. Now, or with pending when it runs next. "
      "Raises RuntimeError if the\ntasklet is dead.",
      "self exc val tb pending", 0, false},
     op_throw,
     IN_TASKLET,
     5,
     "NNF",
     NULL},
    {{"raise_exception", "tasklet.raise_exception", "stackless",
      "Raise exc_class(*args) in the tasklet, now. TypeError if exc_class is "
      "no exception\nclass.",
      "self exc_class *args", 0, false},
     op_raise_exception,
     IN_TASKLET,
     3,
     "",
     NULL},
};

static PyObject *
make_defaults(slp_state *s, const char *letters)
{
    Py_ssize_t n = (Py_ssize_t)strlen(letters);
    PyObject *defaults = PyTuple_New(n);
    if (defaults == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *v = letters[i] == 'c'   ? Py_NewRef(s->current_default)
                      : letters[i] == 'N' ? Py_NewRef(Py_None)
                      : letters[i] == 'F' ? Py_NewRef(Py_False)
                                          : PyLong_FromLong(0);
        if (v == NULL) {
            Py_DECREF(defaults);
            return NULL;
        }
        PyTuple_SET_ITEM(defaults, i, v);
    }
    return defaults;
}

static PyObject *
make_point(slp_state *s, size_t i)
{
    PyObject *defaults = make_defaults(s, table[i].defaults);
    PyObject *op = slp_op_new(s, table[i].fn, table[i].nargs);
    PyObject *quick = NULL, *point = NULL;
    if (table[i].quick != NULL) {
        quick = slp_quick_op_new(table[i].quick);
    }
    if (defaults && op && (quick || table[i].quick == NULL)) {
        point = slp_point_new(&table[i].spec, quick, op, s->reraise, defaults);
    }
    Py_XDECREF(quick);
    Py_XDECREF(op);
    Py_XDECREF(defaults);
    return point;
}

int
slp_points_setup(slp_state *s, PyObject *module)
{
    int inverts = slp_points_invert(&s->quick_offset);
    if (slp_quick_inverts
        != (inverts > 0)) { /* the same in all interpreters */
        slp_quick_inverts = inverts > 0;
    }
    s->points = inverts < 0 ? NULL : PyList_New(0);
    if (s->points == NULL) {
        return -1;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(table); i++) {
        PyObject *place = table[i].place == IN_MODULE ? module
                          : table[i].place == IN_TASKLET
                              ? (PyObject *)s->tasklet_type
                              : (PyObject *)s->channel_type;
        PyObject *point = make_point(s, i);
        if (point == NULL || PyList_Append(s->points, point) < 0
            || PyObject_SetAttrString(place, table[i].spec.name, point) < 0) {
            Py_XDECREF(point);
            return -1;
        }
        Py_DECREF(point);
    }
    return 0;
}
