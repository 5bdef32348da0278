/* SPDX-License-Identifier: PSF-2.0 */
#ifndef SLP_NEWSTACK_H
#define SLP_NEWSTACK_H

#include "state.h"

/* func(*args) on a fresh C stack of `size` bytes (0: as large as the main
   thread's), in the tasklet that calls.  It may switch.  NULL with what it
   raised, or MemoryError. */
SLP_INTERNAL PyObject *slp_call_on_new_stack(slp_thread *st, PyObject *func,
                                             PyObject *args, size_t size);

/* fn(arg) on the C stack that the system gave to the calling thread; it cannot
   switch. */
SLP_INTERNAL void slp_run_natively(void (*fn)(void *), void *arg);

#endif
