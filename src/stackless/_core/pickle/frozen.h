/* SPDX-License-Identifier: PSF-2.0 */
/* What stackless.freeze() and its relatives need of the engine. */
#ifndef SLP_FROZEN_H
#define SLP_FROZEN_H

#include "../core/state.h"

SLP_INTERNAL extern PyMethodDef slp_frozen_methods[], slp_facts_methods[],
    slp_copies_methods[];
SLP_INTERNAL int slp_frozen_setup(slp_state *s);

/* What a tasklet has that has started.  Borrowed, but who makes it says so of
   the frames. */
typedef struct {
    PyObject *frames;                  /* tuple: see slp_frames_of() */
    PyObject *exc, *tempval, *channel; /* None: there is none */
    int kind; /* of tempval: 1 raised, 2 there is one */
    int sending;
} slp_started;

/* The argument, or NULL with TypeError. */
SLP_INTERNAL slp_task *slp_tasklet_arg(slp_state *s, PyObject *op);
/* Why its frames cannot be had, or NULL. */
SLP_INTERNAL const char *slp_why_not(slp_task *t, bool hard_too);
/* A new tuple of the frames of a suspended tasklet, the first one first: states of
   frames, generators, and None where C is between two.  extent_of(code, offset)
   is asked for a hard one's, or NULL. */
SLP_INTERNAL PyObject *slp_frames_of(slp_state *s, slp_task *t,
                                     PyObject *extent_of);
/* s->frames apart. */
SLP_INTERNAL void slp_started_of(slp_task *t, slp_started *s);
SLP_INTERNAL int slp_flags_of(slp_task *t);
/* From what Python code has of it; -1 with an exception. */
SLP_INTERNAL int slp_parse_started(PyObject *more, slp_started *s);
/* Make a fresh tasklet such a one, paused; -1 with ValueError: one of them is
   not good. */
SLP_INTERNAL int slp_restore_started(slp_thread *st, slp_task *t,
                                     const slp_started *s);
/* Give it name and flags. */
SLP_INTERNAL int slp_label(slp_task *t, PyObject *name, int flags);

/* The digests of frames, one after the other, as new bytes; None if there are
   others than frames of functions among them.  digest(code) is asked the first
   time. */
SLP_INTERNAL PyObject *slp_frame_digests(slp_state *s, PyObject *frames,
                                         PyObject *digest);
/* Functions; see _check_frames(). */
typedef struct {
    slp_state *s;
    PyObject *digest, *places, *check;
} slp_asked;
/* A new list of the functions that have changed. */
SLP_INTERNAL PyObject *slp_check_frames(const slp_asked *a, PyObject *frames,
                                        PyObject *digests);

#endif
