/* SPDX-License-Identifier: PSF-2.0 */
/* Atomic tasklets: while one runs, neither another tasklet nor another thread
   is given its place unless it lets go by itself.

   A thread is in a section (compat_gil.h) whenever its running tasklet is
   atomic.  Quick switches do not look at that: while a section is open there are
   none, and none enters an atomic tasklet. */
#include "atomic.h"

#include "quick.h"
#include "watchdog.h"

void
slp_atomic_update(slp_thread *st)
{
    if (st->current->atomic) {
        slp_section_open(&st->section, st->ts);
    }
    else {
        slp_section_close(&st->section);
    }
    slp_quick_update(st);
}

int
slp_task_set_atomic(slp_task *t, bool on)
{
    if (on && !t->atomic && slp_section_prepare(slp_ts()) < 0) {
        return -1;
    }
    t->atomic = on;
    slp_thread *st = t->thread;
    if (st != NULL && st->current == t) {
        slp_atomic_arrive(st);
        if (!slp_section_is_open(&st->section) && st->section.missed) {
            st->section.missed = false;
            slp_watch_again(st);
        }
        slp_watch_permit(st);
    }
    return 0;
}
