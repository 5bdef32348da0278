/* SPDX-License-Identifier: PSF-2.0 */
/* What module.c and capi.c know of each other. */
#ifndef SLP_MODULE_H
#define SLP_MODULE_H

#include "core/state.h"

/* Put the C API's capsule into the module; -1 on error. */
SLP_INTERNAL int slp_capi_setup(PyObject *module);

#endif
