/* SPDX-License-Identifier: PSF-2.0 */
#ifndef SLP_ATOMIC_H
#define SLP_ATOMIC_H

#include "state.h"

/* Set the flag; while an atomic tasklet runs, its thread is in a section.  May
   let other threads run before.  -1 with RuntimeError: nothing has changed. */
SLP_INTERNAL int slp_task_set_atomic(slp_task *t, bool on);
/* The running tasklet is another one, or its flag has changed. */
SLP_INTERNAL void slp_atomic_update(slp_thread *st);

static inline void
slp_atomic_arrive(slp_thread *st)
{
    if (SLP_UNLIKELY(st->current->atomic
                     != slp_section_is_open(&st->section))) {
        slp_atomic_update(st);
    }
}

#endif
