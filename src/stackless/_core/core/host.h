/* SPDX-License-Identifier: PSF-2.0 */
/* The main tasklet off the thread's own C stack: host.c. */
#ifndef SLP_HOST_H
#define SLP_HOST_H

#include "sched.h"

/* func() as the running tasklet: if that is main on the thread's own stack, on
   one with a dispatcher, where it can be left softly.  Returns when func() has
   ended: new reference, or NULL with its exception.  Runs anything. */
SLP_INTERNAL PyObject *slp_host_call(slp_thread *st, PyObject *func);
/* From the dispatcher: main's function has ended, perhaps with exc (stolen).
   Main is on the thread's own stack from now on. */
SLP_INTERNAL void slp_host_ends(slp_thread *st, PyObject *exc);
/* The thread is abandoned: if its main has a host, nobody waits there. */
SLP_INTERNAL void slp_host_forget(slp_thread *st);

#endif
