/* SPDX-License-Identifier: PSF-2.0 */
/* How a thread waits, without the GIL, until another one wakes it: nap.c. */
#ifndef SLP_NAP_H
#define SLP_NAP_H

#include "state.h"

/* What others know of a thread, and change with the GIL.  The thread itself goes from
   SPINS to SLEEPS without it. */
typedef enum {
    SLP_AWAKE,
    SLP_SPINS,  /* looks at its word */
    SLP_SLEEPS, /* wants to be told, by a system call */
    SLP_WOKEN,  /* has been told; runs as soon as it has the GIL */
} slp_nap_state;

static inline int
slp_nap_look(const slp_thread *st)
{
    return __atomic_load_n(&st->nap, __ATOMIC_RELAXED);
}
/* Has it nothing to run, and nobody has woken it? */
static inline bool
slp_thread_naps(const slp_thread *st)
{
    int nap = slp_nap_look(st);
    return nap == SLP_SPINS || nap == SLP_SLEEPS;
}

SLP_INTERNAL void slp_thread_wake_up(slp_thread *st);
/* st, perhaps another thread's, has got something to run. */
static inline void
slp_thread_wake(slp_thread *st)
{
    if (SLP_UNLIKELY(slp_nap_look(st) != SLP_AWAKE)) {
        slp_thread_wake_up(st);
    }
}

/* Whatever slp_nap() needs; -1 with OSError. */
SLP_INTERNAL int slp_nap_prepare(slp_thread *st);
/* Until woken or interrupted by a signal, or for `most` ns if that is not 0.  Other
   threads run. */
SLP_INTERNAL void slp_nap(slp_thread *st, uint64_t most);
SLP_INTERNAL void slp_nap_forget(slp_thread *st);
/* Nanoseconds for which a thread spins; tests change it. */
SLP_INTERNAL extern uint64_t slp_nap_spin;
SLP_INTERNAL void slp_nap_setup(void);

#endif
