/* SPDX-License-Identifier: PSF-2.0 */
/* What pickle calls most, without Python code where nothing special is to be
   done: for a soft tasklet that waits for nothing, and for names that are there.
   Everything else goes on in Python, below _freezing. */
#include "hooks.h"

#include "../types/types.h"
#include "packed.h"

/* What _set_hooks() has been given; the names are those of attributes of a
   Pickler or an Unpickler. */
enum {
    DIGEST,
    PLACES,
    CHECK,
    RESTORE,
    OWN,
    NEWOBJ,
    LOADS,
    IS_PLAIN,
    REDUCE,
    ASK,
    FIND,
    HOOKS
};

static PyObject *
hook(slp_state *s, int which)
{
    return PyTuple_GET_ITEM(s->hooks, which);
}

PyDoc_STRVAR(set_hooks_doc,
             "_set_hooks(digest, places, check, restore, own, newobj, loads, "
             "/)\n--\n\n"
             "digest, places, check: as for _check_frames(). "
             "restore(tasklet, state, digests, place, context,\nattributes): "
             "what tasklet.__setstate__() calls if the state is not plain. "
             "own: {module:\n{name: object}}: all that is found in these "
             "modules; None instead of names: Python code\nis asked. newobj: "
             "copyreg.__newobj__(). loads: {id of the tasklet that loads: "
             "list of\ncopies}.");

static PyObject *
set_hooks(PyObject *module, PyObject *args)
{
    PyObject *a[IS_PLAIN];
    if (!PyArg_ParseTuple(args, "OOOOO!OO!:_set_hooks", &a[DIGEST], &a[PLACES],
                          &a[CHECK], &a[RESTORE], &PyDict_Type, &a[OWN],
                          &a[NEWOBJ], &PyDict_Type, &a[LOADS])) {
        return NULL;
    }
    static const char *const names[] = {"_is_plain", "_reduce", "_ask",
                                        "_find"};
    PyObject *hooks = PyTuple_New(HOOKS);
    for (int i = 0; hooks && i < HOOKS; i++) {
        PyObject *v = i < IS_PLAIN
                          ? Py_NewRef(a[i])
                          : PyUnicode_InternFromString(names[i - IS_PLAIN]);
        if (v == NULL) {
            Py_CLEAR(hooks);
            break;
        }
        PyTuple_SET_ITEM(hooks, i, v);
    }
    if (hooks == NULL) {
        return NULL;
    }
    Py_XSETREF(slp_state_of(module)->hooks, hooks);
    Py_RETURN_NONE;
}

/* The state of the module, with hooks; NULL with an exception.  May import. */
static slp_state *
state_with_hooks(void)
{
    slp_state *s = slp_state_peek();
    if (s != NULL && s->hooks == NULL) {
        PyObject *m = PyImport_ImportModule("stackless._freezing.unpickling");
        Py_XDECREF(m);
    }
    if (s == NULL || s->hooks == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_RuntimeError, "stackless is not imported");
        }
        return NULL;
    }
    return s;
}

/* ---- written ------------------------------------------------------------- */

/* What a module has under that name, new reference; NULL also without an
   exception. */
static PyObject *
shown_by_module(PyObject *module_name, PyObject *name)
{
    PyObject *module = PyImport_GetModule(module_name);
    PyObject *found = NULL;
    if (module != NULL && PyModule_Check(module)) {
        PyObject *names = PyModule_GetDict(module);
        found = Py_XNewRef(PyDict_GetItemWithError(names, name));
    }
    Py_XDECREF(module);
    return found;
}

/* Does pickle write it by its name?  0: that is not known; -1 with an
   exception. */
static int
goes_by_name(slp_state *s, PyObject *value)
{
    if (value == (PyObject *)s->tasklet_type) {
        return 1;
    }
    if (!PyFunction_Check(value)) {
        return 0;
    }
    PyObject *module = PyFunction_GET_MODULE(value);
    PyObject *name = slp_function_qualname(value);
    if (module == NULL || !PyUnicode_Check(module)) {
        return 0;
    }
    PyObject *found = shown_by_module(module, name);
    Py_XDECREF(found);
    return found == value ? 1 : PyErr_Occurred() ? -1 : 0;
}

static bool
is_plain(slp_state *s, PyObject *value)
{
    if (!Py_IS_TYPE(value, s->tasklet_type)) {
        return false;
    }
    slp_task *t = slp_task_of(value);
    return t->life == SLP_STARTED && t->carrier == NULL && t->waitq == NULL
           && slp_why_not(t, false) == NULL
           && PyObject_Size(t->py.context)
                  == 0; /* what decimal sets is there */
}

