/* SPDX-License-Identifier: PSF-2.0 */
/* Part of compat.h: sections in which the GIL is not taken from a thread.

   A thread that waits for the GIL asks the holder to drop it when it has waited
   for `interval` without any switch.  While a section is open, anywhere, the
   interval is so long that nobody asks.  But a thread in a section may let go
   of the GIL by itself, in time.sleep() say; the others must then have their
   turns, and it must come back: the guardian, a thread of ours without a thread
   state, asks in their place, and never one that is inside. */
#ifndef SLP_COMPAT_GIL_H
#define SLP_COMPAT_GIL_H

#ifndef SLP_COMPAT_H
#    error "include compat.h"
#endif

#include "compat_pending.h"

/* One for each thread that may have one; zero: closed. */
typedef struct slp_section {
    PyThreadState *ts;     /* who is inside; NULL: closed */
    struct slp_hold *hold; /* of which GIL */
    bool missed;           /* a call, see below */
    uint64_t looks;        /* how often it was seen to get on when it did */
    struct slp_section *next, *prev;
} slp_section;

static inline bool
slp_section_is_open(const slp_section *s)
{
    return s->ts != NULL;
}

static inline uint64_t
slp_section_looks(const slp_section *s)
{
    return __atomic_load_n(&s->looks, __ATOMIC_RELAXED);
}

/* Before one is opened for the program: starts what it needs, and lets whoever
   has asked for the GIL have it.  -1 with RuntimeError. */
SLP_INTERNAL int slp_section_prepare(PyThreadState *ts);
/* No-ops if it is open or closed already. */
SLP_INTERNAL void slp_section_open(slp_section *s, PyThreadState *ts);
SLP_INTERNAL void slp_section_close(slp_section *s);

/* slp_pending_add() for a thread that has neither the GIL nor a thread state.  From
   3.13 on a thread that wants to take calls out while another one puts some in lets
   go of the GIL.  So nothing is put in while the GIL is held in a section: the
   section has `missed` it then, and it is false: not now. */
SLP_INTERNAL bool slp_call_from_outside(PyInterpreterState *interp, bool main,
                                        slp_pending_fn fn, void *arg);

/* Are signals waiting to be handled, and is this the thread for it? */
SLP_INTERNAL bool slp_signals_pending(PyThreadState *ts);

/* For a thread that lets go of the GIL and will want it back.  Stays valid. */
SLP_INTERNAL struct slp_hold *slp_gil_of(PyThreadState *ts);
/* Without the GIL: is it held, and does nobody wait in CPython's line for it? */
SLP_INTERNAL bool slp_gil_is_worth_waiting(struct slp_hold *h);

/* Once per interpreter; -1 with an exception. */
SLP_INTERNAL int slp_gil_setup(PyInterpreterState *interp);
/* All sections have been closed, and none is going to be opened. */
SLP_INTERNAL void slp_gil_shutdown(PyInterpreterState *interp);
/* What interpreters share is set up under a lock that is held across fork; nothing
   of CPython's is called that might let go of the GIL. */
SLP_INTERNAL void slp_setup_lock(void);
SLP_INTERNAL void slp_setup_unlock(void);
/* The guardian ends if it has nothing to do: it is there again when needed. */
SLP_INTERNAL void slp_gil_before_fork(void);

#endif
