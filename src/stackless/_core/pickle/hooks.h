/* SPDX-License-Identifier: PSF-2.0 */
/* What pickle calls for stackless.Pickler and Unpickler. */
#ifndef SLP_HOOKS_H
#define SLP_HOOKS_H

#include "../core/state.h"

SLP_INTERNAL extern PyMethodDef slp_hooks_methods[];
SLP_INTERNAL int slp_hooks_setup(slp_state *s, PyObject *module);

#endif