/* 1 with the state of a plain tasklet; 0: it is not so plain; -1 with an exception.
    May run Python code, which may let it go on: it is as it was before. */
static int
state_of_plain(slp_state *s, slp_task *t, PyObject **state)
{
    PyObject *frames = slp_frames_of(s, t, NULL);
    if (frames == NULL) {
        return -1;
    }
    slp_parts p = {.name = t->name ? t->name : Py_None,
                   .context = Py_None,
                   .attributes = Py_None,
                   .flags = slp_flags_of(t),
                   .life = t->life,
                   .started.frames = frames};
    slp_started_of(t, &p.started);
    PyObject *kept[] = {Py_NewRef(p.name), Py_NewRef(p.started.exc),
                        Py_NewRef(p.started.tempval), frames};
    p.digests = slp_frame_digests(s, frames, hook(s, DIGEST));
    int r = p.digests == NULL ? -1 : 0;
    if (p.digests != NULL && p.digests != Py_None) {
        *state = slp_pack(&p);
        r = *state ? 1 : -1;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(kept); i++) {
        Py_DECREF(kept[i]);
    }
    Py_XDECREF(p.digests);
    return r;
}

PyDoc_STRVAR(reducer_override_doc,
             "reducer_override($self, value, /)\n--\n\n"
             "What __reduce__() of the value would return, or NotImplemented "
             "if pickle knows it.");

static PyObject *
reducer_override(PyObject *self, PyObject *value)
{
    slp_state *s = state_with_hooks();
    int by_name = s ? goes_by_name(s, value) : -1;
    if (by_name != 0) {
        return by_name < 0 ? NULL : Py_NewRef(Py_NotImplemented);
    }
    if (is_plain(s, value)) {
        PyObject *wanted = PyObject_GetAttr(self, hook(s, IS_PLAIN));
        PyObject *state = NULL;
        int r = wanted == NULL ? -1
                : wanted == Py_True
                    ? state_of_plain(s, slp_task_of(value), &state)
                    : 0;
        Py_XDECREF(wanted);
        if (r != 0) {
            return r < 0 ? NULL
                         : Py_BuildValue("(O(O)N)", hook(s, NEWOBJ),
                                         s->tasklet_type, state);
        }
    }
    return PyObject_CallMethodOneArg(self, hook(s, REDUCE), value);
}

/* ---- read ---------------------------------------------------------------- */

/* New reference; NULL also without an exception: others have to look. */
static PyObject *
found_at_once(slp_state *s, PyObject *module, PyObject *name)
{
    PyObject *own = PyDict_GetItemWithError(hook(s, OWN), module);
    if (own != NULL && PyDict_Check(own)) {
        return Py_XNewRef(PyDict_GetItemWithError(own, name));
    }
    if (own != NULL || PyErr_Occurred()) {
        return NULL;
    }
    PyObject *found = shown_by_module(module, name);
    if (found != NULL
        && PySys_Audit("pickle.find_class", "OO", module, name) < 0) {
        Py_CLEAR(found);
    }
    return found;
}

PyDoc_STRVAR(find_class_doc,
             "find_class($self, module, name, /)\n--\n\n"
             "The object that a pickle names.");

static PyObject *
find_class(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyUnicode_Check(args[0]) || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError,
                        "find_class() takes two strings, module and name");
        return NULL;
    }
    slp_state *s = state_with_hooks();
    PyObject *ask = s ? PyObject_GetAttr(self, hook(s, ASK)) : NULL;
    if (ask == NULL) {
        return NULL;
    }
    PyObject *found = ask == Py_None ? found_at_once(s, args[0], args[1])
                                     : NULL;
    Py_DECREF(ask);
    if (found != NULL || PyErr_Occurred()) {
        return found;
    }
    return PyObject_CallMethodObjArgs(self, hook(s, FIND), args[0], args[1],
                                      NULL);
}

/* Can each frame be looked at for itself?  What was interrupted has two that belong
   together; a generator may have to get its state first. */
static bool
are_single(slp_state *s, PyObject *frames)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(frames); i++) {
        PyObject *frame = PyTuple_GET_ITEM(frames, i);
        if (!PyTuple_CheckExact(frame)
            || PyTuple_GET_ITEM(frame, 0) == s->interrupted_function) {
            return false;
        }
    }
    return true;
}

/* It is not to run if the rest of the pickle cannot be read; -1 with an
   exception. */
