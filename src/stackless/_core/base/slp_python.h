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

/* PyArg_ParseTupleAndKeywords() is not const-correct before 3.13. */
#define SLP_KWLIST(names) ((char **)(uintptr_t)(names))

#endif
