/* SPDX-License-Identifier: PSF-2.0 */
/* Tasklets that were thawed or cloned inside of generators, on 3.11: the calls in C
   that those need are made when the tasklet goes on for the first time. */
#ifndef SLP_CALLED_H
#define SLP_CALLED_H

#include "state.h"

#if SLP_GENERATORS_ARE_CALLED

/* Two steps of a switch, as ops do them.  The running gate, of the dispatcher,
   enters st->job, which is `uncalled`. */
SLP_INTERNAL PyObject *slp_called_begin(slp_thread *st);
/* A gate that one of the calls has entered goes on from there.  NULL without an
   exception: that was the last one, and the job has arrived. */
SLP_INTERNAL PyObject *slp_called_go_on(slp_thread *st);

/* Is t not to be entered but by the dispatcher? */
static inline bool
slp_uncalled(slp_task *t)
{
    return t->uncalled;
}

#else

static inline bool
slp_uncalled(slp_task *t)
{
    (void)t;
    return false;
}

#endif

#endif
