/* SPDX-License-Identifier: PSF-2.0 */
/* Threads that have nothing to run, and how others wake them. */
#ifndef SLP_SLEEP_H
#define SLP_SLEEP_H

#include "nap.h"

/* The tasklet that runs while the thread sleeps, ready and in no list; borrowed
   until slp_sleeper_taken().  NULL with RuntimeError (Deadlock: `what`, see
   slp_deadlock()) if no other thread could wake this one, or with another error.
   *changed: other threads, and destructors, may have run. */
SLP_INTERNAL slp_task *slp_sleeper(slp_thread *st, const char *what,
                                   bool ended, bool *changed);
/* It joins the ring, which owns the reference from now on. */
SLP_INTERNAL void slp_sleeper_taken(slp_thread *st, slp_task *t);
/* Might another thread wake this one?  Others may run before it returns. */
SLP_INTERNAL bool slp_may_be_woken(slp_thread *st);
/* A thread ends: those that sleep look whether anybody is left. */
SLP_INTERNAL void slp_sleepers_look(slp_state *s, uint64_t ended_id);
SLP_INTERNAL void slp_sleep_forget(slp_thread *st);
/* For tests: other threads count as if they would never wake anybody. */
SLP_INTERNAL extern bool slp_sleep_never;
SLP_INTERNAL int slp_sleep_setup(slp_state *s);

#endif
