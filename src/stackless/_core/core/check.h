/* SPDX-License-Identifier: PSF-2.0 */
/* Invariant walkers, and the door of the test-only extension. */
#ifndef SLP_CHECK_H
#define SLP_CHECK_H

#include "sched.h"

/* What _coretest gets as the capsule stackless._core._C_TEST, which builds
   with SLP_CHECK or SLP_CORETEST have. */
#define SLP_TEST_API_NAME "stackless._core._C_TEST"
typedef struct {
    size_t size;
    /* Every how many switches all is walked; 0: each time, or seldom if there
       are many tasklets; -1: never. */
    int *check_every;
    /* Walk everything now; false: this build cannot. */
    bool (*check_now)(void);
    void (*fail_c_stacks_after)(long n); /* see slp_carrier_fail_after() */
    /* Of this thread: data stacks of tasklets, C stacks that carry one, C
       stacks in all of the interpreter. */
    void (*count)(long *chunks, long *used, long *mapped);
    bool *sleep_never;            /* see sleep.h */
    uint64_t *nap_spin;           /* see nap.h */
    int (*visit)(slp_tasklet *t); /* or NULL; see slp_watch_visit(); 0 or -1 */
} slp_test_api;

/* Put the capsule into the module, if this build has it; -1 on error. */
SLP_INTERNAL int slp_check_setup(PyObject *module);

#ifdef SLP_CHECK

/* Compares what a wait queue's owner knows with what is in the queue; set by
   the owners' file. */
SLP_INTERNAL extern void (*slp_check_queue)(const slp_waitq *q, bool sending,
                                            Py_ssize_t length);
/* Abort, saying what is wrong, unless all invariants of task.h hold.  settled:
   between switches, nothing is put off. */
SLP_INTERNAL void slp_check_thread(slp_thread *st, bool settled);
/* The same, now and then: see check_every. */
SLP_INTERNAL void slp_check_point(slp_thread *st, bool settled);

#else

#    define slp_check_thread(st, settled) ((void)(st))
#    define slp_check_point(st, settled)  ((void)(st))

#endif

#endif
