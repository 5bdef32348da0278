/* SPDX-License-Identifier: PSF-2.0 */
#ifndef SLP_CLOCK_H
#define SLP_CLOCK_H

#include "task.h"

#define SLP_SECOND 1000000000ull /* times are in nanoseconds */

/* Of a clock that is never set back. */
SLP_INTERNAL uint64_t slp_now(void);

typedef struct {
    uint64_t period, next;
    bool asked; /* a call is queued that nobody has made yet */
} slp_bell;

/* What one interpreter asks for; changed under a lock of its own kind. */
typedef struct slp_clock {
    PyInterpreterState *interp; /* NULL: it was not set up */
    slp_pending_fn fn;
    slp_bell bells[2]; /* of the main thread; of the others */
    struct slp_clock *next;
    bool closed; /* there is none any more */
} slp_clock;

/* Have fn(arg) called every so often, see slp_pending_add(): in the main thread,
   and in whichever other threads of the interpreter come by.  0: not at all.
   NULL, or why there can be no thread for that. */
SLP_INTERNAL const char *slp_clock_set(slp_clock *c, uint64_t in_main,
                                       uint64_t in_others);
/* fn(of_main ? not NULL : NULL) was called. */
SLP_INTERNAL void slp_clock_answered(slp_clock *c, bool of_main);
/* The same by a thread that it was not meant for: call again soon. */
SLP_INTERNAL void slp_clock_missed(slp_clock *c);
SLP_INTERNAL void slp_clock_setup(slp_clock *c, PyInterpreterState *interp,
                                  slp_pending_fn fn);
/* Around a fork: the process has no thread of ours then, or CPython would warn. */
SLP_INTERNAL void slp_clock_pause(void);
SLP_INTERNAL void slp_clock_go_on(void);
/* Is this a child that has not called slp_clock_go_on() yet? */
SLP_INTERNAL bool slp_clock_is_lost(void);
/* For good. */
SLP_INTERNAL void slp_clock_stop(slp_clock *c);

#endif
