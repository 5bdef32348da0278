/* SPDX-License-Identifier: PSF-2.0 */
/* Leaving one tasklet and entering another. */
#ifndef SLP_DISPATCH_H
#define SLP_DISPATCH_H

#include "sched.h"

/* First half of a switch from the running tasklet to `next`, before any list
   is changed: runs the schedule callback, takes all memory that is needed,
   decides between soft and hard.  0: slp_switch() may follow and cannot fail.
   1: something has changed meanwhile, plan again.  -1 with an exception. */
SLP_INTERNAL int slp_switch_prepare(slp_thread *st, slp_entry *e,
                                    slp_task *next);
/* Second half.  A soft switch returns at once and takes place when the gate
   does; a hard one returns when the caller runs again. */
SLP_INTERNAL void slp_switch(slp_thread *st, slp_entry *e, slp_task *next);

/* The tasklet goes on: new reference to its value, or NULL with the exception
   it was sent.  From C, after a function that may switch returned 0.  May run
   Python code (destructors that were put off). */
SLP_INTERNAL PyObject *slp_resume(slp_thread *st);

/* For an operation entered from C: its result r as a new reference to the
   value, or NULL with an exception. */
SLP_INTERNAL PyObject *slp_outcome(slp_thread *st, int r);

/* The operation failed, as a rule with an exception: undo what prepare has begun
   and release what callbacks have put off.  Runs destructors. */
SLP_INTERNAL void slp_failed(slp_thread *st);

/* Call a callback of the program's with args (stolen; NULL: no memory).
   Errors are unraisable; what the running operation keeps in the caller's
   tempval survives. */
SLP_INTERNAL void slp_run_callback(slp_thread *st, PyObject *callback,
                                   PyObject *args);

/* op type: a C function as an iterator.  fn gets the state and the arguments
   of the point. */
typedef int (*slp_op_fn)(slp_thread *st, slp_entry *e, PyObject **args);
SLP_INTERNAL PyObject *slp_op_new(slp_state *s, slp_op_fn fn, int nargs);
/* Makes the op type, the dispatcher and what goes with it; -1 on error. */
SLP_INTERNAL int slp_dispatch_setup(slp_state *s);
/* The running tasklet has come to this C stack from another one. */
SLP_INTERNAL void slp_arrive(slp_thread *st);

/* A C stack whose dispatcher can take st->job; NULL with MemoryError. */
SLP_INTERNAL slp_carrier *slp_carrier_idle(slp_thread *st);
SLP_INTERNAL void slp_carrier_put_idle(slp_thread *st, slp_carrier *c);
/* Run there until somebody comes back; the words of the thread state are the
   caller's affair. */
SLP_INTERNAL void slp_carrier_go(slp_thread *st, slp_carrier *to);
/* Give the idle C stacks of the thread back, keeping `keep`. */
SLP_INTERNAL void slp_carriers_trim(slp_thread *st, int keep);
/* Free the C stacks that have been left for good. */
SLP_INTERNAL void slp_carriers_free_finished(slp_thread *st);
/* All suspended frames get what sys.settrace() and friends changed. */
SLP_INTERNAL void slp_update_instrumentation(slp_thread *st);

#endif
