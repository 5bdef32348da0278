/* SPDX-License-Identifier: PSF-2.0 */
#ifndef SLP_SETTLE_H
#define SLP_SETTLE_H

#include "state.h"

/* What has left the running tasklet's first frame, or NULL. */
SLP_INTERNAL PyObject *slp_take_failure(slp_thread *st);
/* The error that the running tasklet, me, ends with, if it concerns another one:
   *target is who is to hear of it.  Runs the error handler. */
SLP_INTERNAL PyObject *slp_settle(slp_thread *st, slp_task *me,
                                  slp_task **target);
/* Nothing is left to run but w, which is blocked: NULL if the thread is to sleep
   (st->sleeper is there), else what w is to hear.  May run a collection. */
SLP_INTERNAL PyObject *slp_blocked_for_ever(slp_thread *st, slp_task *w);

#endif
