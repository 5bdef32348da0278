/* SPDX-License-Identifier: PSF-2.0 */
/* The doors of the types: one setup function each.  0, or -1 with an
   exception. */
#ifndef SLP_TYPES_H
#define SLP_TYPES_H

#include "../core/state.h"

SLP_INTERNAL int slp_tasklet_setup(slp_state *s, PyObject *module);
SLP_INTERNAL int slp_channel_setup(slp_state *s, PyObject *module);
SLP_INTERNAL int slp_bomb_setup(slp_state *s, PyObject *module);
SLP_INTERNAL int slp_misc_types_setup(slp_state *s, PyObject *module);
/* Functions and methods that may switch; after all types. */
SLP_INTERNAL int slp_points_setup(slp_state *s, PyObject *module);

/* preempt() and others. */
SLP_INTERNAL extern PyMethodDef slp_interrupt_methods[];
SLP_INTERNAL int slp_interrupts_setup(slp_state *s);
/* A number of seconds above 0; -1 with TypeError or ValueError, which call it
   `name`. */
SLP_INTERNAL int slp_seconds_arg(PyObject *v, const char *name, uint64_t *ns);

/* Used by the C API too.  bind and setup as in Python; -1 on error. */
SLP_INTERNAL int slp_tasklet_bind(slp_task *t, PyObject *func, PyObject *args,
                                  PyObject *kwargs);
SLP_INTERNAL int slp_tasklet_setup_call(slp_task *t, PyObject *args,
                                        PyObject *kwargs);
SLP_INTERNAL int slp_tasklet_bind_thread(slp_task *t, long long id);
SLP_INTERNAL int slp_tasklet_nesting(slp_task *t);
SLP_INTERNAL int slp_tasklet_depth(slp_task *t);
SLP_INTERNAL bool slp_tasklet_restorable(slp_task *t);
SLP_INTERNAL PyObject *slp_tasklet_frame(slp_task *t);

/* Add a type to the module under its bare name. */
SLP_INTERNAL PyTypeObject *slp_add_type(PyObject *module, PyType_Spec *spec);

#endif
