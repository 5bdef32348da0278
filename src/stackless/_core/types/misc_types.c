/* SPDX-License-Identifier: PSF-2.0 */
/* Small types: atomic (a context manager), cstack (describes the C stack of a
   suspended tasklet), cframe (a name that Stackless programs know), and the
   default argument that stands for the current tasklet. */
#include "types.h"

#include "../core/atomic.h"
#include "structmember.h"

PyTypeObject *
slp_add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec,
                                                                  NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

/* ---- atomic -------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    /* Of the tasklet that is inside the with block; 0: none.  A reference would
       be one to itself, from its own stack, and keep it alive. */
    uint64_t serial;
    bool old;
} slp_atomic;

static void
atomic_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Borrowed; NULL if it is gone. */
static slp_task *
inside(slp_thread *st, slp_atomic *a)
{
    slp_task *all = &st->state->all, *t = st->current;
    if (slp_task_serial(t) == a->serial) {
        return t;
    }
    for (t = all->all_next; t != all; t = t->all_next) {
        if (slp_task_serial(t) == a->serial) {
            return t;
        }
    }
    return NULL;
}

static PyObject *
atomic_enter(PyObject *self, PyObject *Py_UNUSED(args))
{
    slp_atomic *a = (slp_atomic *)self;
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return NULL;
    }
    if (a->serial != 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this atomic object is already entered");
        return NULL;
    }
    bool old = st->current->atomic;
    if (slp_task_set_atomic(st->current, true) < 0) {
        return NULL;
    }
    if (a->serial != 0) { /* by another thread, which was let in */
        slp_task_set_atomic(st->current, old);
        PyErr_SetString(PyExc_RuntimeError,
                        "this atomic object is already entered");
        return NULL;
    }
    a->serial = slp_task_serial(st->current);
    a->old = old;
    return Py_NewRef(self);
}

static PyObject *
atomic_exit(PyObject *self, PyObject *Py_UNUSED(args))
{
    slp_atomic *a = (slp_atomic *)self;
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return NULL;
    }
    if (a->serial == 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "this atomic object is not entered");
        return NULL;
    }
    slp_task *t = inside(st, a);
    a->serial = 0;
    PyObject *held = t ? Py_NewRef(t->self) : NULL;
    int r = t ? slp_task_set_atomic(t, a->old) : 0;
    Py_XDECREF(held);
    return r < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
atomic_reduce(PyObject *self, PyObject *Py_UNUSED(args))
{
    slp_atomic *a = (slp_atomic *)self;
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return NULL;
    }
    slp_task *t = a->serial != 0 ? inside(st, a) : NULL;
    return t == NULL
               ? Py_BuildValue("(O())", Py_TYPE(self))
               : Py_BuildValue("(O()(Oi))", Py_TYPE(self), t->self, a->old);
}

/* (tasklet that is inside, its flag before): of a frozen tasklet. */
static PyObject *
atomic_setstate(PyObject *self, PyObject *state)
{
    slp_atomic *a = (slp_atomic *)self;
    slp_thread *st = slp_thread_get();
    if (st == NULL) {
        return NULL;
    }
    if (!PyTuple_Check(state)) {
        PyErr_SetString(PyExc_TypeError, "a state is a tuple");
        return NULL;
    }
    PyObject *task;
    int old;
    if (!PyArg_ParseTuple(state, "O!p", st->state->tasklet_type, &task,
                          &old)) {
        return NULL;
    }
    a->old = old;
    a->serial = ((slp_tasklet *)task)->serial;
    return Py_NewRef(Py_None);
}

static PyMethodDef atomic_methods[] = {
    {"__enter__", atomic_enter, METH_NOARGS, NULL},
    {"__exit__", atomic_exit, METH_VARARGS, NULL},
    {"__reduce__", atomic_reduce, METH_NOARGS, NULL},
    {"__setstate__", atomic_setstate, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(atomic_doc,
             "atomic()\n--\n\n"
             "Context manager: the tasklet's atomic flag is set inside the "
             "with block and\nrestored behind it.");

static PyType_Slot atomic_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)atomic_doc},
    {Py_tp_dealloc, atomic_dealloc},
    {Py_tp_methods, atomic_methods},
    {0, NULL},
};