static int
record(slp_thread *st, PyObject *copy)
{
    PyObject *loads = hook(st->state, LOADS);
    if (PyDict_GET_SIZE(loads) == 0) {
        return 0;
    }
    PyObject *loader = PyLong_FromVoidPtr(st->current->self);
    PyObject *made = loader ? PyDict_GetItemWithError(loads, loader) : NULL;
    Py_XDECREF(loader);
    if (made == NULL) {
        return PyErr_Occurred() ? -1 : 0; /* checked: only by WithError */
    }
    return PyList_Append(made, copy);
}

/* 1: it is restored; 0: Python code is to do it; -1 with an exception. */
static int
restore_plain(slp_thread *st, slp_task *t, const slp_parts *p)
{
    slp_state *s = st->state;
    if (p->life != SLP_STARTED || p->started.channel != Py_None
        || p->context != Py_None || p->attributes != Py_None
        || !are_single(s, p->started.frames)) {
        return 0;
    }
    slp_asked a = {.s = s,
                   .digest = hook(s, DIGEST),
                   .places = hook(s, PLACES),
                   .check = hook(s, CHECK)};
    PyObject *changed = slp_check_frames(&a, p->started.frames, p->digests);
    if (changed == NULL) {
        return -1;
    }
    bool good = PyList_GET_SIZE(changed) == 0;
    Py_DECREF(changed);
    if (!good) {
        return 0;
    }
    return slp_restore_started(st, t, &p->started) < 0
                   || slp_label(t, p->name, p->flags) < 0
               ? -1
               : 1;
}

PyDoc_STRVAR(setstate_doc,
             "__setstate__($self, state, /)\n--\n\n"
             "For pickle: make a fresh tasklet what __reduce_ex__() has told "
             "of another one.\nReturns None. ValueError if it is not fresh, "
             "or the state is none.");

static PyObject *
tasklet_setstate(PyObject *self, PyObject *packed)
{
    slp_task *t = slp_task_of(self);
    slp_thread *st = slp_thread_get();
    slp_state *s = st ? state_with_hooks() : NULL;
    if (s == NULL) {
        return NULL;
    }
    if (t->life == SLP_STARTED || t->is_main || t->thread != st) {
        PyErr_SetString(PyExc_ValueError, "not a fresh tasklet");
        return NULL;
    }
    slp_parts p;
    if (record(st, self) < 0 || slp_unpack(packed, &p) < 0) {
        return NULL;
    }
    int done = restore_plain(st, t, &p);
    if (done == 0) {
        PyObject *args = slp_parts_tuple(self, &p);
        PyObject *v = args ? PyObject_CallObject(hook(s, RESTORE), args)
                           : NULL;
        done = v ? 1 : -1;
        Py_XDECREF(args);
        Py_XDECREF(v);
    }
    slp_unpacked_clear(&p);
    return done < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- set-up -------------------------------------------------------------- */

static PyMethodDef pickler_methods[] = {
    {"reducer_override", reducer_override, METH_O, reducer_override_doc},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef unpickler_methods[] = {
    {"find_class", _PyCFunction_CAST(find_class), METH_FASTCALL,
     find_class_doc},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef setstate_def = {"__setstate__", tasklet_setstate, METH_O,
                                   setstate_doc};

/* Bases of Pickler and Unpickler. */
static PyType_Slot pickler_slots[] = {
    {Py_tp_methods, pickler_methods},
    {0, NULL},
};
static PyType_Slot unpickler_slots[] = {
    {Py_tp_methods, unpickler_methods},
    {0, NULL},
};
static PyType_Spec pickler_spec = {
    .name = "stackless._PicklerBase",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = pickler_slots,
};
static PyType_Spec unpickler_spec = {
    .name = "stackless._UnpicklerBase",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = unpickler_slots,
};

static int
add_base(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = slp_add_type(module, spec);
    Py_XDECREF(type);
    return type ? 0 : -1;
}

int
slp_hooks_setup(slp_state *s, PyObject *module)
{
    PyObject *method = PyDescr_NewMethod(s->tasklet_type, &setstate_def);
    int r = method == NULL
                ? -1
                : PyObject_SetAttrString((PyObject *)s->tasklet_type,
                                         setstate_def.ml_name, method);
    Py_XDECREF(method);
    return r < 0 || add_base(module, &pickler_spec) < 0
                   || add_base(module, &unpickler_spec) < 0
               ? -1
               : 0;
}

PyMethodDef slp_hooks_methods[] = {
    {"_set_hooks", set_hooks, METH_VARARGS, set_hooks_doc},
    {NULL, NULL, 0, NULL},
};
