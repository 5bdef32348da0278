/* SPDX-License-Identifier: PSF-2.0 */
/* Who runs next: the ring, wait queues, and the operations on them.

   Functions that take an slp_entry may switch.  They return 0 when the
   outcome is (or will be, when the caller runs again) in the caller's
   tempval, where slp_resume() finds it; -1 with an exception when nothing was
   changed.  They run callbacks, so everything is looked at again after them.
   Functions without one never switch and run no Python code unless said. */
#ifndef SLP_SCHED_H
#define SLP_SCHED_H

#include "lists.h"
#include "state.h"

/* How an operation was entered.  gate: frame of the gate that runs it, NULL
   from C; sp: address of the op's C frame.  The schedule callback has heard
   of `announced`, after `callbacks` calls in this operation. */
typedef struct {
    slp_frame *gate;
    uintptr_t sp;
    slp_task *announced; /* compared only */
    int callbacks;
} slp_entry;

/* ---- block, wake, cancel: the one way to wait ---------------------------- */

/* The caller leaves the ring and joins q until woken or cancelled.  0, 1
   ("look again, a callback has changed something") or -1. */
SLP_INTERNAL int slp_block(slp_thread *st, slp_entry *e, slp_waitq *q,
                           bool sending);
/* Take the oldest waiter off; its reference is the caller's, who links it
   into the ring. */
SLP_INTERNAL slp_task *slp_wake(slp_waitq *q);
/* Take t, which is blocked, off its queue; its reference is the caller's. */
SLP_INTERNAL void slp_cancel(slp_task *t);

/* Make v (a new reference or NULL) what the caller's call returns. */
SLP_INTERNAL void slp_set_outcome(slp_task *me, PyObject *v);

/* ---- operations ---------------------------------------------------------- */

/* retval is what the call returns if nobody sets tempval meanwhile. */
SLP_INTERNAL int slp_schedule(slp_thread *st, slp_entry *e, PyObject *retval,
                              bool remove);
SLP_INTERNAL int slp_task_run(slp_thread *st, slp_entry *e, slp_task *t);
SLP_INTERNAL int slp_task_switch(slp_thread *st, slp_entry *e, slp_task *t);
/* These two never switch. */
SLP_INTERNAL int slp_task_insert(slp_task *t);
SLP_INTERNAL int slp_task_remove(slp_task *t);
/* exc: an exception instance, stolen.  Raises it here if t is current. */
SLP_INTERNAL int slp_task_throw(slp_thread *st, slp_entry *e, slp_task *t,
                                PyObject *exc, bool pending);
/* Put exc, stolen, in t's way and t into the ring: at the far end or right
   before the running tasklet.  What it displaces is put off. */
SLP_INTERNAL void slp_task_bomb(slp_thread *st, slp_task *t, PyObject *exc,
                                bool at_end);
/* Raise an exception instance, stolen, without chaining it to another. */
SLP_INTERNAL void slp_raise(PyObject *exc);
/* For what only the owner's thread may do; -1 with RuntimeError. */
SLP_INTERNAL int slp_task_own(slp_thread *st, slp_task *t, const char *what);
/* For what needs a thread, whichever; -1 with RuntimeError. */
SLP_INTERNAL int slp_task_reach(slp_task *t, const char *what);
/* Link t, whose reference moves to the ring, at the far end of its thread's ring,
   or so that it runs next there; wake the thread. */
SLP_INTERNAL void slp_task_give(slp_task *t, bool at_end);

/* Innermost tasklet inside run(), else main. */
SLP_INTERNAL slp_task *slp_watchdog(slp_thread *st);
/* Who goes on when `me` leaves the ring: *found, which may be floating, or
   NULL. */
SLP_INTERNAL slp_task *slp_successor(slp_thread *st, slp_task *me);

/* ---- report.c ------------------------------------------------------------ */

/* RuntimeError: Deadlock, with every blocked tasklet. */
SLP_INTERNAL void slp_deadlock(slp_thread *st, const char *what, bool ended);
/* Display name: new reference. */
SLP_INTERNAL PyObject *slp_task_name(slp_task *t);
/* "file:line" of where t stands or was made; None if unknown. */
SLP_INTERNAL PyObject *slp_task_where(slp_task *t);
SLP_INTERNAL PyObject *slp_task_origin(slp_task *t);
/* Newest visible frame of a suspended or running tasklet; NULL if none. */
SLP_INTERNAL slp_frame *slp_task_frame(slp_task *t);

/* ---- kill.c -------------------------------------------------------------- */

/* tp_finalize: a started tasklet that nobody can reach is killed. */
SLP_INTERNAL void slp_task_finalize(slp_task *t);
/* Forget frames and everything else without running any of it.  Runs
   destructors.  -1 with RuntimeError if it has C frames. */
SLP_INTERNAL int slp_task_discard(slp_task *t);
/* The same of one that nobody refers to, not even the list of all. */
static inline void
slp_task_discard_last(slp_task *t)
{
    if (SLP_UNLIKELY(t->life == SLP_STARTED || t->watchdog
                     || t->py.extras != NULL)) {
        slp_task_discard(t);
        return;
    }
    if (SLP_UNLIKELY(t->doomed) && t->thread != NULL) {
        t->thread->doomed--;
    }
    if (t->chunk != NULL) {
        slp_chunk_free(t->chunk);
    }
    Py_XDECREF(t->exc.exc_value);
    Py_XDECREF(t->func);
    Py_XDECREF(t->args);
    Py_XDECREF(t->tempval);
    Py_XDECREF(t->py.context);
}
/* Run what the collector has killed; -1 with an exception that reached the
   caller. */
SLP_INTERNAL int slp_reap(slp_thread *st);
/* Interpreter exit: kill all that has started, by the same rule. */
SLP_INTERNAL void slp_kill_all(slp_thread *st);
/* The thread ends. */
SLP_INTERNAL void slp_thread_end(slp_thread *st);
/* After a switch: release what was put off.  Runs destructors. */
SLP_INTERNAL void slp_release(slp_thread *st);
/* Is a collection going on?  On 3.12 one that is nested in it, in a destructor,
   clears the interpreter's own mark.  Those that have ended are counted by the
   interpreter: gc.callbacks are not called without memory. */
static inline bool
slp_collecting(slp_thread *st)
{
    return slp_gc_collecting(st->ts)
           || (SLP_GC_NESTS && st->state->begun > slp_gc_ended(st->ts));
}
/* Entry of gc.callbacks. */
SLP_INTERNAL PyObject *slp_gc_callback(PyObject *module, PyObject *args);

#endif
