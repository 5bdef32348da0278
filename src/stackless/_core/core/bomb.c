/* SPDX-License-Identifier: PSF-2.0 */
/* Exceptions held as values: taken, made from raise-style triples, raised.
   Inside the engine an exception is always an instance that carries its own
   traceback. */
#include "bomb.h"

#include "sched.h"

void
slp_raise(PyObject *exc)
{
#if SLP_HAS_RAISED_EXCEPTION
    PyErr_SetRaisedException(exc);
#else
    PyErr_Restore(Py_NewRef(Py_TYPE(exc)), exc, PyException_GetTraceback(exc));
#endif
}

PyObject *
slp_take_exc(void)
{
#if SLP_HAS_RAISED_EXCEPTION
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &tb);
    if (tb != NULL) {
        PyException_SetTraceback(value, tb);
    }
    Py_XDECREF(type);
    Py_XDECREF(tb);
    return value;
#endif
}

PyObject *
slp_exc_from_class(PyObject *cls, PyObject *args)
{
    if (!PyExceptionClass_Check(cls)) {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must be classes deriving from BaseException, "
                     "not %.100s",
                     Py_TYPE(cls)->tp_name);
        return NULL;
    }
    PyObject *exc = PyObject_Call(cls, args, NULL);
    if (exc != NULL && !PyExceptionInstance_Check(exc)) {
        PyErr_Format(PyExc_TypeError,
                     "calling %R should have returned an instance of "
                     "BaseException, not %.100s",
                     cls, Py_TYPE(exc)->tp_name);
        Py_CLEAR(exc);
    }
    return exc;
}

/* value for a class: an instance of it, a tuple of arguments, one argument,
   or nothing. */
static PyObject *
instance_of(PyObject *cls, PyObject *value)
{
    if (value == NULL || value == Py_None) {
        PyObject *none = PyTuple_New(0);
        PyObject *exc = none ? slp_exc_from_class(cls, none) : NULL;
        Py_XDECREF(none);
        return exc;
    }
    int is = PyObject_IsInstance(value, cls);
    if (is != 0) {
        return is < 0 ? NULL : Py_NewRef(value);
    }
    PyObject *args = PyTuple_Check(value) ? Py_NewRef(value)
                                          : PyTuple_Pack(1, value);
    PyObject *exc = args ? slp_exc_from_class(cls, args) : NULL;
    Py_XDECREF(args);
    return exc;
}

PyObject *
slp_exc_from_triple(PyObject *type, PyObject *value, PyObject *tb)
{
    PyObject *exc;
    if (tb == Py_None) {
        tb = NULL;
    }
    if (tb != NULL && !PyTraceBack_Check(tb)) {
        PyErr_SetString(PyExc_TypeError,
                        "throw() third argument must be a traceback object");
        return NULL;
    }
    if (PyExceptionClass_Check(type)) {
        exc = instance_of(type, value);
    }
    else if (PyExceptionInstance_Check(type)) {
        if (value != NULL && value != Py_None) {
            PyErr_SetString(
                PyExc_TypeError,
                "instance exception may not have a separate value");
            return NULL;
        }
        exc = Py_NewRef(type);
    }
    else {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must be classes or instances deriving from "
                     "BaseException, not %.100s",
                     Py_TYPE(type)->tp_name);
        return NULL;
    }
    if (exc != NULL && tb != NULL && PyException_SetTraceback(exc, tb) < 0) {
        Py_CLEAR(exc);
    }
    return exc;
}
