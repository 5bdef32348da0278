/* SPDX-License-Identifier: PSF-2.0 */
/* What tasklets are called and where they stand; the deadlock report. */
#include "sched.h"

#include "bomb.h"

PyObject *
slp_task_name(slp_task *t)
{
    if (t->name != NULL) {
        return Py_NewRef(t->name);
    }
    if (t->is_main) {
        return PyUnicode_FromString("main");
    }
    return PyUnicode_FromFormat("tasklet-%llu",
                                (unsigned long long)slp_task_serial(t));
}

slp_frame *
slp_task_frame(slp_task *t)
{
    slp_thread *st = t->thread;
    if (t->life != SLP_STARTED) {
        return NULL;
    }
    if (st == NULL && t->carrier != NULL) {
        return NULL; /* on 3.15 they end in a thread state that is gone */
    }
    if (st != NULL && st->current == t) {
        return slp_frame_visible(SLP_FRAME(st->ts));
    }
    slp_frame *top = t->carrier ? slp_carrier_frame(t->carrier) : t->top;
    return top ? slp_frame_visible(top) : NULL;
}

PyObject *
slp_task_where(slp_task *t)
{
    slp_frame *f = slp_task_frame(t);
    if (f == NULL) {
        return slp_task_origin(t);
    }
    return PyUnicode_FromFormat("%U:%d", slp_frame_code(f)->co_filename,
                                slp_frame_lineno(f));
}

PyObject *
slp_task_origin(slp_task *t)
{
    if (t->origin == NULL) {
        Py_RETURN_NONE;
    }
    int line = t->origin_at == SLP_AT_UNKNOWN
                   ? t->origin->co_firstlineno
                   : PyCode_Addr2Line(
                       t->origin, t->origin_at * (int)sizeof(_Py_CODEUNIT));
    return PyUnicode_FromFormat("%U:%d", t->origin->co_filename, line);
}

static PyObject *
describe(slp_task *t)
{
    PyObject *name = slp_task_name(t), *where = slp_task_where(t);
    PyObject *line = NULL;
    if (name != NULL && where != NULL) {
        /* Not the channel's repr(): a subclass may have one of its own. */
        PyObject *owner = t->waitq ? t->waitq->owner : Py_None;
        line = PyUnicode_FromFormat("\n  %U waits to %s %s %s at %p, at %S",
                                    name, t->sending ? "send" : "receive",
                                    t->sending ? "on" : "from",
                                    Py_TYPE(owner)->tp_name, owner, where);
    }
    Py_XDECREF(name);
    Py_XDECREF(where);
    return line;
}

/* The blocked tasklets of the thread as lines, up to a limit. */
static PyObject *
describe_blocked(slp_thread *st)
{
    enum {
        LIMIT = 100
    };
    slp_state *s = st->state;
    Py_ssize_t n = 0;
    PyObject *lines = PyList_New(0);
    for (slp_task *t = s->all.all_next; lines && t != &s->all;
         t = t->all_next) {
        if (t->thread != st || t->place != SLP_IN_QUEUE || n++ >= LIMIT) {
            continue;
        }
        slp_task_hold(t); /* a collection may run meanwhile */
        PyObject *line = describe(t);
        if (line == NULL || PyList_Append(lines, line) < 0) {
            Py_CLEAR(lines);
        }
        Py_XDECREF(line);
        slp_task_release(t); /* its queue holds it too */
    }
    if (lines != NULL && n > LIMIT) {
        PyObject *line = PyUnicode_FromFormat("\n  ... and %zd more",
                                              n - LIMIT);
        if (line == NULL || PyList_Append(lines, line) < 0) {
            Py_CLEAR(lines);
        }
        Py_XDECREF(line);
    }
    if (lines == NULL) {
        return NULL;
    }
    PyObject *empty = PyUnicode_FromString("");
    PyObject *text = empty ? PyUnicode_Join(empty, lines) : NULL;
    Py_XDECREF(empty);
    Py_DECREF(lines);
    return text;
}

void
slp_deadlock(slp_thread *st, const char *what, bool ended)
{
    PyObject *me = slp_task_name(st->current);
    PyObject *where = me ? slp_task_where(st->current) : NULL;
    PyObject *blocked = where ? describe_blocked(st) : NULL;
    if (blocked != NULL) {
        bool none = PyUnicode_GET_LENGTH(blocked) == 0;
        const char *others = none ? " No other is blocked." : " Blocked:";
        if (st->current->sleeper) {
            PyErr_Format(PyExc_RuntimeError,
                         "Deadlock: %s\n"
                         "No tasklet is runnable, and no thread is left that "
                         "could wake one.%s%U",
                         what, others, blocked);
        }
        else if (ended) {
            PyErr_Format(PyExc_RuntimeError,
                         "Deadlock: %s\n"
                         "No tasklet is runnable, %U has ended.%s%U",
                         what, me, others, blocked);
        }
        else {
            PyErr_Format(PyExc_RuntimeError,
                         "Deadlock: %s\n"
                         "No tasklet is runnable but %U, at %S.%s%U",
                         what, me, where, others, blocked);
        }
    }
    /* else: MemoryError says it as well */
    Py_XDECREF(me);
    Py_XDECREF(where);
    Py_XDECREF(blocked);
}
