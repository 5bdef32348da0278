/* SPDX-License-Identifier: PSF-2.0 */
/* Part of compat.h: calls into another interpreter.

   CPython makes a thread state for such a call, and takes for granted that it is
   on the C stack that the system gave to the thread: from 3.14 on nothing is
   destroyed, and no recursion is noticed, where that is not so.  So the functions
   that enter interpreters are called there. */
#ifndef SLP_COMPAT_VISITS_H
#define SLP_COMPAT_VISITS_H

#ifndef SLP_COMPAT_H
#    error "include compat.h"
#endif

/* Calls fn(arg) on that stack. */
typedef void (*slp_runner)(void (*fn)(void *), void *arg);

/* -1 with an exception. */
SLP_INTERNAL int slp_visits_setup(slp_runner runner);

/* Have CPython's function, which is in its module for all interpreters, call ours;
   *theirs is what it did.  1: done; 0: it is another function; -1 with an
   exception. */
SLP_INTERNAL int slp_stand_in_front(const char *module, const char *name,
                                    int flags, PyCFunction ours,
                                    PyCFunction *theirs);

#endif