static PyType_Spec atomic_spec = {
    .name = "stackless.atomic",
    .basicsize = sizeof(slp_atomic),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = atomic_slots,
};

/* ---- cstack, cframe ------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    PyObject *task;
    int nesting_level;
    Py_ssize_t size;
} slp_cstack_info;

static PyObject *
cstack_call(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *task;
    int nesting;
    Py_ssize_t size;
    slp_state *s = slp_state_peek();
    if (s == NULL || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0)
        || !PyArg_ParseTuple(args, "O!in;a cstack is made by tasklet.cstate",
                             s->tasklet_type, &task, &nesting, &size)) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError,
                            "a cstack is made by tasklet.cstate");
        }
        return NULL;
    }
    slp_cstack_info *c = (slp_cstack_info *)type->tp_alloc(type, 0);
    if (c != NULL) {
        c->task = Py_NewRef(task);
        c->nesting_level = nesting;
        c->size = size;
    }
    return (PyObject *)c;
}

static int
cstack_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((slp_cstack_info *)self)->task);
    return 0;
}

static int
cstack_clear(PyObject *self)
{
    Py_CLEAR(((slp_cstack_info *)self)->task);
    return 0;
}

static void
cstack_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    cstack_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef cstack_members[] = {
    {"task", T_OBJECT, offsetof(slp_cstack_info, task), READONLY,
     "The tasklet."},
    {"nesting_level", T_INT, offsetof(slp_cstack_info, nesting_level),
     READONLY, "int: as tasklet.nesting_level."},
    {"size", T_PYSSIZET, offsetof(slp_cstack_info, size), READONLY,
     "int: bytes of the C stack in use; 0 for the thread's own."},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(cstack_doc,
             "The C stack of a suspended tasklet, as "
             "tasklet.cstate found it.");

static PyType_Slot cstack_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)cstack_doc},
    {Py_tp_new, cstack_call},
    {Py_tp_traverse, cstack_traverse},
    {Py_tp_clear, cstack_clear},
    {Py_tp_dealloc, cstack_dealloc},
    {Py_tp_members, cstack_members},
    {0, NULL},
};

static PyType_Spec cstack_spec = {
    .name = "stackless.cstack",
    .basicsize = sizeof(slp_cstack_info),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = cstack_slots,
};

PyDoc_STRVAR(cframe_doc,
             "Kept for programs that name the type: this implementation has "
             "no C frames of its own.");

static PyType_Slot cframe_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)cframe_doc},
    {0, NULL},
};

static PyType_Spec cframe_spec = {
    .name = "stackless.cframe",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = cframe_slots,
};

/* ---- the default argument ------------------------------------------------ */

static PyObject *
default_repr(PyObject *Py_UNUSED(self))
{
    return PyUnicode_FromString("<current>");
}

static PyType_Slot default_slots[] = {
    {Py_tp_repr, default_repr},
    {0, NULL},
};

static PyType_Spec default_spec = {
    .name = "stackless._current",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = default_slots,
};

SLP_INTERNAL extern PyType_Spec slp_keeper_spec;

int
slp_misc_types_setup(slp_state *s, PyObject *module)
{
    s->atomic_type = slp_add_type(module, &atomic_spec);
    s->cstack_type = slp_add_type(module, &cstack_spec);
    s->cframe_type = slp_add_type(module, &cframe_spec);
    s->default_type = (PyTypeObject *)PyType_FromSpec(&default_spec);
    s->keeper_type = (PyTypeObject *)PyType_FromSpec(&slp_keeper_spec);
    if (!s->atomic_type || !s->cstack_type || !s->cframe_type
        || !s->default_type || !s->keeper_type) {
        return -1;
    }
    s->current_default = PyObject_New(PyObject, s->default_type);
    return s->current_default == NULL ? -1 : 0;
}
