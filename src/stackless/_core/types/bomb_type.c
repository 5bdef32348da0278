/* SPDX-License-Identifier: PSF-2.0 */
/* The type bomb: an exception as a value.  A tasklet that finds one in its
   tempval raises it. */
#include "types.h"

#include "structmember.h"

typedef struct {
    PyObject_HEAD
    PyObject *type, *value, *traceback;
} slp_bomb;

static PyObject *
bomb_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static const char *const names[] = {"type", "value", "traceback", NULL};
    PyObject *t = Py_None, *v = Py_None, *tb = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOO:bomb",
                                     SLP_KWLIST(names), &t, &v, &tb)) {
        return NULL;
    }
    slp_bomb *b = (slp_bomb *)type->tp_alloc(type, 0);
    if (b != NULL) {
        b->type = Py_NewRef(t);
        b->value = Py_NewRef(v);
        b->traceback = Py_NewRef(tb);
    }
    return (PyObject *)b;
}

static int
bomb_traverse(PyObject *self, visitproc visit, void *arg)
{
    slp_bomb *b = (slp_bomb *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(b->type);
    Py_VISIT(b->value);
    Py_VISIT(b->traceback);
    return 0;
}

static int
bomb_clear(PyObject *self)
{
    slp_bomb *b = (slp_bomb *)self;
    Py_CLEAR(b->type);
    Py_CLEAR(b->value);
    Py_CLEAR(b->traceback);
    return 0;
}

static void
bomb_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    bomb_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
bomb_reduce(PyObject *self, PyObject *Py_UNUSED(args))
{
    slp_bomb *b = (slp_bomb *)self;
    PyObject *args = PyTuple_Pack(3, b->type, b->value, b->traceback);
    PyObject *reduced = args ? PyTuple_Pack(2, Py_TYPE(self), args) : NULL;
    Py_XDECREF(args);
    return reduced;
}

static PyMemberDef bomb_members[] = {
    {"type", T_OBJECT, offsetof(slp_bomb, type), 0, "Exception class."},
    {"value", T_OBJECT, offsetof(slp_bomb, value), 0,
     "Exception instance, or arguments for the class."},
    {"traceback", T_OBJECT, offsetof(slp_bomb, traceback), 0,
     "Traceback or None."},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef bomb_methods[] = {
    {"__reduce__", bomb_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(bomb_doc,
             "bomb(type=None, value=None, traceback=None)\n--\n\n"
             "An exception as a value: a tasklet that finds one in its "
             "tempval raises it.");

static PyType_Slot bomb_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)bomb_doc},
    {Py_tp_new, bomb_new},
    {Py_tp_traverse, bomb_traverse},
    {Py_tp_clear, bomb_clear},
    {Py_tp_dealloc, bomb_dealloc},
    {Py_tp_members, bomb_members},
    {Py_tp_methods, bomb_methods},
    {0, NULL},
};

static PyType_Spec bomb_spec = {
    .name = "stackless.bomb",
    .basicsize = sizeof(slp_bomb),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = bomb_slots,
};

int
slp_bomb_setup(slp_state *s, PyObject *module)
{
    s->bomb_type = slp_add_type(module, &bomb_spec);
    return s->bomb_type == NULL ? -1 : 0;
}
