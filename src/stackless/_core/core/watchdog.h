/* SPDX-License-Identifier: PSF-2.0 */
/* run() and what interrupts tasklets: watchdog.c. */
#ifndef SLP_WATCHDOG_H
#define SLP_WATCHDOG_H

#include "clock.h"
#include "sched.h"

/* Up to so many ticks are counted; a larger limit is a time. */
#define SLP_COUNTED_TICKS 10000
/* What a tick of a larger limit lasts, in nanoseconds. */
#define SLP_TICK 10

/* How long run() lets other tasklets run. */
typedef struct {
    long ticks;      /* <= 0: as long as there are any */
    uint64_t period; /* or this, in nanoseconds; 0: ticks */
    bool threadblock, soft, ignore_nesting, total;
} slp_limit;

SLP_INTERNAL int slp_run_watchdog(slp_thread *st, slp_entry *e,
                                  const slp_limit *limit);
/* A tasklet that was inside run() goes on, v (stolen, or NULL) is in its tempval.
   Returns what run() returns, or NULL for None. */
SLP_INTERNAL PyObject *slp_watchdog_leave(slp_thread *st, slp_task *t,
                                          PyObject *v);
/* No run() of the thread has a limit any more. */
SLP_INTERNAL void slp_watch_end(slp_thread *st);

/* Every tasklet's turn ends after so many ns (0: never).  -1 with RuntimeError:
   nothing has changed. */
SLP_INTERNAL int slp_preempt(slp_state *s, uint64_t interval);
/* Have every thread look at least once in so many ns (0: no need), so that
   st->looks tells which one does not come to it.  -1 as above. */
SLP_INTERNAL int slp_look_often(slp_state *s, uint64_t interval);
/* Threads have come or gone. */
SLP_INTERNAL void slp_watch_threads(slp_state *s);
/* The next look, if it is in that frame, is where it has looked already. */
SLP_INTERNAL void slp_watch_repeats(slp_thread *st, slp_frame *f);
/* An interruption that was put off is perhaps possible now. */
SLP_INTERNAL void slp_watch_again(slp_thread *st);
/* The sleeper runs: is it time for a tasklet that waits inside run()?  Then it
   is in the ring.  *left: ns until then, if that is known. */
SLP_INTERNAL bool slp_watch_asleep(slp_thread *st, uint64_t *left);
/* For tests: wherever the thread looks, t, which is paused, is switched to for a
   moment, until NULL. */
SLP_INTERNAL void slp_watch_visit(slp_thread *st, slp_task *t);
SLP_INTERNAL void slp_watch_setup(slp_state *s);
/* Around a fork. */
SLP_INTERNAL void slp_watch_before_fork(void);
SLP_INTERNAL void slp_watch_in_parent(slp_state *s);
SLP_INTERNAL void slp_watch_after_fork(void);
/* The program ends: no more preempt(). */
SLP_INTERNAL void slp_watch_stop(slp_state *s);

/* Who is to run at the next switch, instead of who would; floating.  Or NULL. */
static inline slp_task *
slp_watch_soft(slp_thread *st)
{
    if (SLP_LIKELY(!st->watch.soft_due)) {
        return NULL;
    }
    slp_task *owner = st->watch.owner;
    return owner != st->current && owner->place == SLP_FLOATING ? owner : NULL;
}

/* Who runs next when the running tasklet, a member of the ring, ends. */
static inline slp_task *
slp_watch_next(slp_thread *st)
{
    slp_task *owner = slp_watch_soft(st);
    if (owner != NULL) {
        slp_task_hold(owner);
        slp_ring_after(st, st->current, owner);
    }
    return st->current->next;
}

static inline void
slp_watch_permit(slp_thread *st)
{
    if (SLP_UNLIKELY(st->watch.due || st->watch.missed)) {
        slp_watch_again(st);
    }
}

static inline void
slp_task_set_ignore_nesting(slp_task *t, bool on)
{
    t->ignore_nesting = on;
    if (t->thread != NULL) {
        slp_watch_permit(t->thread);
    }
}

#endif
