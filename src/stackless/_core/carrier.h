/* SPDX-License-Identifier: PSF-2.0 */
/* A carrier is a C stack on which Python runs: the stack, the words of the
   thread state that belong to it, and the dispatcher at its bottom. */
#ifndef SLP_CARRIER_H
#define SLP_CARRIER_H

#include "compat/compat.h"

typedef struct slp_carrier {
    struct slp_cstack *stack;
    slp_cstate *cstate;    /* valid while another carrier runs */
    slp_frame *dispatcher; /* its frame; NULL on the thread's own stack and
                                before the first turn */
    uintptr_t sp;          /* where ops are called at dispatcher level */
    slp_pystate py;        /* the dispatcher's own data stack and the rest */
    slp_pystate idle;      /* the same once the dispatcher's frame is there */
    _PyStackChunk *chunk;
    _PyErr_StackItem exc;
    struct slp_carrier *next; /* in a list of idle or finished ones */
    bool native;
    bool started; /* somebody has switched to it */
    bool quit;    /* told to leave its dispatcher */
} slp_carrier;

/* Called on a fresh carrier; must end with slp_carrier_exit(). */
typedef void (*slp_carrier_main)(void *arg);

/* The thread's own stack.  NULL with MemoryError. */
SLP_INTERNAL slp_carrier *slp_carrier_native(void);
/* A new C stack of `size` bytes (0: as large as the main thread's).  NULL
   with MemoryError. */
SLP_INTERNAL slp_carrier *slp_carrier_new(PyThreadState *ts, size_t size,
                                          slp_carrier_main main, void *arg);
/* Not the running one, and nothing of interest on it. */
SLP_INTERNAL void slp_carrier_free(slp_carrier *c);
/* Leave `from`, which runs, for `to`.  Returns when somebody comes back. */
SLP_INTERNAL void slp_carrier_switch(PyThreadState *ts, slp_carrier *from,
                                     slp_carrier *to);
/* Call the dispatcher function at the bottom of the running carrier. */
SLP_INTERNAL PyObject *slp_carrier_dispatch(PyThreadState *ts, slp_carrier *c,
                                            PyObject *dispatcher);
SLP_INTERNAL slp_frame *slp_carrier_frame(slp_carrier *c);
SLP_INTERNAL size_t slp_carrier_default_size(void);
/* Bytes that a suspended carrier's stack uses. */
SLP_INTERNAL size_t slp_carrier_used(slp_carrier *c);
/* Number of mappings kept for reuse; -1 asks.  Returns the old one. */
SLP_INTERNAL int slp_carrier_cache_limit(int limit);
/* Make the n-th mapping from now on fail (tests); -1: none. */
SLP_INTERNAL void slp_carrier_fail_after(long n);

#endif
