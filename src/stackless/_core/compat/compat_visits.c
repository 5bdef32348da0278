/* SPDX-License-Identifier: PSF-2.0 */
/* Calls into another interpreter: compat_visits.h. */
#include "compat.h"

#if PY_VERSION_HEX >= 0x030D0000
#    define MODULE "_interpreters"
#else
#    define MODULE "_xxsubinterpreters"
#endif

#if PY_VERSION_HEX >= 0x030F0000
#    define FLAGS (METH_FASTCALL | METH_KEYWORDS)
typedef PyCFunctionFastWithKeywords function;
#else
#    define FLAGS (METH_VARARGS | METH_KEYWORDS)
typedef PyCFunctionWithKeywords function;
#endif

typedef struct {
    PyCFunction function;
    PyObject *self;
#if PY_VERSION_HEX >= 0x030F0000
    PyObject *const *args;
    Py_ssize_t nargs;
#else
    PyObject *args;
#endif
    PyObject *keywords;
    PyObject *result;
} visit;

static slp_runner run;

static void
make(void *arg)
{
    visit *v = arg;
    function f = (function)(void *)v->function;
#if PY_VERSION_HEX >= 0x030F0000
    v->result = f(v->self, v->args, v->nargs, v->keywords);
#else
    v->result = f(v->self, v->args, v->keywords);
#endif
}

#if PY_VERSION_HEX >= 0x030F0000
#    define VISIT(name)                                                       \
        static PyCFunction theirs_##name;                                     \
        static PyObject *name(PyObject *self, PyObject *const *args,          \
                              Py_ssize_t nargs, PyObject *keywords)           \
        {                                                                     \
            visit v = {theirs_##name, self, args, nargs, keywords, NULL};     \
            run(make, &v);                                                    \
            return v.result;                                                  \
        }
#else
#    define VISIT(name)                                                       \
        static PyCFunction theirs_##name;                                     \
        static PyObject *name(PyObject *self, PyObject *args,                 \
                              PyObject *keywords)                             \
        {                                                                     \
            visit v = {theirs_##name, self, args, keywords, NULL};            \
            run(make, &v);                                                    \
            return v.result;                                                  \
        }
#endif

VISIT(call)
VISIT(create)
VISIT(decref)
VISIT(destroy)
VISIT(exec)
VISIT(run_func)
VISIT(run_string)
VISIT(set___main___attrs)

#define ENTRY(name)                                                           \
    {                                                                         \
#        name, (PyCFunction)(void *)name, &theirs_##name                      \
    }

static const struct {
    const char *name;
    PyCFunction ours, *theirs;
} visits[] = {
    ENTRY(call), ENTRY(create),   ENTRY(decref),     ENTRY(destroy),
    ENTRY(exec), ENTRY(run_func), ENTRY(run_string), ENTRY(set___main___attrs),
};

int
slp_visits_setup(slp_runner runner)
{
    run = runner;
    for (size_t i = 0; i < Py_ARRAY_LENGTH(visits); i++) {
        int r = slp_stand_in_front(MODULE, visits[i].name, FLAGS,
                                   visits[i].ours, visits[i].theirs);
        if (r < 0 && PyErr_ExceptionMatches(PyExc_ImportError)) {
            PyErr_Clear();
            return 0; /* a CPython without the module */
        }
        if (r < 0 && PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Clear(); /* that function came later */
        }
        else if (r < 0) {
            return -1;
        }
    }
    return 0;
}
