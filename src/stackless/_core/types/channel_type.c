/* SPDX-License-Identifier: PSF-2.0 */
/* The type channel.  send() and receive() and their kin are in points.c. */
#include "types.h"

#include "../core/dispatch.h"
#include "../wait/channel.h"

#include "structmember.h"

#define CHANNEL(self) ((slp_channel *)(self))

static PyObject *
channel_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
            PyObject *Py_UNUSED(kwargs))
{
    slp_channel *ch = (slp_channel *)type->tp_alloc(type, 0);
    if (ch != NULL) {
        slp_channel_init(ch);
    }
    return (PyObject *)ch;
}

/* Any arguments: subclasses use them. */
static int
channel_init(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(args),
             PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

static int
channel_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    slp_task *first = CHANNEL(self)->q.first;
    if (first != NULL) {
        Py_VISIT(first->self); /* which visits the next one */
    }
    return 0;
}

static int
channel_clear(PyObject *self)
{
    slp_task *t;
    while ((t = CHANNEL(self)->q.first) != NULL) {
        slp_cancel(t);
        slp_task_release(t);
    }
    return 0;
}

static void
channel_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (CHANNEL(self)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    channel_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* next(channel): from C, so the switch is hard. */
static PyObject *
channel_next(PyObject *self)
{
    slp_thread *st = slp_thread_get();
    slp_entry e = {.gate = NULL};
    if (st == NULL
        || (CHANNEL(self)->closing && CHANNEL(self)->balance <= 0)) {
        return NULL;
    }
    return slp_outcome(st, slp_channel_receive(st, &e, CHANNEL(self)));
}

PyDoc_STRVAR(close_doc,
             "close($self, /)\n--\n\n"
             "Refuse to block any more: a send or receive that "
             "finds no peer raises ValueError.\nWaiting peers are "
             "still served; nobody is woken.");

static PyObject *
channel_close(PyObject *self, PyObject *Py_UNUSED(args))
{
    CHANNEL(self)->closing = true;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(open_doc, "open($self, /)\n--\n\nUndo close().");

static PyObject *
channel_open(PyObject *self, PyObject *Py_UNUSED(args))
{
    CHANNEL(self)->closing = false;
    Py_RETURN_NONE;
}

static PyObject *
get_balance(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(CHANNEL(self)->balance);
}

static PyObject *
get_queue(PyObject *self, void *Py_UNUSED(closure))
{
    slp_task *t = CHANNEL(self)->q.first;
    return Py_NewRef(t ? t->self : Py_None);
}

static PyObject *
get_closing(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(CHANNEL(self)->closing);
}

static PyObject *
get_closed(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(CHANNEL(self)->closing
                           && CHANNEL(self)->balance == 0);
}

static PyObject *
get_preference(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(CHANNEL(self)->preference);
}

static int
set_preference(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyLong_Check(value)) {
        PyErr_SetString(PyExc_TypeError,
                        "preference must be set to an integer");
        return -1;
    }
    int overflow;
    long n = PyLong_AsLongAndOverflow(value, &overflow);
    n = overflow ? overflow : n;
    CHANNEL(self)->preference = (signed char)(n > 0 ? 1 : n < 0 ? -1 : 0);
    return 0;
}

static PyObject *
get_schedule_all(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(CHANNEL(self)->schedule_all);
}

static int
set_schedule_all(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyLong_Check(value)) {
        PyErr_SetString(PyExc_TypeError,
                        "schedule_all must be set to a bool or integer");
        return -1;
    }
    int on = PyObject_IsTrue(value); /* a subclass may do anything */
    if (on < 0) {
        return -1;
    }
    CHANNEL(self)->schedule_all = on;
    return 0;
}

static PyGetSetDef channel_getset[] = {
    {"balance", get_balance, NULL,
     "int: number of blocked senders, or minus that of blocked receivers.",
     NULL},
    {"queue", get_queue, NULL,
     "The tasklet that has been blocked for longest, or None.", NULL},
    {"closing", get_closing, NULL, "bool: close() was called.", NULL},
    {"closed", get_closed, NULL, "bool: closing, and nobody waits.", NULL},
    {"preference", get_preference, set_preference,
     "int: who runs first after a transfer: -1 receiver, 1 sender, 0 "
     "whoever is running.",
     NULL},
    {"schedule_all", get_schedule_all, set_schedule_all,
     "int: after a transfer, always let the next runnable tasklet run.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef channel_methods[] = {
    {"close", channel_close, METH_NOARGS, close_doc},
    {"open", channel_open, METH_NOARGS, open_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef channel_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(slp_channel, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(channel_doc,
             "channel(*args, **kwargs)\n--\n\n"
             "Where tasklets meet: send() and receive() hand a value from one "
             "to the other and\nblock until both are there. Arguments are "
             "ignored; subclasses may use them.");

static PyType_Slot channel_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)channel_doc},
    {Py_tp_new, channel_new},
    {Py_tp_init, channel_init},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, channel_next},
    {Py_tp_traverse, channel_traverse},
    {Py_tp_clear, channel_clear},
    {Py_tp_dealloc, channel_dealloc},
    {Py_tp_methods, channel_methods},
    {Py_tp_getset, channel_getset},
    {Py_tp_members, channel_members},
    {0, NULL},
};

static PyType_Spec channel_spec = {
    .name = "stackless.channel",
    .basicsize = sizeof(slp_channel),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = channel_slots,
};

int
slp_channel_setup(slp_state *s, PyObject *module)
{
    s->channel_type = slp_add_type(module, &channel_spec);
    return s->channel_type == NULL ? -1 : 0;
}
