/* SPDX-License-Identifier: PSF-2.0 */
/* Exceptions held as values. */
#ifndef SLP_BOMB_H
#define SLP_BOMB_H

#include "../compat/compat.h"

/* The exception that is set, as an instance with its traceback; clears it.
   NULL if none is set. */
SLP_INTERNAL PyObject *slp_take_exc(void);
/* cls(*args); TypeError if cls is no exception class. */
SLP_INTERNAL PyObject *slp_exc_from_class(PyObject *cls, PyObject *args);
/* Arguments as of the raise statement of old; value and tb may be None. */
SLP_INTERNAL PyObject *slp_exc_from_triple(PyObject *type, PyObject *value,
                                           PyObject *tb);

#endif
