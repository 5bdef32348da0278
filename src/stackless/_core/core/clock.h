/* SPDX-License-Identifier: PSF-2.0 */
#ifndef SLP_CLOCK_H
#define SLP_CLOCK_H

#include "task.h"

#define SLP_SECOND 1000000000ull /* times are in nanoseconds */

/* Of a clock that is never set back. */
SLP_INTERNAL uint64_t slp_now(void);
/* Have fn(arg) called every so often, see slp_pending_add(): in the main thread,
   and in whichever other threads come by.  0: not at all.  NULL, or why there can be
   no thread for that. */
SLP_INTERNAL const char *slp_clock_set(uint64_t in_main, uint64_t in_others);
/* fn(of_main ? not NULL : NULL) was called. */
SLP_INTERNAL void slp_clock_answered(bool of_main);
SLP_INTERNAL void slp_clock_setup(slp_state *s, slp_pending_fn fn);
/* Around a fork: the process has no thread of ours then, or CPython would warn. */
SLP_INTERNAL void slp_clock_pause(void);
SLP_INTERNAL void slp_clock_go_on(void);
/* Is this a child that has not called slp_clock_go_on() yet? */
SLP_INTERNAL bool slp_clock_is_lost(void);
/* For good. */
SLP_INTERNAL void slp_clock_stop(void);

#endif
