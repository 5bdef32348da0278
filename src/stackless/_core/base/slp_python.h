/* SPDX-License-Identifier: PSF-2.0 */
/* First include of every file that meets Python: feature macros, Python.h,
   then the plain-C base.  Not for cstack/, which knows nothing of Python. */
#ifndef SLP_PYTHON_H
#define SLP_PYTHON_H

#ifndef PY_SSIZE_T_CLEAN
#    define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

#include "slp_base.h"

/* What refers to a tasklet refers to its object: Py_INCREF(task) does not compile. */
struct slp_task;
struct slp_not_an_object {
    int of_task;
};
#undef _PyObject_CAST
#define _PyObject_CAST(op)                                                    \
    ((PyObject *)_Generic((op), struct slp_task *                             \
                          : (struct slp_not_an_object){0}, default            \
                          : (op)))

/* PyArg_ParseTupleAndKeywords() is not const-correct before 3.13. */
#define SLP_KWLIST(names) ((char **)(uintptr_t)(names))

#endif
